import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { apiGroup, objectName } from '../../kubernetes/manifest';
import { at, isTrue, listAt, numberAt, ordinalOf, textAt } from '../../kubernetes/read';
import { isAsDeclared } from '../model/changes';
import { finding, type PlanFinding } from '../model/findings';

export function isStatefulSet(ref: { apiVersion: string; kind: string }): boolean {
  return ref.kind === 'StatefulSet' && apiGroup(ref.apiVersion) === 'apps';
}

/** Returns true for a pod of one of the sets. A namespace may have many thousands of other pods. */
export function isPodOf(sets: readonly KubeObject[]): (pod: KubeObject) => boolean {
  const uids = new Set(sets.flatMap(({ metadata }) => metadata.uid ?? []));
  return ({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uids.has(uid)) === true;
}

/** Returns true for a claim whose name is made from one of these sets. */
export function isNamedByOne(sets: readonly KubeObject[]): (claim: KubeObject) => boolean {
  const ends = [...new Set(sets.map(({ metadata }) => `-${metadata.name}`))];
  return ({ metadata: { name } }) => {
    const place = name.replace(/-\d+$/, '');
    return place !== name && ends.some((end) => place.endsWith(end));
  };
}

/** A set with ordered pods waits until a pod of a bad revision is ready before it replaces it (kubernetes#67250). */
export function canTrap(set: KubeObject): boolean {
  const policy = textAt(set, 'spec', 'podManagementPolicy') || 'OrderedReady';
  const strategy = textAt(set, 'spec', 'updateStrategy', 'type') || 'RollingUpdate';
  return isStatefulSet(set) && policy === 'OrderedReady' && strategy === 'RollingUpdate';
}

/** `restarts`: the rollback changes the pod template. */
export function trappedPods(live: KubeObject, pods: readonly KubeObject[], restarts: boolean): KubeObject[] {
  if (!canTrap(live)) return [];
  const current = textAt(live, 'status', 'currentRevision');
  const update = textAt(live, 'status', 'updateRevision');
  const partition = numberAt(live, 'spec', 'updateStrategy', 'rollingUpdate', 'partition');
  return pods.filter((pod) => {
    const isOwn = isPodOf([live])(pod);
    if (!isOwn || isTrue(pod, 'Ready') || pod.metadata.deletionTimestamp !== undefined) return false;
    if (ordinalOf(pod) < partition) return false;
    const revision = pod.metadata.labels?.['controller-revision-hash'] ?? '';
    // A pod of the old revision needs no replacement, unless the rollback makes a third template.
    return restarts ? revision !== current || current === update : revision !== update;
  });
}

/** Claim templates cannot be changed, and existing claims do not follow them. */
export function volumeFindings(
  ref: ObjectRef,
  target: KubeObject,
  live: KubeObject | undefined,
  claims: readonly KubeObject[],
): PlanFinding[] {
  const templates = listAt(target, 'spec', 'volumeClaimTemplates');
  const name = objectName(ref);
  return [
    ...templateFindings(name, templates, live),
    ...templates.flatMap((template) =>
      claims
        .filter((claim) => isClaimOf(claim, ref, textAt(template, 'metadata', 'name')))
        .flatMap((claim) => claimFinding(name, template, claim)),
    ),
  ];
}

type Template = Readonly<Record<string, unknown>>;

function templateFindings(name: string, templates: readonly Template[], live: KubeObject | undefined): PlanFinding[] {
  if (live === undefined) return [];
  const present = listAt(live, 'spec', 'volumeClaimTemplates');
  const nameOf = (template: Template): string => textAt(template, 'metadata', 'name');
  const differing = templates.filter((template) => {
    const same = present.find((one) => nameOf(one) === nameOf(template));
    return same === undefined || volumeDifferences(template, same).length > 0;
  });
  const dropped = present.filter((one) => !templates.some((template) => nameOf(template) === nameOf(one)));
  const names = [...new Set([...differing, ...dropped].map(nameOf))];
  if (names.length === 0) return [];
  const message = `The claim templates of ${name} differ from the target (${names.join(', ')}), and the API server refuses to change them.`;
  return [finding('ClaimTemplatesDiffer', message, { object: name })];
}

function isClaimOf(claim: KubeObject, { namespace, name }: ObjectRef, template: string): boolean {
  const prefix = `${template}-${name}-`;
  const { metadata } = claim;
  return (
    metadata.namespace === namespace &&
    metadata.name.startsWith(prefix) &&
    /^\d+$/.test(metadata.name.slice(prefix.length))
  );
}

function claimFinding(name: string, template: Template, claim: KubeObject): PlanFinding[] {
  const differences = volumeDifferences(template, claim);
  if (differences.length === 0) return [];
  const message = `PersistentVolumeClaim/${claim.metadata.name} of ${name} differs from the target (${differences.join(', ')}), and the rollback does not change it.`;
  return [finding('ClaimsDiffer', message, { object: `PersistentVolumeClaim/${claim.metadata.name}` })];
}

const volumeFields: readonly [string, readonly string[]][] = [
  ['storage', ['spec', 'resources', 'requests', 'storage']],
  ['class', ['spec', 'storageClassName']],
  ['access modes', ['spec', 'accessModes']],
];

/** For example `storage 1Gi, is 2Gi`. */
function volumeDifferences(template: Template, claim: unknown): string[] {
  return volumeFields.flatMap(([word, path]) => {
    const declared = at(template, ...path);
    const is = at(claim, ...path);
    if (declared === undefined || isAsDeclared(declared, is)) return [];
    return [`${word} ${plain(declared)}, is ${plain(is)}`];
  });
}

function plain(value: unknown): string {
  return value === undefined ? 'absent' : typeof value === 'string' ? value : JSON.stringify(value);
}
