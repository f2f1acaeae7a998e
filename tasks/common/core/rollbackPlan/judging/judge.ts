import { counted } from '../../text/counted';
import { someNames } from '../../text/someNames';
import { sentence } from '../../report/ending';
import { withoutObjects } from '../../helm/helmFailure';
import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { isClaim } from '../../release/keptFields';
import { apiGroup, objectKey, objectName } from '../../kubernetes/manifest';
import type { HelmProvenance } from '../../helm/provenance';
import { rehearsedRefusals, type Rehearsal, type RehearsedWrite } from '../../helm/rehearsal';
import type { Revision } from '../../release/release';
import { storedRevision } from '../../release/releaseRecord';
import { isCustomResource } from '../../kubernetes/groups';
import { isDeclaredHold, podHold, podsHeldBack, type PodHold } from '../../rollout/heldPods';
import { renewalWords, type RecordRenewal } from '../../release/servedVersions';
import { at, numberAt, textAt } from '../../kubernetes/read';
import { isOwnedByRelease, type Candidate } from '../objects/candidates';
import { isDefinition, objectCount } from '../model/definitions';
import { finding, type FindingCode, type PlanFinding } from '../model/findings';
import { afterOf, changesPods, isKeptByPolicy } from '../objects/objects';
import { canTrap, isStatefulSet, trappedPods, volumeFindings } from '../objects/statefulSets';
import { shortened } from '../model/target';
import type { PlannedChange, PlannedObject, ReleasePlanInputs, RollbackPolicy, ServedKinds } from '../model/types';
import { atStart, wordsOf } from '../model/words';
import { placedObjects, servedKey, type ManifestReader } from '../model/places';

export interface Judged {
  candidate: Candidate;
  object: PlannedObject;
}

export function helmFindings(helm: HelmProvenance, policy: RollbackPolicy): PlanFinding[] {
  switch (helm.from) {
    case 'release':
    case 'pin':
      return [];
    case 'newerRelease':
      return [
        finding(
          'HelmNewer',
          `Helm ${helm.version} is newer than the versions that this task knows; it is assumed to behave like ${helm.predecessor}.`,
        ),
      ];
    case 'unknown': {
      const message = `Helm ${helm.version} is not a known release: ${helm.problem}.`;
      const way = 'Use a released Helm, pin this one with helmSha256, or set allowUnknownHelm.';
      return [finding('HelmUnknown', message, { way, allowed: policy.allowUnknownHelm })];
    }
    case 'otherThanPinned':
      return [
        finding('HelmNotPinned', `Helm ${helm.version} is not the binary that helmSha256 pins: ${helm.problem}.`),
      ];
  }
}

export function servedFindings(
  read: ManifestReader,
  target: Revision,
  presentManifest: string,
  { change, namespace, served, rehearsal, renewals = [] }: ReleasePlanInputs,
): PlanFinding[] {
  const gone = unserved(read(target.manifest), namespace, served).map(({ names, kind }) =>
    finding(
      'RemovedApi',
      `${kind} is not served by this API server (any more), so ${change === 'deploy' ? 'the chart' : `revision ${target.revision}`} cannot be applied: ${names}. ` +
        'Install its definition again, or deploy a version of the chart without it.',
    ),
  );
  const renewed = renewals.flatMap((renewal) => renewalFindings(renewal));
  if (rehearsal?.outcome === 'completed') return [...gone, ...renewed];
  const inPresent = unserved(read(presentManifest), namespace, served).map(({ names, kind }) =>
    finding(
      'RemovedApiInPresent',
      `${kind} is not served by this API server (any more), and Helm must read the present manifest to change the release: ${names}. Install its definition again.`,
    ),
  );
  return [...gone, ...renewed, ...inPresent];
}

/** These findings are momentary: after a killed run, the record may already be renewed. */
function renewalFindings({ revision, lost }: RecordRenewal): PlanFinding[] {
  return lost.map((kind) => {
    const code = kind.servedAs === undefined ? 'OmittedApi' : 'RenewedApi';
    return finding(code, renewalWords(kind, revision), { isMomentary: true });
  });
}

