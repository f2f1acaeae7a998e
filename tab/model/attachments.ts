import { fieldsOf, list, shape, text } from './reading';
import { parsed } from './report';

/** An attachment of a step. Its name says what it holds, so that a list of a thousand needs no download. */
export interface Attachment {
  /** It is unique in a run. */
  key: string;
  timelineId: string;
  recordId: string;
  name: string;
}

const attachmentLimit = 5000;
const idPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Reads the answer of `builds/{id}/attachments/{type}`: a bare list, or one in the field `value`. The ids of timeline
 * and record are found only in the address of the attachment. Nothing is ever asked from that address itself.
 */
export function readAttachments(json: string): Attachment[] | undefined {
  const value = parsed(json);
  const items = Array.isArray(value) ? value : fieldsOf(value)['value'];
  if (!Array.isArray(items)) return undefined;
  const known = new Map<string, Attachment>();
  for (const each of list(shape({ name: text, href }), attachmentLimit)(items.map(flattened))) {
    const place = placeOf(each.href);
    if (place === undefined || each.name === '') continue;
    const key = `${place.recordId}/${each.name}`;
    known.set(key, { ...place, key, name: each.name });
  }
  return [...known.values()];
}

function flattened(item: unknown): unknown {
  const { name, _links } = fieldsOf(item);
  return { name, href: fieldsOf(fieldsOf(_links)['self'])['href'] };
}

function href(value: unknown): string {
  return typeof value === 'string' && value.length <= 2048 ? value : '';
}

/** The index of the parts differs with the host, so the path is read from `builds` on. */
function placeOf(address: string): Pick<Attachment, 'timelineId' | 'recordId'> | undefined {
  const parts = address.split(/[?#]/)[0]?.split('/') ?? [];
  const [, , timelineId = '', recordId = ''] = parts.slice(parts.lastIndexOf('builds'));
  return idPattern.test(timelineId) && idPattern.test(recordId)
    ? { timelineId: timelineId.toLowerCase(), recordId: recordId.toLowerCase() }
    : undefined;
}
