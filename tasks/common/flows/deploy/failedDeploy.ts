import { asTaskError } from '../../core/failure';
import { group } from '../steps/phase';
import { brokenWords, judgedBroken, rollbackTarget, sinceUninstall } from '../../core/release/history';
import type { Revision } from '../../core/release/release';
import type { DeployContext } from '../../core/releaseContext';
import { endingFor, type Ending, reportedObjects, sentence } from '../../core/report/ending';
import { blaming } from '../../core/report/report';
import type { CauseCode } from '../../core/rollout/causes';
import type { RolloutVerdict, Cause } from '../../core/rollout/model';
import { causesOf } from '../../core/rollout/verdict';
import { unhealthyDescription, markUnhealthy, prune, markCancelled } from '../release/record';
import { removeHooks } from '../release/recover';
import type { DeployProgress } from '../release/deployProgress';
import { collectEvidence, logEvidence } from '../rollout/evidence';
import type { HookEvidence } from '../rollout/hookLogs';
import type { PodLogs } from '../rollout/podLogs';
import { withRetries } from '../steps/withRetries';
import { cleanUpFailed } from './cleanup';
import { automaticRollback } from './automaticRollback';
import type { ReleaseSnapshot } from './readRelease';
import { uninstall, cancelledWith } from './uninstall';
import type { Upgraded } from './upgrade';

export async function inPhase<T>(
  context: DeployContext,
  progress: DeployProgress,
  title: string,
  act: () => Promise<T>,
): Promise<T> {
  progress.phase = title;
  return group(context, title, act);
}

/** A deploy whose Helm has run, and that may have failed. */
export interface FailedDeploy {
  context: DeployContext;
  progress: DeployProgress;
  seen: ReleaseSnapshot;
  upgraded: Upgraded;
  /** Returns the last lines of Jobs' containers whose pods may be gone. */
  lastLines?: PodLogs['lastLines'];
  /** The ending repeats Helm's own message. */
  isHelmsMessage?: boolean;
}

/**
 * Helm removes hooks of a revision that fails, but has no time for it when it is told to stop. This function does it
 * instead.
 */
export async function endHooks(context: DeployContext, { hooks, revision }: Upgraded, ending: Ending): Promise<void> {
  if (hooks?.hopeless === undefined || revision === undefined) return;
  await removeHopeless(context, revision, hooks);
  const description = unhealthyDescription(ending);
  await withRetries(context, () => context.storage.update(revision.revision, { description }));
}

export async function removeHopeless(
  context: DeployContext,
  revision: Revision,
  { hopeless }: HookEvidence,
): Promise<void> {
  if (hopeless === undefined) return;
  await removeHooks(context, revision, { ref: hopeless.ref, hasEnded: endedHooks.has(hopeless.cause.code) });
}

/**
 * After these causes, nothing of the hook still runs. After others, a hook would begin to run when its image, or
 * whatever else it lacks, becomes available.
 */
const endedHooks: ReadonlySet<string> = new Set<CauseCode>(['HookFailed', 'JobDeadlineExceeded']);

/** The deploy has failed after it changed something: evidence first, then the record, then the rollback. */
export async function fail(
  failing: FailedDeploy,
  ending: Ending,
  verdict: RolloutVerdict | undefined,
  hooks: readonly Cause[] = [],
): Promise<Ending> {
  const { context, progress, seen, upgraded } = failing;
  const { agent, request } = context;
  const { revision } = upgraded;
  progress.found = ending;
  progress.objects = verdict === undefined ? [] : reportedObjects(verdict);
  await explain(failing, ending, [...hooks, ...(verdict === undefined ? [] : causesOf(verdict))]);
  if (revision === undefined) return ending;
  progress.serving = { revision: revision.revision, health: 'unhealthy' };
  await markUnhealthy(context, revision, ending);
  await endHooks(context, upgraded, ending);
  if (context.signal.aborted) return cancelled(context, upgraded);
  if (request.onFailure === 'keep') {
    agent.log(`Revision ${revision.revision} is kept (onFailure: keep) and marked failed in Helm's record.`);
    await cleanUpFailed(context, progress);
    await prune(context, !upgraded.result.ok);
    return ending;
  }
  const target = await targetNow(context, seen, revision);
  if (target !== undefined) {
    return automaticRollback(context, progress, { ending, target, beforeDeploy: seen.baseline });
  }
  if (sinceUninstall(seen.history).some((old) => old.status !== 'failed')) {
    return { ...ending, message: `${sentence(ending.message)} ${await whyNoTarget(context, revision)}` };
  }
  return inPhase(context, progress, 'Uninstall the failed first install', () =>
    uninstall(context, progress, revision, ending),
  );
}