function unserved(
  objects: readonly KubeObject[],
  namespace: string,
  served: ServedKinds,
): { kind: string; names: string }[] {
  const names = new Map<string, string[]>();
  for (const { ref } of placedObjects(objects, namespace, served).values()) {
    if (served.get(servedKey(ref))?.isServed !== false) continue;
    const kind = `${ref.kind} of ${ref.apiVersion}`;
    names.set(kind, [...(names.get(kind) ?? []), objectName(ref)]);
  }
  return [...names].map(([kind, all]) => ({ kind, names: someNames(all, namedAtMost) }));
}

const namedAtMost = 10;

export function rehearsalFindings(
  rehearsal: Rehearsal | undefined,
  all: readonly Candidate[],
  inputs: ReleasePlanInputs,
  target: Revision,
): PlanFinding[] {
  if (rehearsal === undefined) {
    // The plan of a deploy says what cannot be foreseen.
    if (inputs.deploy !== undefined && inputs.deploy.unforeseen !== '') return [];
    return [
      finding('RehearsalMissing', `The ${inputs.change} was not rehearsed, so nobody knows what Helm would really do.`),
    ];
  }
  return [
    ...failure(rehearsal, all, inputs),
    ...refusedWrites(rehearsal),
    ...unforeseen(rehearsal, all, inputs),
    ...beside(rehearsal),
    ...strays(all, inputs),
    ...recordDeletions(rehearsal, inputs, target),
  ];
}

function failure(rehearsal: Rehearsal, all: readonly Candidate[], inputs: ReleasePlanInputs): PlanFinding[] {
  if (rehearsal.outcome === 'completed') return [];
  const answer = sentence(shortened(rehearsal.message, 1000) || 'Helm gave no reason');
  const message = `The rehearsal of the ${inputs.change} ${outcomeWords(inputs.change)[rehearsal.outcome]}: ${answer}`;
  return [finding('RehearsalFailed', message + outsideLast(rehearsal, all, inputs) + immutable(rehearsal.message))];
}

/** The API server refuses new values for some fields, for example the pod template of a Job. */
export function immutable(answer: string): string {
  return /\bimmutable\b|updates to statefulset spec for fields other than|may not change once set/i.test(answer)
    ? ' This field cannot be changed in place. If the object may be deleted, delete it by hand first.'
    : '';
}

function outcomeWords(change: PlannedChange): Record<Exclude<Rehearsal['outcome'], 'completed'>, string> {
  return {
    failed: `failed, and the real ${change} would fail too`,
    timedOut: `did not end in time, and the real ${change} would not either`,
    cancelled: 'was cancelled',
  };
}

/** Helm before 3.22 and before 4.2 stops at a live object of the target that the last revision does not declare. */
function outsideLast({ message }: Rehearsal, all: readonly Candidate[], { helm }: ReleasePlanInputs): string {
  if (helm.rules.adoptsObjectsOutsideLastManifest) return '';
  const names = all
    .filter(({ target, live, base, ref }) => target && live && base === undefined && message.includes(`"${ref.name}"`))
    .map(({ ref }) => objectName(ref));
  if (names.length === 0) return '';
  const [exist, object] = names.length === 1 ? ['exists', 'it'] : ['exist', 'them'];
  return ` ${someNames(names, namedAtMost)} ${exist}, but the present revision does not declare ${object}. Helm ${helm.version} stops there; Helm from 3.22 and from 4.2 on does not.`;
}

function refusedWrites(rehearsal: Rehearsal): PlanFinding[] {
  return (
    rehearsedRefusals(rehearsal)
      .filter(({ verb, refusal }) => !(verb === 'delete' && refusal?.status === 404))
      // Helm retries such a request.
      .filter(({ refusal }) => refusal?.status !== 429)
      .filter(({ refusal }) => !isQuoted(rehearsal, refusal?.message ?? ''))
      .map((write) => {
        const name = nameOf(write);
        const answer = sentence(shortened(withoutObjects(write.refusal?.message ?? '')) || 'no reason given');
        const message = `The API server refuses to ${write.verb} ${name}: ${answer}${immutable(answer)}`;
        return finding('WriteRefused', message, { object: name });
      })
  );
}

