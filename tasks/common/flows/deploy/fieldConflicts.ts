import { asHelmSends, type DriftedField } from '../../core/release/drift';
import { endingFor, type Ending } from '../../core/report/ending';
import { asTaskError, TaskError } from '../../core/failure';
import {
  conflictWords,
  fieldConflicts,
  helmFieldManager,
  upgradeMethod,
  wasWrittenSince,
  type FieldConflict,
} from '../../core/release/fieldConflicts';
import { leavingAlone, type FencePolicy, type NamedObject } from '../../core/helm/fence';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { isUnchangedByApply } from '../../core/kubernetes/sameContent';
import { withKept, type KeptField } from '../../core/release/keptFields';
import { objectKey, objectName, desiredFromManifest } from '../../core/kubernetes/manifest';
import type { Revision } from '../../core/release/release';
import type { DeployContext, ReleaseContext, RolloutContext } from '../../core/releaseContext';
import { liveState } from '../release/drift';
import { inTurns } from '../steps/inTurns';
import type { ReleaseSnapshot } from './readRelease';
import { liveRef } from '../release/desiredObjects';
import type { ReleaseName } from '../../core/release/mergeBase';

/** An object with fields that others have set to values that differ from its manifest. */
export interface ConflictingObject {
  ref: ObjectRef;
  conflicts: readonly FieldConflict[];
}

/**
 * Finds the objects of a manifest that Helm could not apply without force, by dry runs under Helm's own name. Objects
 * that the API server refuses for another reason, or that this identity may not ask about, are left out: Helm finds out
 * itself.
 */
async function conflictingObjects(
  { cluster, signal }: Pick<RolloutContext, 'cluster' | 'signal'>,
  manifest: string,
  release: ReleaseName,
  kept: readonly KeptField[],
): Promise<ConflictingObject[]> {
  const asked = async (declared: KubeObject): Promise<ConflictingObject[]> => {
    try {
      const ref = await liveRef(cluster, declared, release.namespace);
      if (ref === undefined) return [];
      const own = kept.filter((field) => objectKey(field.ref) === objectKey(ref));
      const sent = withKept(asHelmSends({ ref, declared }, release), 'apply', own) as KubeObject;
      const conflicts = await conflictsOf(cluster, ref, sent);
      return conflicts.length === 0 ? [] : [{ ref, conflicts }];
    } catch (thrown) {
      if (asTaskError(thrown).reason === 'Cancelled') throw thrown;
      return [];
    }
  };
  return (await inTurns(desiredFromManifest(manifest, release.namespace), signal, asked)).flat();
}

async function conflictsOf(
  cluster: RolloutContext['cluster'],
  ref: ObjectRef,
  object: KubeObject,
): Promise<FieldConflict[]> {
  try {
    // For other kinds, the dry run costs no more than this read.
    const live = ref.kind === 'CustomResourceDefinition' ? await cluster.get(ref) : undefined;
    if (live !== undefined && isUnchangedByApply(object, live)) return [];
    await cluster.dryRunApplyUnforced(object, { fieldManager: helmFieldManager });
    return [];
  } catch (thrown) {
    if (thrown instanceof TaskError && thrown.facts['status'] === 409) return fieldConflicts(thrown.message);
    throw thrown;
  }
}

/**
 * Finds objects of a rollback's target that others have changed and that no revision since the target has written. In
 * the upgrade, the API server refused these objects to Helm, or Helm did not come to them. The rollback does not force
 * them.
 */
export async function untouchedConflicts(
  context: ReleaseContext,
  history: readonly Revision[],
  target: Revision,
  kept: readonly KeptField[],
): Promise<ConflictingObject[]> {
  const { cluster, signal } = context;
  const since = history.find(({ revision }) => revision > target.revision)?.createdAt;
  if (since === undefined) return [];
  const untouched = await inTurns(await changedByOthers(context, target, kept), signal, async (each) => {
    const live = await cluster.get(each.ref, { metadataOnly: true });
    return live === undefined || wasWrittenSince(live, since, target.applyMethod) ? [] : [each];
  });
  return untouched.flat();
}

/**
 * With server-side apply, Helm needs force for these objects, which Helm 3 does not have. With client-side apply, Helm
 * would silently set their fields back.
 */
