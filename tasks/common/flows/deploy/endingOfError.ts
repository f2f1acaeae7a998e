import { endingFor, endingThen, type Ending } from '../../core/report/ending';
import { asTaskError, type FailureReason } from '../../core/failure';
import { cancelledWith } from './uninstall';

const refusals = new Set<FailureReason>([
  'ReleasePending',
  'ReleaseLocked',
  'StorageUnsupported',
  'DefinitionRefused',
  'PlanMissing',
  'PlanExpired',
  'PlanChanged',
  'PlanRefused',
]);

/** The ending of a flow that an error has stopped. `found` is the first problem, if the flow has found one before. */
export function endingOfError(thrown: unknown, found: Ending | undefined, signal: AbortSignal): Ending {
  if (found !== undefined) {
    const both = endingThen(found, thrown);
    return signal.aborted ? cancelledWith(both.message) : both;
  }
  const error = asTaskError(thrown);
  if (signal.aborted || error.reason === 'Cancelled') return cancelledWith(error.message);
  const outcome = refusals.has(error.reason) ? 'refused' : 'failed';
  return endingFor(outcome, error.reason, error.message, String(error.facts['object'] ?? ''));
}
