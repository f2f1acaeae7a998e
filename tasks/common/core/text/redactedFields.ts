import type { Redact } from './secrets';

/**
 * Fields with words of closed lists, digests, times and names of Kubernetes. They hold no text of others, and programs
 * need them unchanged: a job may have the secret `911`, which many digests contain.
 */
const ownFields: ReadonlySet<string> = new Set([
  'schemaVersion',
  'task',
  'action',
  'outcome',
  'reasonGroup',
  'health',
  'healthBefore',
  'risk',
  'severity',
  'code',
  'fate',
  'proof',
  'status',
  'change',
  'event',
  'resource',
  'deletedBy',
  'allowedBy',
  'toRevision',
  'provenance',
  'rehearsal',
  'planDigest',
  'digest',
  'contentDigest',
  'podTemplateDigest',
  'valueDigest',
  'targetRecord',
  'uid',
  'startedAt',
  'finishedAt',
  'createdAt',
  'approvedAt',
  'since',
  'apiVersion',
  'kind',
  'release',
  'namespace',
  'workloads',
  'failedWorkload',
  'restoredObjects',
  'deletedObjects',
  'heldBackDeletions',
]);

/** Removes secrets from a report or a plan, except from the fields that the task itself writes. */
export function redactedFields<T extends object>(document: T, redact: Redact): T {
  const clean = redactedValue(document, redact) as T;
  // The `reason` of a report is a code of the task. The `reason` of an object is any text of its controller.
  return 'task' in document && 'reason' in document ? { ...clean, reason: document.reason } : clean;
}

function redactedValue(value: unknown, redact: Redact): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((item) => redactedValue(item, redact));
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([key, field]): [string, unknown] => [
    key,
    ownFields.has(key) ? field : redactedValue(field, redact),
  ]);
  return Object.fromEntries(fields);
}

/** Redacts a document in JSON by its fields and keeps its indentation. Any other text is redacted as a whole. */
export function redactedDocument(text: string, redact: Redact): string {
  const document = parsedObject(text);
  if (document === undefined) return redact(text);
  const indent = /^[[{]\n( +)/.exec(text)?.[1] ?? '';
  return JSON.stringify(redactedFields(document, redact), undefined, indent) + (text.endsWith('\n') ? '\n' : '');
}

function parsedObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