async function changedByOthers(
  context: ReleaseContext,
  target: Revision,
  kept: readonly KeptField[],
): Promise<ConflictingObject[]> {
  const { helm, namespace, request, signal } = context;
  const release = { name: request.releaseName, namespace };
  if (target.applyMethod !== 'ssa') return driftedObjects(context, target.manifest, release);
  const conflicting = await conflictingObjects(context, target.manifest, release, kept);
  if (conflicting.length === 0 || (await helm.capabilities(signal)).major < 4) return [];
  return conflicting;
}

/**
 * The objects that differ from their declaration. Returns none where the cluster cannot be asked: the rollback is then
 * tried as Helm would do it.
 */
async function driftedObjects(
  context: ReleaseContext,
  manifest: string,
  release: ReleaseName,
): Promise<ConflictingObject[]> {
  try {
    const { drifts } = await liveState(context, manifest, release);
    return drifts
      .filter(({ drift }) => drift === 'changed')
      .map(({ ref, fields }) => ({ ref, conflicts: fields.map(setByOthers) }));
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    return [];
  }
}

function setByOthers({ path, owners }: DriftedField): FieldConflict {
  const managers = new Set(owners.map(({ manager }) => manager));
  return { field: path, manager: [...managers].join(' and ') || 'somebody', subresource: '' };
}

/** The fence policy that does not pass writes of these objects. */
export async function leftAlone(
  cluster: RolloutContext['cluster'],
  objects: readonly Pick<ConflictingObject, 'ref'>[],
): Promise<FencePolicy> {
  const named = objects.map(async ({ ref }): Promise<NamedObject[]> => {
    const resource = await cluster.resource(ref.apiVersion, ref.kind);
    return resource === undefined ? [] : [{ ref, resource: resource.plural }];
  });
  return leavingAlone((await Promise.all(named)).flat());
}

/** Describes what becomes of these objects, for the log and the report. */
export function untouchedWords(objects: readonly ConflictingObject[]): string {
  if (objects.length === 0) return '';
  const named = objects
    .slice(0, objectsNamed)
    .map(({ ref, conflicts }) => `${objectName(ref)}: ${conflictWords(conflicts)}`);
  const more = objects.length > objectsNamed ? `; and ${objects.length - objectsNamed} more` : '';
  return `The failed revision did not write these objects, so they are not changed: ${named.join('; ')}${more}.`;
}

/** `refusal`: Helm would end half way. `areForced`: the upgrade may and must take the fields. */
interface ForeseenConflicts {
  refusal?: Ending;
  areForced: boolean;
}

/**
 * Finds the objects that the API server would refuse to Helm, because another manager has set their fields. `mayForce`
 * returns true for fields that the upgrade takes.
 */
export async function foreseenConflicts(
  context: DeployContext,
  seen: ReleaseSnapshot,
  kept: readonly KeptField[],
  mayForce: (ref: ObjectRef, conflict: FieldConflict) => boolean,
): Promise<ForeseenConflicts> {
  const { namespace, request } = context;
  const method = upgradeMethod(seen.capabilities, request.extraArguments, seen.state);
  if (!method.meetsConflicts) return { areForced: false };
  const release = { name: request.releaseName, namespace };
  const found = (await conflictingObjects(context, seen.rendering.manifest, release, kept))
    .map(({ ref, conflicts }) => ({ ref, conflicts: conflicts.filter((one) => !isHelms(one, method)) }))
    .filter(({ conflicts }) => conflicts.length > 0);
  const others = found
    .map(({ ref, conflicts }) => ({ ref, conflicts: conflicts.filter((one) => !mayForce(ref, one)) }))
    .filter(({ conflicts }) => conflicts.length > 0);
  const [first] = others;
  if (first === undefined) return { areForced: found.length > 0 };
  const refusal = endingFor('refused', 'FieldConflict', refusalWords(others), objectName(first.ref));
  return { refusal, areForced: false };
}

function isHelms({ manager }: FieldConflict, method: { ownsItsEarlierWrites: boolean }): boolean {
  return method.ownsItsEarlierWrites && manager === helmFieldManager;
}

const objectsNamed = 8;

function refusalWords(found: readonly ConflictingObject[]): string {
  // The ending already names the first object.
  const named = found
    .slice(0, objectsNamed)
    .map(({ ref, conflicts }, index) => `${index === 0 ? '' : `${objectName(ref)}: `}${conflictWords(conflicts)}`);
  const more = found.length > objectsNamed ? `; and ${found.length - objectsNamed} more objects` : '';
  const what =
    'The API server would refuse what Helm is about to apply, because other field managers have set fields to other values than the chart';
  return `${what}: ${named.join('; ')}${more}. Helm was not started, and nothing was changed.`;
}
