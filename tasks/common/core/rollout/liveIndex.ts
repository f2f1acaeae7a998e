import type { KubeObject } from '../kubernetes/object';
import type { FollowChanges } from '../kubernetes/queries';
import type { EventRecord } from './events';
import type { NodeFacts } from './facts';
import { claimKey, isEnding, ownersOf, type Index } from './family';
import { recordOf } from './snapshot';

/** The index of objects that change, which is the one that `indexOf` makes of the same objects in the same order. */
export interface LiveIndex {
  objects: ReadonlyMap<string, KubeObject>;
  index: Index;
  pods: () => readonly KubeObject[];
  isAnythingEnding: () => boolean;
  /** Returns the uids and claim keys about which the index now says something else, and `anyNode`. */
  apply(changes: FollowChanges['objects'], facts: NodeFacts | undefined): ReadonlySet<string>;
}

/** Stands for all nodes among the keys that `apply` returns. */
export const anyNode = 'nodes';

export function liveIndex(): LiveIndex {
  const objects = new Map<string, KubeObject>();
  const ownedBy = new Map<string, KubeObject[]>();
  const eventsOf = new Map<string, EventRecord[]>();
  const claims = new Map<string, KubeObject>();
  const ending = new Set<string>();
  let nodes: ReadonlyMap<string, KubeObject> = new Map();
  let nodeFacts: NodeFacts | undefined;

  const all = (kind: string): KubeObject[] => [...objects.values()].filter((object) => object.kind === kind);
  const relate = ({ old, next }: Change): string[] => {
    if ((next ?? old)?.kind !== 'Event') return moved(ownedBy, { old, next }, ownersOf);
    const [before, after] = [old && recordOf(old), next && recordOf(next)];
    return moved(eventsOf, { old: before, next: after }, ({ about }) => [about.uid]);
  };
  /** An object that has got other owners keeps its place among all objects. */
  const relist = (uid: string): void => {
    ownedBy.set(
      uid,
      [...objects.values()].filter((object) => object.kind !== 'Event' && ownersOf(object).includes(uid)),
    );
  };
  const replace = (key: string, { old, next }: Change): string[] => {
    if (next === undefined) objects.delete(key);
    else objects.set(key, next);
    const { kind } = next ?? old ?? {};
    if (kind === 'Pod' && next !== undefined && isEnding(next)) ending.add(key);
    else ending.delete(key);
    if (kind === 'PersistentVolumeClaim') keepClaim(claims, { old, next });
    return relate({ old, next });
  };
  const renewNodes = (facts: NodeFacts | undefined): void => {
    nodeFacts = facts;
    nodes = new Map([...all('Node'), ...(facts?.nodes ?? [])].map((node) => [node.metadata.name, node]));
  };
  const apply: LiveIndex['apply'] = (changes, facts) => {
    const changed = [...changes]
      .map(([key, next]) => ({ key, old: objects.get(key), next }))
      .filter(({ old, next }) => old !== next);
    const displaced = new Set(changed.flatMap(({ key, ...change }) => replace(key, change)));
    for (const uid of displaced) relist(uid);
    const seen = changed.flatMap(({ old, next }) => [old, next].flatMap((object) => object ?? []));
    const areNodesNew = facts !== nodeFacts || seen.some(({ kind }) => kind === 'Node');
    if (areNodesNew) renewNodes(facts);
    return new Set([...seen.flatMap(keysAbout), ...(areNodesNew ? [anyNode] : [])]);
  };
  return {
    objects,
    index: {
      ownedBy,
      eventsOf,
      claims,
      get nodes() {
        return nodes;
      },
    },
    pods: () => all('Pod'),
    isAnythingEnding: () => ending.size > 0,
    apply,
  };
}

interface Change<Value = KubeObject> {
  old: Value | undefined;
  next: Value | undefined;
}

function keysAbout(object: KubeObject): string[] {
  if (object.kind === 'Event') return [recordOf(object).about.uid];
  const { name, namespace } = object.metadata;
  const claim = object.kind === 'PersistentVolumeClaim' ? [claimKey(namespace, name)] : [];
  return [...ownersOf(object), ...claim];
}

function keepClaim(claims: Map<string, KubeObject>, { old, next }: Change): void {
  const { namespace, name = '' } = (next ?? old)?.metadata ?? {};
  if (next === undefined) claims.delete(claimKey(namespace, name));
  else claims.set(claimKey(namespace, name), next);
}

/** Puts `next` in the place of `old`. Returns the keys whose lists have to be made anew. */
function moved<Value>(
  lists: Map<string, Value[]>,
  { old, next }: Change<Value>,
  keysOf: (value: Value) => string[],
): string[] {
  const before = old === undefined ? [] : keysOf(old);
  const after = next === undefined ? [] : keysOf(next);
  if (old !== undefined && next !== undefined && before.join() !== after.join()) return [...before, ...after];
  for (const key of old === undefined ? after : before) {
    const list = lists.get(key) ?? [];
    lists.set(key, list);
    const place = old === undefined ? list.length : list.indexOf(old);
    list.splice(place, 1, ...(next === undefined ? [] : [next]));
  }
  return [];
}
