import type { IncomingMessage } from 'node:http';
import type { KubeObject } from '../../core/kubernetes/object';

/** What the gateway answers: something of its own, or what the API server sends, while it comes. */
export type Reply = { stream: IncomingMessage } | { status: number; body: Buffer; headers?: Record<string, string> };

export function jsonReply(status: number, value: unknown, contentType = 'application/json'): Reply {
  return { status, body: Buffer.from(JSON.stringify(value)), headers: { 'content-type': contentType } };
}

export function objectReply(status: number, object: KubeObject): Reply {
  return jsonReply(status, object);
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
}

/** A Kubernetes Status that says no, in a form that every client shows. */
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

/** As the API server answers a deletion that is done at once. */
export function deletedReply(details: StatusDetails): Reply {
  return jsonReply(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}
