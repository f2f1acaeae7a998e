import { someNames } from '../../text/someNames';
import {
  onlyDeletionsOf,
  type FencedWrite,
  type FencePolicy,
  type FenceRecord,
  type FenceWrite,
} from '../../helm/fence';
import { isRecord } from '../../kubernetes/json';
import type { KubeObject } from '../../kubernetes/object';
import { apiGroup, hookObject } from '../../kubernetes/manifest';
import type { Rehearsal, RehearsedWrite } from '../../helm/rehearsal';
import type { Revision } from '../../release/release';
import { changesOf } from '../../kubernetes/fieldDifferences';
import { pathText } from '../../kubernetes/fieldPath';
import { isMadeUpAnew } from '../model/changes';
import { canonicalJson, comparable } from '../model/comparable';
import { helmMayDelete, helmMayWrite, ownDeletions } from './execution';
import type { ChangePlan } from '../model/types';

interface FenceMeasure {
  plan: ChangePlan;
  /** Absent if there is none to compare with. */
  rehearsal: Rehearsal | undefined;
  target: Pick<Revision, 'hooks'>;
  storage: 'Secret' | 'ConfigMap';
}

/**
 * Helm may write the target's objects as in the rehearsal, its hooks as declared, and its own records. It may delete
 * what the plan leaves to it and what it created itself, but none of its records.
 */
export function fencePolicy({ plan, rehearsal, target, storage }: FenceMeasure): Required<Omit<FencePolicy, 'isLeft'>> {
  const mayDelete = onlyDeletionsOf(helmMayDelete(plan));
  const isPlanned = onlyDeletionsOf(helmMayWrite(plan));
  const rehearsed = rehearsal?.writes.filter(({ effect }) => effect !== 'refused') ?? [];
  const hooks = hookObjects(target);
  const records = storage === 'Secret' ? 'secrets' : 'configmaps';
  const isRehearsed = (write: FenceWrite): boolean =>
    rehearsed.some((other) => isSameTarget(other, write) && isSameRequest(other, write));
  return {
    mayDelete: (write) => !write.isStorage && (write.isMadeHere || mayDelete.mayDelete(write)),
    mayWrite: (write) => {
      if (write.subresource !== undefined) return isRehearsed(write);
      if (write.isStorage || isPlanned.mayDelete(write)) return true;
      // Helm sends a new record as protobuf, so the fence knows its name only after the API server has answered.
      return (
        write.verb === 'create' && write.name === undefined && write.apiVersion === 'v1' && write.resource === records
      );
    },
    comparing: (write) => {
      if (write.isStorage || isRehearsed(write)) return undefined;
      const same = rehearsed.filter((other) => isSameTarget(other, write) && other.subresource === undefined);
      const hook = hooks.filter((declared) => isNamed(declared, write));
      if (hook.length > 0 && same.length === 0) return () => hookDifference(write, hook);
      // In a rehearsal, the result of the first patch of an object is known, and that of a second patch only assumed.
      const last = same.findLast(({ isAssumed }) => isAssumed !== true) ?? same.at(-1);
      if (last === undefined)
        return rehearsal === undefined ? undefined : () => 'Helm did not do this in the rehearsal';
      const { object, isAssumed } = last;
      return object === undefined || isAssumed === true ? undefined : (wouldBe) => writeDifference(object, wouldBe);
    },
  };
}

function isSameTarget({ ref, resource }: RehearsedWrite, write: FenceWrite): boolean {
  return resource === write.resource && isNamed(ref, write);
}

function isSameRequest(rehearsed: RehearsedWrite, write: FenceWrite): boolean {
  return (
    rehearsed.verb === write.verb &&
    rehearsed.subresource === write.subresource &&
    rehearsed.ref.apiVersion === write.apiVersion &&
    rehearsed.bodyDigest === write.bodyDigest
  );
}

function isNamed(named: { apiVersion: string; name: string; namespace?: string }, write: FenceWrite): boolean {
  const isSameNamespace = named.namespace === undefined || named.namespace === (write.namespace ?? '');
  return apiGroup(named.apiVersion) === apiGroup(write.apiVersion) && named.name === write.name && isSameNamespace;
}

interface DeclaredHook {
  apiVersion: string;
  name: string;
  namespace?: string;
  declared: KubeObject;
}

function hookObjects({ hooks }: Pick<Revision, 'hooks'>): DeclaredHook[] {
  return hooks.flatMap(({ manifest }) => {
    const declared = hookObject(manifest);
    if (declared === undefined) return [];
    const { name, namespace } = declared.metadata;
    return [{ apiVersion: declared.apiVersion, name, declared, ...(namespace === undefined ? {} : { namespace }) }];
  });
}

/** Helm adds metadata to its hooks. Helm 3 creates them; Helm 4 applies them if the release uses server-side apply. */
function hookDifference({ verb, sent }: FenceWrite, hooks: readonly DeclaredHook[]): string | undefined {
  const isMade = verb === 'create' || verb === 'apply';
  const isDeclared = hooks.some(({ declared }) => contentOf(declared) === contentOf(sent));
  return isMade && isDeclared ? undefined : 'it is not the hook that the target declares';
}

function contentOf(object: unknown): string {
  if (!isRecord(object)) return '';
  const { metadata: _metadata, status: _status, ...content } = object;
  return canonicalJson(content);
}

const differencesShown = 3;

/** The clause contains no values. */
function writeDifference(rehearsed: KubeObject, wouldBe: KubeObject): string | undefined {
  const changes = changesOf(comparable(rehearsed, false), comparable(wouldBe, false)).filter(
    ({ path }) => !isMadeUpAnew(path, wouldBe.kind),
  );
  if (changes.length === 0) return undefined;
  const fields = changes.map(({ path }) => pathText(path) || 'the whole object');
  return `its result would differ from the rehearsal (${someNames(fields, differencesShown)})`;
}

/** Deletions that the fence held back and that the plan does not contain. A genuine Helm requests none. */
export function unplannedDeletions(plan: ChangePlan, { heldBack }: Pick<FenceRecord, 'heldBack'>): FencedWrite[] {
  const key = (apiVersion: string, kind: string, namespace: string | undefined, name: string): string =>
    [apiGroup(apiVersion), kind, namespace ?? '', name].join('/');
  const planned = new Set(ownDeletions(plan).map(({ ref }) => key(ref.apiVersion, ref.kind, ref.namespace, ref.name)));
  return heldBack.filter(({ ref }) => !planned.has(key(ref.apiVersion, ref.kind, ref.namespace, ref.name)));
}
