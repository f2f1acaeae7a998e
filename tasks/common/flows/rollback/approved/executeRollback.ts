import type { EnginePolicy } from '../engine/policy';
import { reportedObjects, sentence } from '../../../core/report/ending';
import type { KubeObject, ObjectRef } from '../../../core/kubernetes/object';
import { clipped, neutralise } from '../../../core/text/foreignText';
import type { FenceRecord } from '../../../core/helm/fence';
import { objectName } from '../../../core/kubernetes/manifest';
import type { Rehearsal } from '../../../core/helm/rehearsal';
import type { KeptField } from '../../../core/release/keptFields';
import { readKeptFields } from '../../release/keptFields';
import type { Revision } from '../../../core/release/release';
import { stopIfCancelled, type RollbackContext } from '../../../core/releaseContext';
import { instanceNames, instancesNamed, isDefinition, objectCount } from '../../../core/rollbackPlan/model/definitions';
import { mayHaveTrappedPods, ownDeletions } from '../../../core/rollbackPlan/execution/execution';
import { isKeptByPolicy } from '../../../core/rollbackPlan/objects/objects';
import { fencePolicy, unplannedDeletions } from '../../../core/rollbackPlan/execution/fencePolicy';
import { isSameRecord } from '../../../core/rollbackPlan/model/recordDigest';
import { expectedAfter } from '../../../core/rollbackPlan/objects/rehearsalTraces';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';
import { isUnowned, otherOwner, type ReleaseName } from '../../../core/release/mergeBase';
import { heldBackSentence, type RollbackEnding } from '../../../core/rollbackPlan/document/rollbackReport';
import { planDigestVariable } from '../../../core/inputs/taskVariables';
import { baselineForRollback } from '../../../core/rollout/verdict';
import type { ProvenApproval } from '../../../core/approval/proven';
import { liveState } from '../../release/drift';
import { withRetries } from '../../steps/withRetries';
import { type PlannedBase } from '../../release/mergeBase';
import { instancesOf } from '../plan/planRelease';
import { releaseHolds } from './releaseHolds';
import { noteOnWorkloads } from '../../rollout/workloadEvents';
import { changedWorkloads } from './changedWorkloads';
import {
  asRollbackEnding,
  noteDone,
  rollbackEnding,
  unhealthyEnding,
  wellRolledBack,
  type RollbackProgress,
} from '../plan/rollbackProgress';
import { someNames } from '../../../core/text/someNames';
import { ifReadable, healthNow, judgeNow } from '../../rollout/moment';
import { finishRollback } from '../engine/finishRollback';
import { mayRepair } from '../engine/proof';
import { runRollback, type RollbackEnd } from '../engine/runRollback';

/** A rollback that may be carried out. */
interface Approved {
  /** The plan that limits what Helm may do. */
  plan: ChangePlan;
  /** The digest under which the rollback was approved, if it is the digest of another plan. */
  digest?: string;
  target: Revision;
  approval: ProvenApproval;
  /** The plan whose objects are deleted at the end. */
  deletions: ChangePlan;
}

interface Rehearsed extends Approved {
  /** The history from which the plan was made. */
  history: readonly Revision[];
  base: PlannedBase | undefined;
  rehearsal: Rehearsal | undefined;
  live: ReadonlyMap<string, KubeObject>;
  kept: readonly KeptField[];
}

/** Carries out an approved plan: Helm runs through the fence, and the result is proven. */
export async function executeRollback(
  context: RollbackContext,
  progress: RollbackProgress,
  approved: Rehearsed,
): Promise<RollbackEnding> {
  const { plan, target, history } = approved;
  stopIfCancelled(context.signal);
  const memory = await ifReadable(context, async () => {
    const last = history.at(-1);
    if (last !== undefined) progress.healthBefore = await healthNow(context, last.manifest);
    // A pre-existing failure counts as a failure of the rollback, but conditions from that time do not.
    return baselineForRollback(undefined, (await judgeNow(context, target.manifest)).baseline);
  });
  const digest = approved.digest ?? plan.digest;
  context.agent.setTaskVariable(planDigestVariable, digest);
  await context.plans.note(digest, { state: 'begun', revision: (history.at(-1)?.revision ?? 0) + 1 });
  const rollback = { ...approved, deadline: context.deadline, memory, existing: plan.objects };
  const end = await runRollback(context, progress, policyOf(context, progress, approved), rollback);
  return endingOf(context, progress, approved, end);
}

