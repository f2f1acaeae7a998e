import { isCustomResource } from '../../release/mergeBase';
import type { ObjectRef } from '../../kubernetes/object';
import { apiGroup } from '../../kubernetes/manifest';
import type { NamedObject } from '../../helm/fence';
import type { Revision } from '../../release/release';
import type { PlannedObject, RollbackPlan } from '../model/types';

/*
 * What the execution takes from a plan. Nothing that serves or stores is deleted before its replacement is healthy:
 * Helm is kept from it, and the task deletes it at the end.
 */

/** An object that the task deletes itself, and which one it must still be. */
export interface OwnDeletion {
  ref: ObjectRef;
  uid: string;
}

/** Where Helm removes these kinds last in an uninstall (pkg/release/v1/util kind_sorter.go); everything else goes before. */
const lastKinds = [
  'Deployment',
  'ReplicaSet',
  'ReplicationController',
  'Pod',
  'DaemonSet',
  'RoleBinding',
  'Role',
  'ClusterRoleBinding',
  'ClusterRole',
  'ServiceAccount',
  'ConfigMap',
  'Secret',
  'PersistentVolumeClaim',
  'PersistentVolume',
  'StorageClass',
  'CustomResourceDefinition',
  'Namespace',
];

/** What the task deletes when the target is healthy, in the order in which it does. Deletions with a uid as precondition. */
export function ownDeletions({ objects }: Pick<RollbackPlan, 'objects'>): OwnDeletion[] {
  return objects
    .filter(({ deletedBy }) => deletedBy === 'task')
    .map((object) => ({ ref: refOfPlanned(object), uid: object.uid }))
    .sort((one, other) => rank(one.ref) - rank(other.ref));
}

/** Custom resources go before the definitions of their kinds, and what they may belong to. */
function rank(ref: ObjectRef): number {
  return isCustomResource(ref) ? -2 : lastKinds.indexOf(ref.kind);
}

/** Of these the deletions are passed on when Helm asks for them: what it is left to delete, and the hooks that run. */
export function helmMayDelete({ objects, hooks }: Pick<RollbackPlan, 'objects' | 'hooks'>): NamedObject[] {
  return [
    ...objects.filter(({ deletedBy }) => deletedBy === 'helm').map(named),
    ...hooks.filter(({ willRun, apiVersion }) => willRun && apiVersion !== '').map(named),
  ];
}

/** Of these Helm may write: what the target declares, and the hooks that run. */
export function helmMayWrite({ objects, hooks }: Pick<RollbackPlan, 'objects' | 'hooks'>): NamedObject[] {
  return [
    ...objects.filter(({ isInTarget }) => isInTarget).map(named),
    ...hooks.filter(({ willRun, apiVersion }) => willRun && apiVersion !== '').map(named),
  ];
}

function named(object: Pick<PlannedObject, 'apiVersion' | 'namespace' | 'name' | 'resource'>): NamedObject {
  const { apiVersion, namespace, name, resource } = object;
  return { ref: { apiVersion, name, ...(namespace === '' ? {} : { namespace }) }, resource };
}

export function refOfPlanned({ apiVersion, kind, namespace, name }: PlannedObject): ObjectRef {
  return namespace === '' ? { apiVersion, kind, name } : { apiVersion, kind, namespace, name };
}

/**
 * What `helm rollback` must be told besides, in its rehearsal as in earnest. Where Helm applies on the server's side it
 * gives up at the first field that somebody else has set, replicas that were scaled for example (measured with 4.1.4
 * and 4.2.3); the plan shows such fields as drift that is undone. The method is that of the target's record; Helm
 * refuses the flag with the other one.
 */
export function rollbackArguments({ applyMethod }: Pick<Revision, 'applyMethod'>): string[] {
  return applyMethod === 'ssa' ? ['--force-conflicts'] : [];
}

/** Whether all of the target is there already, and nothing else is to go: where it is healthy, too, the work is done. */
export function changesNothing({ objects }: Pick<RollbackPlan, 'objects'>): boolean {
  return objects.every(({ fate }) => fate === 'kept' || fate === 'orphaned' || fate === 'keptByPolicy');
}

/** StatefulSets whose pods may have to be deleted before they follow the target. */
export function mayHaveTrappedPods({ objects }: Pick<RollbackPlan, 'objects'>): ObjectRef[] {
  return objects
    .filter(
      ({ kind, apiVersion, restartsPods }) => restartsPods && kind === 'StatefulSet' && apiGroup(apiVersion) === 'apps',
    )
    .map(refOfPlanned);
}
