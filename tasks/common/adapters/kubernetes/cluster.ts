import type { Readable } from 'node:stream';
import { TaskError } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import type { Cluster, PodLogOptions } from '../../core/ports';
import { connectionFailure, notUnderstood, refusal, statusOf, type Attempt } from './errors';
import { serverSideApply } from './serverSideApply';
import { customKinds, findResource, namespacedKinds } from './findResource';
import { follow } from './follow';
import { followPodLog } from './followPodLog';
import { openTransport, type TransportChoices } from './openTransport';
import {
  acceptFor,
  asKubeObject,
  createRequests,
  isKubernetesNotFound,
  listAttempt,
  objectAttempt,
  parseJson,
  type Requests,
} from './requests';
import { resourcePath } from './resources';
import type { Transport } from './transport';
import type { AccessRule, ApiResource } from '../../core/kubernetes/access';

export interface ClusterOptions extends TransportChoices {
  /** Gets sentences about limits that do not stop the work, such as a missing permission. */
  onNotice?: (notice: string) => void;
}

export interface ClusterConnection extends Cluster {
  /** The origin contains no credentials. */
  readonly server: string;
  /** The namespace of the kubeconfig's context. */
  readonly namespace: string | undefined;
  /** For requests that are not about objects. */
  readonly transport: Transport;
  /** Ends all connections. Stop every follower before. */
  close(): void;
}

const podLogMaxBytes = 8 * 1024 * 1024;

/** Sends no request yet. Throws `ConnectionMissing` or `InputInvalid` if the kubeconfig cannot be used. */
export function createCluster(kubeconfigPath: string, options: ClusterOptions = {}): Promise<ClusterConnection> {
  return Promise.resolve().then(() => connect(kubeconfigPath, options));
}

function connect(kubeconfigPath: string, options: ClusterOptions): ClusterConnection {
  const { transport, access, timing } = openTransport(kubeconfigPath, options);
  const requests = createRequests(transport);
  return {
    server: transport.server,
    namespace: access.namespace,
    transport,
    close: () => {
      transport.close();
    },
    get: (ref, { metadataOnly } = {}) => getObject(requests, { ...ref, ...(metadataOnly && { metadataOnly }) }),
    list: async (query, keep = () => true) => {
      let objects: KubeObject[] = [];
      await requests.pages(query, {
        retry: 'idempotent',
        start: () => {
          objects = [];
        },
        take: (items) => {
          for (const object of items) if (keep(object)) objects.push(object);
        },
      });
      return objects;
    },
    create: (object, how) => createObject(requests, object, how),
    update: (object) => updateObject(requests, object),
    patch: (ref, patch, how) => patchObject(requests, ref, patch, how?.dryRun === true),
    apply: (object, how) => serverSideApply(requests, object, { ...how, dryRun: false, force: true }),
    dryRunApply: (object, how) => serverSideApply(requests, object, { ...how, dryRun: true, force: true }),
    dryRunApplyUnforced: async (object, how) => {
      await serverSideApply(requests, object, { ...how, dryRun: true, force: false });
    },
    delete: (ref, deletion = {}) => deleteObject(requests, ref, deletion),
    resource: (apiVersion, kind) => requests.resource(apiVersion, kind),
    customKinds: () => customKinds(requests),
    namespacedKinds: () => namespacedKinds(requests),
    findResource: (kind, group) => findResource(requests, kind, group),
    serverTime: () => serverTime(requests),
    accessRules: (namespace) => accessRules(requests, namespace),
    follow: (queries, signal) =>
      follow(requests, queries, {
        signal,
        ...(options.signal && { clusterSignal: options.signal }),
        onNotice: options.onNotice ?? (() => undefined),
        responseMs: timing.responseMs,
      }),
    podLog: async (ref, logOptions) => {
      const text = await podLog(requests, ref, logOptions, timing.responseMs);
      return text.split('\n').map(transport.redact).join('\n');
    },
    followPodLog: (ref, logOptions, signal) => {
      const onLine = (line: string): void => {
        logOptions.onLine(transport.redact(line));
      };
      return followPodLog(requests, ref, { ...logOptions, onLine }, signal);
    },
  };
}

