import { isCustomResource } from '../../kubernetes/groups';
import type { ObjectRef } from '../../kubernetes/object';
import { apiGroup } from '../../kubernetes/manifest';
import type { NamedObject } from '../../helm/fence';
import type { PlannedObject, ChangePlan } from '../model/types';

/**
 * The task deletes an object that serves traffic or stores data only after its replacement is healthy. The uid is the
 * deletion's precondition.
 */
interface OwnDeletion {
  ref: ObjectRef;
  uid: string;
}

/** In the order of Helm's uninstall (pkg/release/v1/util kind_sorter.go), which deletes other kinds before them. */
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

/** The list is in the order of deletion. */
export function ownDeletions({ objects }: Pick<ChangePlan, 'objects'>): OwnDeletion[] {
  return objects
    .filter(({ deletedBy }) => deletedBy === 'task')
    .map((object) => ({ ref: refOfPlanned(object), uid: object.uid }))
    .sort((one, other) => rank(one.ref) - rank(other.ref));
}

/** Custom resources are deleted before their definitions and before objects that may own them. */
function rank(ref: ObjectRef): number {
  return isCustomResource(ref) ? -2 : lastKinds.indexOf(ref.kind);
}

export function helmMayDelete({ objects, hooks }: Pick<ChangePlan, 'objects' | 'hooks'>): NamedObject[] {
  return [
    ...objects.filter(({ deletedBy }) => deletedBy === 'helm').map(named),
    ...hooks.filter(({ willRun, apiVersion }) => willRun && apiVersion !== '').map(named),
  ];
}

export function helmMayWrite({ objects, hooks }: Pick<ChangePlan, 'objects' | 'hooks'>): NamedObject[] {
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

export function changesNothing({ objects }: Pick<ChangePlan, 'objects'>): boolean {
  return objects.every(({ fate }) => fate === 'kept' || fate === 'orphaned' || fate === 'keptByPolicy');
}

/** StatefulSets whose pods may have to be deleted before they follow the target. */
export function mayHaveTrappedPods({ objects }: Pick<ChangePlan, 'objects'>): ObjectRef[] {
  return objects
    .filter(
      ({ kind, apiVersion, restartsPods }) => restartsPods && kind === 'StatefulSet' && apiGroup(apiVersion) === 'apps',
    )
    .map(refOfPlanned);
}