/** The target that was chosen before the deploy, unless the failed revision has shown that its manifest is bad. */
async function targetNow(
  context: DeployContext,
  { target }: ReleaseSnapshot,
  failed: Revision,
): Promise<Revision | undefined> {
  if (target === undefined || target.revision.manifest !== failed.manifest) return target?.revision;
  const history = await withRetries(context, () => context.storage.history());
  if (judgedBroken(target.revision, history)?.revision !== failed.revision) return target.revision;
  return rollbackTarget(history, failed.revision)?.revision;
}

async function whyNoTarget({ storage }: DeployContext, failed: Revision): Promise<string> {
  const history = await storage.history();
  const lost = sinceUninstall(history).flatMap((revision) => {
    const judged = revision.revision < failed.revision ? judgedBroken(revision, history) : undefined;
    return judged === undefined || revision.status === 'failed'
      ? []
      : [`Revision ${revision.revision} is no target of a rollback, because ${brokenWords(revision, judged)}.`];
  });
  const [last] = lost.slice(-1);
  return last ?? 'No revision was verified or deployed before, so there is no earlier revision to roll back to.';
}

/** Shows the evidence of the ending. Helm's own words are already in the log, right above. */
export async function explain(failing: FailedDeploy, ending: Ending, causes: readonly Cause[]): Promise<void> {
  const { context, progress, upgraded, lastLines: lastLines, isHelmsMessage = false } = failing;
  await group(context, 'Why it failed', async () => {
    if (!isHelmsMessage) context.agent.log(`${blaming(ending)} (${ending.reason})`);
    // A cancelled step has only seconds, and the log above already shows the state.
    if (context.signal.aborted) return;
    const evidence = await collectEvidence(context, causes, (namespace, pod, container) => {
      const ofHooks = upgraded.hooks?.lastLines(namespace, pod, container) ?? [];
      return ofHooks.length > 0 ? ofHooks : (lastLines?.(namespace, pod, container) ?? []);
    });
    logEvidence(context, evidence);
    progress.evidence.push(...evidence);
  });
}

/** Marks a revision failed that was not seen healthy. Helm itself does the same when it is interrupted. */
export async function cancelled(context: DeployContext, upgraded: Upgraded): Promise<Ending> {
  const { revision } = upgraded;
  if (revision === undefined) return cancelledWith('Helm had not changed anything yet.');
  await markCancelled(context, revision);
  const state = upgraded.changedNothing ? 'nothing of the release was changed' : 'its objects may be half way';
  return cancelledWith(
    `Revision ${revision.revision} is marked failed in Helm's record; ${state}. The next deploy starts from there.`,
  );
}

/** A revision that was not seen healthy is not deployed well, whatever prevented the check. */
export async function unfollowed(failing: FailedDeploy, revision: Revision, thrown: unknown): Promise<Ending> {
  if (failing.context.signal.aborted) return cancelled(failing.context, failing.upgraded);
  const { reason, message } = asTaskError(thrown);
  const what = `Revision ${revision.revision} was applied, but could not be followed`;
  return fail(failing, endingFor('failed', reason, `${what}: ${message}`), undefined);
}