/** Helm's error message may already quote the answer. */
function isQuoted({ outcome, message }: Rehearsal, answer: string): boolean {
  return outcome === 'failed' && answer !== '' && withoutObjects(message).includes(withoutObjects(answer));
}

function nameOf({ ref, resource }: RehearsedWrite): string {
  return objectName({ kind: ref.kind || resource, name: ref.name || '(unnamed)' });
}

const distrust = 'A genuine Helm does not do that: do not trust this binary.';

function clientOf({ client }: RehearsedWrite): string {
  return shortened(client, 60) || 'an unknown client';
}

/** A genuine Helm writes only objects that a revision of the release declares. */
function unforeseen(rehearsal: Rehearsal, all: readonly Candidate[], { change }: ReleasePlanInputs): PlanFinding[] {
  const known = new Set(all.filter((one) => one.target ?? one.base ?? one.last ?? one.earlier).map(({ key }) => key));
  const found = new Map<string, PlanFinding>();
  for (const write of rehearsal.writes) {
    // A refused write has no effect, and the name of a record that Helm could not create is not known.
    if (write.effect === 'refused') continue;
    const name = nameOf(write);
    const key = `${apiGroup(write.ref.apiVersion)}/${write.ref.kind}/${write.ref.namespace ?? ''}/${write.ref.name}`;
    if (known.has(key)) continue;
    const where = write.ref.namespace === undefined ? '' : ` in namespace ${write.ref.namespace}`;
    const message = `In the rehearsal, ${clientOf(write)} tried to ${write.verb} ${name}${where}, which no revision ${change === 'deploy' ? 'and not the chart' : 'since the target'} declares. ${distrust}`;
    const code = write.effect === 'deleted' ? 'UnforeseenDeletion' : 'UnforeseenWrite';
    found.set(`${write.verb} ${key}`, finding(code, message, { object: name }));
  }
  return [...found.values()];
}

/** Helm never writes a subresource: no scale, no status, no token of a ServiceAccount. */
function beside(rehearsal: Rehearsal): PlanFinding[] {
  return rehearsal.writes
    .filter(({ subresource }) => subresource !== undefined && subresource !== 'eviction')
    .map((write) => {
      const name = nameOf(write);
      const message = `In the rehearsal, ${clientOf(write)} tried to ${write.verb} the ${write.subresource ?? ''} of ${name}. ${distrust}`;
      return finding('UnforeseenWrite', message, { object: name });
    });
}

function strays(all: readonly Candidate[], { change, strays: found }: ReleasePlanInputs): PlanFinding[] {
  const { target } = wordsOf(change);
  return all.flatMap(({ key, ref }) => {
    const fields = found?.get(key);
    if (fields === undefined) return [];
    const name = objectName(ref);
    const message = `In the rehearsal, the result of ${name} differed from ${target}: ${fields}. ${distrust}`;
    return [finding('UnforeseenWrite', message, { object: name })];
  });
}

/** Helm prunes its oldest records, but never the target's record or a newer one. */
function recordDeletions(rehearsal: Rehearsal, { release }: ReleasePlanInputs, target: Revision): PlanFinding[] {
  return rehearsal.storage
    .filter(({ verb, name }) => verb === 'delete' && (storedRevision(release, name) ?? Infinity) >= target.revision)
    .map(({ name }) =>
      finding('UnforeseenDeletion', `In the rehearsal, Helm's own record ${name} was deleted. ${distrust}`, {
        object: name,
      }),
    );
}

export function objectFindings(judged: readonly Judged[], inputs: ReleasePlanInputs): PlanFinding[] {
  const targetUids = new Set(
    judged.filter(({ object }) => object.isInTarget && object.uid !== '').map(({ object }) => object.uid),
  );
  return [
    ...judged.flatMap((one) => deletionFindings(one, targetUids, inputs)),
    ...tooMany(judged, inputs),
    ...judged.flatMap((one) => ownerFindings(one, inputs)),
    ...judged.flatMap((one) => beingDeleted(one, inputs)),
    ...judged.flatMap((one) => predictionFindings(one, inputs)),
    ...judged.flatMap((one) => workloadFindings(one, inputs)),
    ...judged.flatMap(({ object }) => driftFindings(object, inputs)),
    ...orphans(judged, inputs),
    ...jobs(judged, inputs),
  ];
}

