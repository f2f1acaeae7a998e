import { parse as parseYaml } from 'yaml';
import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject } from '../../core/kubernetes/object';
import type { GatewayRequest } from './loopbackServer';
import { type Answered, isSuccess, jsonOf } from './upstream';

export function storedObject(answered: Answered): KubeObject | undefined {
  return isSuccess(answered) ? asObject(jsonOf(answered.body)) : undefined;
}

/** Undefined for protobuf, which only the API server can decode. */
export function sentObject({ body, headers }: GatewayRequest): KubeObject | undefined {
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
export function withoutVersion(body: Buffer): Buffer {
  const object = asObject(jsonOf(body));
  if (object === undefined) return body;
  const { resourceVersion: _resourceVersion, uid: _uid, ...metadata } = object.metadata;
  return Buffer.from(JSON.stringify({ ...object, metadata }));
}
