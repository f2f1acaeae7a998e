import {
  accessSentence,
  accessTo,
  missingAccess,
  type NeededAccess,
  type ApiResource,
} from '../../core/kubernetes/access';
import type { DeclaredKind } from '../../core/helm/chartCrds';
import { TaskError } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import { manifestKey, manifestObjects } from '../../core/kubernetes/manifest';
import type { DeployContext } from '../../core/releaseContext';

type AccessContext = Pick<DeployContext, 'cluster' | 'namespace' | 'storage'>;

/**
 * Refuses a deploy that a missing right would stop half way. Checks only the rights that are certainly needed: to
 * create what the release does not have yet, to patch what it has, and to keep Helm's record. Where the API server
 * cannot list all rights (an authorizer behind a webhook), Helm finds out. `assumed` are the kinds whose definitions
 * Helm installs first.
 */
export async function checkAccess(
  context: AccessContext,
  desiredManifest: string,
  servingManifest: string,
  assumed: readonly DeclaredKind[] = [],
): Promise<void> {
  const { cluster, namespace } = context;
  const rules = await cluster.accessRules(namespace).catch(() => undefined);
  if (rules === undefined) return;
  const serving = new Set(manifestObjects(servingManifest).map((object) => manifestKey(object, namespace)));
  const needs = await Promise.all(
    manifestObjects(desiredManifest).map((object) =>
      needsOf(context, object, serving.has(manifestKey(object, namespace)), assumed),
    ),
  );
  const storage = await cluster.resource('v1', context.storage.kind);
  const record = storage === undefined ? [] : ['create', 'update'].map((verb) => accessTo(verb, storage, namespace));
  const definitions = assumed.length === 0 ? [] : [accessTo('create', definition, namespace)];
  const missing = missingAccess(rules, [...record, ...definitions, ...needs.flat()]);
  if (missing.length === 0) return;
  throw new TaskError(
    'PermissionDenied',
    `The identity of the connection may not do what this deploy needs: ${accessSentence(missing)}. Nothing was changed.`,
  );
}

const definition: ApiResource = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

async function needsOf(
  context: AccessContext,
  object: KubeObject,
  exists: boolean,
  assumed: readonly DeclaredKind[],
): Promise<NeededAccess[]> {
  const { apiVersion, kind } = object;
  const served = await context.cluster.resource(apiVersion, kind);
  const resource = served ?? assumed.find((each) => each.apiVersion === apiVersion && each.kind === kind);
  const { name, namespace } = object.metadata;
  // The rules are those of the release's namespace, so objects in other namespaces are not checked.
  if (resource === undefined || (namespace !== undefined && namespace !== '' && namespace !== context.namespace))
    return [];
  return ['get', exists ? 'patch' : 'create'].map((verb) => accessTo(verb, resource, context.namespace, name));
}
