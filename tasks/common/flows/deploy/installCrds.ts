import { asTaskError, TaskError } from '../../core/failure';
import { crdChange, isEstablished, unestablishedWords, type CrdChange, type LiveCrd } from '../../core/helm/crdChanges';
import type { KubeObject } from '../../core/kubernetes/object';
import { refOf } from '../../core/kubernetes/manifest';
import { instancesQuery } from '../../core/rollbackPlan/model/definitions';
import type { DeployContext } from '../../core/releaseContext';
import { stopIfCancelled } from '../../core/releaseContext';
import type { DeployProgress } from '../release/deployProgress';
import { inTurns } from '../steps/inTurns';
import { inPhase } from './failedDeploy';

/**
 * Creates and replaces the definitions in the crds/ folders of the chart, as the input `crds` asks for it, and waits
 * until their kinds are served. Throws before the first change if a definition may not be replaced.
 */
export async function installCrds(context: DeployContext, progress: DeployProgress): Promise<void> {
  const { agent, helm, request, signal } = context;
  const policy = request.crds;
  if (policy === undefined || policy === 'skip') return;
  await inPhase(context, progress, 'Create the definitions of the chart (crds/)', async () => {
    const declared = await helm.crds(signal);
    if (declared.length === 0) agent.log('The chart has no definitions in crds/.');
    const changes = await inTurns(declared, signal, async (object) =>
      crdChange(object, await liveCrd(context, object), policy),
    );
    refuse(changes);
    const made = changes.flatMap((one) => (one.change === 'create' || one.change === 'replace' ? [one] : []));
    for (const { change, object } of made) await write(context, change, object);
    await inTurns(made, signal, ({ object }) => established(context, object));
    progress.definitions = changes.map(({ change, name }) => ({ name, change: reportedChanges[change] }));
    for (const { name, change } of progress.definitions) agent.log(`  ${change} CustomResourceDefinition/${name}`);
    if (made.length > 0) agent.log('A rollback leaves these definitions as they are.');
  });
}

const reportedChanges = { create: 'created', replace: 'replaced', none: 'unchanged', refused: 'unchanged' } as const;

function refuse(changes: readonly CrdChange[]): void {
  const refused = changes.flatMap((one) => (one.change === 'refused' ? [`${one.name}: ${one.why}`] : []));
  if (refused.length === 0) return;
  throw new TaskError(
    'DefinitionRefused',
    `The definitions of the chart cannot replace those of the cluster. ${refused.join('; ')}. Nothing was changed.`,
    { facts: { object: `CustomResourceDefinition/${changes.find(({ change }) => change === 'refused')?.name ?? ''}` } },
  );
}

async function liveCrd({ cluster }: DeployContext, declared: KubeObject): Promise<LiveCrd | undefined> {
  const live = await cluster.get(refOf(declared));
  if (live === undefined) return undefined;
  const query = instancesQuery(live);
  // An identity that may not list the objects does not know that there are none.
  const objects = query && (await cluster.list(query).catch(() => undefined));
  return { live, hasObjects: objects?.length !== 0 };
}

async function write({ cluster, lease, signal }: DeployContext, change: 'create' | 'replace', object: KubeObject) {
  stopIfCancelled(signal);
  await lease.confirm();
  if (change === 'replace') {
    await cluster.update(object);
    return;
  }
  try {
    await cluster.create(object);
  } catch (thrown) {
    // Another release brings the same definition.
    if (asTaskError(thrown).facts['status'] !== 409) throw thrown;
  }
}

/** The API server serves a new kind within a second, unless its names are taken. */
const establishedWithinMs = 60_000;
const pollMs = 200;

async function established({ clock, cluster, signal }: DeployContext, object: KubeObject): Promise<void> {
  const ref = refOf(object);
  const untilMs = clock.monotonicMs() + establishedWithinMs;
  for (;;) {
    const live = await cluster.get(ref);
    if (isEstablished(live)) return;
    if (clock.monotonicMs() >= untilMs) {
      const why = unestablishedWords(live);
      throw new TaskError(
        'TimedOut',
        `CustomResourceDefinition/${ref.name} is not established after 1 min. ${why}`.trim(),
      );
    }
    await clock.sleep(pollMs, signal);
    stopIfCancelled(signal);
  }
}
