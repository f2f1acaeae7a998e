import { isRecord } from '../kubernetes/json';
/** A condition as nearly every kind has it. A missing field is the empty string. */
export interface Condition {
  type: string;
  /** True, False or Unknown. A boolean, which comes from unquoted YAML, becomes the same word. */
  status: string;
  reason: string;
  message: string;
  observedGeneration?: number;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads typed fields of an object that may hold anything. An absent or null field is undefined. A field of the wrong
 * type is undefined too, and is noted in `problems`. So a rule can be written for valid objects, and its answer is
 * dropped if the object was not valid.
 */
export interface Fields {
  integer(path: string): number | undefined;
  text(path: string): string | undefined;
  flag(path: string): boolean | undefined;
  list(path: string): readonly unknown[] | undefined;
  /** Milliseconds since the epoch. */
  time(path: string): number | undefined;
  conditions(): readonly Condition[];
  condition(type: string): Condition | undefined;
  readonly problems: readonly string[];
}

/** Reads own fields only, because a path from a user or a manifest must not reach into prototypes. */
export function ownField(value: JsonObject, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

/** Returns the field as text, or the empty string. */
export function textField(value: JsonObject, name: string): string {
  const field = ownField(value, name);
  return typeof field === 'string' ? field : '';
}

export function fieldsOf(object: JsonObject): Fields {
  const problems: string[] = [];
  const note = (path: string, expected: string): void => {
    problems.push(`${path} is not ${expected}`);
  };
  const valueAt = (path: string): unknown => {
    let value: unknown = object;
    const walked: string[] = [];
    for (const name of path.split('.')) {
      if (value === undefined || value === null) return undefined;
      if (!isRecord(value)) {
        note(walked.join('.'), 'an object');
        return undefined;
      }
      value = ownField(value, name);
      walked.push(name);
    }
    return value ?? undefined;
  };
  const typed = <T>(path: string, expected: string, parse: (value: unknown) => T | undefined): T | undefined => {
    const value = valueAt(path);
    if (value === undefined) return undefined;
    const parsed = parse(value);
    if (parsed === undefined) note(path, expected);
    return parsed;
  };
  const conditions = (): readonly Condition[] => {
    const list = typed('status.conditions', 'a list', (value) => (Array.isArray(value) ? value : undefined)) ?? [];
    const read = readConditions(list);
    if (list.length > 0 && read.length === 0) note('status.conditions', 'a list of conditions');
    return read;
  };
  return {
    problems,
    integer: (path) => typed(path, 'a whole number', readCount),
    text: (path) => typed(path, 'a text', (value) => (typeof value === 'string' ? value : undefined)),
    flag: (path) => typed(path, 'true or false', (value) => (typeof value === 'boolean' ? value : undefined)),
    list: (path) => typed(path, 'a list', (value) => (Array.isArray(value) ? value : undefined)),
    time: (path) => typed(path, 'a time', readTime),
    conditions,
    condition: (type) => conditions().find((condition) => condition.type === type),
  };
}

/** All numbers that a rule reads are counts or generations. Argo Rollouts writes its observedGeneration as text. */
function readCount(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

function readTime(value: unknown): number | undefined {
  const time = value instanceof Date ? value.getTime() : typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** The conditions in a list. Entries without a type are left out; a value that is no list has none. */
export function readConditions(list: unknown): Condition[] {
  return Array.isArray(list) ? list.flatMap((item: unknown) => readCondition(item) ?? []) : [];
}

/**
 * False for a condition about an older generation, which does not describe the present spec. kstatus does not look at
 * it.
 */
export function isFresh({ observedGeneration }: Condition, generation: number | undefined): boolean {
  return generation === undefined || !observedGeneration || observedGeneration >= generation;
}

function readCondition(value: unknown): Condition | undefined {
  if (!isRecord(value)) return undefined;
  const type = textField(value, 'type');
  if (type === '') return undefined;
  const status = ownField(value, 'status');
  const observed = readCount(ownField(value, 'observedGeneration'));
  return {
    type,
    status: typeof status === 'boolean' ? (status ? 'True' : 'False') : typeof status === 'string' ? status : '',
    reason: textField(value, 'reason'),
    message: textField(value, 'message'),
    ...(observed === undefined ? {} : { observedGeneration: observed }),
  };
}
