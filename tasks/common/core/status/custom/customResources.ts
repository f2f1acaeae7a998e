import type { Condition, Fields } from '../fields';
import { current, failed, inProgress, type ObjectStatus } from '../result';

/** The age up to which an object without any status counts as new. This gives its controller time for a first look. */
const firstLookSeconds = 5;

/**
 * Judges an object by the conditions that its controller writes. Only the rule for `Ready` is from kstatus. The other
 * conditions are read if there is no `Ready`, because kstatus calls an object with `Available: False` or `Failed: True`
 * Current. Returns undefined if no condition decides.
 */
export function conditionStatus(fields: Fields): ObjectStatus | undefined {
  const generation = fields.integer('metadata.generation');
  const find = (...types: string[]): Condition | undefined =>
    fields.conditions().find((condition) => types.includes(condition.type));
  const decisive = find('Ready') ?? find('Available') ?? find('Succeeded', 'Complete', 'Completed');
  const failure = find('Failed');
  if (decisive !== undefined && isStale(decisive, generation)) return staleStatus(decisive, generation);
  if (decisive?.status === 'True' && decisive.type === 'Ready') return settled(decisive);
  if (failure?.status === 'True' && !isStale(failure, generation))
    return failed(failure.reason || 'Failed', said(failure));
  if (decisive !== undefined && decisive.status !== 'True')
    return inProgress(decisive.reason || `Not${decisive.type}`, said(decisive));
  return troubled(fields, generation) ?? (decisive === undefined ? undefined : settled(decisive));
}

/**
 * Conditions that report trouble without a `Ready` condition: from Argo Rollouts, Strimzi and operators of the Operator
 * SDK.
 */
const troubles: ReadonlySet<string> = new Set(['Degraded', 'NotReady', 'InvalidSpec', 'Error', 'ReconcileError']);
/**
 * Conditions that must be true if they exist: from the Gateway API, Sealed Secrets and Crossplane's definitions.
 * `Healthy` is not in this list, because a Rollout that is paused on purpose reports `Healthy: False`.
 */
const necessities: ReadonlySet<string> = new Set(['Accepted', 'Programmed', 'Synced', 'Established']);

function troubled(fields: Fields, generation: number | undefined): ObjectStatus | undefined {
  const isTrouble = ({ type, status, reason }: Condition): boolean =>
    (troubles.has(type) && status === 'True') ||
    (necessities.has(type) && status !== 'True') ||
    (type === 'Progressing' && status === 'False' && reason === 'ProgressDeadlineExceeded');
  const trouble = fields.conditions().find((condition) => isTrouble(condition) && !isStale(condition, generation));
  return trouble === undefined ? undefined : inProgress(trouble.reason || trouble.type, said(trouble));
}

/** The two conditions of kstatus, which any kind may have. The first true condition decides. */
export function stalledStatus(fields: Fields): ObjectStatus | undefined {
  const generation = fields.integer('metadata.generation');
  const decisive = fields
    .conditions()
    .find(
      (condition) =>
        ['Reconciling', 'Stalled'].includes(condition.type) &&
        condition.status === 'True' &&
        !isStale(condition, generation),
    );
  if (decisive === undefined) return undefined;
  const answer = decisive.type === 'Stalled' ? failed : inProgress;
  return answer(decisive.reason || decisive.type, said(decisive));
}

/**
 * kstatus calls an object without a status Current, even if its controller has not seen it yet. Many kinds never get a
 * status, so the task waits only for a new object. An age below zero comes from a clock that differs, and proves
 * nothing.
 */
export function firstLookStatus(fields: Fields, hasStatus: boolean, now: Date): ObjectStatus | undefined {
  const created = fields.time('metadata.creationTimestamp');
  if (hasStatus || created === undefined) return undefined;
  const ageSeconds = (now.getTime() - created) / 1000;
  if (ageSeconds < -firstLookSeconds || ageSeconds >= firstLookSeconds) return undefined;
  return inProgress('NotObserved', 'The object is new and no controller has written a status yet.');
}

function settled(condition: Condition): ObjectStatus {
  return current(condition.reason || condition.type, said(condition));
}

/**
 * A condition about an earlier spec does not describe the present spec. kstatus ignores the generation of a condition.
 */
function isStale(condition: Condition, generation: number | undefined): boolean {
  return (
    generation !== undefined &&
    condition.observedGeneration !== undefined &&
    condition.observedGeneration !== 0 &&
    condition.observedGeneration !== generation
  );
}

function staleStatus(condition: Condition, generation: number | undefined): ObjectStatus {
  return inProgress(
    'LatestGenerationNotObserved',
    `${condition.type} is about generation ${condition.observedGeneration ?? 0}, the object's is ${generation ?? 0}.`,
  );
}

function said(condition: Condition): string {
  return condition.message || `${condition.type} is ${condition.status || 'not set'}.`;
}
