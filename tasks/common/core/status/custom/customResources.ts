import { isRecord } from '../../kubernetes/json';
import { isFresh, ownField, readConditions, type Condition, type Fields, type JsonObject } from '../fields';
import { current, failed, heldOnPurpose, inProgress, notJudged, type ObjectStatus } from '../result';
import { hasStatus, withoutStatus } from '../rules/rules';
import { countStatus, wordStatus } from './statusWords';

/** How long an object without any status is waited for. Kinds that never get a status are common. */
const firstLookSeconds = 5;

/**
 * Judges an object of a kind that no rule knows, by what nearly all operators write: conditions, a status word, counts.
 * One good sign does not hide a bad one. Without any sign the object is in place and not judged.
 */
export function customStatus(object: JsonObject, fields: Fields, now: Date): ObjectStatus {
  const isHeld = ['paused', 'suspend', 'suspended'].some((name) => isRecord(object.spec) && object.spec[name] === true);
  if (!isHeld && !hasStatus(object)) return withoutStatus(fields, firstLookSeconds, now);
  const generation = fields.integer('metadata.generation');
  const conditions = fields.conditions();
  const nested = nestedConditions(object);
  const fresh = conditions.filter((condition) => isFresh(condition, generation));
  return (
    ended(object, fresh) ??
    (isHeld ? heldOnPurpose('its spec says so.') : undefined) ??
    held(fresh) ??
    stale(conditions, generation) ??
    stale(nested, generation) ??
    unmet(fresh, isScaledToZero(object)) ??
    unmet(nested.filter((condition) => isFresh(condition, generation))) ??
    wordStatus(object) ??
    countStatus(object) ??
    settledBy(fresh) ??
    settledBy(nested) ??
    notJudged('Nothing in its status is known to mean ready or not ready.')
  );
}

/** Conditions that are final when they are true. */
const failures: ReadonlySet<string> = new Set(['Failed', 'Failure', 'Terminal']);
/** Conditions that report, when they are true, trouble or work that may end. */
const troubles =
  /^(?:Not|Un|Error)[A-Z]|^Un(?:schedulable|healthy|available|reachable)$|^(?:InvalidSpec|Error|Reconciling|In-?[Pp]rogress|Pending)$|(?:Degraded|Errors?|Failed|Failure|Invalid|Updating|Creating|Upgrading|Deleting|Provisioning|Scaling|Resizing|Rebalancing|Restoring|Bootstrapping|Initiali[sz]ing|Migrating|Restarting|Promoting|Synchroni[sz]ing)$/;
/** Conditions that must be true where they exist. */
const necessities =
  /^(?:Available|Accepted|Programmed|Established|ReconcileSuccess|Reconciled|ResolvedRefs|Valid|Installed|Deployed|Bound|Initialized|Compliant|WellFormed|Balanced|Connected|Reachable|Configured|Provisioned|Registered|Scheduled)$|(?:Ready|Healthy|Synced|Synchronized|UpToDate|Applied|Fulfilled|Satisfied)$/;
/** Conditions that must become true, and one of which is enough. `Ready` or `Available` say more where they exist. */
const ends: ReadonlySet<string> = new Set(['Succeeded', 'Complete', 'Completed']);
const badReason = /(?<!^No)(?:Error|Failed|Failure|NotFound)$|^(?:Invalid|Missing)/;
const heldReasons = /(?:Paused|Suspended|Stopped)$/;

const isTrouble = (type: string): boolean => troubles.test(type) && !failures.has(type);
const isNecessary = (type: string): boolean =>
  necessities.test(type) && !troubles.test(type) && type !== 'PartiallyReady';

function failure(conditions: readonly Condition[]): ObjectStatus | undefined {
  const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
  const final = conditions.find(
    ({ type, status, reason }) =>
      status === 'True' && (failures.has(type) || (ends.has(type) && /^(?:Failed|Failure|Error)$/.test(reason))),
  );
  // Some controllers never take back an old failure.
  return final === undefined || isReady ? undefined : failed(final.reason || final.type, said(final));
}

/** Scheduled, paused and stopped work has no end to wait for. */
function held(conditions: readonly Condition[]): ObjectStatus | undefined {
  const condition = conditions.find(
    ({ type, status, reason }) =>
      (isNecessary(type) || type === 'Progressing') && status !== 'True' && heldReasons.test(reason),
  );
  return condition === undefined ? undefined : heldOnPurpose(said(condition));
}

