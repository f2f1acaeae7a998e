import { isDrift } from '../../core/release/correction';
import type { Drift } from '../../core/release/drift';
import { objectKey, refOf } from '../../core/kubernetes/manifest';
import type { KubeObject } from '../../core/kubernetes/object';
import type { KeptField } from '../../core/release/keptFields';
import type { DeployContext } from '../../core/releaseContext';
import type { Ending } from '../../core/report/ending';
import { foreseenConflicts } from './fieldConflicts';
import { refusedOwnership } from './ownership';
import type { ReleaseSnapshot } from './readRelease';

interface Found {
  /** Live objects that the upgrade takes over. */
  existing: readonly KubeObject[];
  drifts: readonly Drift[];
  /** Fields that Helm leaves as they are. */
  kept: readonly KeptField[];
}

/**
 * The ending of a deploy that is refused right before Helm runs. Undefined where nothing refuses it; then `seen` says how
 * the upgrade restores what drifts, and if it takes fields from other managers.
 */
export async function refusedBeforeHelm(
  context: DeployContext,
  seen: ReleaseSnapshot,
  { existing, drifts, kept }: Found,
): Promise<Ending | undefined> {
  const { request } = context;
  const owned = await refusedOwnership(context, existing);
  if (owned !== undefined) return owned;
  const restored = request.drift?.mode === 'correct' ? drifts : [];
  const taken = new Set(request.takeOwnership === undefined ? [] : existing.map((live) => objectKey(refOf(live))));
  const { refusal, areForced } = await foreseenConflicts(context, seen, kept, (ref, conflict) =>
    taken.has(objectKey(ref)) ? conflict.subresource === '' : isDrift(restored, ref, conflict),
  );
  if (restored.length > 0 || areForced) seen.correction = { drifts: restored, forcesConflicts: areForced };
  return refusal;
}
