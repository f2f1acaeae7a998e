import { isStorage } from './releaseStorage';
import { randomUUID } from 'node:crypto';
import { isRecord } from '../../core/kubernetes/json';
import type { FencedWrite, FencePolicy, FenceRecord, FenceWrite } from '../../core/helm/fence';
import type { KubeObject } from '../../core/kubernetes/object';
import type { WriteRefusal, WriteVerb } from '../../core/helm/rehearsal';
import { collectionPath, describeTarget, groupOf, type ApiTarget } from './apiRequest';
import { bodyDigest, type GatewayRequest } from './loopbackServer';
import { deletedReply, refusalReply, type Reply } from './reply';
import {
  answeredReply,
  attemptVerb,
  isSuccess,
  jsonOf,
  pathAndQuery,
  refusalOf,
  type Answered,
  type Upstream,
} from './upstream';

interface FenceRules {
  release: string;
  namespace: string;
  policy: FencePolicy;
  /** Aborts when this run loses the lock. From then on every write is refused. */
  lost: AbortSignal | undefined;
}

export interface FenceGate {
  handle(request: GatewayRequest): Promise<Reply>;
  record(): FenceRecord;
}

interface FenceState extends FenceRules {
  upstream: Upstream;
  made: Set<string>;
  requests: { reads: number; writes: number };
  entries: { order: number; list: 'forwarded' | 'heldBack' | 'refused'; write: FencedWrite }[];
}

interface Passage {
  state: FenceState;
  request: GatewayRequest;
  verb: WriteVerb;
  target: ApiTarget;
  order: number;
}

interface Identity {
  name: string | undefined;
  namespace?: string | undefined;
  uid?: string | undefined;
  kind?: string | undefined;
}

const metadataAccept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const metadataListAccept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';

export function fenceGate(upstream: Upstream, rules: FenceRules): FenceGate {
  const state: FenceState = { ...rules, upstream, made: new Set(), requests: { reads: 0, writes: 0 }, entries: [] };
  let arrived = 0;
  const listed = (list: FenceState['entries'][number]['list']): FencedWrite[] =>
    state.entries
      .filter((entry) => entry.list === list)
      .sort((one, other) => one.order - other.order)
      .map(({ write }) => write);
  return {
    handle(request) {
      const { asked } = request;
      const order = arrived++;
      switch (asked.type) {
        case 'read':
          state.requests.reads += 1;
          return upstream.passRead(request);
        case 'write':
          return write({ state, request, verb: asked.verb, target: asked.target, order });
        case 'deleteCollection':
          return write({ state, request, verb: 'delete', target: asked.target, order });
      }
    },
    record: () => ({
      forwarded: listed('forwarded'),
      heldBack: listed('heldBack'),
      refused: listed('refused'),
      requests: { ...state.requests },
    }),
  };
}

async function write(passage: Passage): Promise<Reply> {
  const { state, verb, target } = passage;
  const asked = fenceWrite(passage);
  if (state.lost?.aborted) {
    return refuse(passage, `the lock of release ${state.release} is no longer held by this run`);
  }
  if (verb === 'delete') return state.policy.mayDelete(asked) ? forward(passage) : holdBack(passage);
  if (state.policy.mayWrite?.(asked) === false) return refuse(passage, notPlanned(target));
  if (state.policy.isLeft?.(asked) === true) return leave(passage, target.name);
  return state.policy.comparing === undefined ? forward(passage) : compared(passage, asked);
}

function notPlanned(target: ApiTarget): string {
  return `${describeTarget(target)} is not in the plan`;
}

/** If the API server refuses the dry run, it refuses the forwarded write too. */
async function compared(passage: Passage, asked: FenceWrite): Promise<Reply> {
  const { policy } = passage.state;
  if (asked.name !== undefined) return comparedNamed(passage, asked);
  // Helm sends its records as protobuf, so only the answer of the API server shows the name.
  const wouldBe = await dryRun(passage);
  if (wouldBe === undefined) return forward(passage);
  const { name } = wouldBe.metadata;
  const named = { ...asked, name, isStorage: isStorage(passage.state, passage.target, name) };
  if (policy.mayWrite?.(named) === false) return refuse(passage, notPlanned({ ...passage.target, name }));
  return comparedNamed(passage, named);
}

