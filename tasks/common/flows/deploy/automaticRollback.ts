import { endingOfRollout, reportedObjects, sentence, type Ending } from '../../core/report/ending';
import { objectKey, objectName } from '../../core/kubernetes/manifest';
import { briefly } from '../../core/helm/helmFailure';
import { chainFrom } from '../../core/release/history';
import type { Drift } from '../../core/release/drift';
import type { Revision } from '../../core/release/release';
import { blaming, notJudgedLines } from '../../core/report/report';
import type { IrreversibleMark } from '../../core/rollbackPlan/judging/irreversible';
import type { PlanFinding } from '../../core/rollbackPlan/model/findings';
import { stopIfCancelled, type ReleaseContext } from '../../core/releaseContext';
import { baselineForRollback, type RolloutMemory } from '../../core/rollout/verdict';
import { passesAll } from '../../core/helm/fence';
import type { KeptField } from '../../core/release/keptFields';
import { readKeptFields } from '../release/keptFields';
import { logLeftovers, planBase } from '../release/mergeBase';
import { prune } from '../release/record';
import type { Serving, DeployProgress } from '../release/deployProgress';
import type { EnginePolicy } from '../rollback/engine/policy';
import { mayRepair } from '../rollback/engine/proof';
import { runRollback, type RollbackEnd } from '../rollback/engine/runRollback';
import { ifReadable, judgeNow, servingHealth } from '../rollout/moment';
import { withRetries } from '../steps/withRetries';
import { later } from '../steps/phase';
import { leftAlone, untouchedConflicts, untouchedWords, type ConflictingObject } from './fieldConflicts';
import { foresee } from './foreseen';
import { firstMark, irreversibleWords } from './irreversible';
import { cancelledWith } from './uninstall';

export interface RollbackOfDeploy {
  /** How the deploy has failed. */
  ending: Ending;
  target: Revision;
  /** The state of the objects before the deploy. */
  beforeDeploy: RolloutMemory | undefined;
}

/** Rolls back a failed deploy. A rollback that would do harm is not begun. */
export async function automaticRollback(
  context: ReleaseContext,
  progress: DeployProgress,
  failed: RollbackOfDeploy,
): Promise<Ending> {
  const { request, clock } = context;
  const { target, beforeDeploy } = failed;
  const deadline = later(clock.now(), request.rollbackTimeoutSeconds);
  progress.phase = `Roll back to revision ${target.revision}`;
  const history = await withRetries(context, () => context.storage.history());
  const mark = firstMark(history.filter(({ revision }) => revision > target.revision));
  if (mark !== undefined) return notRolledBack(context, failed, irreversible(context, mark));
  stopIfCancelled(context.signal);
  const base = await planBase(context, {
    chain: chainFrom(history, target),
    good: target,
    desiredManifest: target.manifest,
  });
  const { kept: fields, cut } = await readKeptFields(context, target.manifest);
  const untouched = await untouchedConflicts(context, history, target, fields);
  for (const words of cut) context.agent.log(words);
  const isRestored = progress.revisionBefore === target.revision;
  const [now, { plan, refusals }] = await Promise.all([
    ifReadable(context, () => judgeNow(context, target.manifest)),
    foresee(context, { history, target, base, left: untouched, fields }),
  ]);
  if (refusals.length > 0) return notRolledBack(context, failed, refused(context, target, refusals));
  const fence =
    untouched.length > 0 ? await leftAlone(context.cluster, untouched) : fields.length > 0 ? passesAll : undefined;
  stopIfCancelled(context.signal);
  const { serving } = progress;
  const end = await runRollback(
    context,
    progress,
    policyOf(context, progress, { fence, isForeseen: plan !== undefined, untouched, fields }),
    {
      target,
      deadline,
      history,
      base,
      memory: now && baselineForRollback(beforeDeploy, now.baseline, isRestored),
      // Objects that only the failed revision has may be missing.
      existing: plan?.objects.filter(({ fate }) => fate !== 'deleted') ?? [],
    },
  );
  progress.serving = servingAfter(end, serving);
  return endingOf(context, progress, { ...failed, untouched, fields }, end);
}

/** Objects and fields that the rollback leaves alone. */
interface Untouched {
  untouched: readonly ConflictingObject[];
  fields: readonly KeptField[];
}

function leftWords({ untouched, fields }: Untouched): string {
  return [untouchedWords(untouched), ...fields.map(({ words }) => words)].filter((words) => words !== '').join(' ');
}

/** The proof guards the objects, and a field that is not as declared is no reason to leave the failed revision. */
function policyOf(
  { agent }: ReleaseContext,
  progress: DeployProgress,
  { untouched, fields, ...how }: Untouched & Pick<EnginePolicy, 'fence' | 'isForeseen'>,
): EnginePolicy {
  const keys = new Set(untouched.map(({ ref }) => objectKey(ref)));
  const words = leftWords({ untouched, fields });
  const isLeft = ({ drift, ref }: Drift): boolean => drift === 'changed' && keys.has(objectKey(ref));
  return {
    ...how,
    kept: fields,
    description: '',
    repairs: (drift) => mayRepair(drift) && !isLeft(drift),
    isFailure: ({ drift }) => drift === 'missing',
    isResumable: false,
    everyPod: false,
    trapped: [],
    restored: new Set(),
    onBegun: (given) => {
      progress.serving = null;
      logLeftovers(agent, given?.leftovers ?? []);
      progress.leftovers.push(...(given?.leftovers ?? []));
      if (words !== '') agent.log(words);
    },
    onMade: ({ revision }) => {
      progress.serving = { revision, health: 'unknown' };
    },
  };
}

