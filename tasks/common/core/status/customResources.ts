import type { Condition, Fields } from './fields';
import { current, failed, inProgress, type ObjectStatus } from './result';

/** How long an object without any status may be new, so that its controller can take a first look. */
const firstLookSeconds = 5;

/**
 * The conditions by which a controller of its own says how its object fares. `Ready` alone is kstatus's rule; the others
 * are read where there is no `Ready`, since kstatus calls what says `Available: False` or `Failed: True` Current.
 * Undefined when no condition decides.
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

/** What is said of trouble where there is no `Ready`: by Argo Rollouts, Strimzi, operators of the Operator SDK. */
const troubles: ReadonlySet<string> = new Set(['Degraded', 'NotReady', 'InvalidSpec', 'Error', 'ReconcileError']);
/**
 * What has to be true where it is said: by the Gateway API, Sealed Secrets, Crossplane's definitions. `Healthy` is not among
 * them: a Rollout that is paused on purpose says that it is not.
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

/** kstatus's two conditions, which any kind may have. The first that is true decides. */
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
 * kstatus calls an object without a status Current, also one that its controller has not seen yet. Kinds that never get a
 * status are common, so only a new object is waited for. An age below zero is a clock that differs, and proves nothing.
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

/** A condition about an earlier spec says nothing of this one; kstatus does not look at a condition's own generation. */
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
