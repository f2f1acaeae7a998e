import { randomUUID } from 'node:crypto';
import type { KubeObject } from '../../core/kubernetes/object';
import { isUnchangedByApply } from '../../core/kubernetes/sameContent';
import { collectionPath, describeTarget } from './apiRequest';
import type { GatewayRequest } from './loopbackServer';
import { type Reply, objectReply } from './reply';
import { answeredReply, isSuccess } from './upstream';
import { type Act, type Scene, alreadyThere, record, refuse, refused } from './rehearsalRecording';
import { evict, remove } from './rehearsedDeletions';
import { notThere, tokenRefusal } from './rehearsalRefusals';
import { sentObject, storedObject, withoutVersion } from './sentObjects';
import { dryRun } from './rehearsedDryRun';

export function write(act: Act): Promise<Reply> {
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
    return sent !== undefined && isTooNew(act, answered.status) ? assume(act, sent) : refused(act, answered, sent);
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
  return sent !== undefined && isTooNew(act, answered.status) ? assume(act, sent) : refused(act, answered, sent);
}

/** Nobody reads a status or a scale back, so nothing is remembered. */
async function writeSubresource(act: Act): Promise<Reply> {
  const answered = await dryRun(act);
  if (!isSuccess(answered)) return refused(act, answered, undefined);
  await record(act, { name: act.target.name ?? '', effect: 'changed' });
  return answeredReply(answered);
}

export async function written(act: Act, object: KubeObject, how: { isNew: boolean; status: number }): Promise<Reply> {
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

/** The API server knows neither the namespace nor the kind yet, and the real change creates them first. */
function isTooNew({ scene, target }: Act, status: number): boolean {
  const isNewKind = scene.newKinds.some(
    ({ apiVersion, plural }) => apiVersion === target.apiVersion && plural === target.resource,
  );
  return status === 404 && (isNewKind || isNewNamespace(scene, target.namespace));
}

function isNewNamespace({ memory }: Scene, namespace: string | undefined): boolean {
  if (namespace === undefined) return false;
  const made = memory.recall({ apiVersion: 'v1', resource: 'namespaces', name: namespace });
  return made?.isNew === true && made.object !== undefined;
}