async function getObject(requests: Requests, ref: ReadRef): Promise<KubeObject | undefined> {
  const resource = await requests.resource(ref.apiVersion, ref.kind);
  if (resource === undefined) return undefined;
  const attempt = objectAttempt('get', ref, resource);
  const answer = await requests.transport.send({
    method: 'GET',
    path: objectPath(resource, ref, attempt),
    attempt,
    accept: acceptFor(ref, 'object'),
    retry: 'idempotent',
  });
  if (answer.status === 404 && statusOf(answer) !== undefined && isKubernetesNotFound(answer)) return undefined;
  if (answer.status === 404) {
    throw notUnderstood(attempt, requests.transport.server, 'it answered 404, but not as an API server does');
  }
  if (answer.status !== 200) throw refusal(answer, attempt, requests.transport.server);
  return understood(requests, parseJson(answer, attempt, requests.transport.server), ref, attempt);
}

function understood(requests: Requests, value: unknown, ref: ObjectKind, attempt: Attempt): KubeObject {
  const object = asKubeObject(value, ref);
  if (object !== undefined) return object;
  throw notUnderstood(attempt, requests.transport.server, 'it gave something that is not an object');
}

type ReadRef = ObjectRef & { metadataOnly?: boolean };
type ObjectKind = Pick<ReadRef, 'apiVersion' | 'kind' | 'metadataOnly'>;

/** Never the path of a collection, because a DELETE there would remove everything in it. */
function objectPath(resource: ApiResource, ref: ObjectRef, attempt: Attempt): string {
  if (ref.name === '' || ref.name === '.' || ref.name === '..') {
    throw new TaskError('ChartInvalid', `An object of kind ${ref.kind} has no usable name ("${ref.name}").`);
  }
  if (resource.namespaced && !ref.namespace) {
    throw new TaskError('Internal', `No namespace was given for ${attempt.target}.`);
  }
  return resourcePath(resource, ref);
}

function refOf({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): ObjectRef {
  return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) };
}

async function createObject(
  requests: Requests,
  object: KubeObject,
  { fieldManager, dryRun }: { fieldManager?: string; dryRun?: boolean } = {},
): Promise<KubeObject> {
  const ref = refOf(object);
  const resource = await requests.served(ref.apiVersion, ref.kind, objectAttempt('create', ref));
  const attempt = objectAttempt('create', ref, resource);
  objectPath(resource, ref, attempt);
  const query = { fieldManager, dryRun: dryRun === true ? 'All' : undefined };
  const path = resourcePath(resource, { namespace: ref.namespace, query });
  const value = await requests.json({ method: 'POST', path, attempt, body: object, retry: 'unsent' });
  return understood(requests, value, ref, attempt);
}

async function updateObject(requests: Requests, object: KubeObject): Promise<KubeObject> {
  const ref = refOf(object);
  const resource = await requests.served(ref.apiVersion, ref.kind, objectAttempt('update', ref));
  const attempt = objectAttempt('update', ref, resource);
  if (!object.metadata.resourceVersion) {
    throw new TaskError('Internal', `No resourceVersion was given to update ${attempt.target}.`);
  }
  const path = objectPath(resource, ref, attempt);
  const value = await requests.json({ method: 'PUT', path, attempt, body: object, retry: 'idempotent' });
  return understood(requests, value, ref, attempt);
}

async function patchObject(requests: Requests, ref: ObjectRef, patch: unknown, dryRun: boolean): Promise<KubeObject> {
  const resource = await requests.served(ref.apiVersion, ref.kind, objectAttempt('patch', ref));
  const attempt = objectAttempt('patch', ref, resource);
  objectPath(resource, ref, attempt);
  const value = await requests.json({
    method: 'PATCH',
    path: resourcePath(resource, { ...ref, query: { dryRun: dryRun ? 'All' : undefined } }),
    attempt,
    body: patch,
    contentType: 'application/merge-patch+json',
    retry: 'idempotent',
  });
  return understood(requests, value, ref, attempt);
}

/** A missing object counts as success. */
async function deleteObject(requests: Requests, ref: ObjectRef, { uid }: { uid?: string }): Promise<void> {
  const resource = await requests.resource(ref.apiVersion, ref.kind);
  if (resource === undefined) return;
  const attempt = objectAttempt('delete', ref, resource);
  const answer = await requests.transport.send({
    method: 'DELETE',
    path: objectPath(resource, ref, attempt),
    attempt,
    body: {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(uid === undefined ? {} : { preconditions: { uid } }),
      propagationPolicy: 'Background',
    },
    retry: 'idempotent',
  });
  if (answer.status >= 200 && answer.status <= 299) return;
  if (answer.status === 404 && statusOf(answer) !== undefined) return;
  throw refusal(answer, attempt, requests.transport.server);
}

