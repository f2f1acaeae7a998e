import type { KubeObject } from '../../core/kubernetes/object';
import { asStatus } from './errors';
import { asKubeObject, withoutManagedFields } from './requests';
import type { ListQuery } from '../../core/kubernetes/queries';

export type WatchEvent =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion?: string } } }
  | { type: 'ERROR'; code: number; message: string; retryAfterSeconds: number | undefined };

export function parseEvent(line: string, query: ListQuery): WatchEvent | undefined {
  let parsed: { type?: unknown; object?: unknown } | null;
  try {
    parsed = JSON.parse(line) as typeof parsed;
  } catch {
    return undefined;
  }
  const type = parsed?.type;
  const value = parsed?.object;
  if (type === 'ERROR') return errorEvent(value);
  if (typeof value !== 'object' || value === null) return undefined;
  if (type === 'BOOKMARK') {
    const version = (value as { metadata?: { resourceVersion?: unknown } }).metadata?.resourceVersion;
    return { type, object: { metadata: typeof version === 'string' ? { resourceVersion: version } : {} } };
  }
  const object = asKubeObject(value, query);
  if (object === undefined || (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED')) return undefined;
  return { type, object: withoutManagedFields(object) };
}

function errorEvent(value: unknown): WatchEvent {
  const status = asStatus(value);
  const seconds = (value as { details?: { retryAfterSeconds?: unknown } } | null | undefined)?.details
    ?.retryAfterSeconds;
  return {
    type: 'ERROR',
    code: status?.code ?? 0,
    message: status?.message ?? '',
    retryAfterSeconds: typeof seconds === 'number' ? seconds : undefined,
  };
}
