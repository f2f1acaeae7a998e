import { isCustomResource } from '../../release/mergeBase';
import type { ObjectRef } from '../../kubernetes/object';
import { apiGroup } from '../../kubernetes/manifest';
import type { NamedObject } from '../../helm/fence';
import type { Revision } from '../../release/release';
import type { PlannedObject, RollbackPlan } from '../model/types';

/**
 * Instructions for the execution, taken from a plan. No object that serves traffic or stores data is deleted before its
 * replacement is healthy: the fence keeps Helm from deleting it, and the task deletes it at the end.
 */

/** An object that the task deletes itself. The deletion succeeds only if the object still has this uid. */
interface OwnDeletion {
  ref: ObjectRef;
  uid: string;
}

/**
 * The kinds that Helm removes last in an uninstall, in its order (pkg/release/v1/util kind_sorter.go). All other kinds
 * go before them.
 */
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

/**
 * The objects that the task deletes once the target is healthy, in the order of deletion. Each deletion has a uid as
 * its precondition.
 */
export function ownDeletions({ objects }: Pick<RollbackPlan, 'objects'>): OwnDeletion[] {
  return objects
    .filter(({ deletedBy }) => deletedBy === 'task')
    .map((object) => ({ ref: refOfPlanned(object), uid: object.uid }))
    .sort((one, other) => rank(one.ref) - rank(other.ref));
}

/** Custom resources are deleted before the definitions of their kinds, and before objects that may own them. */
function rank(ref: ObjectRef): number {
  return isCustomResource(ref) ? -2 : lastKinds.indexOf(ref.kind);
}

/** The objects whose deletion by Helm passes the fence: those that the plan leaves to Helm, and the hooks that run. */
export function helmMayDelete({ objects, hooks }: Pick<RollbackPlan, 'objects' | 'hooks'>): NamedObject[] {
  return [
    ...objects.filter(({ deletedBy }) => deletedBy === 'helm').map(named),
    ...hooks.filter(({ willRun, apiVersion }) => willRun && apiVersion !== '').map(named),
  ];
}

/** The objects that Helm may write: those that the target declares, and the hooks that run. */
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
 * Extra arguments for `helm rollback`, in the rehearsal and in the real run. With server-side apply, Helm gives up at
 * the first field that another manager has set, for example scaled replicas (measured with 4.1.4 and 4.2.3). The plan
 * shows such fields as drift that is undone. The apply method is that of the target's record; Helm refuses the flag for
 * the other method.
 */
export function rollbackArguments({ applyMethod }: Pick<Revision, 'applyMethod'>): string[] {
  return applyMethod === 'ssa' ? ['--force-conflicts'] : [];
}

/**
 * Returns true if every object already is as the target declares it and nothing is to be deleted. If the target is also
 * healthy, the rollback is complete.
 */
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
