import { endingFor, endingOfRollout, type Ending } from '../../../core/report/ending';
import { objectName } from '../../../core/kubernetes/manifest';
import type { Drift } from '../../../core/release/drift';
import type { Revision } from '../../../core/release/release';
import type { Lease, ReleaseContext, RolloutContext } from '../../../core/releaseContext';
import { strangeChange } from '../../../core/rollbackPlan/objects/rehearsalTraces';
import type { RolloutMemory } from '../../../core/rollout/verdict';
import type { Reservation } from '../../../core/rollout/reservations';
import { markUnhealthy, reserve, verify } from '../../release/record';
import { desiredObjects, type DesiredObject } from '../../release/desiredObjects';
import { followRollout, rolloutPolicy, type RolloutEnd, type RolloutOptions } from '../../rollout/rollout';
import { inTurns } from '../../steps/inTurns';
import { withRetries } from '../../steps/withRetries';
import { group } from '../../steps/phase';
import type { EnginePolicy } from './policy';
import { proveObjects } from './proof';
import { deletingTrappedPods } from './trappedPods';

export interface Rollback {
  target: Revision;
  deadline: Date;
  /** The state of the target's objects before the rollback. */
  memory: RolloutMemory | undefined;
}

interface NotProven {
  end: 'notProven';
  ending: Ending;
  /** The revision is marked unhealthy, so no run resumes the rollback. */
  isMarked: boolean;
}

/** How a rollback ended that Helm has made. */
export type FinishedRollback = { made: Revision } & (NotProven | { end: 'followed'; rollout: RolloutEnd });

/** Proves and follows the revision that Helm has made, and marks it verified or unhealthy. */
export async function finishRollback(
  context: ReleaseContext,
  policy: EnginePolicy,
  rollback: Rollback,
  made: Revision,
): Promise<FinishedRollback> {
  policy.onMade(made);
  const unproven = await prove(context, policy, made);
  if (unproven !== undefined) return { ...unproven, made };
  await policy.beforeRollout?.(made);
  const rollout = await followRevision(context, policy, rollback, made);
  const { end, verdict } = rollout;
  if (end === 'healthy') {
    await policy.afterRollout?.();
    const changed = policy.afterRollout && (await prove(context, policy, made));
    if (changed !== undefined) return { ...changed, made };
    await markHealthy(context, policy, made, rollout.reservations);
  } else if (end !== 'cancelled') {
    await markUnhealthy(context, made, endingOfRollout(verdict));
  }
  return { end: 'followed', made, rollout };
}

async function markHealthy(
  context: ReleaseContext,
  { description }: EnginePolicy,
  made: Revision,
  reservations: readonly Reservation[],
): Promise<void> {
  const { agent, run, storage } = context;
  for (const { message } of reservations) agent.log(`Not verified: ${message}`);
  const mark = reservations.length === 0 ? verify : reserve;
  // Helm 4.3 and later got the description with the rollback, and keeps it if it is short.
  if (description !== '' && made.description !== description) {
    await withRetries(context, () => storage.update(made.revision, { description }));
  }
  await withRetries(context, () => mark(storage, made, run));
}

/** Returns undefined if every object of the revision is as the policy asks for it in the end. */
async function prove(context: ReleaseContext, policy: EnginePolicy, made: Revision): Promise<NotProven | undefined> {
  const { drifts, restored } = await group(context, `Prove revision ${made.revision}`, () =>
    proveObjects(context, made, policy.repairs),
  );
  for (const name of restored) policy.restored.add(name);
  const failed = drifts.filter(policy.isFailure);
  if (failed.length > 0) {
    const ending = notAsDeclared(made, failed);
    if (!policy.isResumable) await markUnhealthy(context, made, ending);
    return { end: 'notProven', ending, isMarked: !policy.isResumable };
  }
  const strange = await proveExpected(context, policy, made);
  // A resumed rollback is proven without its rehearsal, and the changes would pass.
  if (strange === undefined) return undefined;
  await markUnhealthy(context, made, strange);
  return { end: 'notProven', ending: strange, isMarked: true };
}

const namedAtMost = 5;

function notAsDeclared({ revision }: Revision, drifts: readonly Drift[]): Ending {
  const messages = drifts.slice(0, namedAtMost).map(({ message }) => message);
  const more = drifts.length > messages.length ? ` And ${drifts.length - messages.length} more.` : '';
  const message = `Revision ${revision} was made, but is not what it declares: ${messages.join(' ')}${more}`;
  return endingFor('failed', 'ProofFailed', message, drifts[0] && objectName(drifts[0].ref));
}

/** Fields that nobody declares count too: a field that the rehearsal did not show was set by something else. */
async function proveExpected(
  context: ReleaseContext,
  { expected, restored }: EnginePolicy,
  made: Revision,
): Promise<Ending | undefined> {
  const { cluster, namespace, signal } = context;
  if (expected === undefined) return undefined;
  const objects = await desiredObjects(cluster, made.manifest, namespace);
  // An object that was made again from the manifest has lost the fields that nobody declares.
  const left = objects.filter(({ key, ref }) => expected.has(key) && !restored.has(objectName(ref)));
  const found = await inTurns(left, signal, async ({ key, ref }) => {
    const [rehearsed, live] = [expected.get(key), await withRetries(context, () => cluster.get(ref))];
    const change = rehearsed && live && strangeChange(rehearsed, live);
    return change === undefined ? [] : [{ name: objectName(ref), change }];
  });
  const strange = found.flat();
  const [first] = strange;
  if (first === undefined) return undefined;
  const named = strange.slice(0, namedAtMost).map(({ name, change }) => `${name} ${change}`);
  const more = strange.length > namedAtMost ? `; and ${strange.length - namedAtMost} more` : '';
  const message = `Revision ${made.revision} was made, but not all of it is as in its rehearsal: ${named.join('; ')}${more}. No plan has shown that, and nobody has approved it. The revision is marked failed. Undo these changes by hand, then plan again: this task with action: plan.`;
  return endingFor('failed', 'ProofFailed', message, first.name);
}

export async function followRevision(
  context: ReleaseContext,
  policy: EnginePolicy,
  rollback: Rollback,
  made: Revision,
): Promise<RolloutEnd> {
  const objects = await desiredObjects(context.cluster, made.manifest, context.namespace);
  const history = await withRetries(context, () => context.storage.history());
  const release = { revision: made, history };
  return followRolledBack(context, {
    ...rollback,
    ...policy,
    objects,
    release,
    title: `Follow revision ${made.revision}`,
  });
}

type Following = Omit<Rollback, 'target'> &
  Pick<EnginePolicy, 'everyPod' | 'trapped'> &
  Pick<RolloutOptions, 'release'> & { title: string; objects: readonly DesiredObject[] };

/** Follows what was rolled back to the end, and deletes the pods for which a StatefulSet would wait in vain. */
export function followRolledBack(
  context: RolloutContext & { lease: Lease },
  { title, objects, memory, deadline, everyPod, trapped, release }: Following,
): Promise<RolloutEnd> {
  const policy = { ...rolloutPolicy(context, deadline, true), everyPod };
  return group(context, title, () =>
    deletingTrappedPods(context, trapped, () =>
      followRollout(context, objects, {
        policy,
        memory,
        logged: new Map(),
        phase: 'rollback',
        ...(release && { release }),
      }),
    ),
  );
}
