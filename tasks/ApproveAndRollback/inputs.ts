import { connectionInputDefaults, readConnection, readNamespace } from '../common/core/inputs/connectionInputs';
import { durationExpected, parseDuration } from '../common/core/inputs/duration';
import { parseWorkloadName, type WorkloadName } from '../common/core/inputs/healthRequest';
import { readHelmPath } from '../common/core/inputs/helmPathInput';
import { helmVersionDefaults, readHelmDownload } from '../common/core/inputs/helmVersionInput';
import {
  inputReader,
  type InputContext,
  type InputLine,
  type InputReader,
  type RawInputs,
  withoutComments,
} from '../common/core/inputs/inputs';
import { lockInputDefaults, readLockRequest } from '../common/core/inputs/lockRequest';
import { parseReleaseName, releaseNameExpected } from '../common/core/inputs/releaseName';
import { plainDigest } from '../common/core/rollbackPlan/document/document';
import { allowableCodes, type FindingCode } from '../common/core/rollbackPlan/model/findings';
import type { RollbackPolicy, ToRevision } from '../common/core/rollbackPlan/model/types';
import {
  plainWorkloadsLock,
  type RollbackSubject,
  type RollbackTaskRequest,
} from '../common/core/inputs/rollbackRequest';
import { readMaxPlanAge, readPlanDigest } from '../common/core/inputs/planInputs';
import { readRolloutRequest, rolloutInputDefaults } from '../common/core/inputs/rolloutRequest';

/** The same as in task.json. */
const inputDefaults = {
  ...connectionInputDefaults,
  action: 'plan',
  releaseName: '',
  workloads: '',
  toRevision: 'verified',
  planDigest: '',
  cause: '',
  requirePlan: 'true',
  maxPlanAge: '25h',
  approval: 'gate',
  requireGateProof: 'true',
  fourEyes: 'false',
  allow: '',
  allowUnverifiedTarget: 'false',
  allowIrreversible: '',
  allowUnknownHelm: 'false',
  allowPodDelete: 'false',
  maxDeletions: '10',
  timeout: '10m',
  ...lockInputDefaults,
  ...rolloutInputDefaults,
  cluster: '',
  startWithin: '',
  helmPath: '',
  ...helmVersionDefaults,
  helmSha256: '',
} as const;

const fallbackTimeoutSeconds = 600;
const fallbackDeletions = 10;

/** This action reads no other input. */
export function isFleetPlan(raw: RawInputs): boolean {
  return raw('action')?.trim().toLowerCase() === 'planfleet';
}

/** Throws one TaskError `InputInvalid` that lists every mistake. */
export function readRollbackRequest(raw: RawInputs, context: InputContext): RollbackTaskRequest {
  const read = inputReader(inputDefaults, raw, context);
  const connection = readConnection(read, context.serviceConnections);
  const namespace = readNamespace(read);
  const { releaseName, subject } = readSubject(read, raw);
  const helmPath = readHelmPath(read, context.files);
  const helmDownload = readHelmDownload(read);
  const planDigest = readPlanDigest(read);
  const helmSha256 = read.parsed('helmSha256', sha256Expected, orNothing(parseDigest), '');
  const cluster = read.text('cluster');
  const request: RollbackTaskRequest = {
    connection,
    ...(namespace === undefined ? {} : { namespace }),
    releaseName,
    subject,
    action: read.choice('action', ['plan', 'rollback']),
    rollback: {
      toRevision: read.parsed<ToRevision>('toRevision', revisionExpected, parseRevision, 'verified'),
      policy: readPolicy(read),
    },
    ...(planDigest === undefined ? {} : { planDigest }),
    requirePlan: read.boolean('requirePlan'),
    maxPlanAgeSeconds: readMaxPlanAge(read),
    approval: {
      approval: read.choice('approval', ['gate', 'environment', 'none']),
      requireGateProof: read.boolean('requireGateProof'),
      fourEyes: read.boolean('fourEyes'),
    },
    rollbackTimeoutSeconds: read.parsed('timeout', durationExpected, parseDuration, fallbackTimeoutSeconds),
    cause: read.text('cause'),
    ...(cluster === '' ? {} : { cluster }),
    startWithinSeconds: read.parsed('startWithin', durationExpected, orZero(parseDuration), 0),
    // Only deploys prune the history: a rollback keeps every possible target.
    historyMax: 0,
    rollout: readRolloutRequest(read),
    ...(helmPath === undefined ? {} : { helmPath }),
    ...(helmDownload === undefined ? {} : { helmDownload }),
    ...(helmSha256 === '' ? {} : { helmSha256 }),
    ...readLockRequest(read),
  };
  read.finish();
  return request;
}

