import { asTaskError } from '../../core/failure';
import type { Rehearsal } from '../../core/helm/rehearsal';
import { objectKey, objectName } from '../../core/kubernetes/manifest';
import { asHelmSends, isImmutable } from '../../core/release/drift';
import type { ReleasePlanContext } from '../../core/releaseContext';
import { manifestReader, placedObjects } from '../../core/rollbackPlan/model/places';
import type { RefusedObject } from '../../core/rollbackPlan/model/types';
import { driftFieldManager } from '../release/drift';
import type { ReadObjects } from '../rollback/plan/planRelease';
import { inTurns } from '../steps/inTurns';

/**
 * Helm stops at the first object that the API server refuses. Finds the other live objects with fields that cannot be
 * changed, so that nobody has to plan once more for each.
 */
export async function fixedFields(
  { cluster, namespace, request, signal }: ReleasePlanContext,
  manifest: string,
  { live, served }: Pick<ReadObjects, 'live' | 'served'>,
  rehearsal: Rehearsal,
): Promise<RefusedObject[]> {
  const release = { name: request.releaseName, namespace };
  const tried = new Set(rehearsal.writes.map(({ ref }) => objectKey(ref)));
  const rest = [...placedObjects(manifestReader()(manifest), namespace, served).values()].filter(
    ({ key }) => live.has(key) && !tried.has(key),
  );
  const answers = await inTurns(rest, signal, async ({ ref, object }): Promise<RefusedObject[]> => {
    try {
      await cluster.dryRunApply(asHelmSends({ ref, declared: object }, release), { fieldManager: driftFieldManager });
      return [];
    } catch (thrown) {
      const { message, reason } = asTaskError(thrown);
      if (reason === 'Cancelled') throw thrown;
      return isImmutable(message) ? [{ object: objectName(ref), message }] : [];
    }
  });
  return answers.flat();
}
