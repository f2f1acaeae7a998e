import type { Redact } from './secrets';

/**
 * What the task itself makes of reports and plans: words of closed lists, digests, times, and what is named by Kubernetes'
 * rules. It holds no text of anybody else, and whoever reads it by program needs it as it is: a job may have the secret
 * `911`, which stands in many a digest.
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

/** A report or a plan without secrets in any text that is not the task's own, before it is rendered. */
export function redactedFields<T extends object>(document: T, redact: Redact): T {
  const clean = redactedValue(document, redact) as T;
  // A code of the task's own, where that of an object is whatever its controller says.
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

/** The same with a document as JSON, which keeps its indent; any other text is redacted as a whole. */
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