function deletionFindings(
  { candidate, object }: Judged,
  targetUids: ReadonlySet<string>,
  { change, policy }: ReleasePlanInputs,
): PlanFinding[] {
  const name = objectName(object);
  const isTargets = object.isInTarget || targetUids.has(object.uid);
  if (candidate.isRecreated || (object.fate === 'deleted' && isTargets)) {
    const message = `${atStart(wordsOf(change).target)} declares ${name}, but Helm deletes it. ${object.reason}`;
    return [finding('DeletesTargetObject', message, { object: name })];
  }
  if (object.fate !== 'deleted') return [];
  const code = deletionCode(candidate.ref, candidate.live);
  if (code === undefined) return [];
  const message = `${name} is deleted: ${deletionHazards[code]}${instanceWords(candidate, object)}`;
  return [finding(code, message, { object: name, allowed: policy.allow.includes(code) })];
}

function instanceWords({ ref, instances }: Candidate, { goWithIt }: PlannedObject): string {
  if (!isDefinition(ref)) return '';
  if (instances === undefined || instances === 'unread')
    return ' The task could not read which objects of that kind exist.';
  if (instances.length === 0) return ' There are none now.';
  const names = someNames(goWithIt, namedAtMost);
  return ` There ${instances.length === 1 ? 'is' : 'are'} ${objectCount(instances.length)} now: ${names}.`;
}

type DeletionCode = Extract<FindingCode, `Deletes${string}`> & keyof typeof deletionHazards;

const deletionHazards = {
  DeletesPersistentVolumeClaim: 'the data of its volumes may be lost.',
  DeletesPersistentVolume: 'its data may be lost.',
  DeletesNamespace: 'everything in it is deleted too.',
  DeletesCustomResourceDefinition: 'all objects of that kind, in all namespaces, are deleted too.',
  DeletesCustomResource: 'its operator may delete what it manages for it.',
} as const;

function deletionCode(ref: ObjectRef, live: Candidate['live']): DeletionCode | undefined {
  switch (`${apiGroup(ref.apiVersion)}/${ref.kind}`) {
    case '/PersistentVolumeClaim':
      return 'DeletesPersistentVolumeClaim';
    case '/PersistentVolume':
      return 'DeletesPersistentVolume';
    case '/Namespace':
      return 'DeletesNamespace';
    case 'apiextensions.k8s.io/CustomResourceDefinition':
      return 'DeletesCustomResourceDefinition';
    case 'apps/StatefulSet':
      return textAt(live, 'spec', 'persistentVolumeClaimRetentionPolicy', 'whenDeleted') === 'Delete'
        ? 'DeletesPersistentVolumeClaim'
        : undefined;
    default:
      return isCustomResource(ref) ? 'DeletesCustomResource' : undefined;
  }
}

function tooMany(judged: readonly Judged[], { change, policy }: ReleasePlanInputs): PlanFinding[] {
  const deletions = judged.filter(({ object }) => object.fate === 'deleted').length;
  if (deletions <= policy.maxDeletions) return [];
  const message = `The ${change} deletes ${objectCount(deletions)}, but maxDeletions is ${policy.maxDeletions}.`;
  return [finding('TooManyDeletions', message, { allowed: policy.allow.includes('TooManyDeletions') })];
}

function ownerFindings({ candidate, object }: Judged, { change, policy }: ReleasePlanInputs): PlanFinding[] {
  const { owner, live } = candidate;
  if (owner === undefined || (object.fate !== 'takenOver' && object.fate !== 'deleted')) return [];
  const name = objectName(object);
  const what = object.fate === 'deleted' ? 'is deleted' : 'is taken over';
  if (isOwnedByRelease(live)) {
    const message = `${name} belongs to ${owner} now, and ${what} by this ${change}.`;
    return [finding('OwnedByAnother', message, { object: name, allowed: policy.allow.includes('OwnedByAnother') })];
  }
  return [
    finding('TakesOverUnowned', `${name} belongs to no release, and ${what} by this ${change}.`, { object: name }),
  ];
}

