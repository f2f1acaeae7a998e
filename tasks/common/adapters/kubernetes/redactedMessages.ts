import type { KubeObject } from '../../core/kubernetes/object';
import type { Redact } from '../../core/text/secrets';

/** The kubelet cuts a message from the front, and the redactor finds half a secret only at the edge of the message. */
export function withRedactedMessages(object: KubeObject, redact: Redact): KubeObject {
  if (object.kind === 'Event') return redactedMessages(object, redact) as KubeObject;
  const { status } = object;
  if (typeof status !== 'object' || status === null) return object;
  return { ...object, status: redactedMessages(status, redact) };
}

/** Redacts a refusal before any part of it is quoted or cut. */
export function redactedRefusal(body: Buffer, redact: Redact): Buffer {
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return Buffer.from(redact(text));
  }
  return Buffer.from(JSON.stringify(redactedMessages(value, redact)));
}

function redactedMessages(value: unknown, redact: Redact): unknown {
  if (Array.isArray(value)) return value.map((item) => redactedMessages(item, redact));
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([key, field]: [string, unknown]): [string, unknown] => [
    key,
    (key === 'message' || key === 'note') && typeof field === 'string'
      ? redact(field)
      : redactedMessages(field, redact),
  ]);
  return Object.fromEntries(fields);
}
