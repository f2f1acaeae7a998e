import { randomUUID } from 'node:crypto';
import { parse as parseYaml } from 'yaml';
import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject } from '../../core/kubernetes/object';
import { isUnchangedByApply } from '../../core/kubernetes/sameContent';
import type { RehearsedWrite, RehearsalRequests, StorageWrite, WriteVerb } from '../../core/helm/rehearsal';
import { storedRevision } from '../../core/release/releaseRecord';
import { statusOf } from '../kubernetes/errors';
import { collectionPath, describeTarget, groupOf, type ApiTarget } from './apiRequest';
import { labelSelector } from './labelSelector';
import { bodyDigest, type GatewayRequest } from './loopbackServer';
import { createMemory, overlaidItems, type Memory, type Remembered } from './memory';
import { createReadAhead, type ReadAhead } from './readAhead';
import { deletedReply, jsonReply, objectReply, refusalReply, type Reply } from './reply';
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

interface ReleaseName {
  release: string;
  namespace: string;
}

export interface Recording {
  writes: RehearsedWrite[];
  storage: StorageWrite[];
  revision: number | undefined;
  warnings: string[];
  requests: RehearsalRequests;
}

/** Reads show the live cluster with the rehearsed writes; no write is stored. */
export interface Stage {
  handle(request: GatewayRequest): Promise<Reply>;
  recording(): Recording;
}

interface Scene extends ReleaseName {
  upstream: Upstream;
  memory: Memory;
  readAhead: ReadAhead;
  requests: RehearsalRequests;
  warnings: Set<string>;
  writes: { order: number; write: RehearsedWrite }[];
  storage: { order: number; write: StorageWrite }[];
}

interface Act {
  scene: Scene;
  request: GatewayRequest;
  verb: WriteVerb;
  target: ApiTarget;
  /** Writes run at the same time, and are recorded in the order of their arrival. */
  order: number;
}

/**
 * Sends every write as a dry run and remembers the result. Aggregated API servers that are built with Kubernetes'
 * library honour a dry run. `records` replace the live objects with these names.
 */
export function rehearsalStage(upstream: Upstream, names: ReleaseName, records: readonly KubeObject[] = []): Stage {
  const scene: Scene = {
    ...names,
    upstream,
    memory: createMemory(),
    readAhead: createReadAhead(upstream),
    requests: { reads: 0, dryRuns: 0 },
    warnings: new Set(),
    writes: [],
    storage: [],
  };
  for (const record of records) {
    const resource = record.kind === 'ConfigMap' ? 'configmaps' : 'secrets';
    const { namespace } = names;
    scene.memory.remember({ apiVersion: record.apiVersion, resource, namespace }, record, false);
  }
  let arrived = 0;
  return {
    handle(request) {
      const { asked } = request;
      const order = arrived++;
      switch (asked.type) {
        case 'read':
          return read(scene, request, asked.target);
        case 'write':
          return write({ scene, request, verb: asked.verb, target: asked.target, order });
        case 'deleteCollection':
          return deleteCollection({ scene, request, verb: 'delete', target: asked.target, order });
      }
    },
    recording() {
      const storage = inOrder(scene.storage);
      const made = storage.filter(({ verb, refusal }) => verb === 'create' && refusal === undefined);
      return {
        writes: inOrder(scene.writes),
        storage,
        revision: made.map(({ name }) => storedRevision(scene.release, name)).at(-1),
        warnings: [...scene.warnings],
        requests: { ...scene.requests },
      };
    },
  };
}

function inOrder<Write>(entries: readonly { order: number; write: Write }[]): Write[] {
  return [...entries].sort((one, other) => one.order - other.order).map((entry) => entry.write);
}

