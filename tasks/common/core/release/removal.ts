import type { Hook } from './release';
import { apiGroup, objectKey, objectName, refOf } from '../kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { textAt } from '../kubernetes/read';
import { counted } from '../text/counted';
import { someNames } from '../text/someNames';

/** The fate of one object when its release is uninstalled. */
export interface Removal {
  ref: ObjectRef;
  /** The identity of the live object; undefined if there is none. */
  uid: string | undefined;
  fate: 'deleted' | 'absent' | 'kept';
  /** Why it stays; else empty. */
  why: string;
  /** Helm does not know the object, so the task deletes it once its pods are gone. */
  isLater?: true;
}

const uninstallEvents = ['pre-delete', 'post-delete'] as const;

/** Returns `Job/backup (pre-delete)` for each hook that will run, in no special order. */
export function deletionHooks(hooks: readonly Hook[]): string[] {
  return hooks.flatMap((hook) => {
    const events = uninstallEvents.filter((event) => hook.events.includes(event));
    return events.length === 0 ? [] : [`${objectName(hook)} (${events.join(', ')})`];
  });
}

/** The lines of the plan for the log. */
export function removalLines(removals: readonly Removal[], hooks: readonly string[]): string[] {
  const of = (fate: Removal['fate']): Removal[] => removals.filter((removal) => removal.fate === fate);
  return [
    ...hooks.map((hook) => `  runs    ${hook}`),
    ...of('deleted').map(({ ref }) => `  deletes ${objectName(ref)}`),
    ...of('absent').map(({ ref }) => `  (${objectName(ref)} does not exist)`),
    ...of('kept').map(({ ref, why }) => `  keeps   ${objectName(ref)}: ${why}`),
  ];
}

/** Few enough for one message. */
const namedAtMost = 10;

export function keptSentence(removals: readonly Removal[]): string {
  const kept = removals.filter(({ fate }) => fate === 'kept').map(({ ref }) => objectName(ref));
  return kept.length === 0
    ? ''
    : `${counted(kept.length, 'object stays', 'objects stay')}: ${someNames(kept, namedAtMost)}.`;
}

/** A clause that says why an object that was deleted is still there. */
export function hangingWords(object: KubeObject): string {
  const { deletionTimestamp, finalizers, name } = object.metadata;
  const what = objectName({ kind: object.kind, name });
  if (deletionTimestamp === undefined) return `${what} (its deletion has not begun)`;
  const since = `being deleted since ${deletionTimestamp.slice(11, 19)} UTC`;
  const held = Array.isArray(finalizers) ? finalizers.filter((one) => typeof one === 'string') : [];
  if (held.length > 0) return `${what} (${since}; finalizer ${held.join(', ')})`;
  const reasons = namespaceReasons(object);
  if (reasons !== '') return `${what} (${since}; ${reasons})`;
  const node = textAt(object, 'spec', 'nodeName');
  return `${what} (${since}${node === '' ? '' : `; its node ${node} has not ended it`})`;
}

/** The API server says of a namespace what keeps it. */
function namespaceReasons({ kind, status }: KubeObject): string {
  const conditions: unknown = (status as { conditions?: unknown } | undefined)?.conditions;
  if (kind !== 'Namespace' || !Array.isArray(conditions)) return '';
  return conditions
    .filter((condition) => textAt(condition, 'status') === 'True')
    .map((condition) => textAt(condition, 'message'))
    .join(' ');
}

/** Objects that every namespace has, and those that this extension makes itself. */
export function isOfEveryNamespace(object: KubeObject): boolean {
  const { apiVersion, kind, metadata } = object;
  const what = `${apiGroup(apiVersion)}/${kind}`;
  if (what === '/Event' || what === 'events.k8s.io/Event') return true;
  if (what === '/ServiceAccount') return metadata.name === 'default';
  if (what === '/ConfigMap' && metadata.name === 'kube-root-ca.crt') return true;
  if (what === '/Secret' && metadata.annotations?.['kubernetes.io/service-account.name'] === 'default') return true;
  return false;
}

/** Returns the objects of a namespace that are not the release's, and keep the namespace from being deleted. */
export function othersIn(objects: readonly KubeObject[], ours: ReadonlySet<string>): KubeObject[] {
  const uids = new Set(
    objects.flatMap((object) => (ours.has(objectKey(refOf(object))) ? (object.metadata.uid ?? []) : [])),
  );
  const isOurs = (object: KubeObject): boolean =>
    ours.has(objectKey(refOf(object))) || (object.metadata.ownerReferences ?? []).some(({ uid }) => uids.has(uid));
  return objects.filter((object) => !isOfEveryNamespace(object) && !isOurs(object));
}

/** Helm and Kubernetes need them, or others do. */
export const protectedNamespaces: ReadonlySet<string> = new Set([
  'default',
  'kube-system',
  'kube-public',
  'kube-node-lease',
]);