/** The part after Helm has made its revision, of a rollback that another run has begun. */
export async function finishMade(
  context: RollbackContext,
  progress: RollbackProgress,
  approved: Approved,
  made: Revision,
): Promise<RollbackEnding> {
  const policy = policyOf(context, progress, approved);
  const end = await finishRollback(
    context,
    policy,
    { ...approved, deadline: context.deadline, memory: undefined },
    made,
  );
  return endingOf(context, progress, approved, end);
}

/** Every field counts, since nobody has approved another one. */
function policyOf(
  context: RollbackContext,
  progress: RollbackProgress,
  approved: Approved & Partial<Rehearsed>,
): EnginePolicy {
  const { plan, target, live, rehearsal, kept = [] } = approved;
  const expected = rehearsal && live && new Map(expectedAfter(live, rehearsal));
  return {
    fence: fencePolicy({ plan, rehearsal, target, storage: context.storage.kind }),
    kept,
    isForeseen: true,
    description: recordDescription(context, approved),
    repairs: mayRepair,
    isFailure: () => true,
    expected,
    isResumable: true,
    everyPod: true,
    trapped: context.request.rollback.policy.allowPodDelete ? mayHaveTrappedPods(plan) : [],
    restored: progress.restored,
    onBegun: () => {
      progress.revision = null;
    },
    onFence: (fence) => {
      logFence(context, progress, plan, fence);
    },
    onMade: ({ revision }) => {
      progress.revision = revision;
    },
    beforeRollout: async (made) => {
      // An object whose hold was released differs from the rehearsal.
      for (const key of await releaseHolds(context, made)) expected?.delete(key);
    },
    afterRollout: () => {
      progress.health = 'healthy';
      return deleteOwn(context, progress, approved.deletions);
    },
  };
}

async function endingOf(
  context: RollbackContext,
  progress: RollbackProgress,
  approved: Approved & Partial<Rehearsed>,
  ended: RollbackEnd,
): Promise<RollbackEnding> {
  if (ended.end === 'helmFailed') {
    progress.health = ended.health;
    progress.objects = ended.objects;
    return helmFailed(context, approved, ended);
  }
  if (ended.end === 'notProven') {
    const next = ended.isMarked
      ? ''
      : ' Nothing was deleted except what the log names. When that is put right, the same step run again resumes the rollback.';
    return asRollbackEnding({ ...ended.ending, message: `${ended.ending.message}${next}` }, 'failed');
  }
  const { made, rollout } = ended;
  progress.objects = reportedObjects(rollout.verdict);
  if (rollout.end === 'healthy') return rolledBack(context, approved, made);
  if (rollout.end === 'cancelled') {
    const message = `Revision ${made.revision} was made from revision ${approved.target.revision}, but the step was cancelled before it was healthy. What is to be deleted is still there. The post-job step, or the same step run again, resumes the rollback.`;
    return rollbackEnding('cancelled', 'Cancelled', message);
  }
  return unhealthy(context, progress, approved, ended);
}

async function rolledBack(context: RollbackContext, approved: Approved, made: Revision): Promise<RollbackEnding> {
  const { plan, target, approval } = approved;
  await noteOnWorkloads(context, changedWorkloads(plan), {
    type: 'Normal',
    reason: 'RolledBack',
    message: `Rolled back to revision ${target.revision}. ${approval.sentence}`,
  });
  await noteDone(context, approved.digest ?? plan.digest, made.revision);
  const { kept } = await readKeptFields(context, target.manifest);
  const message = [
    `Revision ${made.revision} has the manifest of revision ${target.revision}; every object exists as declared and is healthy.`,
    ...kept.map(({ words }) => words),
  ].join(' ');
  context.agent.log(message);
  return { ...wellRolledBack, message };
}