/** A condition about an earlier spec does not describe the present one. */
function stale(conditions: readonly Condition[], generation = 0): ObjectStatus | undefined {
  const isOld = ({ observedGeneration = 0 }: Condition): boolean =>
    observedGeneration > 0 && observedGeneration < generation;
  // One of several parents of a route may be gone, and its conditions stay.
  const old = conditions.find(
    (condition) =>
      isNecessary(condition.type) &&
      isOld(condition) &&
      !conditions.some((other) => other.type === condition.type && !isOld(other)),
  );
  if (old === undefined) return undefined;
  return inProgress(
    'LatestGenerationNotObserved',
    `${old.type} is about generation ${old.observedGeneration ?? 0}, the object's is ${generation}.`,
  );
}

function unmet(conditions: readonly Condition[], isScaledDown = false): ObjectStatus | undefined {
  const hasSummary = conditions.some(({ type }) => type === 'Ready' || type === 'Available');
  const isUnmet = (condition: Condition): boolean =>
    isBad(condition, isScaledDown) || (!hasSummary && isBadWithoutSummary(condition));
  const condition =
    conditions.find((each) => each.type === 'Ready' && isUnmet(each)) ??
    conditions.find(isUnmet) ??
    (hasSummary ? undefined : withoutEnd(conditions));
  return condition === undefined ? undefined : inProgress(condition.reason || notReason(condition), said(condition));
}

function isBad({ type, status, reason }: Condition, isScaledDown: boolean): boolean {
  return (
    (isTrouble(type) && status === 'True') ||
    (isNecessary(type) && status !== 'True' && !isScaledDown) ||
    (type === 'Progressing' && status === 'False' && reason === 'ProgressDeadlineExceeded') ||
    // Operators of the Ansible SDK: the reason becomes Successful when the run has ended.
    (type === 'Running' && reason === 'Running')
  );
}

/** Nobody knows what a condition of another name means when it is false, but its reason may say it. */
function isBadWithoutSummary({ type, status, reason }: Condition): boolean {
  if (status === 'True') return type.endsWith('Progressing');
  return !isTrouble(type) && badReason.test(reason);
}

function ended(object: JsonObject, conditions: readonly Condition[]): ObjectStatus | undefined {
  return failure(conditions) ?? unended(object, conditions);
}

/** Jobs of operators: while one runs, its other conditions only say that it was made. */
function unended({ kind }: JsonObject, conditions: readonly Condition[]): ObjectStatus | undefined {
  const running = conditions.find(({ type, status }) => type === 'Running' && status === 'True');
  const isJob = typeof kind === 'string' && kind.endsWith('Job');
  const hasEnded = conditions.some(({ type, status }) => ends.has(type) && status === 'True');
  return running === undefined || !isJob || hasEnded ? undefined : inProgress('JobRunning', said(running));
}

function withoutEnd(conditions: readonly Condition[]): Condition | undefined {
  const found = conditions.filter(({ type }) => ends.has(type));
  return found.some(({ status }) => status === 'True') ? undefined : found[0];
}

function notReason({ type, status }: Condition): string {
  return status === 'True' ? type : `Not${type}`;
}

function isScaledToZero({ spec }: JsonObject): boolean {
  return isRecord(spec) && ownField(spec, 'replicas') === 0;
}

/** The conditions of the parents of a route, the listeners of a Gateway and the like. */
function nestedConditions({ status }: JsonObject): Condition[] {
  if (!isRecord(status)) return [];
  return Object.values(status).flatMap((list) =>
    Array.isArray(list)
      ? list.flatMap((item: unknown) => (isRecord(item) ? readConditions(ownField(item, 'conditions')) : []))
      : [],
  );
}

function settledBy(conditions: readonly Condition[]): ObjectStatus | undefined {
  const condition =
    conditions.find(({ type }) => type === 'Ready') ??
    conditions.find(({ type }) => type === 'Available') ??
    conditions.find(({ type, status }) => status === 'True' && (isNecessary(type) || ends.has(type)));
  return condition === undefined ? undefined : current(condition.reason || condition.type, said(condition));
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
        isFresh(condition, generation),
    );
  if (decisive === undefined) return undefined;
  const answer = decisive.type === 'Stalled' ? failed : inProgress;
  return answer(decisive.reason || decisive.type, said(decisive));
}

export function said(condition: Condition): string {
  return condition.message || `${condition.type} is ${condition.status || 'not set'}.`;
}
