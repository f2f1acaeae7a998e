import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject } from '../../core/kubernetes/object';
import { groupOf, type ApiTarget } from './apiRequest';

/** What a rehearsal has written of one object; without `object` it has deleted it. */
export interface Remembered {
  apiVersion: string;
  namespace: string | undefined;
  name: string;
  object?: KubeObject;
  /** The API server does not have it: only the rehearsal has made it. */
  isNew: boolean;
}

/** The writes that the cluster knows nothing of, so that who has written reads what it wrote. */
export interface Memory {
  /** Undefined: nothing was written to it, the API server knows it. */
  recall(target: ApiTarget): Remembered | undefined;
  /** Of `target` the resource and namespace count; the object says its name. */
  remember(target: ApiTarget, object: KubeObject, isNew: boolean): void;
  forget(target: ApiTarget, name: string): void;
  /** All that was written to a collection; without a namespace, of all. */
  within(target: ApiTarget): Remembered[];
}

export function createMemory(): Memory {
  const collections = new Map<string, Map<string, Remembered>>();
  // The version is left out: an object is the same one in all of them.
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

/** A list as the API server gave it, with what was written since put in: `isWanted` as the list's selector has it. */
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