async function unhealthy(
  context: RollbackContext,
  progress: RollbackProgress,
  { plan, target }: Approved,
  { made, rollout }: Extract<RollbackEnd, { end: 'followed' }>,
): Promise<RollbackEnding> {
  const { namespace, request } = context;
  const why = await unhealthyEnding(context, progress, rollout);
  const before = plan.present?.revision ?? made.revision - 1;
  const kept = ownDeletions(plan).map(({ ref }) => objectName(ref));
  const message = [
    sentence(why.message),
    `Revision ${made.revision} has the manifest of revision ${target.revision} and is marked failed; revision ${before} was ${progress.healthBefore || 'not judged'} before the rollback.`,
    kept.length === 0 ? '' : `Not deleted, because it is not healthy: ${kept.join(', ')}.`,
    `To look: helm history ${request.releaseName} --namespace ${namespace}.`,
    progress.healthBefore === 'healthy' ? wayToHealthy(before, kept.length > 0) : '',
  ];
  return asRollbackEnding({ ...why, message: message.filter((part) => part !== '').join(' ') }, 'failed');
}

const descriptionLimit = 900;

/** Helm's own wording, with who approved the rollback. */
function recordDescription(
  { agent }: Pick<RollbackContext, 'agent'>,
  { target: { revision }, approval }: Approved,
): string {
  const text = neutralise(`Rollback to ${revision}. ${agent.redact(approval.sentence)}`.replace(/\s+/g, ' ').trim());
  return clipped(text, descriptionLimit);
}

/** Returns true if everything of a revision exists as declared and is healthy at this moment. */
export async function isServing(
  context: RollbackContext,
  progress: RollbackProgress,
  revision: Revision,
): Promise<boolean> {
  const { namespace, request } = context;
  const release = { name: request.releaseName, namespace };
  const { drifts } = await liveState(context, revision.manifest, release);
  if (drifts.length > 0) return false;
  const health = await healthNow(context, revision.manifest, true);
  if (health === 'healthy') progress.health = health;
  return health === 'healthy';
}

function logFence({ agent }: RollbackContext, progress: RollbackProgress, plan: ChangePlan, fence: FenceRecord): void {
  const unplanned = unplannedDeletions(plan, fence).map(({ ref, resource }) =>
    objectName({ kind: ref.kind || resource, name: ref.name || '(several)' }),
  );
  for (const name of unplanned) progress.heldBack.add(name);
  if (unplanned.length > 0) agent.warning(heldBackSentence([...new Set(unplanned)]));
  for (const { refusal } of fence.refused) if (refusal !== undefined) agent.warning(refusal.message);
}

async function helmFailed(
  context: RollbackContext,
  { target, history = [] }: Approved & Partial<Rehearsed>,
  { failure, made, back }: Extract<RollbackEnd, { end: 'helmFailed' }>,
): Promise<RollbackEnding> {
  const { namespace, request, signal } = context;
  const state =
    made === undefined
      ? await stateWithoutRevision(context, history)
      : `Revision ${made.revision} is marked failed; what the target does not have was not deleted.`;
  const message = [
    `Helm could not roll back to revision ${target.revision}: ${sentence(failure.message)}`,
    state,
    back.message,
    `To look: helm history ${request.releaseName} --namespace ${namespace}.`,
    wayOn(target, made, back.restored.length > 0),
  ]
    .filter((part) => part !== '')
    .join(' ');
  return signal.aborted
    ? rollbackEnding('cancelled', 'Cancelled', message)
    : rollbackEnding('failed', failure.reason, message);
}

