import { asTaskError } from '../../core/failure';
import type { Revision } from '../../core/release/release';
import { driftAfter, driftRefusal, isKnownDrift, unrestoredWords } from '../../core/report/drift';
import { endingFor, type Ending } from '../../core/report/ending';
import type { Drift } from '../../core/release/drift';
import { objectName } from '../../core/kubernetes/manifest';
import type { DeployContext } from '../../core/releaseContext';
import type { DeployProgress } from '../release/deployProgress';
import { lookForDrift } from '../release/lookForDrift';
import { inPhase } from './failedDeploy';
import type { ReleaseSnapshot } from './readRelease';

/** Compares the live objects with the serving revision. Returns undefined if the inputs do not ask for it. */
export async function findDrift(
  context: DeployContext,
  progress: DeployProgress,
  { state, isUnfinishedRollback }: ReleaseSnapshot,
): Promise<readonly Drift[] | undefined> {
  const { agent, namespace, request } = context;
  const asked = request.drift;
  if (asked === undefined) return undefined;
  if (state.state === 'absent' || state.state === 'uninstalled') {
    progress.drift = [];
    return undefined;
  }
  if (state.state !== 'deployed' || isUnfinishedRollback) {
    agent.log(
      `Drift is not looked for, because revision ${state.last.revision} was not deployed to its end: the live objects may be those of several revisions.`,
    );
    return undefined;
  }
  const { last } = state;
  const release = { name: request.releaseName, namespace };
  const { drifts, reported } = await inPhase(context, progress, 'Look for drift', () =>
    lookForDrift(context, last, release, { rules: asked.rules, state: 'found' }),
  );
  progress.drift = reported;
  return drifts;
}

/**
 * Compares the live objects with the new revision, where the deploy was to restore them, and warns of what could not be
 * restored. The deploy is good all the same.
 */
export async function compareOnceMore(
  context: DeployContext,
  progress: DeployProgress,
  revision: Revision,
): Promise<void> {
  const { agent, namespace, request, signal } = context;
  const asked = request.drift;
  if (asked?.mode !== 'correct') return;
  const release = { name: request.releaseName, namespace };
  try {
    const { reported } = await inPhase(context, progress, 'Look for drift once more', () =>
      lookForDrift(context, revision, release, { rules: asked.rules, state: 'remains' }),
    );
    progress.drift = driftAfter(progress.drift ?? [], reported);
    const left = reported.filter(isKnownDrift);
    if (left.length > 0) agent.warning(unrestoredWords(left, revision.revision));
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    agent.warning(`It is not known whether all drift was restored: ${asTaskError(thrown).message}`);
  }
}

/** The ending of a deploy that drift stops before it has changed anything; undefined if nothing stops it. */
export function driftEnding(
  { request }: DeployContext,
  drifts: readonly Drift[],
  revision: number,
): Ending | undefined {
  const [first] = drifts.filter(isKnownDrift);
  if (request.drift?.mode !== 'fail' || first === undefined) return undefined;
  const message = `${driftRefusal(drifts, revision)} Helm was not started, and nothing was changed.`;
  return endingFor('refused', 'DriftFound', message, objectName(first.ref));
}
