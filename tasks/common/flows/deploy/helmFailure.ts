import { fail } from './failedDeploy';
import type { Hook } from '../../core/release/release';
import { blamedObject, isCreation, type HelmFailure } from '../../core/helm/helmFailure';
import { manifestObjects, refOf } from '../../core/kubernetes/manifest';
import type { ObjectRef } from '../../core/kubernetes/object';
import type { Revision } from '../../core/release/release';
import { type Ending, endingOfRollout } from '../../core/report/ending';
import {
  endingOfHelm,
  helmEvidence,
  halfApplied,
  blamedHook,
  hookEnding,
  firstMissing,
} from '../../core/report/helmEnding';
import type { Cause, RolloutVerdict, RolloutPolicy } from '../../core/rollout/model';
import { settle, prune } from '../release/record';
import { ifReadable, judgeNow } from '../rollout/moment';
import { rolloutPolicy } from '../rollout/rollout';
import { type FailedDeploy, explain, endHooks } from './failedDeploy';
import { isInstall } from './upgrade';

/** The last moment that a Date can hold. */
export const endOfTime = new Date(8.64e15);

/** For a failure of Helm, or a hook that can no longer succeed. How far Helm had come decides what to do. */
export async function helmFailed(failing: FailedDeploy): Promise<Ending> {
  const { revision, result } = failing.upgraded;
  const failure = result.failure ?? {
    reason: 'HelmFailed',
    message: 'Helm ended without an error, but made no revision.',
  };
  if (revision === undefined) return endingOfHelm(failure, blamedObject(failure, declaredIn(failing.seen.rendering)));
  const judged = await judgeFailure(failing, revision, failure);
  const { ending, hooks, verdict } = judged;
  // The evidence of the hook says more than Helm, which only waited for the hook.
  if (hooks.length === 0) failing.progress.evidence.push(helmEvidence(failure, ending.failedWorkload));
  const repeating: FailedDeploy = { ...failing, isHelmsMessage: ending.reason === failure.reason };
  if (judged.isUnchanged) return nothingChanged(repeating, revision, ending, hooks);
  // Where Helm gave up its wait, the object that it waited for says more than Helm.
  const isWait = failure.reason === 'TimedOut' && judged.hook === undefined && verdict?.decisive !== undefined;
  if (isWait) return fail(failing, endingOfRollout(verdict), verdict, hooks);
  const isHalf = verdict !== undefined && !judged.isApplied;
  return fail(repeating, ending, isHalf ? halfApplied(verdict, ending) : verdict, hooks);
}

interface JudgedFailure {
  ending: Ending;
  /** The hook that Helm blames, or was waiting for. */
  hook: Hook | undefined;
  /** The causes of its failure. */
  hooks: readonly Cause[];
  /** Nothing of a release that was there before was changed. */
  isUnchanged: boolean;
  /** Helm had applied everything. */
  isApplied: boolean;
  verdict: RolloutVerdict | undefined;
}

async function judgeFailure(failing: FailedDeploy, revision: Revision, failure: HelmFailure): Promise<JudgedFailure> {
  const { progress, seen, upgraded } = failing;
  const declared = declaredIn(seen.rendering);
  const named = blamedObject(failure, declared);
  const hook = blamedHook(revision.hooks);
  const hooks = (hook && (await upgraded.hooks?.causesOf(hook))) ?? [];
  const hopeless = upgraded.hooks?.hopeless;
  const hooked = hookEnding({ failure: upgraded.result.failure, hopeless, hook, cause: hooks[0] });
  progress.found = hooked ?? endingOfHelm(failure, named);
  const isUnchanged = upgraded.changedNothing && seen.history.length > 0;
  const isApplied = hook !== undefined || failure.reason === 'TimedOut';
  const verdict = isUnchanged ? undefined : await verdictAfterHelm(failing, revision, isApplied);
  const isMissing = named === '' && isCreation(failure, isInstall(seen));
  const ending = hooked ?? endingOfHelm(failure, isMissing ? firstMissing(declared, verdict) : named);
  progress.found = ending;
  return { ending, hook, hooks, isUnchanged, isApplied, verdict };
}

async function nothingChanged(
  failing: FailedDeploy,
  revision: Revision,
  ending: Ending,
  hooks: readonly Cause[],
): Promise<Ending> {
  const { context, upgraded } = failing;
  await explain(failing, ending, hooks);
  await settle(context, revision);
  await endHooks(context, upgraded, ending);
  context.agent.log('Nothing of the release was changed, so nothing is rolled back.');
  await prune(context, true);
  return ending;
}

/** `isApplied`: Helm had applied everything, so nothing has time left to become healthy. */
export async function verdictAfterHelm(
  { context, seen }: FailedDeploy,
  { manifest }: Revision,
  isApplied: boolean,
): Promise<RolloutVerdict | undefined> {
  const policyAt = (now: Date): RolloutPolicy => rolloutPolicy(context, isApplied ? now : endOfTime, isApplied);
  const now = await ifReadable(context, () => judgeNow(context, manifest, policyAt, seen.baseline));
  return now?.verdict;
}

/** Returns none where the manifest cannot be read. Other code reports that. */
function declaredIn({ manifest }: Pick<Revision, 'manifest'>): ObjectRef[] {
  try {
    return manifestObjects(manifest).map(refOf);
  } catch {
    return [];
  }
}