function read(scene: Scene, request: GatewayRequest, target: ApiTarget | undefined): Promise<Reply> {
  const pass = (): Promise<Reply> => {
    scene.requests.reads += 1;
    return scene.upstream.passRead(request);
  };
  const isWatch = /^(?:1|true)$/.test(request.query.get('watch') ?? '');
  if (target === undefined || target.subresource !== undefined || request.method !== 'GET' || isWatch) return pass();
  if (target.name === undefined) {
    const written = scene.memory.within(target);
    return written.length === 0 ? pass() : overlaidList({ scene, request, target, written }, pass);
  }
  const remembered = scene.memory.recall(target);
  if (remembered === undefined) return readNamed(scene, request, target, pass);
  if (remembered.object === undefined) return Promise.resolve(notFound(target, target.name));
  const object = inVersionOf(target, remembered);
  return object === undefined ? pass() : Promise.resolve(objectReply(200, object));
}

/**
 * Undefined for another version of a live object, because only the API server can convert it. An object that only the
 * rehearsal has keeps its fields: Helm 4.1.0 creates it in one version, looks for it in another and deletes it.
 */
function inVersionOf({ apiVersion }: ApiTarget, { object, isNew, ...remembered }: Remembered): KubeObject | undefined {
  if (object === undefined || remembered.apiVersion === apiVersion) return object;
  return isNew ? { ...object, apiVersion } : undefined;
}

async function readNamed(
  scene: Scene,
  request: GatewayRequest,
  target: ApiTarget,
  pass: () => Promise<Reply>,
): Promise<Reply> {
  const accept = request.headers['accept'] ?? '';
  // A table or metadata alone is not the form that was listed.
  if (!accept.includes('application/json') || accept.includes('as=')) return pass();
  const object = await scene.readAhead.object(target, () => {
    scene.requests.reads += 1;
  });
  return object === undefined ? pass() : objectReply(200, object);
}

interface ListRead {
  scene: Scene;
  request: GatewayRequest;
  target: ApiTarget;
  written: readonly Remembered[];
}

async function overlaidList({ scene, request, target, written }: ListRead, pass: () => Promise<Reply>): Promise<Reply> {
  const query = new URLSearchParams(request.query);
  const selector = labelSelector(query.get('labelSelector') ?? '');
  const fields = query.get('fieldSelector') ?? '';
  const name = /^metadata\.name==?([^=,!]+)$/.exec(fields)?.[1];
  // Only the API server could decide if a remembered object matches other field selectors.
  if (selector === undefined || (fields !== '' && name === undefined)) return pass();
  for (const each of ['limit', 'continue']) query.delete(each);
  scene.requests.reads += 1;
  const answered = await scene.upstream.ask({
    method: 'GET',
    path: pathAndQuery(request.pathname, query),
    target,
    verb: 'list',
    client: request.client,
    retry: 'idempotent',
    signal: request.signal,
  });
  const list = jsonOf(answered.body);
  if (!isSuccess(answered) || !isRecord(list)) return answeredReply(answered);
  const items = Array.isArray(list['items']) ? (list['items'] as unknown[]) : [];
  const isWanted = ({ metadata }: KubeObject): boolean =>
    selector(metadata.labels ?? {}) && (name === undefined || metadata.name === name);
  const inVersion = written.flatMap((each) => {
    const object = inVersionOf(target, each);
    return object === undefined && each.object !== undefined ? [] : [{ ...each, ...(object && { object }) }];
  });
  return jsonReply(200, { ...list, items: overlaidItems(items, inVersion, isWanted) });
}

function write(act: Act): Promise<Reply> {
  const { verb, target } = act;
  if (target.subresource === 'eviction') return evict(act);
  // This subresource issues a credential, even for a dry run.
  if (target.subresource === 'token') return refuse(act, tokenRefusal(target));
  if (target.subresource !== undefined) return writeSubresource(act);
  switch (verb) {
    case 'create':
      return create(act);
    case 'update':
      return update(act);
    case 'patch':
    case 'apply':
      return patch(act);
    case 'delete':
      return remove(act);
  }
}

async function create(act: Act): Promise<Reply> {
  const { scene, target } = act;
  const sent = sentObject(act.request);
  const before = sent && scene.memory.recall({ ...target, name: sent.metadata.name });
  if (sent !== undefined && before?.object !== undefined) return alreadyThere(act, sent.metadata.name);
  if (sent !== undefined && before?.isNew === false) return assume(act, sent);
  const answered = await dryRun(act);
  const object = storedObject(answered);
  if (object === undefined) {
    const lacksNamespace = sent !== undefined && answered.status === 404 && isNewNamespace(scene, target.namespace);
    return lacksNamespace ? assume(act, sent) : refused(act, answered, sent);
  }
  // The name of an object that was sent as protobuf is known only after the dry run.
  if (scene.memory.recall({ ...target, name: object.metadata.name })?.object !== undefined) {
    return alreadyThere(act, object.metadata.name);
  }
  return written(act, object, { isNew: true, status: 201 });
}

