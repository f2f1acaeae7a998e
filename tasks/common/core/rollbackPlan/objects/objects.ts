import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { apiGroup, isSecret } from '../../kubernetes/manifest';
import { podHold } from '../../rollout/heldPods';
import { at, listAt } from '../../kubernetes/read';
import { isSame } from '../../kubernetes/sameValue';
import type { Candidate } from './candidates';
import { changesOf, type Difference } from '../../kubernetes/fieldDifferences';
import { pathText, valueAt } from '../../kubernetes/fieldPath';
import { isAsDeclared } from '../model/changes';
import { canonicalJson, comparable } from '../model/comparable';
import { contentOf, lastingChanges } from './content';
import { instanceNames, instanceUids } from '../model/definitions';
import { fieldChanges, fieldValues, shown } from './fields';
import { declarationsOf, foreignMarks, withoutMarks } from './foreignMarks';
import { hidden, secretKeys, type ObjectStates } from './hiddenSecrets';
import { imageChanges } from './images';
import { pluralOf } from '../model/places';
import { textDiff, type TextDiff } from '../../text/textDiff';
import type { PlannedDrift, ObjectFate, PlannedObject, Seal, ServedKinds, Sha256 } from '../model/types';

/** Helm deletes these early: they could keep the target from becoming healthy (measured with a ResourceQuota). */
const restraining = new Set([
  '/ResourceQuota',
  '/LimitRange',
  'networking.k8s.io/NetworkPolicy',
  'autoscaling/HorizontalPodAutoscaler',
  'policy/PodDisruptionBudget',
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration',
  'admissionregistration.k8s.io/MutatingWebhookConfiguration',
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy',
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding',
  'admissionregistration.k8s.io/MutatingAdmissionPolicy',
  'admissionregistration.k8s.io/MutatingAdmissionPolicyBinding',
]);

/** Helm's update compares exactly (pkg/kube/client.go); its uninstall is less strict. */
export function isKeptByPolicy(live: KubeObject | undefined): boolean {
  return live?.metadata.annotations?.['helm.sh/resource-policy'] === 'keep';
}

interface Circumstances {
  /** True if Helm completed the rehearsal. */
  isRehearsed: boolean;
  served: ServedKinds;
  sha256: Sha256;
  seal: Seal | undefined;
}

/** Undefined if the rollback does not concern the object. */
export function plannedObject(
  candidate: Candidate,
  { isRehearsed, served, sha256, seal }: Circumstances,
): PlannedObject | undefined {
  const { ref, target, write } = candidate;
  const declarations = declarationsOf(candidate);
  const bare = bareStates(candidate, declarations, isRehearsed);
  const states = hidden(bare);
  const changes = changesIn(states);
  const lasting = lastingChanges(changes, declarations);
  const keys = isSecret(ref) && target !== undefined ? secretKeys(states.live, states.after ?? states.target) : [];
  const fate = fateOf(candidate, isRehearsed, changes.length + keys.length > 0);
  if (fate === undefined) return undefined;
  const isWritten = fate === 'patched' || fate === 'takenOver';
  const identity = identityOf(candidate, served);
  const mayRunAgain = target !== undefined && isPassingJob(target);
  const instances = instanceUids(candidate.instances);
  const digest = (content: unknown): string => (seal ?? sha256)(canonicalJson(content));
  return {
    ...identity,
    isRehearsed: isRehearsed && (write !== undefined || fate !== 'created'),
    fate,
    reason: reasonOf(candidate, fate, isRehearsed),
    secretKeys: keys,
    fields: mayRunAgain ? [] : fieldValues(states, { changes: lasting, fate, seal, sha256, bare }),
    mayRunAgain,
    revisions: null,
    contentDigest: digest(
      contentOf(states, { changes: lasting, fate, mayRunAgain, uid: identity.uid, instances, sealed: seal && bare }),
    ),
    podTemplateDigest: '',
    ...(isWritten ? writtenFacts(ref, states, changes, lasting) : unwritten),
    ...(fate === 'deleted' ? deletionFacts(candidate) : { goWithIt: [], deletedBy: '' }),
  };
}

