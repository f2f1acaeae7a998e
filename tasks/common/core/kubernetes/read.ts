import { isRecord } from './json';
import type { KubeObject } from './object';

type Json = Readonly<Record<string, unknown>>;

/** Returns the value at a path of own fields, or undefined. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  // It runs some dozen times for each of thousands of pods at every change, so its loop allocates nothing.
  let inner = value;
  for (const name of path) {
    if (!isRecord(inner) || !Object.hasOwn(inner, name)) return undefined;
    inner = inner[name];
  }
  return inner;
}

/** Returns the text at a path, or the empty string. */
export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** Returns the number at a path, or 0, because Kubernetes leaves out zero. */
export function numberAt(value: unknown, ...path: readonly string[]): number {
  const found = at(value, ...path);
  return typeof found === 'number' && Number.isFinite(found) ? found : 0;
}

export function listAt(value: unknown, ...path: readonly string[]): readonly Json[] {
  const found = at(value, ...path);
  if (!Array.isArray(found)) return nothing;
  return found.every(isRecord) ? found : found.filter(isRecord);
}

const nothing: readonly Json[] = [];

/** Returns the time at a path in milliseconds since the epoch, or 0 if the value is not a time. */
export function timeAt(value: unknown, ...path: readonly string[]): number {
  const time = Date.parse(textAt(value, ...path));
  return Number.isNaN(time) ? 0 : time;
}

export function conditionOf(object: unknown, type: string): Json | undefined {
  return listAt(object, 'status', 'conditions').find((condition) => condition['type'] === type);
}

export function isTrue(object: unknown, type: string): boolean {
  return conditionOf(object, type)?.['status'] === 'True';
}

/** The number of a StatefulSet's pod, or -1. */
export function ordinalOf(pod: KubeObject): number {
  return Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? -1);
}
