import type { Drift } from '../../../core/release/drift';
import { sentence } from '../../../core/report/ending';
import { asTaskError } from '../../../core/failure';
import { objectKey, objectName } from '../../../core/kubernetes/manifest';
import type { Revision } from '../../../core/release/release';
import type { ReleaseContext } from '../../../core/releaseContext';
import { refOfPlanned } from '../../../core/rollbackPlan/execution/execution';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';
import { proveObjects } from './proof';

export interface BroughtBack {
  /** The objects that were made again, as `Kind/name`. */
  restored: readonly string[];
  /** A sentence about the objects that were gone; empty where all objects exist. */
  message: string;
}

export const nothingBack: BroughtBack = { restored: [], message: '' };

/**
 * A failed Helm may have removed objects. Makes those again that existed when the plan was made, are declared by one of
 * these revisions, and are gone. An earlier revision in the list comes first. Throws when the step is cancelled or has
 * lost its lease.
 */
export async function bringBack(
  context: ReleaseContext,
  objects: ChangePlan['objects'],
  revisions: readonly (Revision | undefined)[],
): Promise<BroughtBack> {
  const there = new Set(
    objects
      .filter(({ fate, deletedBy }) => fate !== 'created' && deletedBy !== 'helm')
      .map((planned) => objectKey(refOfPlanned(planned))),
  );
  if (there.size === 0) return nothingBack;
  const isLost = ({ ref, drift }: Drift): boolean => drift === 'missing' && there.has(objectKey(ref));
  const [restored, lost] = [new Set<string>(), new Set<string>()];
  try {
    for (const revision of revisions.filter((one) => one !== undefined)) {
      const proof = await proveObjects(context, revision, isLost);
      for (const name of proof.restored) restored.add(name);
      for (const { ref } of proof.drifts.filter(isLost)) lost.add(objectName(ref));
    }
  } catch (thrown) {
    const { message: why, reason } = asTaskError(thrown);
    if (reason === 'Cancelled' || reason === 'LeaseLost') throw thrown;
    const message = `Whether objects are missing after it could not be read: ${sentence(why)}`;
    return { restored: [...restored], message };
  }
  return { restored: [...restored], message: lostWords([...restored], [...lost]) };
}

function lostWords(restored: readonly string[], lost: readonly string[]): string {
  if (lost.length > 0) return `Missing after it, and could not be made again: ${lost.join(', ')}.`;
  return restored.length === 0 ? '' : `Missing after it, and made again: ${restored.join(', ')}.`;
}
