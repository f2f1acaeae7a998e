import { asHelmSends } from '../../../core/release/drift';
import { asTaskError } from '../../../core/failure';
import { objectName } from '../../../core/kubernetes/manifest';
import { candidates } from '../../../core/rollbackPlan/objects/candidates';
import { manifestReader } from '../../../core/rollbackPlan/model/places';
import { strayFields, suspectsOf, type Suspect } from '../../../core/rollbackPlan/objects/strayFields';
import type { TargetChoice } from '../../../core/rollbackPlan/model/target';
import type { ReleasePlanInputs } from '../../../core/rollbackPlan/model/types';
import { driftFieldManager } from '../../release/drift';
import { inTurns } from '../../steps/inTurns';
import type { ReleasePlanContext } from '../../../core/releaseContext';

/**
 * Finds fields that the rehearsal has set although neither the target nor the API server explains them. The result is
 * keyed by object. An object for which the API server makes no dry run is left out: there only Helm's own write is
 * known.
 */
export async function findStrays(
  context: ReleasePlanContext,
  inputs: ReleasePlanInputs,
  { target, passed }: TargetChoice,
): Promise<ReadonlyMap<string, string>> {
  if (target === undefined || inputs.rehearsal === undefined) return new Map();
  const suspects = suspectsOf(candidates(inputs, manifestReader(), target, passed), inputs.rehearsal);
  const found = await inTurns(suspects, context.signal, (suspect) => strayOf(context, suspect));
  return new Map(suspects.flatMap(({ key }, index) => (found[index] === undefined ? [] : [[key, found[index]]])));
}

async function strayOf(
  { agent, cluster, namespace, request }: ReleasePlanContext,
  suspect: Suspect,
): Promise<string | undefined> {
  const release = { name: request.releaseName, namespace };
  try {
    const options = { fieldManager: driftFieldManager };
    return strayFields(suspect, await cluster.dryRunApply(asHelmSends(suspect, release), options));
  } catch (thrown) {
    const { message, reason } = asTaskError(thrown);
    if (reason === 'Cancelled') throw thrown;
    agent.log(
      `What the target makes of ${objectName(suspect.ref)} could not be compared with the rehearsal: ${message}`,
    );
    return undefined;
  }
}
