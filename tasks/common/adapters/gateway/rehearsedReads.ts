import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject } from '../../core/kubernetes/object';
import type { ApiTarget } from './apiRequest';
import { labelSelector } from './labelSelector';
import type { GatewayRequest } from './loopbackServer';
import { type Remembered, overlaidItems } from './memory';
import { type Reply, jsonReply, objectReply } from './reply';
import { answeredReply, isSuccess, jsonOf, pathAndQuery } from './upstream';
import type { Scene } from './rehearsalRecording';
import { notFound } from './rehearsalRefusals';

export function read(scene: Scene, request: GatewayRequest, target: ApiTarget | undefined): Promise<Reply> {
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
