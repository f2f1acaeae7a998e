import { isEmpty } from '../../kubernetes/fieldDifferences';
import { pathText, type Path } from '../../kubernetes/fieldPath';
import { isRecord } from '../../kubernetes/json';
import { quantity } from '../../kubernetes/quantity';
import { at } from '../../kubernetes/read';

/** Ignores the spelling of quantities, fields that the API server adds, and empty values that it drops. */
export function isAsDeclared(declared: unknown, value: unknown): boolean {
  if (isEmpty(declared) && isEmpty(value)) return true;
  if (isRecord(declared) && isRecord(value)) {
    return Object.keys(declared).every((name) => isAsDeclared(declared[name], at(value, name)));
  }
  if (Array.isArray(declared) && Array.isArray(value)) return isListAsDeclared(declared, value);
  return declared === value || (isScalar(declared) && isScalar(value) && isSameScalar(String(declared), String(value)));
}

function isListAsDeclared(declared: readonly unknown[], value: readonly unknown[]): boolean {
  return declared.length === value.length && declared.every((item, index) => isAsDeclared(item, value[index]));
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function isSameScalar(one: string, other: string): boolean {
  if (one === other) return true;
  const amount = quantity(one);
  return amount !== undefined && amount === quantity(other);
}

/** Fields that the API server chooses at each creation, and a `caBundle`, because a controller renews it. */
export function isMadeUpAnew(path: Path, kind: string): boolean {
  const text = pathText(path);
  if (path.at(-1) === 'caBundle') return true;
  if (kind === 'Service') return /^spec\.(clusterIPs?\b|healthCheckNodePort$|ports\b.*nodePort$)/.test(text);
  if (kind !== 'Job') return false;
  const isUid = path.some((step) => typeof step === 'string' && step.includes('controller-uid'));
  return isUid || /^spec\.selector\b/.test(text);
}
