import { splitLines, withoutUnseen } from '../../tasks/common/core/text/foreignText';

/** Makes a value of the type from any JSON. It never throws. */
export type Reader<T> = (value: unknown) => T;

type Fields = Readonly<Record<string, unknown>>;

/** Longer lists are cut. */
const listLimit = 2000;
const textLimit = 8192;

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** Text without escape sequences and invisible characters, cut at `limit` characters. */
export function textUpTo(limit: number): Reader<string> {
  return (value) => {
    if (typeof value !== 'string') return '';
    const isCut = value.length > limit;
    const shown = splitLines(value.slice(0, limit).replace(/[\ud800-\udbff]$/, ''))
      .map(withoutUnseen)
      .join('\n');
    return isCut ? `${shown} … (${value.length - limit} more characters)` : shown;
  };
}

export const text = textUpTo(textLimit);

export function flag(value: unknown): boolean {
  return value === true;
}

export function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

export function countOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** A word of a closed list, or the fallback. */
export function word<const Word extends string>(words: readonly Word[], fallback: NoInfer<Word>): Reader<Word> {
  return (value) => words.find((each) => each === value) ?? fallback;
}

export function list<T>(item: Reader<T>, limit = listLimit): Reader<T[]> {
  return (value) => (Array.isArray(value) ? (value as unknown[]).slice(0, limit).map(item) : []);
}

type Shape<T> = { readonly [Key in keyof T]-?: Reader<T[Key]> };

/** An object with exactly these fields. */
export function shape<T extends object>(readers: Shape<T>): Reader<T> {
  const entries = Object.entries<Reader<unknown>>(readers);
  return (value) => {
    const fields = fieldsOf(value);
    return Object.fromEntries(
      entries.map(([key, read]) => [key, read(Object.hasOwn(fields, key) ? fields[key] : undefined)]),
    ) as T;
  };
}

export function orNull<T>(read: Reader<T>): Reader<T | null> {
  return (value) => (typeof value === 'object' && value !== null ? read(value) : null);
}

/** Milliseconds since 1970. Azure DevOps writes «never» as a date in the year 1. */
export function timeOf(value: unknown): number | undefined {
  const time = typeof value === 'string' && value.length < 64 ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) || time <= 0 ? undefined : time;
}
