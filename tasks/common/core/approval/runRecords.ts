import { isRecord } from '../kubernetes/json';
import { parseIdentity, type Identity } from './identity';

/** A record of a run's timeline (`_apis/build/builds/{id}/timeline`). Times are milliseconds since 1970. */
export interface RunRecord {
  id: string;
  parentId?: string;
  /** `Stage`, `Phase`, `Job`, `Task`, `Checkpoint.Approval` and others. */
  type: string;
  /** The name on the page. */
  name: string;
  /** The names in the YAML, joined by dots. */
  identifier?: string;
  refName?: string;
  task?: { id: string; name: string };
  /** Absent if the server runs the record. */
  agentName?: string;
  state: string;
  result?: string;
  startedAt?: number;
  finishedAt?: number;
  /** Counts from 1. */
  attempt: number;
  issues: readonly string[];
}

export interface RunBuild {
  /** The person who queued the run, or whose push did. */
  requestedFor?: Identity;
  /** The person, or a service after a push or on a schedule. */
  requestedBy?: Identity;
}

type ApprovalStatus =
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

/** An approval, as `_apis/pipelines/approvals` returns it. */
export interface RunApproval {
  id: string;
  status: ApprovalStatus;
  steps: readonly ApprovalStep[];
  changedAt?: number;
}

export interface ApprovalStep {
  status: ApprovalStatus;
  /** The person who decided. The assigned approver may be a group. */
  approver?: Identity;
  decidedAt?: number;
  deferredTo?: number;
  comment?: string;
}

/** A file that a step has attached to its record of the timeline. */
export interface RunAttachment {
  name: string;
  timelineId: string;
  recordId: string;
}

type Fields = Record<string, unknown>;

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

export function parseBuild(value: unknown): RunBuild | undefined {
  if (!isRecord(value) || value['id'] === undefined) return undefined;
  return {
    ...optional('requestedFor', parseIdentity(value['requestedFor'])),
    ...optional('requestedBy', parseIdentity(value['requestedBy'])),
  };
}

/** `value` is a bare list or has one in its field `value`. */
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

/** Some servers give numbers instead of names. The number of `deferred` is not known. */
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

/** Azure DevOps writes «never» as a date in the year 1. */
function time(value: unknown): number | undefined {
  const parsed = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(parsed) || parsed <= 0 ? undefined : parsed;
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}

const guid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const attachmentAddress = new RegExp(`/(${guid})/(${guid})/attachments/`, 'i');

/** Only the link of an attachment tells its timeline and its record. */
export function parseAttachments(value: unknown): RunAttachment[] | undefined {
  const list: unknown = isRecord(value) ? value['value'] : value;
  if (!Array.isArray(list)) return undefined;
  return (list as unknown[]).filter(isRecord).flatMap((fields) => {
    const links = isRecord(fields['_links']) ? fields['_links'] : {};
    const self = isRecord(links['self']) ? links['self'] : {};
    const name = text(fields['name']);
    const [, timelineId, recordId] = attachmentAddress.exec(text(self['href']) ?? '') ?? [];
    return name === undefined || timelineId === undefined || recordId === undefined
      ? []
      : [{ name, timelineId, recordId }];
  });
}
