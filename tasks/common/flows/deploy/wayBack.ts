import type { Drift } from '../../core/release/drift';
import { endingFor, endingOfRollout, reportedObjects, sentence, type Ending } from '../../core/report/ending';
import { asTaskError, TaskError } from '../../core/failure';
import { objectKey, objectName } from '../../core/kubernetes/manifest';
import type { HelmResult, RollbackOptions } from '../../core/ports';
import { briefly } from '../../core/helm/helmFailure';
import type { Revision } from '../../core/release/release';
import { blaming } from '../../core/report/report';
import type { IrreversibleMark } from '../../core/rollbackPlan/judging/irreversible';
import { stopIfCancelled, type ReleaseContext } from '../../core/releaseContext';
import { baselineForWayBack, baselineOf, type RolloutMemory } from '../../core/rollout/verdict';
import { judge } from '../../core/rollout/verdict';
import { hungAfter, showHookEvidence, whileHooksRun } from '../rollout/hookLogs';
import { followRollout, readRollout, rolloutPolicy } from '../rollout/rollout';
import { beginWork } from '../release/change';
import { leftAlone, untouchedConflicts, untouchedWords, type ConflictingObject } from './fieldConflicts';
import { insist } from '../steps/insist';
import { firstMark, irreversibleWords } from './irreversible';
import { bringBack } from '../rollback/bringBack';
import { foresee } from './foreseen';
import { giveBase, giveRecord, onBase, planBase, sayLeftovers } from '../release/mergeBase';
import { later, remindingWhile, secondsUntil } from '../steps/phase';
import { mayRepair, proveObjects } from '../rollback/proof';
import { markUnhealthy, newRevision, prune, settle, verify } from '../release/record';
import type { Serving, Story } from '../release/story';
import { wantedObjects } from '../release/wantedObjects';
import type { PlanFinding } from '../../core/rollbackPlan/model/findings';
import { chainFrom } from '../../core/release/history';

export async function returnTo(
  context: ReleaseContext,
  story: Story,
  target: Revision,
  ending: Ending,
  beforeDeploy: RolloutMemory | undefined,
): Promise<Ending> {
  const { agent, storage, request, clock } = context;
  const deadline = later(clock.now(), request.rollbackTimeoutSeconds);
  const history = await insist(context, () => storage.history());
  const mark = firstMark(history.filter(({ revision }) => revision > target.revision));
  if (mark !== undefined) return notReturned(context, target, ending, irreversible(context, mark));
  const chain = chainFrom(history, target);
  stopIfCancelled(context.signal);
  const isReturn = story.revisionBefore === target.revision;
  const base = await planBase(context, chain, target, target.manifest);
  const untouched = await untouchedConflicts(context, history, target);
  const untouchedKeys = new Set(untouched.map(({ ref }) => objectKey(ref)));
  const [memory, { plan, refusals }] = await Promise.all([
    baselineNow(context, target, beforeDeploy, isReturn),
    foresee(context, history, target, base, untouchedKeys),
  ]);
  if (refusals.length > 0) return notReturned(context, target, ending, refused(context, target, refusals));
  stopIfCancelled(context.signal);
  const { serving } = story;
  story.serving = null;
  await beginWork(context, story, { action: 'rollback', revision: (history.at(-1)?.revision ?? 0) + 1 });
  const given = base && (await giveRecord(context, history, base));
  sayLeftovers(context, given?.leftovers ?? []);
  story.leftovers.push(...(given?.leftovers ?? []));
  if (untouched.length > 0) agent.log(untouchedWords(untouched));
  const { result, hooks } = await onBase(context, given, history, () => {
    const wait = target.hooks.some((hook) => hook.events.includes('post-rollback'));
    const timeoutSeconds = secondsUntil(deadline, clock.now());
    return whileHooksRun(context, target.hooks, ['pre-rollback', 'post-rollback'], () =>
      remindingWhile(
        context,
        rollBack(context, target, {
          untouched,
          isForeseen: plan !== undefined,
          options: { timeoutSeconds, endAfterSeconds: hungAfter(timeoutSeconds, target), wait },
        }),
      ),
    );
  });
  if (!result.ok) await showHookEvidence(context, story, hooks);
  const revision = newRevision(history, await insist(context, () => storage.history()));
  // Helm writes this status last, so a later failure was not a failure of the rollback.
  if (revision?.status !== 'deployed') {
    if (revision !== undefined) await settle(context, revision);
    if (context.signal.aborted) {
      return cancelledWith(
        `Helm could not roll back to revision ${target.revision}, and what it did is not looked at.`,
      );
    }
    // Objects that only the failed revision has may be gone.
    const objects = plan?.objects.filter(({ fate }) => fate !== 'deleted') ?? [];
    const back = await bringBack(context, { objects }, [revision, history.at(-1), target]);
    story.serving = revision === undefined ? serving : await servingAfter(context, revision);
    const why = briefly(result.failure?.message ?? 'Helm made no revision.');
    return rollbackFailed(context, ending, target, `${sentence(why)} ${back.message}`.trimEnd());
  }
  if (!result.ok)
    agent.log(`Helm made revision ${revision.revision} and failed then: ${briefly(result.failure?.message ?? '')}`);
  const missing = await proveReturned(context, revision, untouchedKeys);
  if (missing !== undefined) {
    story.serving = { revision: revision.revision, health: 'unhealthy' };
    await markUnhealthy(context, revision, endingFor('failed', 'ProofFailed', missing));
    return rollbackFailed(context, ending, target, missing);
  }
  story.serving = { revision: revision.revision, health: 'unknown' };
  const objects = await wantedObjects(context.cluster, revision.manifest, context.namespace);
  const policy = rolloutPolicy(context, deadline, true);
  const followed = await followRollout(context, objects, { policy, memory, said: new Map(), phase: 'rollback' });
  if (followed.end === 'healthy') {
    story.serving = { revision: revision.revision, health: 'healthy' };
    await insist(context, () => verify(storage, revision, context.run));
    await prune(context);
    const broken = reportedObjects(followed.verdict).filter(({ isPreexisting }) => isPreexisting);
    const what = broken.length === 0 ? 'all of it' : 'what was not broken before the deploy';
    agent.log(
      `Revision ${revision.revision} has the manifest of revision ${target.revision}; ${what} is there and ready.`,
    );
    for (const object of broken) {
      agent.log(`${objectName(object)} was broken before the deploy and is so again: ${object.message}`);
    }
    const message = `${sentence(ending.message)} ${untouchedWords(untouched)}`.trimEnd();
    return { ...ending, outcome: 'rolledBack', message };
  }
  if (followed.end === 'cancelled') {
    return cancelledWith(
      `The rollback to revision ${target.revision} was done (revision ${revision.revision}), but not seen to the end.`,
    );
  }
  const why = endingOfRollout(followed.verdict);
  story.serving = { revision: revision.revision, health: followed.end === 'unknown' ? 'unknown' : 'unhealthy' };
  story.objects = reportedObjects(followed.verdict);
  await markUnhealthy(context, revision, why);
  return rollbackFailed(context, ending, target, blaming(why));
}