async function update(act: Act): Promise<Reply> {
  const { scene, target } = act;
  const before = scene.memory.recall(target);
  if (before !== undefined && before.object === undefined) return refuse(act, notThere(target));
  if (before?.isNew !== true) return writeAsDryRun(act);
  // The API server does not have the object, so the update is rehearsed as a creation.
  const { name: _name, ...collection } = target;
  const { pathname: _pathname, body, ...others } = act.request;
  const request: GatewayRequest = {
    ...others,
    method: 'POST',
    pathname: collectionPath(collection),
    body: withoutVersion(body),
  };
  const answered = await dryRun({ ...act, request });
  const object = storedObject(answered);
  return object === undefined ? refused(act, answered, undefined) : written(act, object, { isNew: true, status: 200 });
}

async function patch(act: Act): Promise<Reply> {
  const { scene, target, verb, request } = act;
  const before = scene.memory.recall(target);
  if (before === undefined || (before.isNew && verb === 'apply') || (!before.isNew && before.object !== undefined)) {
    return writeAsDryRun(act);
  }
  const sent = verb === 'apply' ? sentObject(request) : undefined;
  if (sent !== undefined) return assume(act, sent);
  if (before.object === undefined) return refuse(act, notThere(target));
  return refuse(act, {
    status: 501,
    reason: 'NotImplemented',
    message: `${describeTarget(target)} was created in this rehearsal, and a patch of it cannot be rehearsed.`,
  });
}

/** Reading a definition costs the API server less than a dry run that would change nothing of it. */
async function unchangedDefinition({ scene, target, verb, request }: Act): Promise<KubeObject | undefined> {
  const sent = verb === 'apply' && target.resource === 'customresourcedefinitions' ? sentObject(request) : undefined;
  if (sent === undefined || scene.memory.recall(target) !== undefined) return undefined;
  scene.requests.reads += 1;
  const { pathname: path, client } = request;
  const answered = await scene.upstream.ask({ method: 'GET', path, target, verb: 'get', client, retry: 'idempotent' });
  const live = storedObject(answered);
  return live !== undefined && isUnchangedByApply(sent, live) ? live : undefined;
}

async function writeAsDryRun(act: Act): Promise<Reply> {
  const unchanged = await unchangedDefinition(act);
  if (unchanged !== undefined) return written(act, unchanged, { isNew: false, status: 200 });
  const answered = await dryRun(act);
  const object = storedObject(answered);
  if (object !== undefined) {
    const isNew = answered.status === 201 || act.scene.memory.recall(act.target)?.isNew === true;
    return written(act, object, { isNew, status: answered.status });
  }
  const sent = act.verb === 'apply' ? sentObject(act.request) : undefined;
  const lacksNamespace = answered.status === 404 && isNewNamespace(act.scene, act.target.namespace);
  return sent !== undefined && lacksNamespace ? assume(act, sent) : refused(act, answered, sent);
}

async function remove(act: Act): Promise<Reply> {
  const { scene, target } = act;
  const name = target.name ?? '';
  const before = scene.memory.recall(target);
  if (before !== undefined && before.object === undefined) return refuse(act, notThere(target));
  if (before?.isNew === true) return removed(act, name, before.object?.metadata.uid);
  const answered = await dryRun(act);
  return isSuccess(answered) ? removed(act, name, deletedUid(answered)) : refused(act, answered, undefined);
}

async function removed(act: Act, name: string, uid: string | undefined): Promise<Reply> {
  const { scene, target } = act;
  scene.memory.forget(target, name);
  await record(act, { name, effect: 'deleted', ...(uid === undefined ? {} : { uid }) });
  // kubectl waits for the end of an object with the old uid, and treats one with another uid as replaced.
  return deletedReply({ name, group: groupOf(target), kind: target.resource, uid: randomUUID() });
}