/** A rollback that failed at its end may still have restored the objects. If it has not, what serves is a mixture. */
function servingAfter(ended: RollbackEnd, before: Serving | null): Serving | null {
  const { made } = ended;
  if (made === undefined) return before;
  const { revision } = made;
  switch (ended.end) {
    case 'helmFailed':
      return ended.health === 'healthy' ? { revision, health: 'healthy' } : null;
    case 'notProven':
      return { revision, health: 'unhealthy' };
    case 'followed': {
      const { end, verdict } = ended.rollout;
      return { revision, health: end === 'cancelled' || end === 'unknown' ? 'unknown' : servingHealth(verdict) };
    }
  }
}

async function endingOf(
  context: ReleaseContext,
  progress: DeployProgress,
  failed: RollbackOfDeploy & Untouched,
  ended: RollbackEnd,
): Promise<Ending> {
  const { revision: target } = failed.target;
  if (ended.end === 'helmFailed') {
    if (context.signal.aborted) {
      return cancelledWith(`Helm could not roll back to revision ${target}. It is not known what Helm changed.`);
    }
    return rollbackFailed(
      context,
      failed,
      `${sentence(briefly(ended.failure.message))} ${ended.back.message}`.trimEnd(),
    );
  }
  if (ended.end === 'notProven') return rollbackFailed(context, failed, ended.ending.message);
  const { made, rollout } = ended;
  if (rollout.end === 'healthy') return rolledBack(context, failed, ended);
  if (rollout.end === 'cancelled') {
    return cancelledWith(
      `The rollback to revision ${target} was done (revision ${made.revision}), but not followed to its end.`,
    );
  }
  progress.objects = reportedObjects(rollout.verdict);
  return rollbackFailed(context, failed, blaming(endingOfRollout(rollout.verdict)));
}

async function rolledBack(
  context: ReleaseContext,
  { ending, target, ...left }: RollbackOfDeploy & Untouched,
  { made, rollout }: Extract<RollbackEnd, { end: 'followed' }>,
): Promise<Ending> {
  const { agent } = context;
  await prune(context);
  const objects = reportedObjects(rollout.verdict);
  const broken = objects.filter(({ isPreexisting }) => isPreexisting);
  const blind = notJudgedLines(objects);
  const whole = blind.length === 0 ? 'all of it' : 'all that can be judged';
  const what = broken.length === 0 ? whole : 'every object without a pre-existing failure';
  for (const line of blind) agent.log(line);
  agent.log(`Revision ${made.revision} has the manifest of revision ${target.revision}; ${what} exists and is ready.`);
  for (const object of broken) {
    agent.log(`${objectName(object)} was broken before the deploy and is so again: ${object.message}`);
  }
  const message = `${sentence(ending.message)} ${leftWords(left)}`.trimEnd();
  return { ...ending, outcome: 'rolledBack', message };
}

/** Why there is no automatic rollback, as part of a sentence, and what a person may do. */
interface Hindrance {
  why: string;
  next: string;
}

function notRolledBack(
  { agent }: ReleaseContext,
  { target, ending }: RollbackOfDeploy,
  { why, next }: Hindrance,
): Ending {
  const words = `There is no automatic rollback to revision ${target.revision}, because ${sentence(why)} ${next}`;
  agent.log(words);
  return { ...ending, message: `${sentence(ending.message)} ${words}` };
}

/** Only a person can decide if the effects of the irreversible step are acceptable. */
function irreversible({ request, namespace }: ReleaseContext, mark: IrreversibleMark): Hindrance {
  const next = `Deploy a version that works with that, or plan a rollback of release ${request.releaseName} in namespace ${namespace} with ApproveAndRollback@1 and allowIrreversible: ${mark.revision}.`;
  return { why: irreversibleWords(mark), next };
}

/** The rollback has changed nothing: the failed revision is there as it was. */
function refused(
  { request, namespace }: ReleaseContext,
  target: Revision,
  refusals: readonly PlanFinding[],
): Hindrance {
  const found = refusals.slice(0, 5).map(({ code, message }) => `${code}: ${sentence(message)}`);
  const more = refusals.length > found.length ? ` And ${refusals.length - found.length} more.` : '';
  const next = `Deploy a version that works, with another Helm where this one is to blame; to see all of it, plan a rollback of release ${request.releaseName} in namespace ${namespace} with ApproveAndRollback@1 and toRevision: ${target.revision}.`;
  return { why: `its rehearsal shows this. ${found.join(' ')}${more}`, next };
}

function rollbackFailed(context: ReleaseContext, { ending, target }: RollbackOfDeploy, why: string): Ending {
  const { request, namespace } = context;
  const words = isSame(ending, why) ? `${ending.failedWorkload} for the same reason.`.trimStart() : sentence(why);
  return {
    ...ending,
    outcome: 'failed',
    message: [
      sentence(ending.message),
      `The rollback to revision ${target.revision} failed too: ${words}`,
      `To look: helm history ${request.releaseName} --namespace ${namespace}.`,
      `To try again: helm rollback ${request.releaseName} ${target.revision} --namespace ${namespace}`,
    ].join(' '),
  };
}

/** A failure that happens twice with the same cause is reported once. */
function isSame({ message, failedWorkload }: Ending, why: string): boolean {
  return sentence(why) === sentence(message) || sentence(why) === sentence(blaming({ message, failedWorkload }));
}
