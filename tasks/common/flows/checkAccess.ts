import { accessSentence, accessTo, missingAccess, type NeededAccess } from '../core/access';
import { TaskError } from '../core/failure';
import type { KubeObject } from '../core/kubernetes';
import { manifestKey, manifestObjects } from '../core/manifest';
import type { DeployContext } from '../core/releaseContext';

/**
 * Refuses a deploy that would stop half way for want of a right. Only what is surely needed is asked for: to create
 * what the release does not have yet, to patch what it has, and to keep Helm's record. Where the API server cannot
 * tell all rights (an authorizer behind a webhook), Helm finds out.
 */
export async function checkAccess(
  context: DeployContext,
  wantedManifest: string,
  servingManifest: string,
): Promise<void> {
  const { cluster, namespace, request } = context;
  const rules = await cluster.accessRules(namespace).catch(() => undefined);
  if (rules === undefined || request.createNamespace) return;
  const serving = new Set(manifestObjects(servingManifest).map((object) => manifestKey(object, namespace)));
  const needs = await Promise.all(
    manifestObjects(wantedManifest).map((object) =>
      needsOf(context, object, serving.has(manifestKey(object, namespace))),
    ),
  );
  const storage = await cluster.resource('v1', context.storage.kind);
  const record = storage === undefined ? [] : ['create', 'update'].map((verb) => accessTo(verb, storage, namespace));
  const missing = missingAccess(rules, [...record, ...needs.flat()]);
  if (missing.length === 0) return;
  throw new TaskError(
    'PermissionDenied',
    `The identity of the connection may not do what this deploy needs: ${accessSentence(missing)}. Nothing was changed.`,
  );
}

async function needsOf(context: DeployContext, object: KubeObject, exists: boolean): Promise<NeededAccess[]> {
  const resource = await context.cluster.resource(object.apiVersion, object.kind);
  const { name, namespace } = object.metadata;
  // The rules asked for are those of the release's namespace.
  if (resource === undefined || (namespace !== undefined && namespace !== '' && namespace !== context.namespace))
    return [];
  return ['get', exists ? 'patch' : 'create'].map((verb) => accessTo(verb, resource, context.namespace, name));
}