/** Describes the present state of Helm's record, where no new revision is found. */
async function stateWithoutRevision(
  { storage, namespace, request }: RollbackContext,
  before: readonly Revision[],
): Promise<string> {
  const now = await storage.history().catch(() => undefined);
  const last = before.at(-1)?.revision;
  const isDeployed = (history: readonly Revision[]): boolean => history.some(({ status }) => status === 'deployed');
  if (now === undefined || isDeployed(now) || !isDeployed(before)) {
    return `Helm made no revision; revision ${last ?? 'before'} is the last one still.`;
  }
  if (now.length === 0) {
    return `Helm's record of release ${request.releaseName} in namespace ${namespace} is gone: no revision is left, and its objects are still there. A deploy with HelmSafeDeploy@1 takes them over.`;
  }
  return `No revision of the release is deployed any more: revision ${now.at(-1)?.revision ?? ''} is ${now.at(-1)?.status ?? ''}, and the record of a new revision is not there. Helm has rolled back and the record was removed, or Helm has ended before it wrote it; what is live may be of either revision.`;
}

/**
 * A rollback that only failed can be repeated as it was approved. Objects that were made again are not those of the
 * plan.
 */
function wayOn(target: Revision, made: Revision | undefined, hasRestored: boolean): string {
  const anew = `this task with action: plan and toRevision: ${target.revision}, and the digest of that plan.`;
  const isOther = hasRestored || (made !== undefined && !isSameRecord(target, made));
  return isOther ? `To try again: ${anew}` : `To try again: this step once more with the same planDigest; or ${anew}`;
}

/**
 * Deletes what Helm was kept from deleting, now that its replacement serves. Deletes only the very objects that were in
 * the plan.
 */
async function deleteOwn(context: RollbackContext, progress: RollbackProgress, plan: ChangePlan): Promise<void> {
  const { agent, cluster, lease } = context;
  for (const { ref, uid } of ownDeletions(plan)) {
    stopIfCancelled(context.signal);
    const name = objectName(ref);
    const live = await withRetries(context, () => cluster.get(ref, { metadataOnly: true }));
    if (live === undefined) continue;
    if (live.metadata.uid !== uid) {
      agent.warning(`${name} was created again since the plan, so it is not deleted.`);
      continue;
    }
    const keep = notOursToDelete(live, { name: context.request.releaseName, namespace: context.namespace });
    if (keep !== undefined) {
      agent.warning(`${name} is not deleted: since the plan ${keep}.`);
      continue;
    }
    const unseen = isDefinition(ref) ? await unseenInstances(context, ref, plan) : [];
    if (unseen.length > 0) {
      const were = unseen.length === 1 ? 'was' : 'were';
      agent.warning(
        `${name} is not deleted: ${objectCount(unseen.length)} of its kind would go with it and ${were} not in the plan: ${someNames(unseen, 10)}.`,
      );
      continue;
    }
    await lease.confirm();
    await withRetries(context, () => cluster.delete(ref, { uid }));
    progress.deleted.push(name);
    agent.log(`${name}, which the target does not have, is deleted now that the target is healthy.`);
  }
}

/** The objects that would be deleted with a definition and that nobody has approved. */
async function unseenInstances(context: RollbackContext, ref: ObjectRef, { objects }: ChangePlan): Promise<string[]> {
  const definition = await withRetries(context, () => context.cluster.get(ref));
  if (definition === undefined) return [];
  const known = objects.find(({ kind, name }) => kind === ref.kind && name === ref.name)?.goWithIt ?? [];
  if (known.length >= instancesNamed) return [];
  const now = instanceNames(await withRetries(context, () => instancesOf(context, definition)), definition);
  return now.filter((each) => !known.includes(each));
}

/** The owner of an object may have changed while the target became healthy. Returns a clause. */
function notOursToDelete(live: KubeObject, release: ReleaseName): string | undefined {
  if (isKeptByPolicy(live)) return 'it was marked to be kept';
  const owner = isUnowned(live) ? undefined : otherOwner(live, release);
  return owner === undefined ? undefined : `it has come to belong to ${owner}`;
}

/**
 * Helm cannot roll back over a revision that lacks objects which are still live (measured with 3.17.3 and 4.1.4). A
 * deploy is given another base.
 */
function wayToHealthy(revision: number, isCovered: boolean): string {
  return isCovered
    ? `To get back what was healthy: deploy the chart and values of revision ${revision} again with HelmSafeDeploy@1.`
    : `To get back what was healthy: this task with action: plan and toRevision: ${revision}.`;
}