async function deleteCollection(act: Act): Promise<Reply> {
  const { scene, target, request } = act;
  const answered = await dryRun(act);
  if (!isSuccess(answered)) return refused(act, answered, undefined);
  const list = jsonOf(answered.body);
  const items: unknown[] = isRecord(list) && Array.isArray(list['items']) ? list['items'] : [];
  const written = scene.memory.within(target);
  const isWanted = labelSelector(request.query.get('labelSelector') ?? '') ?? (() => true);
  const gone = overlaidItems(items, written, ({ metadata }) => isWanted(metadata.labels ?? {}));
  for (const item of gone) {
    const metadata = isRecord(item) && isRecord(item['metadata']) ? item['metadata'] : {};
    const { name, namespace, uid } = metadata;
    if (typeof name !== 'string') continue;
    const one = { ...target, ...(typeof namespace === 'string' ? { namespace } : {}) };
    scene.memory.forget(one, name);
    await record(
      { ...act, target: one },
      { name, effect: 'deleted', isOfCollection: true, ...(typeof uid === 'string' ? { uid } : {}) },
    );
  }
  return deletedReply({ group: groupOf(target), kind: target.resource });
}

async function evict(act: Act): Promise<Reply> {
  const answered = await dryRun(act);
  if (!isSuccess(answered)) return refused(act, answered, undefined);
  const name = act.target.name ?? '';
  act.scene.memory.forget(act.target, name);
  await record(act, { name, effect: 'deleted' });
  return answeredReply(answered);
}

function tokenRefusal(target: ApiTarget): { status: number; reason: string; message: string } {
  const message = `${describeTarget(target)}: a rollback needs no token of a ServiceAccount`;
  return { status: 403, reason: 'Forbidden', message };
}

/** Nobody reads a status or a scale back, so nothing is remembered. */
async function writeSubresource(act: Act): Promise<Reply> {
  const answered = await dryRun(act);
  if (!isSuccess(answered)) return refused(act, answered, undefined);
  await record(act, { name: act.target.name ?? '', effect: 'changed' });
  return answeredReply(answered);
}

async function written(act: Act, object: KubeObject, how: { isNew: boolean; status: number }): Promise<Reply> {
  const { scene, target, verb } = act;
  const { name, uid } = object.metadata;
  const wasWritten = scene.memory.recall({ ...target, name })?.object !== undefined;
  scene.memory.remember(target, object, how.isNew);
  const effect = how.status === 201 ? 'created' : 'changed';
  // The API server has applied this patch to the live object, not to the result of the earlier rehearsed write.
  const isAssumed = wasWritten && (verb === 'patch' || verb === 'apply');
  await record(act, {
    name,
    effect,
    object,
    ...(uid === undefined ? {} : { uid }),
    ...(isAssumed ? { isAssumed } : {}),
  });
  return objectReply(how.status, object);
}

/** Remembers what was sent, because the API server could not rehearse this write. */
async function assume(act: Act, sent: KubeObject): Promise<Reply> {
  const { namespace } = act.target;
  const metadata = { ...sent.metadata, uid: randomUUID(), ...(namespace === undefined ? {} : { namespace }) };
  const object = { ...sent, metadata };
  act.scene.memory.remember(act.target, object, true);
  await record(act, { name: sent.metadata.name, effect: 'created', object, isAssumed: true });
  return objectReply(201, object);
}

async function refused(act: Act, answered: Answered, sent: KubeObject | undefined): Promise<Reply> {
  const name = act.target.name ?? sent?.metadata.name ?? '';
  // A client that retries after a conflict must read the live object again.
  if (answered.status === 409) await act.scene.readAhead.drop(act.target);
  await record(act, { name, effect: 'refused', refusal: refusalOf(answered) });
  return answeredReply(answered);
}

async function refuse(act: Act, refusal: { status: number; reason: string; message: string }): Promise<Reply> {
  await record(act, { name: act.target.name ?? '', effect: 'refused', refusal });
  return refusalReply(refusal.status, refusal.reason, refusal.message);
}

