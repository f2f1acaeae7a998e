import type { KubeObject } from '../kubernetes/object';
import { refOf } from '../kubernetes/manifest';
import { objectStatus, type ObjectStatus, type StatusRule } from '../status/objectStatus';
import type { Family } from './family';
import { objectName } from '../kubernetes/manifest';
import { mayOwnRunners, isRunner } from './runner';
import type { UnreadKind } from './snapshot';

/** Jobs and pods come and go by an operator's schedule, so they count only where the custom resource itself is silent. */
const lastingKinds: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet']);

/**
 * The status of an object, with the workloads that it owns if it is a custom resource. Their operator may say that all is
 * well before their pods are, or may say nothing.
 */
export function statusWithOwned(
  object: KubeObject,
  family: Family | undefined,
  { rules, unread, now }: { rules: readonly StatusRule[]; unread: readonly UnreadKind[]; now: Date },
): ObjectStatus {
  const own = objectStatus(object, now, rules);
  const isNew = own.reason === 'NotObserved';
  const isSilent = isNew || own.reason === 'NotJudged';
  const mayBeWell = isNew || (own.status === 'Current' && own.reason !== 'NotWaitedFor');
  if (!mayBeWell || !mayOwnRunners(refOf(object))) return own;
  const owned = (family?.owned ?? []).filter(({ kind }) => isSilent || lastingKinds.has(kind));
  const judged = owned.map((workload) => ({ workload, status: objectStatus(workload, now, rules) }));
  const unready = judged.find(({ status }) => status.status !== 'Current');
  if (unready !== undefined) {
    const message = `${objectName(refOf(unready.workload))}, which it owns: ${unready.status.message}`;
    return { status: 'InProgress', reason: 'OwnedNotReady', message };
  }
  if (isNew || !isSilent) return own;
  const hidden = unread.find((kind) => isRunner(kind) && kind.namespace === object.metadata.namespace);
  if (hidden !== undefined) return { ...own, message: `In place, not judged: ${hidden.message}` };
  if (owned.length === 0) return own;
  const names = owned.map((workload) => objectName(refOf(workload))).join(', ');
  return { status: 'Current', reason: 'OwnedReady', message: `What it owns is ready: ${names}.` };
}
