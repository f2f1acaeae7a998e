import { ownersOf, type FieldOwner } from '../../kubernetes/fieldOwners';
import type { Path, Step } from '../../kubernetes/fieldPath';
import { isRecord } from '../../kubernetes/json';
import type { KubeObject } from '../../kubernetes/object';

/** For example `by kubectl-edit at 2026-08-20T03:12:05Z`; empty if the API server has recorded no manager. */
export function writerWords(live: KubeObject, field: string): string {
  const path = pathOf(live, field);
  const owner = newest(path === undefined ? [] : ownersOf(live, path));
  if (owner !== undefined) return `by ${owner.manager} at ${owner.time}`;
  const last = newest(allWriters(live));
  return last === undefined ? '' : `last written by ${last.manager} at ${last.time}`;
}

function newest(owners: readonly FieldOwner[]): FieldOwner | undefined {
  return owners
    .filter(({ manager, time }) => manager !== '' && time !== '')
    .toSorted((one, other) => Date.parse(one.time) - Date.parse(other.time))
    .at(-1);
}

/** Without the writers of the status, which the object's own controller writes. */
function allWriters({ metadata }: KubeObject): FieldOwner[] {
  return (metadata.managedFields ?? [])
    .filter(({ subresource = '' }) => subresource !== 'status')
    .map(({ manager = '', operation = '', subresource = '', time = '' }) => ({
      manager,
      operation,
      subresource,
      time,
    }));
}

const step = /\.?([A-Za-z_$][\w$]*)|\[("(?:[^"\\]|\\.)*")\]|\[([^\]]*)\]/gy;

/** Undefined if the path of a plan leads nowhere in the live object. */
function pathOf(live: KubeObject, text: string): Path | undefined {
  const path: Step[] = [];
  let value: unknown = live;
  for (const [, name, quoted, item] of text.matchAll(step)) {
    const field = name ?? (quoted === undefined ? undefined : String(JSON.parse(quoted)));
    const next = field === undefined ? itemStep(value, item ?? '') : { step: { field }, value: fieldOf(value, field) };
    if (next === undefined) return undefined;
    path.push(next.step);
    ({ value } = next);
  }
  return path;
}

function fieldOf(value: unknown, field: string): unknown {
  return isRecord(value) ? value[field] : undefined;
}

const itemKeys = [
  'name',
  'containerPort',
  'port',
  'mountPath',
  'devicePath',
  'ip',
  'topologyKey',
  'uid',
  'key',
  'type',
];

function itemStep(value: unknown, text: string): { step: Step; value: unknown } | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.filter(isRecord);
  for (const key of itemKeys) {
    const item = items.find((each) => each[key] === text || each[key] === Number(text));
    if (item !== undefined) return { step: { item, by: [key] }, value: item };
  }
  const index = Number(text);
  return Number.isInteger(index) ? { step: { index }, value: value[index] as unknown } : undefined;
}
