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
import { atStart, wordsOf, type ChangeWords } from '../model/words';
import type { ObjectFate, PlannedChange, PlannedDrift, PlannedObject, Seal, ServedKinds, Sha256 } from '../model/types';
import { withoutGenerated } from './generated';

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
  change: PlannedChange;
  /** False if the last revision failed, so that a difference from it is no change by hand. */
  isLastApplied: boolean;
  /** True if Helm completed the rehearsal. */
  isRehearsed: boolean;
  served: ServedKinds;
  sha256: Sha256;
  seal: Seal | undefined;
}

/** Undefined if the rollback does not concern the object. */
export function plannedObject(
  candidate: Candidate,
  { change, isLastApplied, isRehearsed, served, sha256, seal }: Circumstances,
): PlannedObject | undefined {
  const { generated, ref, target, write } = candidate;
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
    reason: reasonOf(candidate, fate, { words: wordsOf(change), isRehearsed }),
    secretKeys: keys,
    generated: generated.map(pathText),
    fields: mayRunAgain ? [] : fieldValues(states, { changes: lasting, fate, seal, sha256, bare }),
    mayRunAgain,
    revisions: null,
    contentDigest: digest(
      contentOf(states, { changes: lasting, fate, mayRunAgain, uid: identity.uid, instances, sealed: seal && bare }),
    ),
    podTemplateDigest: '',
    ...(isWritten ? writtenFacts(ref, states, changes, lasting) : unwritten),
    ...(isLastApplied ? {} : { drift: [] }),
    ...(fate === 'deleted' ? deletionFacts(candidate, change) : { goWithIt: [], deletedBy: '' }),
  };
}

function bareStates(candidate: Candidate, declarations: readonly KubeObject[], isRehearsed: boolean): ObjectStates {
  const { generated, live, target, last, isAutoscaled } = candidate;
  const after = afterOf(candidate, isRehearsed);
  const isForeign = foreignMarks(live, after, declarations);
  const states = Object.entries({ target, last, live, after }).flatMap(([name, object]) => {
    if (object === undefined) return [];
    const state = withoutMarks(comparable(object, isAutoscaled), isForeign);
    return [[name, name === 'target' || name === 'after' ? withoutGenerated(state, generated) : state]];
  });
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

function deletionFacts(
  { dropped, ref, instances, live }: Candidate,
  change: PlannedChange,
): Pick<PlannedObject, 'goWithIt' | 'deletedBy'> {
  const isRestraining = restraining.has(`${apiGroup(ref.apiVersion)}/${ref.kind}`);
  const isByHelm = change === 'deploy' ? dropped === undefined : isRestraining;
  return { goWithIt: instanceNames(instances, live), deletedBy: isByHelm ? 'helm' : 'task' };
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

function isDeleted({ dropped, write, live, target, predicted }: Candidate, isRehearsed: boolean): boolean {
  if (write?.effect === 'deleted' || (dropped === '' && live !== undefined)) return true;
  if (dropped !== undefined) return false;
  if (isRehearsed || write !== undefined) return false;
  // Helm creates an object of the target before it deletes it, so it counts as live.
  return predicted !== undefined && (live ?? target) !== undefined && !isKeptByPolicy(live);
}

interface Telling {
  words: ChangeWords;
  isRehearsed: boolean;
}

function reasonOf(candidate: Candidate, fate: ObjectFate, telling: Telling): string {
  const { dropped, target, owner, predicted, isRecreated } = candidate;
  const known = owner === undefined ? '' : ` It belongs to ${owner}.`;
  switch (fate) {
    case 'deleted':
      return deletionReason(candidate, telling.words) + known;
    case 'created':
      return creationReason(candidate, telling);
    case 'patched':
      return isRecreated ? 'Helm deletes it and creates it again.' : '';
    case 'takenOver':
      return `It belongs to ${owner ?? 'another'}.`;
    case 'keptByPolicy':
      return `Its helm.sh/resource-policy is keep.${known}`;
    case 'orphaned':
      if (dropped !== undefined) return `The chart no longer declares it, and it stays: ${dropped}.${known}`;
      if (predicted !== undefined) return `No manifest declares it any more, but Helm did not delete it.${known}`;
      return `An earlier revision created it, and no manifest that Helm compares declares it.${known}`;
    case 'kept':
      return target === undefined ? '' : known.trim();
  }
}

function creationReason({ last, write, unforeseen }: Candidate, { words, isRehearsed }: Telling): string {
  if (unforeseen !== undefined) return `It cannot be foreseen: ${unforeseen}.`;
  if (isRehearsed && write === undefined) {
    return `${atStart(words.target)} declares it, but Helm did not create it in the rehearsal.`;
  }
  return last === undefined ? '' : 'The present revision declares it too, but it does not exist.';
}

function deletionReason(
  { dropped, target, last, base, earlier, predicted }: Candidate,
  { target: what }: ChangeWords,
): string {
  if (dropped !== undefined) return `The present revision declares it, ${what} does not. It may hold data.`;
  if (predicted === 'versionChanged' || predicted === 'groupChanged') {
    const part = predicted === 'versionChanged' ? 'API version' : 'API group';
    return `${atStart(what)} declares it in another ${part}; this Helm takes that for another object and deletes what it has just written.`;
  }
  if (target !== undefined) return `${atStart(what)} declares it, but this Helm deletes it anyway.`;
  if (last !== undefined) return `The present revision declares it, ${what} does not.`;
  if (base !== undefined || earlier !== undefined)
    return what === 'the target'
      ? 'A revision after the target created it; the target does not declare it.'
      : `An earlier revision created it; ${what} does not declare it.`;
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