const sha256Expected = '64 hexadecimal digits, the SHA-256 of the Helm binary';
const revisionExpected = 'verified, previous, or the number of a revision';

function parseDigest(text: string): string | undefined {
  return plainDigest(text) || undefined;
}

function orNothing(parse: (text: string) => string | undefined): (text: string) => string | undefined {
  return (text) => (text === '' ? '' : parse(text));
}

function orZero(parse: (text: string) => number | undefined): (text: string) => number | undefined {
  return (text) => (text === '' ? 0 : parse(text));
}

function parseRevision(text: string): ToRevision | undefined {
  const word = text.toLowerCase();
  if (word === 'verified' || word === 'previous') return word;
  const number = parseCount(text);
  return number === undefined || number === 0 ? undefined : number;
}

function parseCount(text: string): number | undefined {
  const count = Number(text);
  // Helm reads the number into an int.
  return /^\d+$/.test(text) && count <= 2_147_483_647 ? count : undefined;
}

function readSubject(read: InputReader, raw: RawInputs): { releaseName: string; subject: RollbackSubject } {
  const isGiven = (name: keyof typeof inputDefaults): boolean => withoutComments(raw(name) ?? '').trim() !== '';
  const workloads = read.entries('workloads').flatMap((line) => readWorkload(read, line));
  const releaseName = read.parsed('releaseName', releaseNameExpected, orNothing(parseReleaseName), '');
  if (isGiven('workloads') && isGiven('releaseName')) {
    const problem = 'a release is rolled back as a whole: give either releaseName or workloads';
    read.mistake({ input: 'workloads', problem });
  }
  if (!isGiven('workloads') && !isGiven('releaseName')) {
    read.mistake({
      input: 'releaseName',
      problem: 'give the release here, or the workloads to roll back in workloads',
    });
  }
  return isGiven('workloads')
    ? { releaseName: plainWorkloadsLock, subject: { kind: 'workloads', workloads } }
    : { releaseName, subject: { kind: 'release' } };
}

const workloadKinds = ['deployment', 'statefulset', 'daemonset'];

function readWorkload(read: InputReader, { input, text, number }: InputLine): WorkloadName[] {
  const name = parseWorkloadName(text);
  const kind = name?.kind.replace(/s$/, '') ?? '';
  if (name !== undefined && workloadKinds.includes(kind) && (name.group ?? 'apps') === 'apps') {
    return [{ kind, name: name.name }];
  }
  const problem = `line ${number}: expected deployment/name, statefulset/name or daemonset/name: only these kinds have a history`;
  read.mistake({ input, holds: text, problem });
  return [];
}

function readPolicy(read: InputReader): RollbackPolicy {
  return {
    allow: read.entries('allow').flatMap((line) => readCode(read, line)),
    allowUnverifiedTarget: read.boolean('allowUnverifiedTarget'),
    allowIrreversible: read.entries('allowIrreversible').flatMap((line) => readRevisions(read, line)),
    allowUnknownHelm: read.boolean('allowUnknownHelm'),
    allowPodDelete: read.boolean('allowPodDelete'),
    maxDeletions: read.parsed('maxDeletions', 'a whole number', parseCount, fallbackDeletions),
  };
}

function readCode(read: InputReader, { input, text, number }: InputLine): FindingCode[] {
  const code = allowableCodes.find((each) => each.toLowerCase() === text.toLowerCase());
  if (code !== undefined) return [code];
  read.mistake({
    input,
    holds: text,
    problem: `line ${number}: the findings that can be allowed are ${allowableCodes.join(', ')}`,
  });
  return [];
}

function readRevisions(read: InputReader, { input, text, number }: InputLine): number[] {
  return text
    .split(/[\s,;]+/)
    .filter((word) => word !== '')
    .flatMap((word) => {
      const revision = parseCount(word);
      if (revision !== undefined && revision > 0) return [revision];
      read.mistake({ input, holds: word, problem: `line ${number}: expected numbers of revisions, for example 7` });
      return [];
    });
}
