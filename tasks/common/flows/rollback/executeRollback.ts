import { endingFor, endingOfRollout, reportedObjects, sentence } from '../../core/report/ending';
import type { ReleaseName } from '../../core/release/drift';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { asTaskError, type FailureReason } from '../../core/failure';
import { clipped, neutralise } from '../../core/text/foreignText';
import type { FenceRecord } from '../../core/helm/fence';
import { objectName } from '../../core/kubernetes/manifest';
import type { HelmResult } from '../../core/ports';
import type { Rehearsal } from '../../core/helm/rehearsal';
import type { Revision } from '../../core/release/release';
import { stopIfCancelled, type RollbackContext } from '../../core/releaseContext';
import { instanceNames, instancesNamed, isDefinition, objectCount } from '../../core/rollbackPlan/model/definitions';
import { mayHaveTrappedPods, ownDeletions } from '../../core/rollbackPlan/execution/execution';
import { isKeptByPolicy } from '../../core/rollbackPlan/objects/objects';
import { fencePolicy, unplannedDeletions } from '../../core/rollbackPlan/execution/fencePolicy';
import { isSameRecord } from '../../core/rollbackPlan/model/recordDigest';
import { expectedAfter, strangeChange } from '../../core/rollbackPlan/objects/rehearsalTraces';
import type { RollbackPlan } from '../../core/rollbackPlan/model/types';
import { isUnowned, otherOwner } from '../../core/release/mergeBase';
import { heldBackSentence, type RollbackEnding } from '../../core/rollbackPlan/document/rollbackReport';
import { planDigestVariable } from '../../core/inputs/taskVariables';
import { causesOf, baselineForWayBack, baselineOf, judge, type RolloutMemory } from '../../core/rollout/verdict';
import type { ProvenApproval } from '../../core/approval/proven';
import { bringBack, nothingBack } from './bringBack';
import { beginWork } from '../release/change';
import { liveState } from '../release/drift';
import { collectEvidence, sayEvidence } from '../rollout/evidence';
import { hungAfter, showHookEvidence, whileHooksRun } from '../rollout/hookLogs';
import { inTurns } from '../steps/inTurns';
import { insist } from '../steps/insist';
import { giveRecord, onBase, type PlannedBase } from '../release/mergeBase';
import { group, remindingWhile, secondsUntil } from '../steps/phase';
import { markUnhealthy, newRevision, settle, verify } from '../release/record';
import { instancesOf } from './planRelease';
import { proveObjects } from './proof';
import { releaseHolds } from './releaseHolds';
import { noteOnWorkloads } from './rollbackEvents';
import { asRollbackEnding, rollbackEnding, wellRolledBack, type RollbackStory } from './rollbackStory';
import { followRollout, momentPolicy, readRollout, rolloutPolicy } from '../rollout/rollout';
import { deletingTrappedPods } from './trappedPods';
import { wantedObjects } from '../release/wantedObjects';
import { someNames } from '../../core/text/someNames';

/** A rollback that may be carried out. */
interface Approved {
  /** The plan that limits what Helm may do. */
  plan: RollbackPlan;
  /** The digest under which the rollback was approved, if it is the digest of another plan. */
  digest?: string;
  target: Revision;
  approval: ProvenApproval;
  deadline: Date;
  /** The plan whose objects are deleted at the end. */
  deletions: RollbackPlan;
  /** How the target's objects must be, by key, as the rehearsal has shown; see `expectedAfter`. */
  expected?: ReadonlyMap<string, KubeObject>;
}

