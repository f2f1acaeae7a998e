import { isRecord } from '../../core/kubernetes/json';
import { statusOf } from '../kubernetes/errors';
import { type Answered, attemptVerb, jsonOf, pathAndQuery } from './upstream';
import type { Act } from './rehearsalRecording';

/** The API server reads the dry run option of a deletion from the body if there is one. */
export async function dryRun({ scene, request, verb, target }: Act): Promise<Answered> {
  const { method, pathname, headers } = request;
  const query = new URLSearchParams(request.query);
  query.set('dryRun', 'All');
  const isDeletion = method === 'DELETE';
  const contentType = isDeletion ? 'application/json' : headers['content-type'];
  scene.requests.dryRuns += 1;
  const answered = await scene.upstream.ask({
    method,
    path: pathAndQuery(pathname, query),
    target,
    verb: attemptVerb(verb),
    body: isDeletion ? dryRunDeletion(request.body) : request.body,
    ...(contentType === undefined ? {} : { contentType }),
    client: request.client,
    retry: 'idempotent',
  });
  for (const warning of warningsOf(answered)) scene.warnings.add(warning);
  return answered;
}

function dryRunDeletion(body: Buffer): Buffer {
  const given = jsonOf(body);
  const options = isRecord(given) ? given : { apiVersion: 'v1', kind: 'DeleteOptions' };
  return Buffer.from(JSON.stringify({ ...options, dryRun: ['All'] }));
}

/** Each has the form `299 - "text"`; several are joined by commas. */
function warningsOf({ headers }: Answered): string[] {
  const header = headers['warning'];
  if (typeof header !== 'string') return [];
  return [...header.matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) =>
    (match[1] ?? '').replace(/\\(.)/g, '$1'),
  );
}

export function deletedUid(answered: Answered): string | undefined {
  const answer = jsonOf(answered.body);
  if (!isRecord(answer)) return undefined;
  const from = statusOf(answered) === undefined ? answer['metadata'] : answer['details'];
  return isRecord(from) && typeof from['uid'] === 'string' ? from['uid'] : undefined;
}
