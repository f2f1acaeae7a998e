import { asTaskError } from '../../core/failure';
import { objectName, refOf } from '../../core/kubernetes/manifest';
import type { KubeObject } from '../../core/kubernetes/object';
import { markedOwner, type ReleaseName } from '../../core/release/mergeBase';
import type { DeployContext } from '../../core/releaseContext';
import { endingFor, type Ending } from '../../core/report/ending';
import { someNames } from '../../core/text/someNames';
import { clause } from '../../core/text/sentence';

interface Owned {
  owner: ReleaseName;
  objects: readonly KubeObject[];
}

/**
 * The ending of a deploy that would take objects from a release that still lives and that the inputs do not name.
 * Objects of a release without a record belong to nobody.
 */
export async function refusedOwnership(
  context: DeployContext,
  existing: readonly KubeObject[],
): Promise<Ending | undefined> {
  const { agent, namespace, request } = context;
  if (request.takeOwnership === undefined) return undefined;
  const { from } = request.takeOwnership;
  for (const { owner, objects } of byOwner(context, existing)) {
    const [first] = objects;
    const what = `${someNames(objects.map((object) => objectName(refOf(object))))} from ${releaseWords(owner)}`;
    const isNamed = from.some((one) => one.name === owner.name && (one.namespace ?? namespace) === owner.namespace);
    const life = await lifeOf(context, owner);
    if (life === '') {
      agent.log(`This deploy takes ${what}, of which Helm has no record any more.`);
    } else if (isNamed) {
      const other = owner.name === request.releaseName ? releaseWords(owner) : `release ${owner.name}`;
      agent.warning(
        `This deploy takes ${what}. Remove the object from the chart of ${other} before it is deployed or uninstalled again, or it is changed or deleted there.`,
      );
    } else {
      const message = `The deploy would take ${what}, and ${life}. Helm was not started, and nothing was changed.`;
      return endingFor('refused', 'ObjectOwned', message, first && objectName(refOf(first)));
    }
  }
  return undefined;
}

function byOwner({ namespace, request }: DeployContext, existing: readonly KubeObject[]): Owned[] {
  const found = new Map<string, Owned>();
  for (const object of existing) {
    const owner = markedOwner(object, namespace);
    if (owner === undefined || (owner.name === request.releaseName && owner.namespace === namespace)) continue;
    const key = `${owner.namespace}/${owner.name}`;
    found.set(key, { owner, objects: [...(found.get(key)?.objects ?? []), object] });
  }
  return [...found.values()];
}

function releaseWords({ name, namespace }: ReleaseName): string {
  return `release ${name} in namespace ${namespace}`;
}

/** A clause on why the release counts as living; empty if it does not. */
async function lifeOf({ cluster, storage }: DeployContext, { name, namespace }: ReleaseName): Promise<string> {
  const labelSelector = `owner=helm,name=${name}`;
  try {
    const records = await cluster.list({
      apiVersion: 'v1',
      kind: storage.kind,
      namespace,
      labelSelector,
      metadataOnly: true,
    });
    const isAlive = records.some(({ metadata }) => metadata.labels?.['status'] !== 'uninstalled');
    return isAlive ? 'that release still lives' : '';
  } catch (thrown) {
    const { message, reason } = asTaskError(thrown);
    if (reason !== 'PermissionDenied') throw thrown;
    return `it is not known whether that release still lives (${clause(message)})`;
  }
}
