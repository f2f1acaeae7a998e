import { isRecord } from '../../kubernetes/json';
import type { KubeObject } from '../../kubernetes/object';
import { isSecret } from '../../kubernetes/manifest';
import { base64, fromBase64 } from '../../text/base64';
import { maskingRedactor, secretForms, type Redact } from '../../text/secrets';
import type { SecretKey } from '../model/types';

/** A state in which the object does not exist is absent. */
export interface ObjectStates {
  target?: KubeObject;
  after?: KubeObject;
  last?: KubeObject;
  live?: KubeObject;
}

const order = ['target', 'after', 'last', 'live'] as const;

/** Replaces each value of a Secret by a token. Equal values get equal tokens, so states can still be compared. */
export function hidden(states: ObjectStates): ObjectStates {
  const any = order.map((name) => states[name]).find((state) => state !== undefined);
  if (any === undefined || !isSecret(any)) return states;
  const known = new Map<string, string[]>();
  const hide = (state: KubeObject): KubeObject => {
    const { data: _, stringData: __, ...rest } = state;
    if (isMetadataAlone(state)) return rest;
    const values = secretValues(state);
    const tokens = [...values].map(([name, value]): [string, string] => {
      const seen = known.get(name) ?? [];
      if (!seen.includes(value)) seen.push(value);
      known.set(name, seen);
      return [name, `(value ${seen.indexOf(value) + 1}, not shown)`];
    });
    return { ...rest, type: state['type'] ?? 'Opaque', data: Object.fromEntries(tokens) };
  };
  return Object.fromEntries(
    order.flatMap((name) => {
      const state = states[name];
      return state === undefined ? [] : [[name, hide(state)]];
    }),
  );
}

function isMetadataAlone(secret: KubeObject): boolean {
  return secret['data'] === undefined && secret['stringData'] === undefined && secret['type'] === undefined;
}

/** Returns base64 values by key. As with the API server, `stringData` wins over `data`. */
function secretValues(secret: KubeObject): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of fieldsOf(secret['data'])) values.set(name, value.replace(/\s/g, ''));
  for (const [name, value] of fieldsOf(secret['stringData'])) values.set(name, base64(value));
  return values;
}

function fieldsOf(value: unknown): [string, string][] {
  if (!isRecord(value)) return [];
  return Object.entries(value).map(([name, field]) => [
    name,
    typeof field === 'string' ? field : JSON.stringify(field ?? ''),
  ]);
}

/** Both states are `hidden`. */
export function secretKeys(live: KubeObject | undefined, after: KubeObject | undefined): SecretKey[] {
  const before = tokens(live);
  const then = tokens(after);
  const isUnknown = live !== undefined && before === undefined;
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(then ?? {})])].sort();
  return names.flatMap((name): SecretKey[] => {
    if (isUnknown) return [{ name, change: 'notCompared' }];
    const was = before?.[name];
    const is = then?.[name];
    if (was === is) return [];
    return [{ name, change: was === undefined ? 'added' : is === undefined ? 'removed' : 'changed' }];
  });
}

function tokens(secret: KubeObject | undefined): Readonly<Record<string, unknown>> | undefined {
  return isRecord(secret?.['data']) ? secret['data'] : undefined;
}

/** Charts also put passwords into arguments and ConfigMaps. Shorter values are words like `admin`. */
const longEnough = 8;

/** For a line of a multi-line value, because most lines of a configuration file are no secrets. */
const lineLongEnough = 24;

/** Masks the values of these Secrets in every spelling, also where they were cut. */
export function secretRedactor(objects: readonly KubeObject[]): Redact {
  const values = objects.filter(isSecret).flatMap((secret) => [...secretValues(secret).values()].flatMap(decoded));
  const parts = [...new Set(values)].flatMap((value) => {
    const trimmed = value.trim();
    const lines = trimmed.split(/[\r\n]+/).map((line) => line.trim());
    return lines.length === 1 ? [trimmed] : lines.filter((line) => line.length >= lineLongEnough);
  });
  const forms = secretForms([...new Set(parts)].filter((part) => part.length >= longEnough));
  return maskingRedactor(forms.filter((form) => form.length >= longEnough));
}

function decoded(value: string): string[] {
  try {
    return [fromBase64(value, { fatal: true })];
  } catch {
    return [value];
  }
}
