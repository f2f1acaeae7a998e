import type { LoggingCommand } from './command';
import type { TimelineRecord } from './records';
import { violation } from './stepContext';
import type { StepContext } from './stepContext';
import { isTaskResult } from './taskResult';

const guid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const noGuid = '00000000-0000-0000-0000-000000000000';
const states = ['Pending', 'InProgress', 'Completed'] as const;

/** `task.logdetail`: creates or updates a row of the step's own timeline. */
export function logDetail(step: StepContext, command: LoggingCommand, line: string): void {
  const given = readRecord(command, (message) => {
    violation(step, line, message);
  });
  const known = step.job.timeline.get(given.id);
  const record = known === undefined ? created(given, step.job.timeline) : updated(known, given);
  step.job.timeline.set(record.id, record);
  const row = step.record.timeline.findIndex(({ id }) => id === record.id);
  if (row < 0) step.record.timeline.push(record);
  else step.record.timeline[row] = record;
}

function readRecord({ properties, data }: LoggingCommand, complain: (message: string) => void): TimelineRecord {
  const text = (name: string): string | undefined => properties.get(name);
  const number = (name: string): number | undefined => {
    const value = text(name);
    if (value === undefined || /^-?\d+$/.test(value)) return value === undefined ? undefined : Number(value);
    complain(`${name}=${value} is not a whole number: the agent ignores it.`);
    return undefined;
  };
  const date = (name: string): Date | undefined => {
    const value = text(name);
    if (value === undefined || !Number.isNaN(Date.parse(value)))
      return value === undefined ? undefined : new Date(value);
    complain(`${name}=${value} is not a date: the agent takes the present.`);
    return new Date();
  };
  const percent = number('progress');
  return withoutUndefined({
    id: readId(text('id')),
    parentId: readParent(text('parentid')),
    name: text('name'),
    type: text('type'),
    order: number('order'),
    percentComplete: percent === undefined ? undefined : Math.min(Math.max(percent, 0), 100),
    currentOperation: data === '' ? undefined : data,
    startTime: date('starttime'),
    finishTime: date('finishtime'),
    state: readState(text('state'), complain),
    result: readResult(text('result'), complain),
  });
}

type Loose<T> = { [Key in keyof T]: T[Key] | undefined };

function withoutUndefined(record: Loose<Required<TimelineRecord>>): TimelineRecord {
  return Object.fromEntries(
    Object.entries(record).filter(([, value]) => value !== undefined),
  ) as unknown as TimelineRecord;
}

function readId(id: string | undefined): string {
  if (id === undefined || !guid.test(id) || id === noGuid)
    throw new Error('task.logdetail needs an id that is a GUID.');
  return id.toLowerCase();
}

function readParent(id: string | undefined): string | undefined {
  if (id !== undefined && !guid.test(id)) throw new Error(`The parentid "${id}" is not a GUID.`);
  return id?.toLowerCase();
}

function readState(text: string | undefined, complain: (message: string) => void): TimelineRecord['state'] {
  const state = states.find((known) => known === text);
  if (text !== undefined && state === undefined) complain(`state=${text} is none of ${states.join(', ')}.`);
  return state ?? (text === undefined ? undefined : 'Pending');
}

function readResult(text: string | undefined, complain: (message: string) => void): TimelineRecord['result'] {
  if (text === undefined || isTaskResult(text)) return text;
  complain(`result=${text} is not a result: the agent takes Succeeded.`);
  return 'Succeeded';
}

function created(given: TimelineRecord, known: ReadonlyMap<string, TimelineRecord>): TimelineRecord {
  if (given.name === undefined) throw new Error('The first task.logdetail of a row needs a name.');
  if (given.type === undefined) throw new Error('The first task.logdetail of a row needs a type.');
  const { parentId } = given;
  if (parentId !== undefined && parentId !== noGuid && !known.has(parentId)) {
    throw new Error(`The parent row ${parentId} was not made before.`);
  }
  return { startTime: new Date(), state: 'InProgress', ...given };
}

function updated(known: TimelineRecord, given: TimelineRecord): TimelineRecord {
  if (given.parentId !== undefined && given.parentId !== known.parentId) {
    throw new Error('The parent of a row cannot be changed.');
  }
  const completed = given.state === 'Completed' ? { percentComplete: 100, finishTime: new Date() } : {};
  return { ...known, ...completed, ...given };
}