/** Runs Helm through the fence and proves the result. `history` is the one from which the plan was made. */
export async function executeRollback(
  context: RollbackContext,
  story: RollbackStory,
  approved: Approved & {
    history: readonly Revision[];
    base: PlannedBase | undefined;
    rehearsal: Rehearsal | undefined;
    live: ReadonlyMap<string, KubeObject>;
  },
): Promise<RollbackEnding> {
  const { plan, base, rehearsal, target, history, approval, deadline } = approved;
  const { clock, lease, plans, rollbackHelm, storage } = context;
  stopIfCancelled(context.signal);
  const memory = await baselineNow(context, story, target, history);
  const revision = (history.at(-1)?.revision ?? 0) + 1;
  const execution = { state: 'begun', revision } as const;
  const digest = approved.digest ?? plan.digest;
  context.agent.setTaskVariable(planDigestVariable, digest);
  await plans.note(digest, execution);
  await beginWork(context, story, { action: 'rollback', revision });
  const given = base && (await giveRecord(context, history, base));
  let fence: FenceRecord | undefined;
  const { result, hooks } = await group(context, `Roll back to revision ${target.revision}`, () =>
    onBase(context, given, history, () =>
      whileHooksRun(context, target.hooks, ['pre-rollback', 'post-rollback'], async () => {
        const ran = await remindingWhile(
          context,
          rollbackHelm.rollback({
            target,
            description: recordDescription(context, target, approval),
            timeoutSeconds: secondsUntil(deadline, clock.now()),
            endAfterSeconds: hungAfter(secondsUntil(deadline, clock.now()), target),
            wait: target.hooks.some(({ events }) => events.includes('post-rollback')),
            policy: fencePolicy({ plan, rehearsal, target, storage: storage.kind }),
            lost: lease.lost,
          }),
        );
        fence = ran.fence;
        return ran.result;
      }),
    ),
  );
  if (fence !== undefined) sayFence(context, story, approved, fence);
  const now = await insist(context, () => storage.history());
  warnOfChangedRecords(context, history, now);
  const made = newRevision(history, now);
  if (made?.status === 'deployed' && !isSameRecord(target, made)) {
    return otherRecord(context, story, { ...approved, memory }, made);
  }
  if (made?.status !== 'deployed') {
    story.revision = null;
    if (!result.ok) await showHookEvidence(context, story, hooks);
    if (made !== undefined) await settle(context, made);
    return helmFailed(context, story, { ...approved, memory }, whyFailed(result), made);
  }
  // Helm writes this status last, so a later failure was not a failure of the rollback.
  if (!result.ok)
    context.agent.warning(`Helm made revision ${made.revision} and failed then: ${whyFailed(result).message}`);
  const expected = rehearsal && expectedAfter(approved.live, rehearsal);
  return finishRollback(context, story, { ...approved, ...(expected && { expected }) }, made, memory);
}