interface RollBack {
  untouched: readonly ConflictingObject[];
  /** The rehearsal has shown that this Helm goes through our gateway. */
  isForeseen: boolean;
  options: Pick<RollbackOptions, 'timeoutSeconds' | 'endAfterSeconds' | 'wait'>;
}

/**
 * Fields that somebody has set by hand in objects which the failed revision wrote must not stop the rollback, so Helm
 * is told to force. The fence keeps Helm from objects that this revision did not write. A Helm that may bypass the
 * fence is not told to force.
 */
async function rollBack(
  { cluster, helm, lease, rollbackHelm }: ReleaseContext,
  target: Revision,
  { untouched, isForeseen, options }: RollBack,
): Promise<HelmResult> {
  const { revision, applyMethod } = target;
  if (untouched.length === 0) return helm.rollback({ revision, ...options, forceConflicts: applyMethod === 'ssa' });
  const policy = await leftAlone(cluster, untouched);
  const { result } = await rollbackHelm.rollback({
    target: isForeseen ? target : { revision },
    description: '',
    ...options,
    policy,
    lost: lease.lost,
  });
  return result;
}

/** Why there is no automatic rollback, as part of a sentence, and what a person may do. */
interface NoReturn {
  why: string;
  next: string;
}

function notReturned({ agent }: ReleaseContext, target: Revision, ending: Ending, { why, next }: NoReturn): Ending {
  const said = `It is not rolled back to revision ${target.revision} by itself, because ${sentence(why)} ${next}`;
  agent.log(said);
  return { ...ending, message: `${sentence(ending.message)} ${said}` };
}

/** Only a person can decide if the effects of the irreversible step are acceptable. */
function irreversible({ request, namespace }: ReleaseContext, mark: IrreversibleMark): NoReturn {
  const next = `Deploy a version that works with that, or plan a rollback of release ${request.releaseName} in namespace ${namespace} with ApproveAndRollback@1 and allowIrreversible: ${mark.revision}.`;
  return { why: irreversibleWords(mark), next };
}

/** The rollback has changed nothing: the failed revision is there as it was. */
function refused({ request, namespace }: ReleaseContext, target: Revision, refusals: readonly PlanFinding[]): NoReturn {
  const found = refusals.slice(0, 5).map(({ code, message }) => `${code}: ${sentence(message)}`);
  const more = refusals.length > found.length ? ` And ${refusals.length - found.length} more.` : '';
  const next = `Deploy a version that works, with another Helm where this one is to blame; to see all of it, plan a rollback of release ${request.releaseName} in namespace ${namespace} with ApproveAndRollback@1 and toRevision: ${target.revision}.`;
  return { why: `its rehearsal shows this. ${found.join(' ')}${more}`, next };
}

/**
 * Helm's success is no proof, so missing objects of the target are made again. Returns a sentence where this failed.
 */
