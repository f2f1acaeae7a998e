import type { DeclaredKind } from '../../core/helm/chartCrds';
import type { KubeObject } from '../../core/kubernetes/object';
import type { RehearsalRequests, RehearsedWrite, StorageWrite, WriteVerb } from '../../core/helm/rehearsal';
import { type ApiTarget, describeTarget } from './apiRequest';
import { type GatewayRequest, bodyDigest } from './loopbackServer';
import type { Memory } from './memory';
import type { ReadAhead } from './readAhead';
import { type Reply, refusalReply } from './reply';
import { type Answered, type Upstream, answeredReply, refusalOf } from './upstream';
import { type ReleaseName, isStorage } from './releaseStorage';

export interface Recording {
  writes: RehearsedWrite[];
  storage: StorageWrite[];
  /** Helm's record of the revision that it made, as it was written last. */
  record?: KubeObject;
  revision: number | undefined;
  warnings: string[];
  requests: RehearsalRequests;
}

export interface Scene extends ReleaseName {
  upstream: Upstream;
  newKinds: readonly DeclaredKind[];
  memory: Memory;
  readAhead: ReadAhead;
  requests: RehearsalRequests;
  warnings: Set<string>;
  writes: { order: number; write: RehearsedWrite }[];
  storage: { order: number; write: StorageWrite }[];
}

export interface Act {
  scene: Scene;
  request: GatewayRequest;
  verb: WriteVerb;
  target: ApiTarget;
  /** Writes run at the same time, and are recorded in the order of their arrival. */
  order: number;
}

export function inOrder<Write>(entries: readonly { order: number; write: Write }[]): Write[] {
  return [...entries].sort((one, other) => one.order - other.order).map((entry) => entry.write);
}

export async function refused(act: Act, answered: Answered, sent: KubeObject | undefined): Promise<Reply> {
  const name = act.target.name ?? sent?.metadata.name ?? '';
  // A client that retries after a conflict must read the live object again.
  if (answered.status === 409) await act.scene.readAhead.drop(act.target);
  await record(act, { name, effect: 'refused', refusal: refusalOf(answered) });
  return answeredReply(answered);
}

export async function refuse(act: Act, refusal: { status: number; reason: string; message: string }): Promise<Reply> {
  await record(act, { name: act.target.name ?? '', effect: 'refused', refusal });
  return refusalReply(refusal.status, refusal.reason, refusal.message);
}

export async function alreadyThere(act: Act, name: string): Promise<Reply> {
  const message = `${describeTarget({ ...act.target, name })} already exists`;
  await record(act, { name, effect: 'refused', refusal: { status: 409, reason: 'AlreadyExists', message } });
  return refusalReply(409, 'AlreadyExists', message, { name, kind: act.target.resource });
}

type Entry = Pick<RehearsedWrite, 'effect' | 'uid' | 'object' | 'refusal' | 'isAssumed' | 'isOfCollection'> & {
  name: string;
};

export async function record(
  { scene, request, verb, target, order }: Act,
  { name, object, ...entry }: Entry,
): Promise<void> {
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

/** The remembered object keeps its managedFields, because Helm 4 reads them. */
function withoutManagers(object: KubeObject): KubeObject {
  const { managedFields: _managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}