async function comparedNamed(passage: Passage, asked: FenceWrite): Promise<Reply> {
  const compare = passage.state.policy.comparing?.(asked);
  if (compare === undefined) return forward(passage);
  const wouldBe = await dryRun(passage);
  const why = wouldBe === undefined ? undefined : compare(wouldBe);
  return why === undefined ? forward(passage) : refuse(passage, why);
}

/** Undefined if the API server refuses the write or answers with something else. */
async function dryRun(passage: Passage): Promise<KubeObject | undefined> {
  const query = new URLSearchParams(passage.request.query);
  query.set('dryRun', 'All');
  const answered = await send(passage, query, 'idempotent');
  const object = jsonOf(answered.body);
  return isSuccess(answered) && identityOf(object) !== undefined ? (object as KubeObject) : undefined;
}

/** Answers with the live object, as if the write had changed nothing. */
async function leave(passage: Passage, name: string | undefined): Promise<Reply> {
  const { state, request, target } = passage;
  if (name === undefined) return forward(passage);
  const answered = await state.upstream.ask({
    method: 'GET',
    path: `${collectionPath(target)}/${encodeURIComponent(name)}`,
    target,
    verb: 'get',
    client: request.client,
    retry: 'idempotent',
  });
  return answered.status === 404 ? forward(passage) : answeredReply(answered);
}

function fenceWrite({ state, request, verb, target }: Passage): FenceWrite {
  const { apiVersion, resource, namespace, subresource } = target;
  const name = target.name ?? sentName(request);
  return {
    verb,
    apiVersion,
    resource,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
    isStorage: name !== undefined && isStorage(state, target, name),
    isMadeHere: name !== undefined && state.made.has(objectPath(target, name)),
    bodyDigest: bodyDigest(request),
    ...(isProtobuf(request) ? {} : { sent: jsonOf(request.body) }),
    client: request.client,
  };
}

/** The path does not depend on the API version. */
function objectPath(target: ApiTarget, name: string): string {
  return [groupOf(target), target.resource, target.namespace ?? '', name].join('/');
}

/** Sends the client's request unchanged, except for the query. */
function send(
  { state, request, verb, target }: Passage,
  query: URLSearchParams,
  retry: Parameters<Upstream['ask']>[0]['retry'],
): Promise<Answered> {
  const { method, pathname, headers, body, client } = request;
  const contentType = headers['content-type'];
  return state.upstream.ask({
    method,
    path: pathAndQuery(pathname, query),
    target,
    verb: attemptVerb(verb),
    body,
    ...(contentType === undefined ? {} : { contentType }),
    client,
    retry,
  });
}

async function forward(passage: Passage): Promise<Reply> {
  const { state, request, target } = passage;
  state.requests.writes += 1;
  // A repeated POST would answer that the object exists, and Helm would count that as a failure.
  const answered = await send(passage, request.query, request.method === 'POST' ? 'unsent' : 'idempotent');
  const answer = jsonOf(answered.body);
  const identity = identityOf(answer) ?? { name: target.name ?? sentName(request) };
  if (answered.status === 201 && identity.name !== undefined) state.made.add(objectPath(target, identity.name));
  await record(passage, 'forwarded', { ...identity, ...(isSuccess(answered) ? {} : { refusal: refusalOf(answered) }) });
  return answeredReply(answered);
}

/**
 * Answers as if the deletion had been done, and a missing object with 404, because Helm counts its deletions. The API
 * server only gets a read, because a dry run would rely on another program to change nothing.
 */
async function holdBack(passage: Passage): Promise<Reply> {
  const { target } = passage;
  return target.name === undefined ? holdBackAll(passage) : holdBackOne(passage, target.name);
}

