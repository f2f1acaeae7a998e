import { hasSameKey } from '../kubernetes/listKeys';
import type { Path, PathStep } from '../kubernetes/fieldPath';
import { isRecord } from '../kubernetes/json';
import { apiGroup } from '../kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../kubernetes/object';

/** Which differences are no drift. An absent part of the selector fits every object. */
export interface DriftRule {
  kind?: string;
  /** Empty for the core group. */
  group?: string;
  /** `*` stands for any characters. */
  name?: string;
  namespace?: string;
  /** The steps of a JSON pointer (RFC 6901). `*` stands for any field or item. Empty: the whole object. */
  pointer: readonly string[];
}

export const driftRuleExpected =
  '[KIND[.GROUP][/NAME]] [namespace=NAMESPACE] [/JSON/POINTER], for example Deployment/web /spec/replicas';

/** Returns undefined if the line is no rule. */
export function parseDriftRule(line: string): DriftRule | undefined {
  const words = line.split(/\s+/);
  const last = words.at(-1) ?? '';
  const pointer = last.startsWith('/') ? parsePointer(last) : [];
  if (pointer === undefined) return undefined;
  const rest = last.startsWith('/') ? words.slice(0, -1) : words;
  const [, namespace] = /^namespace=(\S+)$/.exec(rest.at(-1) ?? '') ?? [];
  const selectors = namespace === undefined ? rest : rest.slice(0, -1);
  const [selector, ...others] = selectors;
  const object = selector === undefined ? {} : parseSelector(selector);
  if (object === undefined || others.length > 0 || (namespace !== undefined && !isName(namespace))) return undefined;
  return { ...object, ...(namespace === undefined ? {} : { namespace }), pointer };
}

function parsePointer(text: string): string[] | undefined {
  if (/~(?![01])/.test(text)) return undefined;
  return text
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function parseSelector(text: string): Pick<DriftRule, 'kind' | 'group' | 'name'> | undefined {
  const [, kind, group, name] = /^([A-Za-z][A-Za-z0-9]*|\*)(?:\.([A-Za-z0-9.-]+))?(?:\/(\S+))?$/.exec(text) ?? [];
  if (kind === undefined || (name !== undefined && !isName(name))) return undefined;
  return {
    ...(kind === '*' ? {} : { kind: kind.toLowerCase() }),
    ...(group === undefined ? {} : { group: group === 'core' ? '' : group.toLowerCase() }),
    ...(name === undefined ? {} : { name }),
  };
}

/** Names of RBAC objects have a colon. */
function isName(text: string): boolean {
  return /^[A-Za-z0-9.:*-]+$/.test(text);
}

/** Returns true if a rule leaves the whole object out. */
export function leavesOut(rules: readonly DriftRule[], ref: ObjectRef): boolean {
  return rules.some((rule) => rule.pointer.length === 0 && fits(rule, ref));
}

/** Returns true if a rule leaves out the field at this path or a field above it. `states` are those of the object. */
export function leavesOutField(
  rules: readonly DriftRule[],
  ref: ObjectRef,
  path: Path,
  states: readonly KubeObject[],
): boolean {
  const fitting = rules.filter((rule) => fits(rule, ref));
  if (fitting.length === 0) return false;
  const names = namesOf(path, states);
  return fitting.some(
    ({ pointer }) =>
      pointer.length <= names.length && pointer.every((step, index) => step === '*' || names[index]?.has(step)),
  );
}

function fits({ kind, group, name, namespace }: DriftRule, ref: ObjectRef): boolean {
  return (
    (kind === undefined || kind === ref.kind.toLowerCase()) &&
    (group === undefined || group === apiGroup(ref.apiVersion)) &&
    (name === undefined || isLike(name, ref.name)) &&
    (namespace === undefined || isLike(namespace, ref.namespace ?? ''))
  );
}

/** Compares part by part, so that the time grows with the lengths alone. */
function isLike(pattern: string, text: string): boolean {
  const [first = '', ...parts] = pattern.split('*');
  if (parts.length === 0) return pattern === text;
  const last = parts.pop() ?? '';
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at + last.length <= text.length;
}

/** The names by which a pointer may call each step. An item of a list has its position in each state, and its key. */
function namesOf(path: Path, states: readonly KubeObject[]): ReadonlySet<string>[] {
  let values: readonly unknown[] = states;
  return path.map((step) => {
    const found = values.map((value) => child(value, step));
    values = found.map(({ value }) => value);
    return new Set([...found.flatMap(({ name }) => name ?? []), ...keyOf(step)]);
  });
}

function child(value: unknown, step: PathStep): { name?: string; value: unknown } {
  if (typeof step === 'string') return { name: step, value: isRecord(value) ? value[step] : undefined };
  if (!Array.isArray(value)) return { value: undefined };
  const items = value as readonly unknown[];
  const index =
    typeof step === 'number' ? step : items.findIndex((item) => isRecord(item) && hasSameKey(item, step.item, step.by));
  return index < 0 ? { value: undefined } : { name: String(index), value: items[index] };
}

function keyOf(step: PathStep): string[] {
  return typeof step === 'object' ? [step.by.map((name) => String(step.item[name])).join(',')] : [];
}
