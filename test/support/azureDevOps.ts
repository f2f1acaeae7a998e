import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A stand-in for Azure DevOps: one run with its timeline, its build and its approvals, in the form of the REST API. A
 * client without the job's token is sent to a sign-in page, as by the real server.
 */
export interface AzureDevOps {
  /** The address of the collection (organization), with a slash at its end. */
  readonly collectionUri: string;
  readonly origin: string;
  readonly token: string;
  readonly project: string;
  readonly projectId: string;
  readonly buildId: string;
  /** The data of the server. A test may change it at any time. */
  readonly run: StandInRun;
  /** All received requests, oldest first. */
  readonly requests: readonly AzureRequest[];
  /** These handlers come first, the last one before the others. A handler returns false to pass the request on. */
  readonly handlers: AzureHandler[];
  close(): Promise<void>;
}

export interface AzureRequest {
  readonly method: string;
  /** The path after the collection, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

export type AzureHandler = (request: AzureRequest, response: ServerResponse) => boolean | Promise<boolean>;

export interface StandInRun {
  records: TimelineRecordJson[];
  approvals: ApprovalJson[];
  attachments: StandInAttachment[];
  requestedFor: IdentityJson;
  requestedBy: IdentityJson;
}

/** A file that a step has attached. */
export interface StandInAttachment {
  type: string;
  name: string;
  content: string;
}

export interface IdentityJson {
  displayName: string;
  url: string;
  _links: object;
  id: string;
  uniqueName: string;
  imageUrl: string;
  descriptor: string;
  isContainer?: boolean;
}

/** A person, a group or a service. The id is made from the name. */
export function identityJson(
  uniqueName: string,
  {
    displayName = uniqueName,
    kind = 'aad',
  }: { displayName?: string; kind?: 'aad' | 'aadgp' | 'vssgp' | 'svc' | 's2s' } = {},
): IdentityJson {
  const id = guid(uniqueName.toLowerCase());
  return {
    displayName,
    url: `https://spsprodweu4.vssps.visualstudio.com/_apis/Identities/${id}`,
    _links: { avatar: { href: `https://dev.azure.com/fabrikam/_apis/GraphProfile/MemberAvatars/${id}` } },
    id,
    uniqueName,
    imageUrl: `https://dev.azure.com/fabrikam/_api/_common/identityImage?id=${id}`,
    descriptor: `${kind}.${Buffer.from(id).toString('base64url')}`,
    ...(/gp$/.test(kind) ? { isContainer: true } : {}),
  };
}

/** The server itself, which queues runs for a push or a schedule. */
export const serverIdentity: IdentityJson = {
  ...identityJson('00000002-0000-8888-8000-000000000000@2c895908-04e0-4952-89fd-54b0046d6288', {
    displayName: 'Microsoft.VisualStudio.Services.TFS',
    kind: 's2s',
  }),
};

export type Result = 'succeeded' | 'succeededWithIssues' | 'failed' | 'canceled' | 'skipped' | 'abandoned';

export interface TimelineRecordJson {
  previousAttempts: { attempt: number; timelineId: string; recordId: string }[];
  id: string;
  parentId: string | null;
  type: string;
  name: string;
  startTime: string | null;
  finishTime: string | null;
  currentOperation: null;
  percentComplete: null;
  state: 'pending' | 'inProgress' | 'completed';
  result: Result | null;
  resultCode: null;
  changeId: number;
  lastModified: string;
  workerName: string | null;
  order: number;
  details: null;
  errorCount: number;
  warningCount: number;
  url: null;
  log: null;
  task: { id: string; name: string; version: string } | null;
  attempt: number;
  identifier: string | null;
  refName?: string;
  issues?: { type: 'error' | 'warning'; category: string; message: string }[];
}

/** A time of day of the run, `HH:MM` or `HH:MM:SS`. */
export function clockTime(time: string): string {
  return `2026-03-01T${time.length === 5 ? `${time}:00` : time}.5333333Z`;
}

export interface Span {
  from?: string;
  to?: string;
  /** The default is `succeeded` if `to` is given. */
  result?: Result;
  attempt?: number;
}

export interface GateSpec extends Span {
  name?: string;
  taskName?: string;
  taskId?: string;
  issues?: string[];
}

export interface JobSpec extends Span {
  /** The name in the YAML. */
  name: string;
  displayName?: string;
  /** `System.JobId`. The default is made from the name. */
  id?: string;
  /** The leg of a matrix. */
  leg?: string;
  gates?: readonly GateSpec[];
}

export interface StageSpec extends Span {
  name: string;
  displayName?: string;
  jobs?: readonly JobSpec[];
  /** Approval checks on the resources of the stage. Their ids are those of the approvals. */
  checks?: readonly (Span & { id?: string })[];
}

export const manualValidationId = '2003ad3a-104a-451a-9238-60474ab294e6';

/** A timeline of these stages, with the phases, jobs, tasks and checkpoints between. */
export function timelineRecords(...stages: readonly StageSpec[]): TimelineRecordJson[] {
  return stages.flatMap((stage, order) => stageRecords(stage, order + 1));
}

function stageRecords(stage: StageSpec, order: number): TimelineRecordJson[] {
  const { name, jobs = [], checks = [], attempt = 1 } = stage;
  const own = record('Stage', { ...stage, key: `${name}#${attempt}`, name: stage.displayName ?? name, order });
  own.identifier = name;
  const records = [own, ...jobs.flatMap((job, index) => jobRecords(stage, own, job, index + 1))];
  if (checks.length === 0) return records;
  const checkpoint = record('Checkpoint', { ...stage, key: `${name}#${attempt} checkpoint`, name: 'Checkpoint' }, own);
  checkpoint.identifier = `Checkpoint.${name}`;
  const approvals = checks.map((check, index) => {
    const made = record('Checkpoint.Approval', {
      key: `${own.id} check ${index}`,
      name: 'Checkpoint.Approval',
      attempt,
      ...check,
    });
    return { ...made, id: check.id ?? made.id, parentId: checkpoint.id, identifier: `Checkpoint.Approval.${name}` };
  });
  return [...records, checkpoint, ...approvals];
}

function jobRecords(stage: StageSpec, parent: TimelineRecordJson, job: JobSpec, order: number): TimelineRecordJson[] {
  const { leg = '__default', attempt = stage.attempt ?? 1 } = job;
  const span = { ...job, attempt };
  const path = `${stage.name}.${job.name}`;
  const phase = record(
    'Phase',
    { ...span, key: `${parent.id} ${job.name}`, name: job.displayName ?? job.name, order },
    parent,
  );
  phase.identifier = path;
  phase.refName = job.name;
  const shown = leg === '__default' ? (job.displayName ?? job.name) : `${job.displayName ?? job.name} ${leg}`;
  const own = record('Job', { ...span, key: `${phase.id} ${leg}`, name: shown, order: 1 }, phase);
  own.identifier = `${path}.${leg}`;
  if (job.id !== undefined) own.id = job.id;
  const gates = (job.gates ?? []).map((gate, index) => gateRecord(own, { attempt, ...gate }, index));
  return [phase, own, ...gates];
}

function gateRecord(job: TimelineRecordJson, gate: GateSpec, index: number): TimelineRecordJson {
  const made = record(
    'Task',
    { ...gate, key: `${job.id} gate ${index}`, name: gate.name ?? 'ManualValidation', order: index + 1 },
    job,
  );
  made.identifier = `${job.identifier ?? ''}.ManualValidation${index === 0 ? '' : String(index)}`;
  made.task = { id: gate.taskId ?? manualValidationId, name: gate.taskName ?? 'ManualValidation', version: '1.274.0' };
  if (gate.issues !== undefined) {
    made.issues = gate.issues.map((message) => ({ type: 'error', category: 'General', message }));
    made.errorCount = gate.issues.length;
  }
  return made;
}

interface RecordSpec extends Span {
  key: string;
  name: string;
  order?: number;
}

function record(type: string, spec: RecordSpec, parent?: TimelineRecordJson): TimelineRecordJson {
  const { from, to, attempt = 1 } = spec;
  const isSkipped = spec.result === 'skipped';
  const isOver = to !== undefined || isSkipped;
  return {
    previousAttempts: [],
    id: guid(`${type} ${spec.key}`),
    parentId: parent?.id ?? null,
    type,
    name: spec.name,
    startTime: from === undefined ? null : clockTime(from),
    finishTime: to === undefined ? null : clockTime(to),
    currentOperation: null,
    percentComplete: null,
    state: isOver ? 'completed' : from === undefined ? 'pending' : 'inProgress',
    result: isOver ? (spec.result ?? 'succeeded') : null,
    resultCode: null,
    changeId: 7,
    lastModified: '0001-01-01T00:00:00',
    workerName: null,
    order: spec.order ?? 1,
    details: null,
    errorCount: 0,
    warningCount: 0,
    url: null,
    log: null,
    task: null,
    attempt,
    identifier: null,
  };
}

export interface ApprovalJson {
  id: string;
  steps: ApprovalStepJson[];
  status: string;
  createdOn: string;
  lastModifiedOn: string;
  executionOrder: string;
  minRequiredApprovers: number;
  blockedApprovers: IdentityJson[];
  instructions?: string;
  _links: object;
  pipeline?: object;
}

export interface ApprovalStepJson {
  assignedApprover: IdentityJson;
  actualApprover?: IdentityJson;
  status: string;
  comment?: string;
  deferredTo?: string;
  initiatedOn: string;
  lastModifiedOn: string;
  lastModifiedBy?: IdentityJson;
  order: number;
  history: object[];
}

export interface ApprovalStepSpec {
  /** The requested approver. The default is the person who decided. */
  asked?: IdentityJson;
  by?: IdentityJson;
  at: string;
  status?: string;
  comment?: string;
  deferredTo?: string;
}

/** An approval as the approvals API returns it with `$expand=steps`. */
export function approvalJson(id: string, status: string, steps: readonly ApprovalStepSpec[]): ApprovalJson {
  const last = steps.at(-1)?.at ?? '09:00';
  return {
    id,
    steps: steps.map((step, index) => stepJson(step, index + 1, status)),
    status,
    createdOn: clockTime('09:00'),
    lastModifiedOn: clockTime(last),
    executionOrder: 'anyOrder',
    minRequiredApprovers: steps.length,
    blockedApprovers: [],
    _links: { self: { href: `https://dev.azure.com/fabrikam/_apis/pipelines/approvals/${id}` } },
    pipeline: { owner: { id: 42, name: '20260301.1' }, id: '7', name: 'fabrikam-deploy' },
  };
}

function stepJson(step: ApprovalStepSpec, order: number, status: string): ApprovalStepJson {
  const { by, at, comment, deferredTo } = step;
  return {
    assignedApprover: step.asked ?? by ?? identityJson('approvers', { kind: 'vssgp' }),
    ...(by && { actualApprover: by, lastModifiedBy: by }),
    status: step.status ?? status,
    ...(comment !== undefined && { comment }),
    ...(deferredTo !== undefined && { deferredTo }),
    initiatedOn: clockTime('09:00'),
    lastModifiedOn: clockTime(at),
    order,
    history: [],
  };
}

export interface AzureDevOpsOptions {
  token?: string;
  project?: string;
  buildId?: string;
}

/** Starts the server on a free port of the loopback address. */
export async function startAzureDevOps(options: AzureDevOpsOptions = {}): Promise<AzureDevOps> {
  const { token = 'job-token-0123456789', project = 'Fabrikam', buildId = '42' } = options;
  const projectId = guid(`project ${project}`);
  const queuer = identityJson('jamal@fabrikam.example', { displayName: 'Jamal Hartnett' });
  const run: StandInRun = { records: [], approvals: [], attachments: [], requestedFor: queuer, requestedBy: queuer };
  const requests: AzureRequest[] = [];
  const handlers: AzureHandler[] = [];
  const collection = '/fabrikam';

  const answer = async (request: AzureRequest, response: ServerResponse): Promise<void> => {
    for (const handler of [...handlers].reverse()) if (await handler(request, response)) return;
    if (request.headers.authorization !== `Bearer ${token}`) {
      signIn(request, response);
      return;
    }
    if (request.method !== 'GET') {
      sendJson(response, 405, errorJson('The requested resource does not support this http method.'));
      return;
    }
    const body = bodyOf(request, { run, project, projectId, buildId });
    if (body === undefined)
      sendJson(response, 404, errorJson(`The controller for path '${request.path}' was not found.`));
    else sendJson(response, 200, body);
  };

  const server = http.createServer((incoming, response) => {
    const url = new URL(incoming.url ?? '/', 'http://stand-in');
    const path = url.pathname.startsWith(`${collection}/`) ? url.pathname.slice(collection.length) : url.pathname;
    const request = { method: incoming.method ?? '', path, query: url.searchParams, headers: incoming.headers };
    requests.push(request);
    incoming.resume();
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    collectionUri: `${origin}${collection}/`,
    origin,
    token,
    project,
    projectId,
    buildId,
    run,
    requests,
    handlers,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Known {
  run: StandInRun;
  project: string;
  projectId: string;
  buildId: string;
}

function bodyOf({ path, query }: AzureRequest, { run, project, projectId, buildId }: Known): unknown {
  const parts = /^\/([^/]+)\/_apis\/(.+)$/.exec(decodeURIComponent(path));
  if (parts === null || ![project, projectId].includes(parts[1] ?? '')) return undefined;
  const attachments = /^build\/builds\/(\d+)\/(?:[\w-]+\/[\w-]+\/)?attachments\/([^/]+)(?:\/(.+))?$/.exec(
    parts[2] ?? '',
  );
  if (attachments?.[1] === buildId) return attached(run, attachments[2] ?? '', attachments[3]);
  switch (parts[2]) {
    case `build/builds/${buildId}/timeline`:
      return {
        records: run.records,
        lastChangedBy: serverIdentity.id,
        lastChangedOn: clockTime('10:00'),
        id: guid(`timeline ${buildId}`),
        changeId: 99,
        url: `https://dev.azure.com/fabrikam/_apis/build/builds/${buildId}/timeline`,
      };
    case `build/builds/${buildId}`:
      return {
        _links: {},
        id: Number(buildId),
        buildNumber: `20260301.${buildId}`,
        status: 'inProgress',
        queueTime: clockTime('08:59'),
        startTime: clockTime('09:00'),
        project: { id: projectId, name: project },
        reason: 'manual',
        requestedFor: run.requestedFor,
        requestedBy: run.requestedBy,
      };
    case 'pipelines/approvals': {
      const wanted = (query.get('approvalIds') ?? '').toLowerCase().split(',');
      const isExpanded = (query.get('$expand') ?? '').includes('steps');
      const value = run.approvals
        .filter(({ id }) => wanted.includes(id.toLowerCase()))
        .map((approval) => (isExpanded ? approval : { ...approval, steps: [] }));
      return { count: value.length, value };
    }
    default:
      return undefined;
  }
}

/** The list of one type, or the content of one attachment, which has to be JSON. */
function attached({ attachments }: StandInRun, type: string, name: string | undefined): unknown {
  const own = attachments.filter((each) => each.type === type);
  if (name !== undefined) {
    const found = own.find((each) => each.name === name);
    return found === undefined ? undefined : (JSON.parse(found.content) as unknown);
  }
  if (own.length === 0) return undefined;
  const value = own.map((each, index) => ({
    name: each.name,
    _links: {
      self: {
        href: `https://dev.azure.com/fabrikam/${guid('project')}/_apis/build/builds/42/${guid('timeline')}/${guid(`record ${index}`)}/attachments/${type}/${each.name}`,
      },
    },
  }));
  return { count: value.length, value };
}

/** A client with the header gets a plain 401, any other the page for a browser. */
function signIn({ headers }: AzureRequest, response: ServerResponse): void {
  if (headers['x-tfs-fedauthredirect'] === 'Suppress') {
    sendJson(response, 401, errorJson('TF400813: The user is not authorized to access this resource.'));
    return;
  }
  sendSignInPage(response);
}

export function sendSignInPage(response: ServerResponse): void {
  response.writeHead(203, { 'Content-Type': 'text/html; charset=utf-8' });
  response.end('<!DOCTYPE html><html><head><title>Azure DevOps Services | Sign In</title></head><body></body></html>');
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8; api-version=6.0', ...headers });
  response.end(JSON.stringify(body));
}

/** An error in the form of Azure DevOps. */
export function errorJson(message: string, typeKey = 'InvalidRequestException'): object {
  return {
    $id: '1',
    innerException: null,
    message,
    typeName: `Microsoft.${typeKey}`,
    typeKey,
    errorCode: 0,
    eventId: 3000,
  };
}

function guid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
