import type { HelmFailure } from '../../../core/helm/helmFailure';
import { endingFor, reportedObjects } from '../../../core/report/ending';
import type { HelmResult } from '../../../core/ports';
import type { Revision } from '../../../core/release/release';
import type { ReleaseContext } from '../../../core/releaseContext';
import type { ReportedObject, ServingHealth } from '../../../core/report/report';
import { isSameRecord } from '../../../core/rollbackPlan/model/recordDigest';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';
import { beginWork } from '../../release/change';
import { giveRecord, onBase, type PlannedBase } from '../../release/mergeBase';
import { markUnhealthy, newRevision, settle } from '../../release/record';
import type { DeployProgress } from '../../release/deployProgress';
import { hungAfter, showHookEvidence, whileHooksRun } from '../../rollout/hookLogs';
import { healthNow } from '../../rollout/moment';
import { withRetries } from '../../steps/withRetries';
import { group, remindingWhile, secondsUntil } from '../../steps/phase';
import { bringBack, nothingBack, type BroughtBack } from './bringBack';
import { finishRollback, followRevision, type FinishedRollback, type Rollback } from './finishRollback';
import type { EnginePolicy } from './policy';

export interface PreparedRollback extends Rollback {
  /** As it was when the rollback was planned. */
  history: readonly Revision[];
  base: PlannedBase | undefined;
  /** The objects that are made again if a failing Helm has removed them. */
  existing: ChangePlan['objects'];
}

export type RollbackEnd =
  | {
      end: 'helmFailed';
      failure: HelmFailure;
      made: Revision | undefined;
      back: BroughtBack;
      /** The health of the revision that Helm has made, or of the last one before. */
      health: ServingHealth;
      /** Empty where nothing had to be made again. */
      objects: readonly ReportedObject[];
    }
  | FinishedRollback;

/** Runs Helm, and finishes the rollback that Helm has made. Throws where the outcome is not known. */
export async function runRollback(
  context: ReleaseContext,
  progress: Pick<DeployProgress, 'hasBegun' | 'lastWork' | 'evidence'>,
  policy: EnginePolicy,
  rollback: PreparedRollback,
): Promise<RollbackEnd> {
  const { history, target } = rollback;
  await beginWork(context, progress, { action: 'rollback', revision: (history.at(-1)?.revision ?? 0) + 1 });
  const given = rollback.base && (await giveRecord(context, history, rollback.base));
  policy.onBegun(given);
  const { result, hooks } = await group(context, `Roll back to revision ${target.revision}`, () =>
    onBase(context, given, history, () =>
      whileHooksRun(context, target.hooks, ['pre-rollback', 'post-rollback'], () =>
        remindingWhile(context, runHelm(context, policy, rollback)),
      ),
    ),
  );
  const now = await withRetries(context, () => context.storage.history());
  warnOfChangedRecords(context, history, now);
  const made = newRevision(history, now);
  // Helm writes this status last, so a later failure was not a failure of the rollback.
  if (made?.status === 'deployed' && isSameRecord(target, made)) {
    if (!result.ok) {
      context.agent.warning(`Helm made revision ${made.revision} and failed then: ${failureOf(result).message}`);
    }
    return finishRollback(context, policy, rollback, made);
  }
  if (!result.ok) await showHookEvidence(context, progress, hooks);
  return helmFailed(context, policy, rollback, { result, made });
}

/** Without a fence, a Helm that is told to force also sets the fields that somebody has set by hand. */
async function runHelm(
  { clock, helm, lease, rollbackHelm }: ReleaseContext,
  { fence, kept, isForeseen, description, onFence }: EnginePolicy,
  { target, deadline }: Rollback,
): Promise<HelmResult> {
  const { revision, applyMethod } = target;
  const timeoutSeconds = secondsUntil(deadline, clock.now());
  const wait = target.hooks.some(({ events }) => events.includes('post-rollback'));
  const options = { timeoutSeconds, endAfterSeconds: hungAfter(timeoutSeconds, target), wait };
  if (fence === undefined) return helm.rollback({ revision, ...options, forceConflicts: applyMethod === 'ssa' });
  const ran = await rollbackHelm.rollback({
    ...options,
    target: isForeseen ? target : { revision },
    description,
    policy: fence,
    kept,
    lost: lease.lost,
  });
  onFence?.(ran.fence);
  return ran.result;
}

/** Helm should change only the statuses of earlier records. */
function warnOfChangedRecords({ agent }: ReleaseContext, before: readonly Revision[], now: readonly Revision[]): void {
  for (const revision of before) {
    const found = now.find((other) => other.revision === revision.revision);
    if (found === undefined) agent.warning(`Helm has removed the record of revision ${revision.revision}.`);
    else if (!isSameRecord(revision, found)) {
      agent.warning(
        `Helm has changed the record of revision ${revision.revision}: its manifest, its hooks or its values.`,
      );
    }
  }
}

function failureOf({ ok, failure }: HelmResult): HelmFailure {
  if (ok) {
    return { reason: 'ProofFailed', message: 'Helm ended without an error, and made no revision that is deployed' };
  }
  const { reason = 'HelmFailed', message = 'Helm gave no reason' } = failure ?? {};
  return { reason, message };
}

async function helmFailed(
  context: ReleaseContext,
  policy: EnginePolicy,
  rollback: PreparedRollback,
  { result, made }: { result: HelmResult; made: Revision | undefined },
): Promise<RollbackEnd> {
  const { history, existing, target } = rollback;
  let failure = failureOf(result);
  if (made?.status === 'deployed') {
    const message = `its new revision ${made.revision} is not what revision ${target.revision}, the target, declares`;
    failure = { reason: 'ProofFailed', message };
    await markUnhealthy(context, made, endingFor('failed', 'ProofFailed', message));
  } else if (made !== undefined) {
    await settle(context, made);
  }
  const failed = { end: 'helmFailed', failure, made } as const;
  if (context.signal.aborted) return { ...failed, back: nothingBack, health: 'unknown', objects: [] };
  const back = await bringBack(context, existing, [made, history.at(-1), target]);
  for (const name of back.restored) policy.restored.add(name);
  const serving = made ?? history.at(-1);
  const health = serving === undefined ? unknownHealth : await healthAfter(context, policy, rollback, serving);
  return { ...failed, back, ...health };
}

type HealthAfter = Pick<Extract<RollbackEnd, { end: 'helmFailed' }>, 'health' | 'objects'>;

const unknownHealth: HealthAfter = { health: 'unknown', objects: [] };

/** Objects that were just made again need time to become healthy. Unchanged objects need none. */
async function healthAfter(
  context: ReleaseContext,
  policy: EnginePolicy,
  rollback: Rollback,
  revision: Revision,
): Promise<HealthAfter> {
  try {
    if (policy.restored.size === 0) {
      return { health: await healthNow(context, revision.manifest, policy.everyPod), objects: [] };
    }
    const { end, verdict } = await followRevision(context, policy, rollback, revision);
    const health = { healthy: 'healthy', failed: 'unhealthy', unknown: 'unknown', cancelled: 'unknown', stopped: 'unknown' } as const; // prettier-ignore
    return { health: health[end], objects: reportedObjects(verdict) };
  } catch {
    return unknownHealth;
  }
}