async function serverTime(requests: Requests): Promise<Date> {
  const attempt: Attempt = { verb: 'get', target: "the API server's version" };
  const answer = await requests.transport.send({ method: 'GET', path: '/version', attempt, retry: 'idempotent' });
  const date = new Date(answer.date ?? '');
  // A refused answer has a date too.
  if (!isNaN(date.getTime())) return date;
  throw notUnderstood(attempt, requests.transport.server, 'its answer has no date');
}

interface RulesReview {
  status?: { incomplete?: unknown; resourceRules?: unknown };
}

/** A review only reads although it is a POST, so it may be sent again. */
async function accessRules(requests: Requests, namespace: string): Promise<readonly AccessRule[] | undefined> {
  const attempt: Attempt = { verb: 'get', target: `the permissions of this connection in namespace ${namespace}` };
  const value = (await requests.json({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    attempt,
    body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } },
    retry: 'idempotent',
  })) as RulesReview | null;
  const rules = value?.status?.resourceRules;
  if (value?.status?.incomplete === true) return undefined;
  if (!Array.isArray(rules)) return rules === null ? [] : undefined;
  return (rules as unknown[]).map((rule) => {
    const { verbs, apiGroups, resources, resourceNames } = (rule ?? {}) as Record<string, unknown>;
    return {
      verbs: texts(verbs),
      apiGroups: texts(apiGroups),
      resources: texts(resources),
      resourceNames: texts(resourceNames),
    };
  });
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

/**
 * The last `limitBytes` of the last `tailLines` lines; empty if the container has no log. The API server's own limit
 * cuts off the end, where the cause is, so the request allows far more.
 */
async function podLog(
  requests: Requests,
  { namespace, name, container }: { namespace: string; name: string; container: string },
  { previous, tailLines, limitBytes, timestamps }: PodLogOptions,
  responseMs: number,
): Promise<string> {
  const resource: ApiResource = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };
  const rights = listAttempt('get', { apiVersion: 'v1', kind: 'Pod', namespace }, { ...resource, plural: 'pods/log' });
  const attempt: Attempt = { ...rights, target: `the log of ${container} of Pod/${name} in namespace ${namespace}` };
  const opened = await requests.transport.open({
    method: 'GET',
    path: resourcePath(resource, {
      namespace,
      name,
      subresource: 'log',
      query: {
        container,
        previous: previous ? 'true' : undefined,
        timestamps: timestamps === true ? 'true' : undefined,
        tailLines: String(tailLines),
        limitBytes: String(podLogMaxBytes),
      },
    }),
    attempt,
    accept: '*/*',
    retry: 'never',
  });
  if ('answer' in opened) {
    if (opened.answer.status === 400 || opened.answer.status === 404) return '';
    throw refusal(opened.answer, attempt, requests.transport.server);
  }
  try {
    return await readTail(opened.stream, limitBytes, responseMs);
  } catch (error) {
    throw connectionFailure(error, attempt, requests.transport.server);
  }
}

async function readTail(stream: Readable, limitBytes: number, idleMs: number): Promise<string> {
  const idle = setTimeout(() => {
    stream.destroy(Object.assign(new Error('the log stopped'), { code: 'ETIMEDOUT' }));
  }, idleMs);
  let tail: Buffer = Buffer.alloc(0);
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      idle.refresh();
      size += chunk.length;
      if (size > 2 * podLogMaxBytes) break;
      tail = Buffer.concat([tail, chunk]);
      if (tail.length > 2 * limitBytes) tail = Buffer.from(tail.subarray(-limitBytes));
    }
  } finally {
    clearTimeout(idle);
  }
  return wholeCharacters(tail.subarray(-limitBytes)).toString('utf8');
}

function wholeCharacters(bytes: Buffer): Buffer {
  const start = bytes.subarray(0, 4).findIndex((byte) => (byte & 0xc0) !== 0x80);
  return start <= 0 ? bytes : bytes.subarray(start);
}