function beingDeleted({ candidate: { live, target }, object }: Judged, { change }: ReleasePlanInputs): PlanFinding[] {
  const since = live?.metadata.deletionTimestamp;
  if (since === undefined || target === undefined) return [];
  const holders = at(live, 'metadata', 'finalizers');
  const held = Array.isArray(holders) && holders.length > 0 ? ` (it waits for ${shortened(holders.join(', '))})` : '';
  const name = objectName(object);
  const message = `${atStart(wordsOf(change).target)} declares ${name}, but its deletion began at ${since}${held}. A deletion cannot be undone, so what Helm writes to it is lost too.`;
  return [finding('BeingDeleted', message, { object: name })];
}

function predictionFindings({ candidate, object }: Judged, { rehearsal, helm }: ReleasePlanInputs): PlanFinding[] {
  if (rehearsal?.outcome !== 'completed') return [];
  const name = objectName(object);
  const { dropped, predicted, live, unforeseen: unknown, write } = candidate;
  // The task itself deletes data, and an object of a new kind is not known to the API server yet.
  if (dropped !== undefined || unknown !== undefined) return [];
  if (object.fate === 'created' && write === undefined) {
    return [
      finding('PredictionDiffers', `${name} does not exist, and Helm did not create it in the rehearsal.`, {
        object: name,
      }),
    ];
  }
  // Helm creates an object of the target before it deletes it, so it counts as live.
  const isForeseen = predicted !== undefined && (live ?? candidate.target) !== undefined && !isKeptByPolicy(live);
  if (isForeseen === (object.fate === 'deleted')) return [];
  const message = isForeseen
    ? `Helm ${helm.version} should delete ${name}, but did not do so in the rehearsal.`
    : `Helm ${helm.version} should not delete ${name}, but did so in the rehearsal.`;
  return [finding('PredictionDiffers', message, { object: name })];
}

function workloadFindings({ candidate, object }: Judged, inputs: ReleasePlanInputs): PlanFinding[] {
  const { ref, live, target, isAutoscaled, write } = candidate;
  if (target === undefined) return [];
  const name = objectName(object);
  const kept = inputs.kept?.find((field) => objectKey(field.ref) === candidate.key)?.words;
  if (isClaim(ref)) return kept === undefined ? [] : [finding('ClaimKeepsSize', kept, { object: name })];
  const findings: PlanFinding[] = [
    ...(isAutoscaled ? scaleFindings(name, { target, live, kept }, inputs) : []),
    ...heldFindings(name, candidate, inputs),
  ];
  if (!isStatefulSet(ref)) return findings;
  return [
    ...findings,
    ...volumeFindings(ref, target, live, inputs.claims),
    ...trapFindings({ candidate, object }, write?.object ?? live, inputs),
  ];
}

/** Pods can stay those of the present revision, whatever the template is. */
function heldFindings(
  name: string,
  candidate: Candidate,
  { change, rehearsal, policy }: ReleasePlanInputs,
): PlanFinding[] {
  const { ref, live, target } = candidate;
  if (live === undefined || target === undefined) return [];
  const after = afterOf(candidate, rehearsal?.outcome === 'completed');
  const hold = podHold(after ?? target);
  if (hold === undefined) return [];
  const isByHand = !isDeclaredHold(hold, target);
  const changes = changesPods(ref, { live, target, ...(after && { after }) });
  return heldFinding(name, { change, live, hold, isByHand, changes, policy });
}

/** `changes`: the pod template is changed. */
export function heldFinding(
  name: string,
  facts: {
    change: PlannedChange;
    live: KubeObject;
    hold: PodHold;
    isByHand: boolean;
    changes: boolean;
    policy: RollbackPolicy;
  },
): PlanFinding[] {
  const { change, live, hold, isByHand, changes, policy } = facts;
  const held = podsHeldBack(live);
  if (!changes && held === 0) return [];
  const allowed = policy.allow.includes('PodsHeldBack');
  const which = changes
    ? 'its pods keep the template of the present revision'
    : counted(
        held,
        'pod of it has an earlier template and keeps it',
        'of its pods have an earlier template and keep it',
      );
  const origin = isByHand ? ` This was set by hand; ${wordsOf(change).target} does not declare it.` : '';
  const message = `${name}: ${hold.why}: ${which}.${origin} ${heldWay(change, isByHand, allowed)}`;
  return [finding('PodsHeldBack', message, { object: name, allowed, isMomentary: !changes })];
}

