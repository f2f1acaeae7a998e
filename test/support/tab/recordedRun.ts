import { createHash } from 'node:crypto';
import ids from '../../../tasks/ids.json';
import type { TimelineRow } from '../../../tasks/common/core/rollout/timelineRow';
import type { JobResult } from '../agent';

export interface RecordedAttachment {
  type: string;
  name: string;
  content: string;
}

/** A row that a task has written below its step. Times are milliseconds since 1970. */
export interface RecordedRow extends Pick<TimelineRow, 'name' | 'type' | 'state' | 'result' | 'progress' | 'text'> {
  startedAt: number;
  finishedAt?: number;
}

/** One step of a run, as it is told to the tab. */
export interface RecordedStep {
  task: keyof typeof ids;
  stage: string;
  job: string;
  attempt?: number;
  state: 'pending' | 'inProgress' | 'completed';
  result?: 'succeeded' | 'failed' | 'canceled';
  startedAt?: number;
  finishedAt?: number;
  attachments: readonly RecordedAttachment[];
  rows: readonly RecordedRow[];
}

export function guidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

export const timelineId = guidOf('timeline');

export function recordId(index: number): string {
  return guidOf(`step ${index}`);
}

/** The id of the timeline with the rows of a step. */
export function rowsId(index: number): string {
  return guidOf(`rows ${index}`);
}

type Json = Record<string, unknown>;

/** The records of the run's timeline, in the form of the REST API. */
export function timelineJson(steps: readonly RecordedStep[]): Json[] {
  return steps.flatMap((step, index) => {
    const { stage, job, task } = step;
    const stageId = guidOf(`stage ${stage}`);
    const jobId = guidOf(`job ${stage} ${job}`);
    return [
      { ...recordJson(step), id: stageId, parentId: null, type: 'Stage', name: stage, order: index + 1 },
      { ...recordJson(step), id: jobId, parentId: stageId, type: 'Job', name: job, order: index + 1 },
      {
        ...recordJson(step),
        id: recordId(index),
        parentId: jobId,
        type: 'Task',
        name: task,
        order: index + 1,
        task: { id: ids[task], name: task, version: '1.1.0' },
        details: step.rows.length === 0 ? null : { id: rowsId(index), changeId: 3, url: null },
      },
    ];
  });
}

function recordJson({ state, result, startedAt, finishedAt, attempt = 1 }: RecordedStep): Json {
  return {
    ...emptyRecord,
    startTime: isoOf(startedAt),
    finishTime: isoOf(finishedAt),
    state,
    result: result ?? null,
    attempt,
  };
}

const emptyRecord = {
  previousAttempts: [],
  currentOperation: null,
  percentComplete: null,
  resultCode: null,
  changeId: 7,
  lastModified: '0001-01-01T00:00:00',
  workerName: null,
  details: null,
  errorCount: 0,
  warningCount: 0,
  url: null,
  log: null,
  task: null,
  identifier: null,
};

export function rowsJson(step: RecordedStep, index: number): Json[] {
  return step.rows.map((row, order) => ({
    ...emptyRecord,
    id: guidOf(`row ${index} ${order}`),
    parentId: null,
    type: row.type,
    name: row.name,
    startTime: isoOf(row.startedAt),
    finishTime: isoOf(row.finishedAt),
    currentOperation: row.text,
    percentComplete: row.progress ?? null,
    state: row.state === 'Completed' ? 'completed' : 'inProgress',
    result: row.result === undefined ? null : row.result.charAt(0).toLowerCase() + row.result.slice(1),
    attempt: 1,
    order: order + 1,
  }));
}

function isoOf(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}

/** The steps of our tasks that a job of the stand-in agent has run. */
export function recordedSteps(result: JobResult, place: { stage: string; job: string }): RecordedStep[] {
  return result.steps.flatMap((step): RecordedStep[] => {
    const task = Object.keys(ids).find((name) => step.task.includes(name)) as RecordedStep['task'] | undefined;
    if (task === undefined || step.stage !== 'main') return [];
    const startedAt = step.startedAt.getTime();
    const later = result.steps.filter((each) => each.name === step.name && each.stage === 'post-job');
    return [
      {
        ...place,
        task,
        state: 'completed',
        result: step.result === 'Succeeded' ? 'succeeded' : 'failed',
        startedAt,
        finishedAt: startedAt + step.durationMs,
        attachments: [step, ...later].flatMap(({ attachments }) =>
          attachments.map(({ type, name, content }) => ({ type, name, content: content.toString('utf8') })),
        ),
        rows: step.timeline.map((row) => ({
          name: row.name ?? '',
          type: row.type ?? '',
          state: row.state === 'Completed' ? 'Completed' : 'InProgress',
          ...(row.result === undefined ? {} : { result: row.result as NonNullable<TimelineRow['result']> }),
          ...(row.percentComplete === undefined ? {} : { progress: row.percentComplete }),
          text: row.currentOperation ?? '',
          startedAt: row.startTime?.getTime() ?? startedAt,
          ...(row.finishTime === undefined ? {} : { finishedAt: row.finishTime.getTime() }),
        })),
      },
    ];
  });
}
