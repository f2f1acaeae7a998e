import { count, fieldsOf, list, text, timeOf } from './reading';
import { parsed } from './report';

export type StepState = 'waiting' | 'running' | 'done';

/** A record of a run's timeline: a stage, a job, a step, or a row of a step. */
export interface RunRecord {
  id: string;
  parentId: string;
  type: string;
  name: string;
  taskId: string;
  state: StepState;
  result: string;
  startedAt: number | undefined;
  finishedAt: number | undefined;
  attempt: number;
  order: number;
  percent: number | undefined;
  /** What the record is doing, in words. */
  operation: string;
  /** The timeline with the rows of a step. */
  rowsId: string;
}

export interface Run {
  records: ReadonlyMap<string, RunRecord>;
  /** The steps of our tasks, in the order of the run. */
  steps: readonly RunRecord[];
  isOver: boolean;
}

const recordLimit = 20_000;
const states: Readonly<Record<string, StepState>> = { pending: 'waiting', inprogress: 'running', completed: 'done' };
/** Azure DevOps gives names, or numbers when it is asked so. */
const stateNumbers: readonly StepState[] = ['waiting', 'running', 'done'];
const resultNumbers = ['succeeded', 'succeededWithIssues', 'failed', 'canceled', 'skipped', 'abandoned'];

/** Reads `builds/{id}/timeline`. `taskIds` are in lower case. */
export function readRun(json: string, taskIds: ReadonlySet<string>): Run | undefined {
  const records = readRecords(json);
  if (records === undefined) return undefined;
  const byId = new Map(records.map((record) => [record.id, record]));
  const steps = records
    .filter(({ type, taskId }) => type === 'Task' && taskIds.has(taskId))
    .map((step) => ({ step, place: placeInRun(step, byId) }))
    .sort((one, other) => comparePlaces(one.place, other.place))
    .map(({ step }) => step);
  return { records: byId, steps, isOver: records.length > 0 && records.every(({ state }) => state === 'done') };
}

/** The rows that a task has written into the timeline of its step. */
export function readRows(json: string): RunRecord[] {
  return (readRecords(json) ?? []).sort((one, other) => one.order - other.order);
}

function readRecords(json: string): RunRecord[] | undefined {
  const { records } = fieldsOf(parsed(json));
  return Array.isArray(records) ? list(recordOf, recordLimit)(records).filter(({ id }) => id !== '') : undefined;
}

function recordOf(value: unknown): RunRecord {
  const fields = fieldsOf(value);
  const { state, result, percentComplete, attempt } = fields;
  return {
    id: text(fields['id']).toLowerCase(),
    parentId: text(fields['parentId']).toLowerCase(),
    type: text(fields['type']),
    name: text(fields['name']),
    taskId: text(fieldsOf(fields['task'])['id']).toLowerCase(),
    state: stateOf(state),
    result: typeof result === 'number' ? (resultNumbers[result] ?? '') : text(result),
    startedAt: timeOf(fields['startTime']),
    finishedAt: timeOf(fields['finishTime']),
    attempt: count(attempt) || 1,
    order: count(fields['order']),
    percent: typeof percentComplete === 'number' ? Math.min(100, Math.max(0, percentComplete)) : undefined,
    operation: text(fields['currentOperation']),
    rowsId: text(fieldsOf(fields['details'])['id']).toLowerCase(),
  };
}

function stateOf(value: unknown): StepState {
  if (typeof value === 'number') return stateNumbers[value] ?? 'waiting';
  return (typeof value === 'string' ? states[value.toLowerCase()] : undefined) ?? 'waiting';
}

const deepest = 20;

function ancestors(record: RunRecord, records: ReadonlyMap<string, RunRecord>): RunRecord[] {
  const found: RunRecord[] = [];
  for (let at = records.get(record.parentId); at !== undefined && found.length < deepest;) {
    found.unshift(at);
    at = records.get(at.parentId);
  }
  return found;
}

function placeInRun(step: RunRecord, records: ReadonlyMap<string, RunRecord>): number[] {
  return [...ancestors(step, records), step].map(({ order }) => order);
}

function comparePlaces(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((order, index) => order !== other[index]);
  return at === -1 ? one.length - other.length : (one[at] ?? 0) - (other[at] ?? 0);
}

/** Where a step is in the run: `Production › Deploy shop › HelmSafeDeploy`, and the attempt if it is not the first. */
export function placeWords(recordId: string, run: Run | undefined): string {
  const step = run?.records.get(recordId);
  if (run === undefined || step === undefined) return '';
  const names = [...ancestors(step, run.records).filter(({ type }) => type === 'Stage' || type === 'Job'), step].map(
    ({ name }) => name,
  );
  const distinct = names.filter((name, index) => name !== '' && name !== '__default' && name !== names[index - 1]);
  return [distinct.join(' › '), ...(step.attempt > 1 ? [`attempt ${step.attempt}`] : [])].join(', ');
}

/** The steps whose reports are still to come. */
export function openSteps(run: Run | undefined): RunRecord[] {
  return (run?.steps ?? []).filter(({ state }) => state !== 'done');
}