async function proveReturned(
  context: ReleaseContext,
  made: Revision,
  untouched: ReadonlySet<string>,
): Promise<string | undefined> {
  const isLeft = ({ drift, ref }: Drift): boolean => drift === 'changed' && untouched.has(objectKey(ref));
  const { drifts } = await proveObjects(context, made, (drift) => mayRepair(drift) && !isLeft(drift));
  const missing = drifts.filter(({ drift }) => drift === 'missing');
  if (missing.length === 0) return undefined;
  return `Revision ${made.revision} was made, but not all of it is there: ${missing.map(({ message }) => message).join(' ')}`;
}

/** The state before the rollback. Where it cannot be read, everything that is unhealthy afterwards counts. */
async function baselineNow(
  context: ReleaseContext,
  target: Revision,
  beforeDeploy: RolloutMemory | undefined,
  isReturn: boolean,
): Promise<RolloutMemory | undefined> {
  const { agent, clock, cluster, namespace, request } = context;
  try {
    const snapshot = await readRollout(context, await wantedObjects(cluster, target.manifest, namespace));
    return baselineForWayBack(beforeDeploy, baselineOf(snapshot, clock.now(), request.rollout.statusRules), isReturn);
  } catch (thrown) {
    agent.log(`What there is before the rollback could not be read: ${asTaskError(thrown).message}`);
    return undefined;
  }
}

/**
 * A rollback that failed at its end, by a hook for example, may still have restored the objects. If it has not, what
 * serves is a mixture.
 */
async function servingAfter(context: ReleaseContext, revision: Revision): Promise<Serving | null> {
  const { cluster, clock, namespace } = context;
  try {
    const snapshot = await readRollout(context, await wantedObjects(cluster, revision.manifest, namespace));
    const now = clock.now();
    const { health } = judge(snapshot, rolloutPolicy(context, now, true), undefined, now);
    return health === 'healthy' ? { revision: revision.revision, health } : null;
  } catch {
    return null;
  }
}

function rollbackFailed(context: ReleaseContext, ending: Ending, target: Revision, why: string): Ending {
  const { request, namespace } = context;
  const told = isSame(ending, why) ? `${ending.failedWorkload} for the same reason.`.trimStart() : sentence(why);
  return {
    ...ending,
    outcome: 'failed',
    message: [
      sentence(ending.message),
      `The rollback to revision ${target.revision} failed too: ${told}`,
      `To look: helm history ${request.releaseName} --namespace ${namespace}.`,
      `To try again: helm rollback ${request.releaseName} ${target.revision} --namespace ${namespace}`,
    ].join(' '),
  };
}

/** A failure that happens twice with the same cause is reported once. */
function isSame({ message, failedWorkload }: Ending, why: string): boolean {
  return sentence(why) === sentence(message) || sentence(why) === sentence(blaming({ message, failedWorkload }));
}

export async function uninstall(
  context: ReleaseContext,
  story: Story,
  revision: Revision,
  ending: Ending,
): Promise<Ending> {
  story.serving = null;
  const problem = await removeRelease(context, story, revision);
  if (problem !== undefined) {
    const message = `${sentence(ending.message)} Uninstalling it failed too: ${sentence(problem.message)}`;
    return { ...ending, message };
  }
  context.agent.log(`Revision ${revision.revision} was the first of this release; it is uninstalled.`);
  // No earlier revision serves now, so this is no rollback.
  const message = `${sentence(ending.message)} There was no revision to return to, so the release was uninstalled.`;
  return { ...ending, message };
}

/** Uninstalls a release that never served, and keeps what may hold data. Returns the error that prevented this. */
export async function removeRelease(
  context: ReleaseContext,
  story: Pick<Story, 'leftovers' | 'evidence' | 'hasBegun' | 'lastWork'>,
  revision: Revision,
): Promise<TaskError | undefined> {
  const { helm, namespace, request, storage } = context;
  const history = await insist(context, () => storage.history());
  stopIfCancelled(context.signal);
  await beginWork(context, story, { action: 'uninstall', revision: revision.revision });
  const given = await giveBase(context, history, [...chainFrom(history, undefined)], undefined, '');
  // An uninstall removes everything, so only what stays is news.
  story.leftovers.push(...(given?.leftovers ?? []).filter(({ keptBecause }) => keptBecause !== ''));
  const { result, hooks } = await onBase(context, given, history, () =>
    whileHooksRun(context, revision.hooks, ['pre-delete', 'post-delete'], () =>
      remindingWhile(context, helm.uninstall({ timeoutSeconds: request.rollbackTimeoutSeconds })),
    ),
  );
  if (result.ok) return undefined;
  await showHookEvidence(context, story, hooks);
  const said = sentence(briefly(result.failure?.message ?? ''));
  return new TaskError(
    result.failure?.reason ?? 'HelmFailed',
    `${said} To try again: helm uninstall ${request.releaseName} --namespace ${namespace}`,
  );
}

export function cancelledWith(message: string): Ending {
  return endingFor('cancelled', 'Cancelled', message);
}
