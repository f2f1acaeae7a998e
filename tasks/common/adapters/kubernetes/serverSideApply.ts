import { asTaskError, TaskError } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import { refOf } from '../../core/kubernetes/manifest';
import { notUnderstood } from './errors';
import { acceptFor, asKubeObject, objectAttempt, type Requests } from './requests';
import { resourcePath } from './resources';

const tries = 3;

/**
 * Without `force`, throws `Conflict` if another field manager has set a field to a different value, and reads only
 * metadata.
 */
export async function serverSideApply(
  requests: Requests,
  object: KubeObject,
  { fieldManager, dryRun, force }: { fieldManager: string; dryRun: boolean; force: boolean },
): Promise<KubeObject> {
  const ref = { ...refOf(object), metadataOnly: !force };
  const asked = { kind: ref.kind, namespace: ref.namespace, name: dryRun ? `${ref.name} (by a dry run)` : ref.name };
  const resource = await requests.served(ref.apiVersion, ref.kind, objectAttempt('patch', asked));
  const attempt = objectAttempt('patch', asked, resource);
  if (ref.name === '' || ref.name === '.' || ref.name === '..') {
    throw new TaskError('ChartInvalid', `An object of kind ${ref.kind} has no usable name ("${ref.name}").`);
  }
  if (resource.namespaced && !ref.namespace) {
    throw new TaskError('Internal', `No namespace was given for ${attempt.target}.`);
  }
  const exchange = {
    method: 'PATCH',
    path: resourcePath(resource, {
      namespace: ref.namespace,
      name: ref.name,
      query: { dryRun: dryRun ? 'All' : undefined, force: String(force), fieldManager },
    }),
    attempt,
    body: object,
    contentType: 'application/apply-patch+yaml',
    accept: acceptFor(ref, 'object'),
    // An object that cannot be applied is answered with 500, which `idempotent` would repeat until the time is over.
    retry: 'unsent',
  } as const;
  const value = await whileUnreachable(() => requests.json(exchange));
  const answer = asKubeObject(value, ref);
  if (answer !== undefined) return answer;
  throw notUnderstood(attempt, requests.transport.server, 'it gave something that is not an object');
}

/** An apply may be sent again even if the first one arrived. */
async function whileUnreachable<T>(send: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await send();
    } catch (error) {
      if (count === tries || asTaskError(error).reason !== 'ClusterUnreachable') throw error;
    }
  }
}
