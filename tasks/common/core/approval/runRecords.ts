import { isRecord } from '../kubernetes/json';
import { parseIdentity, type Identity } from './identity';

/** A record of a run's timeline (`_apis/build/builds/{id}/timeline`), as far as approvals need it. Times are milliseconds since 1970. */
export interface RunRecord {
  id: string;
  parentId?: string;
  /** `Stage`, `Phase`, `Job`, `Task`, `Checkpoint`, `Checkpoint.Approval` and others. */
  type: string;
  /** As the page shows it. */
  name: string;
  /** The names of the YAML, joined by dots; of a stage its name. */
  identifier?: string;
  refName?: string;
  task?: { id: string; name: string };
  /** The agent that runs it; absent of what the server itself runs. */
  agentName?: string;
  state: string;
  result?: string;
  startedAt?: number;
  finishedAt?: number;
  /** From 1. */
  attempt: number;
  /** What the server said about it, as it said it. */
  issues: readonly string[];
}

/** Who queued the run. */
export interface RunBuild {
  /** For whom: the person who queued it or whose push did. */
  requestedFor?: Identity;
  /** Who asked for it: the person, or a service where a push or a schedule did. */
  requestedBy?: Identity;
}

export type ApprovalStatus =
  | 'undefined'
  | 'uninitiated'
  | 'pending'
  | 'approved'
  | 'rejected'
  | 'skipped'
  | 'canceled'
  | 'timedOut'
  | 'failed'
  | 'deferred';

/** An approval as `_apis/pipelines/approvals` gives it with its steps. */
export interface RunApproval {
  id: string;
  status: ApprovalStatus;
  steps: readonly ApprovalStep[];
  changedAt?: number;
}

export interface ApprovalStep {
  status: ApprovalStatus;
  /** Who decided; the one who was asked may be a group. */
  approver?: Identity;
  decidedAt?: number;
  /** When an approval that was given ahead takes effect. */
  deferredTo?: number;
  comment?: string;
}

type Fields = Record<string, unknown>;

/** The records of a timeline; undefined where the answer is none. */
export function parseTimeline(value: unknown): RunRecord[] | undefined {
  if (!isRecord(value) || !Array.isArray(value['records'])) return undefined;
  return (value['records'] as unknown[]).filter(isRecord).flatMap((fields) => parseRecord(fields) ?? []);
}

function parseRecord(fields: Fields): RunRecord | undefined {
  const [id, type] = [text(fields['id']), text(fields['type'])];
  if (id === undefined || type === undefined) return undefined;
  const task = isRecord(fields['task']) ? fields['task'] : undefined;
  return {
    id: id.toLowerCase(),
    type,
    name: text(fields['name']) ?? '',
    ...optional('parentId', text(fields['parentId'])?.toLowerCase()),
    ...optional('identifier', text(fields['identifier'])),
    ...optional('refName', text(fields['refName'])),
    ...(task && { task: { id: text(task['id']) ?? '', name: text(task['name']) ?? '' } }),
    ...optional('agentName', text(fields['workerName'])),
    state: text(fields['state']) ?? '',
    ...optional('result', text(fields['result'])),
    ...optional('startedAt', time(fields['startTime'])),
    ...optional('finishedAt', time(fields['finishTime'])),
    attempt: typeof fields['attempt'] === 'number' ? fields['attempt'] : 1,
    issues: parseIssues(fields['issues']),
  };
}

function parseIssues(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter(isRecord).flatMap((issue) => text(issue['message']) ?? []);
}

/** A build; undefined where the answer is none. */
export function parseBuild(value: unknown): RunBuild | undefined {
  if (!isRecord(value) || value['id'] === undefined) return undefined;
  return {
    ...optional('requestedFor', parseIdentity(value['requestedFor'])),
    ...optional('requestedBy', parseIdentity(value['requestedBy'])),
  };
}

/** Approvals, alone or in a list; undefined where the answer is none. */
export function parseApprovals(value: unknown): RunApproval[] | undefined {
  const list: unknown = isRecord(value) ? value['value'] : value;
  if (!Array.isArray(list)) return undefined;
  return (list as unknown[]).filter(isRecord).flatMap((fields) => parseApproval(fields) ?? []);
}

function parseApproval(fields: Fields): RunApproval | undefined {
  const id = text(fields['id']);
  if (id === undefined) return undefined;
  const steps = Array.isArray(fields['steps']) ? (fields['steps'] as unknown[]) : [];
  return {
    id: id.toLowerCase(),
    status: parseStatus(fields['status']),
    steps: steps.filter(isRecord).map(parseStep),
    ...optional('changedAt', time(fields['lastModifiedOn'])),
  };
}

function parseStep(fields: Fields): ApprovalStep {
  return {
    status: parseStatus(fields['status']),
    ...optional('approver', parseIdentity(fields['actualApprover'])),
    ...optional('decidedAt', time(fields['lastModifiedOn'])),
    ...optional('deferredTo', time(fields['deferredTo'])),
    ...optional('comment', text(fields['comment'])),
  };
}

/** With the numbers that stand for the names where a server gives none (what the number of `deferred` is, is not known). */
const statusNumbers: Readonly<Record<ApprovalStatus, number>> = {
  undefined: 0,
  uninitiated: 1,
  pending: 2,
  approved: 4,
  rejected: 8,
  skipped: 16,
  canceled: 32,
  timedOut: 64,
  failed: 128,
  deferred: Number.NaN,
};

function parseStatus(value: unknown): ApprovalStatus {
  const wanted = typeof value === 'string' ? value.toLowerCase() : value;
  const entries = Object.entries(statusNumbers) as [ApprovalStatus, number][];
  return entries.find(([name, number]) => name.toLowerCase() === wanted || number === wanted)?.[0] ?? 'undefined';
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Azure DevOps gives years from 1 on for «never». */
function time(value: unknown): number | undefined {
  const parsed = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(parsed) || parsed <= 0 ? undefined : parsed;
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}
