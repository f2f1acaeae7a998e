import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject } from '../../core/kubernetes/object';
import { groupOf, type ApiTarget } from './apiRequest';

/** Without `object`, the rehearsal has deleted it. */
export interface Remembered {
  apiVersion: string;
  namespace: string | undefined;
  name: string;
  object?: KubeObject;
  /** True if only the rehearsal created the object. */
  isNew: boolean;
}

/** The cluster does not store rehearsed writes, and the client must be able to read what it wrote. */
export interface Memory {
  /** Undefined if only the API server has the answer. */
  recall(target: ApiTarget): Remembered | undefined;
  /** The name is taken from the object. */
  remember(target: ApiTarget, object: KubeObject, isNew: boolean): void;
  forget(target: ApiTarget, name: string): void;
  /** Without a namespace, of all namespaces. */
  within(target: ApiTarget): Remembered[];
}

export function createMemory(): Memory {
  const collections = new Map<string, Map<string, Remembered>>();
  // An object is the same in all versions.
  const collectionOf = (target: ApiTarget): Map<string, Remembered> => {
    const key = `${groupOf(target)}/${target.resource}`;
    const found = collections.get(key) ?? new Map<string, Remembered>();
    collections.set(key, found);
    return found;
  };
  const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;
  return {
    recall: (target) => collectionOf(target).get(keyOf(target.namespace, target.name ?? '')),
    remember: (target, object, isNew) => {
      const { name } = object.metadata;
      const { apiVersion, namespace } = target;
      collectionOf(target).set(keyOf(namespace, name), { apiVersion, namespace, name, object, isNew });
    },
    forget: (target, name) => {
      const { apiVersion, namespace } = target;
      const wasNew = collectionOf(target).get(keyOf(namespace, name))?.isNew ?? false;
      collectionOf(target).set(keyOf(namespace, name), { apiVersion, namespace, name, isNew: wasNew });
    },
    within: (target) =>
      [...collectionOf(target).values()].filter(
        ({ namespace }) => target.namespace === undefined || namespace === target.namespace,
      ),
  };
}

/** `isWanted` is the selector of the list. */
export function overlaidItems(
  items: readonly unknown[],
  written: readonly Remembered[],
  isWanted: (object: KubeObject) => boolean,
): unknown[] {
  const byKey = new Map(written.map((each) => [`${each.namespace ?? ''}/${each.name}`, each]));
  const left = items.filter((item) => !byKey.has(itemKey(item)));
  const added = written.flatMap(({ object }) => (object !== undefined && isWanted(object) ? [object] : []));
  return [...left, ...added];
}

function itemKey(item: unknown): string {
  const metadata = isRecord(item) && isRecord(item['metadata']) ? item['metadata'] : {};
  const { namespace, name } = metadata;
  return `${typeof namespace === 'string' ? namespace : ''}/${typeof name === 'string' ? name : ''}`;
}