function bareStates(candidate: Candidate, declarations: readonly KubeObject[], isRehearsed: boolean): ObjectStates {
  const { live, target, last, isAutoscaled } = candidate;
  const after = afterOf(candidate, isRehearsed);
  const isForeign = foreignMarks(live, after, declarations);
  const states = Object.entries({ target, last, live, after }).flatMap(([name, object]) =>
    object === undefined ? [] : [[name, withoutMarks(comparable(object, isAutoscaled), isForeign)]],
  );
  return Object.fromEntries(states) as ObjectStates;
}

type Identity = Pick<PlannedObject, 'apiVersion' | 'kind' | 'resource' | 'namespace' | 'name' | 'owner'> &
  Pick<PlannedObject, 'uid' | 'isLive' | 'isInLast' | 'isInTarget'>;

function identityOf({ ref, write, live, last, target, owner = '' }: Candidate, served: ServedKinds): Identity {
  const { apiVersion, kind, namespace = '', name } = ref;
  return {
    apiVersion,
    kind,
    resource: pluralOf(ref, served) || (write?.resource ?? ''),
    namespace,
    name,
    owner,
    uid: live?.metadata.uid ?? write?.uid ?? '',
    isLive: live !== undefined,
    isInLast: last !== undefined,
    isInTarget: target !== undefined,
  };
}

function deletionFacts({ ref, instances, live }: Candidate): Pick<PlannedObject, 'goWithIt' | 'deletedBy'> {
  const isRestraining = restraining.has(`${apiGroup(ref.apiVersion)}/${ref.kind}`);
  return { goWithIt: instanceNames(instances, live), deletedBy: isRestraining ? 'helm' : 'task' };
}

type WrittenFacts = Pick<PlannedObject, 'diff' | 'diffCut' | 'drift' | 'changes' | 'images' | 'restartsPods'>;

const unwritten: WrittenFacts = { diff: [], diffCut: 0, drift: [], changes: [], images: [], restartsPods: false };

function writtenFacts(
  ref: ObjectRef,
  states: ObjectStates,
  changes: readonly Difference[],
  lasting: readonly Difference[],
): WrittenFacts {
  const { lines, cut } = diffOf(states);
  return {
    diff: lines,
    diffCut: cut,
    drift: driftOf(changes, states),
    changes: fieldChanges(states, lasting),
    images: imageChanges(states.live, states.after ?? states.target),
    restartsPods: restartsPods(ref, states),
  };
}

/** Undefined if the object will not exist, or if the result is not known. */
export function afterOf({ write, live, target }: Candidate, isRehearsed: boolean): KubeObject | undefined {
  if (write?.effect === 'deleted') return undefined;
  if (write?.object !== undefined) return write.object;
  return isRehearsed && target !== undefined ? live : undefined;
}

function changesIn({ live, after, target }: ObjectStates): Difference[] {
  if (live === undefined) return [];
  if (after !== undefined) return changesOf(live, after);
  if (target === undefined) return [];
  return changesOf(live, target).filter(({ path, after: wanted }) => {
    return wanted !== undefined && !isAsDeclared(wanted, valueAt(live, path));
  });
}

function diffOf({ live, after, last, target }: ObjectStates): TextDiff {
  return after === undefined ? textDiff(last ?? live, target) : textDiff(live, after);
}

function fateOf(candidate: Candidate, isRehearsed: boolean, isChanged: boolean): ObjectFate | undefined {
  const { live, target, last, base, owner } = candidate;
  if (isDeleted(candidate, isRehearsed)) return 'deleted';
  if (live === undefined) return target === undefined ? undefined : 'created';
  if (target !== undefined) {
    if (owner !== undefined) return 'takenOver';
    return isChanged || candidate.isRecreated ? 'patched' : 'kept';
  }
  const wasOurs = last !== undefined || base !== undefined;
  if (!wasOurs && owner !== undefined) return undefined;
  return isKeptByPolicy(live) ? 'keptByPolicy' : 'orphaned';
}