function heldWay(change: PlannedChange, isByHand: boolean, allowed: boolean): string {
  if (change === 'deploy') return 'The deploy does not change that.';
  if (!isByHand)
    return `${allowed ? 'The' : 'With allow, the'} task waits until somebody has replaced the pods, and fails if nobody does so within timeout.`;
  return allowed
    ? 'The task undoes that after the rollback.'
    : 'Undo that first, or let the task undo it after the rollback.';
}

/** The number that an autoscaler has set is momentary; that Helm sets another number is not. */
function scaleFindings(
  name: string,
  { target, live, kept }: { target: KubeObject; live: Candidate['live']; kept: string | undefined },
  { change }: ReleasePlanInputs,
): PlanFinding[] {
  const declared = at(target, 'spec', 'replicas');
  if (declared === undefined) return [];
  const message = `An autoscaler scales ${name}, and ${wordsOf(change).target} declares replicas: that number applies until the autoscaler changes it.`;
  const note = finding('ReplicasUnderAutoscaler', kept ?? message, { object: name });
  if (kept !== undefined) return [note];
  const now = numberAt(live, 'spec', 'replicas');
  if (typeof declared !== 'number' || now <= declared) return [note];
  const less = `The autoscaler of ${name} has set ${counted(now, 'replica', 'replicas')}, and the ${change} sets ${declared}: that number applies until the autoscaler changes it.`;
  return [finding('ScalesDown', less, { object: name, isMomentary: true }), note];
}

function trapFindings(
  judged: Judged,
  after: Candidate['live'],
  { change, pods, policy }: ReleasePlanInputs,
): PlanFinding[] {
  const { live } = judged.candidate;
  if (live === undefined || after === undefined || !canTrap(after)) return [];
  return trapFinding(
    objectName(judged.object),
    trappedPods(live, pods, judged.object.restartsPods).map(({ metadata }) => metadata.name),
    { change, policy },
  );
}

/** The finding is momentary, because pods come and go. */
export function trapFinding(
  name: string,
  pods: readonly string[],
  { change, policy }: Pick<ReleasePlanInputs, 'change' | 'policy'>,
): PlanFinding[] {
  if (pods.length === 0) return [];
  const byHand = `delete them by hand after the ${change}.`;
  const way = policy.allowPodDelete
    ? 'they are deleted after the rollback (allowPodDelete).'
    : change === 'deploy'
      ? byHand
      : `set allowPodDelete, or ${byHand}`;
  const message = `${name} does not replace pods that are not ready (kubernetes#67250): ${someNames(pods, namedAtMost)}; ${way}`;
  return [finding('StatefulSetTrap', message, { object: name, isMomentary: true })];
}

function driftFindings(object: PlannedObject, { change }: ReleasePlanInputs): PlanFinding[] {
  if (object.drift.length === 0) return [];
  const name = objectName(object);
  const paths = someNames(object.drift.map(({ path }) => path));
  return [
    finding(
      'DriftUndone',
      `${name} was changed after it was deployed, and the ${change} undoes that: ${shortened(paths)}.`,
      { object: name },
    ),
  ];
}

function orphans(judged: readonly Judged[], { change }: ReleasePlanInputs): PlanFinding[] {
  const names = judged.filter(({ object }) => object.fate === 'orphaned').map(({ object }) => objectName(object));
  if (names.length === 0) return [];
  return [
    finding(
      'Orphaned',
      `These objects remain after the ${change}, although no manifest declares them any more: ${someNames(names, namedAtMost)}.`,
    ),
  ];
}

function jobs(judged: readonly Judged[], { change }: ReleasePlanInputs): PlanFinding[] {
  return judged
    .filter(({ object }) => object.mayRunAgain && object.fate !== 'deleted')
    .map(({ object }) => {
      const name = objectName(object);
      const message = `${name} is removed some time after it has ended. If that happens before the ${change}, it runs again.`;
      return finding('JobMayRunAgain', message, { object: name });
    });
}
