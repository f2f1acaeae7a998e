import { isRecord } from '../kubernetes/json';
import { oneLine } from './words';

/** Unit: characters. */
const nameLimit = 160;

export interface Identity {
  id?: string;
  /** For persons, usually the mail address. */
  uniqueName?: string;
  displayName?: string;
  /** `<type>.<rest>`; the type distinguishes persons from groups and services. */
  descriptor?: string;
  isGroup: boolean;
}

/** Returns undefined if no field names anybody. */
export function parseIdentity(value: unknown): Identity | undefined {
  if (!isRecord(value)) return undefined;
  const id = text(value['id']);
  const uniqueName = text(value['uniqueName']);
  const displayName = text(value['displayName']);
  const descriptor = text(value['descriptor']) ?? text(value['subjectDescriptor']);
  const isNobody = id === undefined || /^[0-]+$/.test(id);
  if (isNobody && uniqueName === undefined && displayName === undefined && descriptor === undefined) return undefined;
  return {
    ...(isNobody ? {} : { id }),
    ...(uniqueName === undefined ? {} : { uniqueName }),
    ...(displayName === undefined ? {} : { displayName }),
    ...(descriptor === undefined ? {} : { descriptor }),
    isGroup: value['isContainer'] === true || /^(?:vssgp|aadgp)\./i.test(descriptor ?? ''),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

/** One equal field is enough for `same`, because a person may have several ids (of Entra, of the organization). */
export function compareIdentities(one: Identity, other: Identity): 'same' | 'other' | 'unknown' {
  const pairs = (['id', 'uniqueName', 'descriptor'] as const).flatMap((field) => {
    const [left, right] = [one[field], other[field]];
    return left === undefined || right === undefined ? [] : [left.toLowerCase() === right.toLowerCase()];
  });
  if (pairs.length === 0) return 'unknown';
  return pairs.includes(true) ? 'same' : 'other';
}

const guid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A build service, a service principal and the server itself do not count as a second person. */
export function isServiceAccount({ uniqueName = '', displayName = '', descriptor = '' }: Identity): boolean {
  if (/^(?:svc|s2s|aadsp)\./i.test(descriptor)) return true;
  if (/^build\\/i.test(uniqueName) || guid.test(uniqueName)) return true;
  return [uniqueName, displayName].some((name) => /^Microsoft\.VisualStudio\.|\bBuild Service \(/i.test(name));
}

export function shownIdentity({ displayName, uniqueName, id }: Identity): string {
  const [name, unique] = [displayName, uniqueName].map((text) => text && oneLine(text, nameLimit));
  if (!name) return unique || oneLine(id ?? 'somebody without a name', nameLimit);
  return !unique || unique === name ? name : `${name} (${unique})`;
}