async function holdBackOne(passage: Passage, name: string): Promise<Reply> {
  const { state, request, target } = passage;
  const answered = await state.upstream.ask({
    method: 'GET',
    path: `${collectionPath(target)}/${encodeURIComponent(name)}`,
    target,
    verb: 'get',
    accept: metadataAccept,
    client: request.client,
    retry: 'idempotent',
  });
  if (answered.status === 404) return answeredReply(answered);
  const { uid } = identityOf(jsonOf(answered.body)) ?? {};
  await record(passage, 'heldBack', { name, uid });
  // kubectl waits for the end of an object with the old uid, and treats one with another uid as replaced.
  return deletedReply({ name, group: groupOf(target), kind: target.resource, uid: randomUUID() });
}

async function holdBackAll(passage: Passage): Promise<Reply> {
  const { state, request, target } = passage;
  const query = new URLSearchParams();
  for (const name of ['labelSelector', 'fieldSelector']) {
    const value = request.query.get(name);
    if (value !== null) query.set(name, value);
  }
  const answered = await state.upstream.ask({
    method: 'GET',
    path: pathAndQuery(request.pathname, query),
    target,
    verb: 'list',
    accept: metadataListAccept,
    client: request.client,
    retry: 'idempotent',
  });
  const list = jsonOf(answered.body);
  const items: unknown[] = isRecord(list) && Array.isArray(list['items']) ? list['items'] : [];
  const kept = items.flatMap((item) => identityOf(item) ?? []);
  // An empty or unreadable list is recorded too, so that the report shows the request.
  for (const identity of kept.length === 0 ? [{ name: undefined }] : kept) {
    await record(passage, 'heldBack', { ...identity, isOfCollection: true });
  }
  return deletedReply({ group: groupOf(target), kind: target.resource });
}

async function refuse(passage: Passage, why: string): Promise<Reply> {
  const message = `helm-safe-deploy refused to ${attemptVerb(passage.verb)} ${describeTarget(passage.target)}: ${why}.`;
  const name = passage.target.name ?? sentName(passage.request);
  await record(passage, 'refused', { name, refusal: { status: 403, reason: 'Forbidden', message } });
  return refusalReply(403, 'Forbidden', message);
}

type Entry = Identity & { refusal?: WriteRefusal; isOfCollection?: true };

async function record(passage: Passage, list: FenceState['entries'][number]['list'], entry: Entry): Promise<void> {
  const { state, request, verb, target, order } = passage;
  const { apiVersion, resource, subresource } = target;
  const namespace = entry.namespace ?? target.namespace;
  const kind = entry.kind ?? (await state.upstream.kindOf(target));
  const write: FencedWrite = {
    verb,
    ref: { apiVersion, kind, name: entry.name ?? '', ...(namespace === undefined ? {} : { namespace }) },
    resource,
    client: request.client,
    ...(subresource === undefined ? {} : { subresource }),
    ...(entry.uid === undefined ? {} : { uid: entry.uid }),
    ...(entry.refusal === undefined ? {} : { refusal: entry.refusal }),
    ...(entry.isOfCollection === undefined ? {} : { isOfCollection: true }),
  };
  state.entries.push({ order, list, write });
}

/** Undefined for a Status and for anything that is not an object. */
function identityOf(value: unknown): Identity | undefined {
  if (!isRecord(value) || !isRecord(value['metadata'])) return undefined;
  const { name, namespace, uid } = value['metadata'];
  if (typeof name !== 'string') return undefined;
  const kind = value['kind'];
  const isOwnKind = typeof kind === 'string' && kind !== 'PartialObjectMetadata';
  return {
    name,
    ...(typeof namespace === 'string' ? { namespace } : {}),
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(isOwnKind ? { kind } : {}),
  };
}

/** For other bodies than JSON, the name comes from the answer of the API server. */
function sentName(request: GatewayRequest): string | undefined {
  if (request.method !== 'POST' || isProtobuf(request)) return undefined;
  return identityOf(jsonOf(request.body))?.name;
}

function isProtobuf({ headers }: GatewayRequest): boolean {
  return /protobuf|cbor/i.test(headers['content-type'] ?? '');
}