async function alreadyThere(act: Act, name: string): Promise<Reply> {
  const message = `${describeTarget({ ...act.target, name })} already exists`;
  await record(act, { name, effect: 'refused', refusal: { status: 409, reason: 'AlreadyExists', message } });
  return refusalReply(409, 'AlreadyExists', message, { name, kind: act.target.resource });
}

function notThere(target: ApiTarget): { status: number; reason: string; message: string } {
  return { status: 404, reason: 'NotFound', message: `${target.resource} "${target.name ?? ''}" not found` };
}

function notFound(target: ApiTarget, name: string): Reply {
  const { status, reason, message } = notThere(target);
  return refusalReply(status, reason, message, { name, group: groupOf(target), kind: target.resource });
}

type Entry = Pick<RehearsedWrite, 'effect' | 'uid' | 'object' | 'refusal' | 'isAssumed' | 'isOfCollection'> & {
  name: string;
};

async function record({ scene, request, verb, target, order }: Act, { name, object, ...entry }: Entry): Promise<void> {
  const { apiVersion, resource, namespace, subresource } = target;
  if (subresource === undefined && isStorage(scene, target, name)) {
    scene.storage.push({ order, write: { verb, name, ...(entry.refusal && { refusal: entry.refusal }) } });
    return;
  }
  const kind = object?.kind ?? (await scene.upstream.kindOf(target));
  const write: RehearsedWrite = {
    verb,
    ref: { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) },
    resource,
    client: request.client,
    bodyDigest: bodyDigest(request),
    ...entry,
    ...(subresource === undefined ? {} : { subresource }),
    ...(object === undefined ? {} : { object: withoutManagers(object) }),
  };
  scene.writes.push({ order, write });
}

function isStorage({ release, namespace }: ReleaseName, target: ApiTarget, name: string): boolean {
  const isKind = target.apiVersion === 'v1' && (target.resource === 'secrets' || target.resource === 'configmaps');
  return isKind && target.namespace === namespace && storedRevision(release, name) !== undefined;
}

/** The remembered object keeps its managedFields, because Helm 4 reads them. */
function withoutManagers(object: KubeObject): KubeObject {
  const { managedFields: _managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function isNewNamespace({ memory }: Scene, namespace: string | undefined): boolean {
  if (namespace === undefined) return false;
  const made = memory.recall({ apiVersion: 'v1', resource: 'namespaces', name: namespace });
  return made?.isNew === true && made.object !== undefined;
}

/** The API server reads the dry run option of a deletion from the body if there is one. */
async function dryRun({ scene, request, verb, target }: Act): Promise<Answered> {
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

function storedObject(answered: Answered): KubeObject | undefined {
  return isSuccess(answered) ? asObject(jsonOf(answered.body)) : undefined;
}

function deletedUid(answered: Answered): string | undefined {
  const answer = jsonOf(answered.body);
  if (!isRecord(answer)) return undefined;
  const from = statusOf(answered) === undefined ? answer['metadata'] : answer['details'];
  return isRecord(from) && typeof from['uid'] === 'string' ? from['uid'] : undefined;
}

/** Undefined for protobuf, which only the API server can decode. */
function sentObject({ body, headers }: GatewayRequest): KubeObject | undefined {
  const contentType = headers['content-type'] ?? '';
  if (/protobuf|cbor/i.test(contentType)) return undefined;
  const json = jsonOf(body);
  if (json !== undefined) return asObject(json);
  try {
    return asObject(parseYaml(body.toString('utf8')));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): KubeObject | undefined {
  if (!isRecord(value) || typeof value['kind'] !== 'string' || typeof value['apiVersion'] !== 'string')
    return undefined;
  const { metadata } = value;
  return isRecord(metadata) && typeof metadata['name'] === 'string' ? (value as KubeObject) : undefined;
}

/** A creation must have no resourceVersion and no uid. */
function withoutVersion(body: Buffer): Buffer {
  const object = asObject(jsonOf(body));
  if (object === undefined) return body;
  const { resourceVersion: _resourceVersion, uid: _uid, ...metadata } = object.metadata;
  return Buffer.from(JSON.stringify({ ...object, metadata }));
}
