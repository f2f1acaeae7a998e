import { sentence } from '../core/ending';
import { asTaskError } from '../core/failure';
import type { Revision } from '../core/release';
import type { ReleaseContext } from '../core/releaseContext';
import { automaticLines, automaticRefusals, unforeseeable } from '../core/rollbackPlan/automatic';
import { automaticPolicy, type PlanFinding } from '../core/rollbackPlan/types';
import { within } from './bounded';
import type { PlannedBase } from './mergeBase';
import { planOnBase } from './planRelease';

/** It takes a second or two; whoever waits for it has a release that does not serve. */
const mostMs = 30_000;

/**
 * Plans and rehearses the way back of a failed deploy. Answers with what it must not do; with nothing, too, where that
 * could not be found out: it is tried then, and proven. Throws when the step is cancelled.
 */
export async function foreseenRefusals(
  context: ReleaseContext,
  history: readonly Revision[],
  target: Revision,
  base: PlannedBase | undefined,
): Promise<readonly PlanFinding[]> {
  const { agent, clock } = context;
  const late = new AbortController();
  const bounded = { ...context, signal: AbortSignal.any([context.signal, late.signal]) };
  const rollback = { toRevision: target.revision, policy: automaticPolicy };
  try {
    const plan = await within(clock, mostMs, planOnBase(bounded, history, rollback, base));
    for (const line of automaticLines(plan)) agent.log(`  ${line}`);
    const refusals = automaticRefusals(plan);
    if (refusals.length === 0) for (const { message } of unforeseeable(plan)) sayUnforeseen(context, message);
    return refusals;
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    sayUnforeseen(context, asTaskError(thrown).message);
    return [];
  } finally {
    late.abort();
  }
}

function sayUnforeseen({ agent }: ReleaseContext, why: string): void {
  agent.log(`What the rollback would do could not be foreseen; it is tried, and proven afterwards. ${sentence(why)}`);
}
