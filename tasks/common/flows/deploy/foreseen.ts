import { sentence } from '../../core/report/ending';
import { asTaskError } from '../../core/failure';
import { objectKey, objectName } from '../../core/kubernetes/manifest';
import type { ObjectRef } from '../../core/kubernetes/object';
import type { KeptField } from '../../core/release/keptFields';
import type { Revision } from '../../core/release/release';
import type { ReleaseContext } from '../../core/releaseContext';
import { automaticLines, automaticRefusals, unforeseeable } from '../../core/rollbackPlan/judging/automatic';
import { refOfPlanned } from '../../core/rollbackPlan/execution/execution';
import { automaticPolicy, type ChangePlan } from '../../core/rollbackPlan/model/types';
import { within } from '../steps/bounded';
import type { PlannedBase } from '../release/mergeBase';
import { planOnBase } from '../rollback/plan/planRelease';
import type { PlanFinding } from '../../core/rollbackPlan/model/findings';

/**
 * The time limit of the rehearsal. A rehearsal needs a second or two, more with hundreds of objects. Most of the time
 * is left for the rollback itself.
 */
function mostMs({ request }: ReleaseContext): number {
  const allMs = request.rollbackTimeoutSeconds * 1000;
  return Math.min(120_000, Math.max(allMs / 4, Math.min(15_000, allMs / 2)));
}

interface Unforeseen {
  history: readonly Revision[];
  target: Revision;
  base: PlannedBase | undefined;
  /** The objects that Helm is to leave alone. */
  left: readonly { ref: ObjectRef }[];
  /** Fields that Helm is to leave alone. */
  fields: readonly KeptField[];
}

interface Foreseen {
  /** Undefined where no plan could be made. */
  plan: ChangePlan | undefined;
  /** The findings that forbid the rollback. */
  refusals: readonly PlanFinding[];
}

/**
 * Plans and rehearses the rollback of a failed deploy. Something that could not be found out is no refusal: the
 * rollback is tried, and then proven. Throws when the step is cancelled.
 */
export async function foresee(
  context: ReleaseContext,
  { history, target, base, left, fields }: Unforeseen,
): Promise<Foreseen> {
  const { agent, clock } = context;
  const late = new AbortController();
  const bounded = { ...context, signal: AbortSignal.any([context.signal, late.signal]) };
  agent.log(`What the rollback to revision ${target.revision} would do is rehearsed first.`);
  const rollback = { toRevision: target.revision, policy: automaticPolicy };
  try {
    const { plan } = await within(
      clock,
      mostMs(context),
      planOnBase(bounded, history, { rollback, base, kept: fields }),
      'The rehearsal did not end',
    );
    const untouched = new Set(left.map(({ ref }) => objectKey(ref)));
    const touched = plan.objects.filter((planned) => !untouched.has(objectKey(refOfPlanned(planned))));
    for (const line of automaticLines({ objects: touched })) agent.log(`  ${line}`);
    const refusals = automaticRefusals(plan);
    if (refusals.length === 0) for (const { message } of unforeseeable(plan)) logGap(context, message, left);
    return { plan, refusals };
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    logUnforeseen(context, asTaskError(thrown).message);
    return { plan: undefined, refusals: [] };
  } finally {
    late.abort();
  }
}

/** The API server refuses what Helm would write of an object that is left alone, and so ends the rehearsal. */
function logGap(context: ReleaseContext, message: string, left: readonly { ref: ObjectRef }[]): void {
  const known = left.find(({ ref }) => message.includes(ref.kind) && message.includes(`"${ref.name}"`));
  if (known === undefined) {
    logUnforeseen(context, message);
    return;
  }
  context.agent.log(
    `The rehearsal ends at ${objectName(known.ref)}, which the rollback leaves as it is. The rest is tried, and proven afterwards.`,
  );
}

function logUnforeseen({ agent }: ReleaseContext, why: string): void {
  agent.log(`What the rollback would do could not be foreseen; it is tried, and proven afterwards. ${sentence(why)}`);
}