/** Helm should change only the statuses of earlier records. */
function warnOfChangedRecords({ agent }: RollbackContext, before: readonly Revision[], now: readonly Revision[]): void {
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

/** Helm has rolled back to something that was not approved. */
async function otherRecord(
  context: RollbackContext,
  story: RollbackStory,
  approved: Approved & { history: readonly Revision[]; memory: RolloutMemory | undefined },
  made: Revision,
): Promise<RollbackEnding> {
  const message = `its new revision ${made.revision} is not what revision ${approved.target.revision}, the target, declares`;
  story.revision = null;
  await markUnhealthy(context, made, endingFor('failed', 'ProofFailed', message));
  return helmFailed(context, story, approved, { reason: 'ProofFailed', message }, made);
}

function whyFailed({ ok, failure }: HelmResult): { reason: FailureReason; message: string } {
  if (ok)
    return { reason: 'ProofFailed', message: 'it ended as if all were well, and made no revision that is deployed' };
  const { reason = 'HelmFailed', message = 'it did not say why' } = failure ?? {};
  return { reason, message };
}

/**
 * Reads the state before the rollback. A pre-existing failure counts as a failure of the rollback, but conditions from
 * that time do not.
 */
async function baselineNow(
  context: RollbackContext,
  story: RollbackStory,
  target: Revision,
  history: readonly Revision[],
): Promise<RolloutMemory | undefined> {
  const { agent, clock, cluster, namespace, request } = context;
  try {
    const last = history.at(-1);
    if (last !== undefined) story.healthBefore = await healthNow(context, last.manifest, false);
    const snapshot = await readRollout(context, await wantedObjects(cluster, target.manifest, namespace));
    return baselineForWayBack(undefined, baselineOf(snapshot, clock.now(), request.rollout.statusRules));
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    agent.log(`What there is before the rollback could not be read: ${asTaskError(thrown).message}`);
    return undefined;
  }
}

async function healthNow(
  context: RollbackContext,
  manifest: string,
  everyPod = true,
): Promise<RollbackStory['health']> {
  const { clock, cluster, namespace } = context;
  const snapshot = await readRollout(context, await wantedObjects(cluster, manifest, namespace));
  const now = clock.now();
  const policy = momentPolicy(context, now, { everyPod });
  const { health } = judge(snapshot, policy, undefined, now);
  if (health === 'healthy') return 'healthy';
  return health === 'unknown' ? 'unknown' : 'unhealthy';
}

/** Returns true if everything of a revision exists as declared and is healthy at this moment. */
export async function isServing(context: RollbackContext, story: RollbackStory, revision: Revision): Promise<boolean> {
  const { namespace, request } = context;
  const release = { name: request.releaseName, namespace };
  const { drifts } = await liveState(context, revision.manifest, release);
  if (drifts.length > 0) return false;
  const health = await healthNow(context, revision.manifest);
  if (health === 'healthy') story.health = health;
  return health === 'healthy';
}

function sayFence(context: RollbackContext, story: RollbackStory, { plan }: Approved, fence: FenceRecord): void {
  const { agent } = context;
  const unplanned = unplannedDeletions(plan, fence).map(({ ref, resource }) =>
    objectName({ kind: ref.kind || resource, name: ref.name || '(several)' }),
  );
  for (const name of unplanned) story.heldBack.add(name);
  if (unplanned.length > 0) agent.warning(heldBackSentence([...new Set(unplanned)]));
  for (const { refusal } of fence.refused) if (refusal !== undefined) agent.warning(refusal.message);
}

async function helmFailed(
  context: RollbackContext,
  story: RollbackStory,
  approved: Approved & { history: readonly Revision[]; memory: RolloutMemory | undefined },
  { reason, message: why }: { reason: FailureReason; message: string },
  made: Revision | undefined,
): Promise<RollbackEnding> {
  const { namespace, request, signal } = context;
  const { plan, target, history } = approved;
  const wanted = made ?? history.at(-1);
  const back = signal.aborted ? nothingBack : await bringBack(context, plan, [made, history.at(-1), target]);
  for (const name of back.restored) story.restored.add(name);
  if (wanted !== undefined) story.health = await healthAfter(context, story, approved, wanted);
  const state =
    made === undefined
      ? await stateWithoutRevision(context, history)
      : `Revision ${made.revision} is marked failed; what the target does not have was not deleted.`;
  const message = [
    `Helm could not roll back to revision ${target.revision}: ${sentence(why)}`,
    state,
    back.message,
    `To look: helm history ${request.releaseName} --namespace ${namespace}.`,
    wayOn(target, made, back.restored.length > 0),
  ]
    .filter((part) => part !== '')
    .join(' ');
  return signal.aborted ? rollbackEnding('cancelled', 'Cancelled', message) : rollbackEnding('failed', reason, message);
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

/** Objects that were just made again need time to become healthy. Unchanged objects need none. */
async function healthAfter(
  context: RollbackContext,
  story: RollbackStory,
  { deadline, memory }: Approved & { memory: RolloutMemory | undefined },
  { revision, manifest }: Revision,
): Promise<RollbackStory['health']> {
  try {
    if (story.restored.size === 0) return await healthNow(context, manifest);
    const objects = await wantedObjects(context.cluster, manifest, context.namespace);
    const policy = { ...rolloutPolicy(context, deadline, true), everyPod: true };
    const { end, verdict } = await group(context, `Follow revision ${revision}`, () =>
      followRollout(context, objects, { policy, memory, said: new Map(), phase: 'rollback' }),
    );
    story.objects = reportedObjects(verdict);
    if (end === 'healthy') return 'healthy';
    return end === 'failed' ? 'unhealthy' : 'unknown';
  } catch {
    return 'unknown';
  }
}

/** The part after Helm has made its revision: proof, health, own deletions, record. */
export async function finishRollback(
  context: RollbackContext,
  story: RollbackStory,
  approved: Approved,
  made: Revision,
  memory?: RolloutMemory,
): Promise<RollbackEnding> {
  const { storage, plans, agent } = context;
  const { plan, target, approval } = approved;
  story.revision = made.revision;
  const first = await prove(context, story, made, approved.expected);
  if (first !== undefined) return first;
  const released = await releaseHolds(context, made);
  const unhealthy = await followTarget(context, story, approved, made, memory);
  if (unhealthy !== undefined) return unhealthy;
  await deleteOwn(context, story, approved.deletions);
  // An object whose hold was released differs from the rehearsal.
  const expected = approved.expected && new Map([...approved.expected].filter(([key]) => !released.includes(key)));
  const last = await prove(context, story, made, expected);
  if (last !== undefined) return last;
  const description = recordDescription(context, target, approval);
  // Helm 4.3 and later got the description with the rollback, and keeps it if it is short.
  if (made.description !== description) await insist(context, () => storage.update(made.revision, { description }));
  await insist(context, () => verify(storage, made, context.run));
  await noteOnWorkloads(context, plan, `Rolled back to revision ${target.revision}. ${approval.sentence}`);
  const execution = { state: 'done', revision: made.revision } as const;
  await insist(context, () => plans.note(approved.digest ?? plan.digest, execution)).catch((thrown: unknown) => {
    agent.log(`That the plan was carried out could not be noted in it: ${asTaskError(thrown).message}`);
  });
  const message = `Revision ${made.revision} has the manifest of revision ${target.revision}; all of it is there, as declared, and healthy.`;
  agent.log(message);
  return { ...wellRolledBack, message };
}

const descriptionLimit = 900;

/** Helm's own wording, with who approved the rollback. */
function recordDescription(
  { agent }: Pick<RollbackContext, 'agent'>,
  { revision }: Revision,
  { sentence: said }: ProvenApproval,
): string {
  const text = neutralise(`Rollback to ${revision}. ${agent.redact(said)}`.replace(/\s+/g, ' ').trim());
  return clipped(text, descriptionLimit);
}

/**
 * Proves that every object of the revision is as declared and belongs to this release. Returns undefined if this is so
 * in the end.
 */
async function prove(
  context: RollbackContext,
  story: RollbackStory,
  made: Revision,
  expected: ReadonlyMap<string, KubeObject> | undefined,
): Promise<RollbackEnding | undefined> {
  const before = story.restored.size;
  const proof = await group(context, `Prove revision ${made.revision}`, () => proveObjects(context, made));
  for (const name of proof.restored) story.restored.add(name);
  if (proof.drifts.length === 0 && story.restored.size > before) {
    context.agent.log('What was made again is there.');
  }
  if (proof.drifts.length === 0) return expected && proveExpected(context, story, made, expected);
  const messages = proof.drifts.map(({ message }) => message).slice(0, 5);
  const names = proof.drifts.map(({ ref }) => objectName(ref));
  const more = proof.drifts.length > messages.length ? ` And ${proof.drifts.length - messages.length} more.` : '';
  const ending = rollbackEnding(
    'failed',
    'ProofFailed',
    `Revision ${made.revision} was made, but is not what it declares: ${messages.join(' ')}${more} Nothing was deleted but what the log names. When that is put right, this step run again carries the rollback on.`,
  );
  return { ...ending, failedWorkload: names[0] ?? '' };
}

/** Fields that nobody declares count too: a field that the rehearsal did not show was set by something else. */
async function proveExpected(
  context: RollbackContext,
  story: RollbackStory,
  made: Revision,
  expected: ReadonlyMap<string, KubeObject>,
): Promise<RollbackEnding | undefined> {
  const { cluster, namespace, signal } = context;
  const objects = await wantedObjects(cluster, made.manifest, namespace);
  // An object that was made again from the manifest has lost the fields that nobody declares.
  const left = objects.filter(({ key, ref }) => expected.has(key) && !story.restored.has(objectName(ref)));
  const found = await inTurns(left, signal, async ({ key, ref }) => {
    const [wanted, live] = [expected.get(key), await insist(context, () => cluster.get(ref))];
    const change = wanted && live && strangeChange(wanted, live);
    return change === undefined ? undefined : { name: objectName(ref), change };
  });
  const strange = found.flatMap((each) => each ?? []);
  const [first] = strange;
  if (first === undefined) return undefined;
  const told = strange.slice(0, strangeTold).map(({ name, change }) => `${name} ${change}`);
  const more = strange.length > strangeTold ? `; and ${strange.length - strangeTold} more` : '';
  const message = `Revision ${made.revision} was made, but not all of it is as in its rehearsal: ${told.join('; ')}${more}. No plan has shown that, and nobody has approved it. The revision is marked failed. Undo these changes by hand, then plan again: this task with action: plan.`;
  // Carried on, it would be proven without a rehearsal, and the changes would pass.
  await markUnhealthy(context, made, endingFor('failed', 'ProofFailed', message, first.name));
  return { ...rollbackEnding('failed', 'ProofFailed', message), failedWorkload: first.name };
}

const strangeTold = 5;

async function followTarget(
  context: RollbackContext,
  story: RollbackStory,
  { plan, target, deadline }: Approved,
  made: Revision,
  memory: RolloutMemory | undefined,
): Promise<RollbackEnding | undefined> {
  const { cluster, namespace, request } = context;
  const objects = await wantedObjects(cluster, made.manifest, namespace);
  const policy = { ...rolloutPolicy(context, deadline, true), everyPod: true };
  const sets = request.rollback.policy.allowPodDelete ? mayHaveTrappedPods(plan) : [];
  const followed = await group(context, `Follow revision ${made.revision}`, () =>
    deletingTrappedPods(context, sets, () =>
      followRollout(context, objects, { policy, memory, said: new Map(), phase: 'rollback' }),
    ),
  );
  story.objects = reportedObjects(followed.verdict);
  if (followed.end === 'healthy') {
    story.health = 'healthy';
    return undefined;
  }
  if (followed.end === 'cancelled') {
    const message = `Revision ${made.revision} was made from revision ${target.revision}, but not seen to the end; what is to be deleted is still there. The post-job step, or this step once more, carries it on.`;
    return rollbackEnding('cancelled', 'Cancelled', message);
  }
  story.health = followed.end === 'unknown' ? 'unknown' : 'unhealthy';
  const why = endingOfRollout(followed.verdict);
  const evidence = await collectEvidence(context, causesOf(followed.verdict), followed.heard);
  sayEvidence(context, evidence);
  story.evidence.push(...evidence);
  await markUnhealthy(context, made, why);
  const before = plan.present?.revision ?? made.revision - 1;
  const kept = ownDeletions(plan).map(({ ref }) => objectName(ref));
  const message = [
    sentence(why.message),
    `Revision ${made.revision} has the manifest of revision ${target.revision} and is marked failed; revision ${before} was ${story.healthBefore || 'not looked at'} before the rollback.`,
    kept.length === 0 ? '' : `Not deleted, because it is not healthy: ${kept.join(', ')}.`,
    `To look: helm history ${request.releaseName} --namespace ${namespace}.`,
    story.healthBefore === 'healthy' ? wayToHealthy(before, kept.length > 0) : '',
  ];
  return asRollbackEnding({ ...why, message: message.filter((part) => part !== '').join(' ') }, 'failed');
}

/**
 * Deletes what Helm was kept from deleting, now that its replacement serves. Deletes only the very objects that were in
 * the plan.
 */
async function deleteOwn(context: RollbackContext, story: RollbackStory, plan: RollbackPlan): Promise<void> {
  const { agent, cluster, lease } = context;
  for (const { ref, uid } of ownDeletions(plan)) {
    stopIfCancelled(context.signal);
    const name = objectName(ref);
    const live = await insist(context, () => cluster.get(ref, { metadataOnly: true }));
    if (live === undefined) continue;
    if (live.metadata.uid !== uid) {
      agent.warning(`${name} was made anew since the plan: it is left as it is.`);
      continue;
    }
    const keep = notOursToDelete(live, { name: context.request.releaseName, namespace: context.namespace });
    if (keep !== undefined) {
      agent.warning(`${name} is left as it is: since the plan ${keep}.`);
      continue;
    }
    const unseen = isDefinition(ref) ? await unseenInstances(context, ref, plan) : [];
    if (unseen.length > 0) {
      const were = unseen.length === 1 ? 'was' : 'were';
      agent.warning(
        `${name} is left as it is: ${objectCount(unseen.length)} of its kind would go with it and ${were} not in the plan: ${someNames(unseen, 10)}.`,
      );
      continue;
    }
    await lease.confirm();
    await insist(context, () => cluster.delete(ref, { uid }));
    story.deleted.push(name);
    agent.log(`${name}, which the target does not have, is deleted now that the target is healthy.`);
  }
}

/** The objects that would be deleted with a definition and that nobody has approved. */
async function unseenInstances(context: RollbackContext, ref: ObjectRef, { objects }: RollbackPlan): Promise<string[]> {
  const definition = await insist(context, () => context.cluster.get(ref));
  if (definition === undefined) return [];
  const known = objects.find(({ kind, name }) => kind === ref.kind && name === ref.name)?.goWithIt ?? [];
  if (known.length >= instancesNamed) return [];
  const now = instanceNames(await insist(context, () => instancesOf(context, definition)), definition);
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
    ? `To return to what was healthy: deploy the chart and values of revision ${revision} again with HelmSafeDeploy@1.`
    : `To return to what was healthy: this task with action: plan and toRevision: ${revision}.`;
}
