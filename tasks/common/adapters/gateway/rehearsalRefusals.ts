import { type ApiTarget, describeTarget, groupOf } from './apiRequest';
import { type Reply, refusalReply } from './reply';

export function tokenRefusal(target: ApiTarget): { status: number; reason: string; message: string } {
  const message = `${describeTarget(target)}: a rollback needs no token of a ServiceAccount`;
  return { status: 403, reason: 'Forbidden', message };
}

export function notThere(target: ApiTarget): { status: number; reason: string; message: string } {
  return { status: 404, reason: 'NotFound', message: `${target.resource} "${target.name ?? ''}" not found` };
}

export function notFound(target: ApiTarget, name: string): Reply {
  const { status, reason, message } = notThere(target);
  return refusalReply(status, reason, message, { name, group: groupOf(target), kind: target.resource });
}
