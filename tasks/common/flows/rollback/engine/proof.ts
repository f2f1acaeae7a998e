import { asHelmSends, type Drift } from '../../../core/release/drift';
import { asTaskError } from '../../../core/failure';
import type { KubeObject } from '../../../core/kubernetes/object';
import { objectKey, objectName } from '../../../core/kubernetes/manifest';
import type { Revision } from '../../../core/release/release';
import { stopIfCancelled, type ReleaseContext } from '../../../core/releaseContext';
import { restoredSentence } from '../../../core/rollbackPlan/document/rollbackReport';
import { liveState } from '../../release/drift';
import { desiredObjects, type DesiredObject } from '../../release/desiredObjects';

interface Proof {
  /** The objects that are not as declared in the end. */
  drifts: readonly Drift[];
  /** The objects that were applied again, as `Kind/name`. */
  restored: readonly string[];
}

const rounds = 5;
/** The pause between rounds. An object that is being deleted stays as long as its finalizers and pods need. */
const pauseMs = 2_000;
/** Helm itself writes under this name, so its next upgrade finds its own fields. */
const helmFieldManager = 'helm';

/**
 * Proves that every object of a revision exists, belongs to this release, and has every field as declared. Objects for
 * which this is not true are applied again from the manifest, by the revision's own apply method.
 */
export async function proveObjects(
  context: ReleaseContext,
  made: Revision,
  repairs: (drift: Drift) => boolean,
): Promise<Proof> {
  const { agent, clock, cluster, namespace, request, signal } = context;
  const release = { name: request.releaseName, namespace };
  const restored = new Set<string>();
  for (let round = 1; ; round++) {
    stopIfCancelled(signal);
    const { drifts, notes } = await liveState(context, made.manifest, release);
    const repairable = drifts.filter(repairs);
    if (repairable.length === 0 || round === rounds) {
      for (const note of notes) agent.log(note);
      if (restored.size > 0) agent.warning(restoredSentence([...restored]));
      return { drifts, restored: [...restored] };
    }
    const objects = new Map((await desiredObjects(cluster, made.manifest, namespace)).map((one) => [one.key, one]));
    for (const drift of repairable) {
      agent.log(`${drift.message} It is applied again from the manifest of revision ${made.revision}.`);
      const object = objects.get(objectKey(drift.ref));
      if (object !== undefined && (await restore(context, made, object, drift))) restored.add(objectName(drift.ref));
    }
    if (round > 1) await clock.sleep(pauseMs, signal);
  }
}

/**
 * An object that another release owns is left alone. An object that only lost Helm's marks still belongs to this
 * release.
 */
export function mayRepair({ drift, isUnowned = false }: Drift): boolean {
  return drift === 'missing' || drift === 'changed' || (drift === 'foreign' && isUnowned);
}

/** Returns true if the object could be applied. An object that could not is found again in the next round. */
async function restore(
  context: ReleaseContext,
  made: Revision,
  { ref, declared }: DesiredObject,
  { drift }: Drift,
): Promise<boolean> {
  const { agent, cluster, lease, namespace, request } = context;
  const object: KubeObject = asHelmSends({ ref, declared }, { name: request.releaseName, namespace });
  const isServerSide = made.applyMethod === 'ssa';
  const options = { fieldManager: helmFieldManager };
  try {
    await lease.confirm();
    const isCreated = drift === 'missing' && !isServerSide;
    await (isCreated ? cluster.create(object, options) : cluster.apply(object, options));
    return true;
  } catch (thrown) {
    const { message, reason } = asTaskError(thrown);
    if (reason === 'Cancelled' || reason === 'LeaseLost') throw thrown;
    agent.log(`${objectName(ref)} could not be applied again: ${message}`);
    return false;
  }
}
