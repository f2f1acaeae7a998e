import type { IncomingMessage } from 'node:http';
import type { KubeObject } from '../../core/kubernetes/object';

/** The gateway makes an answer itself, or streams the API server's answer. */
export type Reply = { stream: IncomingMessage } | { status: number; body: Buffer; headers?: Record<string, string> };

export function jsonReply(status: number, value: unknown, contentType = 'application/json'): Reply {
  return { status, body: Buffer.from(JSON.stringify(value)), headers: { 'content-type': contentType } };
}

export function objectReply(status: number, object: KubeObject): Reply {
  return jsonReply(status, object);
}

interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
}

/** A Status, which every client shows. */
export function refusalReply(code: number, reason: string, message: string, details: StatusDetails = {}): Reply {
  return jsonReply(code, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    details,
    code,
  });
}

/** The API server answers so if a deletion is done at once. */
export function deletedReply(details: StatusDetails): Reply {
  return jsonReply(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}