function isDeleted({ write, live, target, predicted }: Candidate, isRehearsed: boolean): boolean {
  if (write?.effect === 'deleted') return true;
  if (isRehearsed || write !== undefined) return false;
  // Helm creates an object of the target before it deletes it, so it counts as live.
  return predicted !== undefined && (live ?? target) !== undefined && !isKeptByPolicy(live);
}

function reasonOf(candidate: Candidate, fate: ObjectFate, isRehearsed: boolean): string {
  const { target, owner, predicted, isRecreated } = candidate;
  const known = owner === undefined ? '' : ` It belongs to ${owner}.`;
  switch (fate) {
    case 'deleted':
      return deletionReason(candidate) + known;
    case 'created':
      return creationReason(candidate, isRehearsed);
    case 'patched':
      return isRecreated ? 'Helm deletes it and creates it again.' : '';
    case 'takenOver':
      return `It belongs to ${owner ?? 'another'}.`;
    case 'keptByPolicy':
      return `Its helm.sh/resource-policy is keep.${known}`;
    case 'orphaned':
      if (predicted !== undefined) return `No manifest declares it any more, but Helm did not delete it.${known}`;
      return `An earlier revision created it, and no manifest that Helm compares declares it.${known}`;
    case 'kept':
      return target === undefined ? '' : known.trim();
  }
}

function creationReason({ last, write }: Candidate, isRehearsed: boolean): string {
  if (isRehearsed && write === undefined) return 'The target declares it, but Helm did not create it in the rehearsal.';
  return last === undefined ? '' : 'The present revision declares it too, but it does not exist.';
}

function deletionReason({ target, last, base, earlier, predicted }: Candidate): string {
  if (predicted === 'versionChanged' || predicted === 'groupChanged') {
    const what = predicted === 'versionChanged' ? 'API version' : 'API group';
    return `The target declares it in another ${what}; this Helm takes that for another object and deletes what it has just written.`;
  }
  if (target !== undefined) return 'The target declares it, but this Helm deletes it anyway.';
  if (last !== undefined) return 'The present revision declares it, the target does not.';
  if (base !== undefined || earlier !== undefined)
    return 'A revision after the target created it; the target does not declare it.';
  return 'No revision since the target declares it.';
}

function driftOf(changes: readonly Difference[], { last, target }: ObjectStates): PlannedDrift[] {
  if (last === undefined) return [];
  return changes.flatMap((change) => {
    const declared = valueAt(last, change.path);
    if (declared === undefined) return [];
    const wanted = valueAt(target, change.path);
    const isAsBefore = isAsDeclared(declared, wanted) && isAsDeclared(wanted, declared);
    if (!isAsBefore && isAsDeclared(declared, change.before)) return [];
    return [{ path: pathText(change.path), live: shown(change.before), becomes: shown(change.after) }];
  });
}

function restartsPods(ref: ObjectRef, states: ObjectStates): boolean {
  const hold = podHold(states.after ?? states.target);
  return changesPods(ref, states) && (hold === undefined || hold.isPartial);
}

export function changesPods(ref: { apiVersion: string; kind: string }, { live, after, target }: ObjectStates): boolean {
  const template = at(live, 'spec', 'template');
  if (!makesPods(ref, after ?? target)) return false;
  if (after === undefined) return !isAsDeclared(at(target, 'spec', 'template'), template);
  return !isSame(template, at(after, 'spec', 'template'));
}

const noReplacing = new Set(['batch/Job', 'batch/CronJob', 'apps/ReplicaSet', '/ReplicationController']);

/** True also for custom resources with a pod template, such as rollouts. */
export function makesPods(ref: { apiVersion: string; kind: string }, object: KubeObject | undefined): boolean {
  if (noReplacing.has(`${apiGroup(ref.apiVersion)}/${ref.kind}`)) return false;
  return listAt(object, 'spec', 'template', 'spec', 'containers').length > 0;
}

function isPassingJob(object: KubeObject): boolean {
  return (
    apiGroup(object.apiVersion) === 'batch' &&
    object.kind === 'Job' &&
    at(object, 'spec', 'ttlSecondsAfterFinished') !== undefined
  );
}
