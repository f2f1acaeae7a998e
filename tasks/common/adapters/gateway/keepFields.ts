import { parse as parseYaml } from 'yaml';
import { apiGroup } from '../../core/kubernetes/manifest';
import { withKept, type KeptField } from '../../core/release/keptFields';
import type { ApiTarget } from './apiRequest';
import type { GatewayRequest } from './loopbackServer';
import { jsonOf } from './upstream';

/** The request without a change of these fields. A creation keeps what it declares. */
export function keepFields(request: GatewayRequest, all: readonly KeptField[]): GatewayRequest {
  const { asked } = request;
  if (asked.type !== 'write' || asked.verb === 'create' || asked.verb === 'delete') return request;
  const kept = all.filter((field) => isField(field, asked.target));
  if (kept.length === 0) return request;
  const sent = contentOf(request);
  const body = withKept(sent, asked.verb, kept);
  return body === sent ? request : { ...request, body: Buffer.from(JSON.stringify(body)) };
}

function isField({ ref, resource }: KeptField, target: ApiTarget): boolean {
  return (
    target.subresource === undefined &&
    apiGroup(ref.apiVersion) === apiGroup(target.apiVersion) &&
    resource === target.resource &&
    (ref.namespace ?? '') === (target.namespace ?? '') &&
    ref.name === target.name
  );
}

/** Undefined for a body that only the API server can read. */
function contentOf({ body, headers }: GatewayRequest): unknown {
  if (/protobuf|cbor/i.test(headers['content-type'] ?? '')) return undefined;
  const json = jsonOf(body);
  if (json !== undefined) return json;
  try {
    return parseYaml(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
