import { bakeInputDefaults, readBakeRequest } from '../common/core/inputs/bakeRequest';
import { connectionInputDefaults, readConnection, readNamespace } from '../common/core/inputs/connectionInputs';
import { driftInputDefaults, readDriftRequest } from '../common/core/inputs/driftRequest';
import { durationExpected, parseDuration } from '../common/core/inputs/duration';
import {
  parseWorkloadName,
  workloadExpected,
  type HealthRequest,
  type WorkloadName,
} from '../common/core/inputs/healthRequest';
import {
  inputReader,
  withoutComments,
  type InputContext,
  type InputReader,
  type RawInputs,
} from '../common/core/inputs/inputs';
import { parseReleaseName, releaseNameExpected } from '../common/core/inputs/releaseName';
import { readRolloutRequest, rolloutInputDefaults } from '../common/core/inputs/rolloutRequest';

/** The same as in task.json. */
export const inputDefaults = {
  ...connectionInputDefaults,
  workloads: '',
  releaseName: '',
  selector: '',
  timeout: '5m',
  ...rolloutInputDefaults,
  ...bakeInputDefaults,
  onUnhealthy: 'fail',
  markVerified: 'false',
  ...driftInputDefaults,
  fleet: '',
  toleratedFailures: '0',
  failedBefore: '0',
} as const;

const fallbackTimeoutSeconds = 300;

/** Throws one TaskError `InputInvalid` that lists every mistake. */
export function readHealthRequest(raw: RawInputs, context: InputContext): HealthRequest {
  const read = inputReader(inputDefaults, raw, context);
  // A value that is given but wrong is reported as wrong, not as missing.
  const isGiven = (name: keyof typeof inputDefaults): boolean => withoutComments(raw(name) ?? '').trim() !== '';
  const connection = readConnection(read, context.serviceConnections);
  const namespace = readNamespace(read);
  const workloads = read.entries('workloads').flatMap((line) => readWorkload(read, line.text, line.number));
  const releaseName = read.parsed('releaseName', releaseNameExpected, orNothing(parseReleaseName), '') || undefined;
  const selector = read.parsed('selector', selectorExpected, orNothing(parseSelector), '') || undefined;
  const markVerified = readMarkVerified(read, isGiven('releaseName'));
  const subjects = ['workloads', 'releaseName', 'selector'] as const;
  const fleet = readFleet(read);
  const bake = readBakeRequest(read, context, { isCheck: true });
  const subject = subjects.find(isGiven);
  if (fleet !== undefined) refuseBeside(read, subject ?? (bake && 'metrics and bakeFor'));
  if (fleet === undefined && subject === undefined) {
    read.mistake({ input: 'workloads', problem: 'give at least one of workloads, releaseName and selector' });
  }
  const drift = readDrift(read, isGiven('releaseName'));
  const request: HealthRequest = {
    connection,
    ...(namespace === undefined ? {} : { namespace }),
    workloads,
    ...(releaseName === undefined ? {} : { releaseName }),
    ...(selector === undefined ? {} : { selector }),
    timeoutSeconds: read.parsed('timeout', durationExpected, parseDuration, fallbackTimeoutSeconds),
    rollout: readRolloutRequest(read),
    onUnhealthy: read.choice('onUnhealthy', ['fail', 'succeed']),
    markVerified,
    ...(bake === undefined ? {} : { bake }),
    ...(drift === undefined ? {} : { drift }),
    ...(fleet === undefined ? {} : { fleet }),
  };
  read.finish();
  return request;
}

function refuseBeside(read: InputReader, other: string | undefined): void {
  if (other === undefined) return;
  read.mistake({ input: 'fleet', problem: `it judges a ring by its reports: leave ${other} empty` });
}

function readMarkVerified(read: InputReader, hasRelease: boolean): boolean {
  const isAsked = read.boolean('markVerified');
  if (isAsked && !hasRelease) {
    read.mistake({ input: 'markVerified', holds: 'true', problem: 'it marks a release, so releaseName is needed' });
  }
  return isAsked;
}

function readDrift(read: InputReader, hasRelease: boolean): HealthRequest['drift'] {
  const drift = readDriftRequest(read, ['report', 'fail']);
  if (drift !== undefined && !hasRelease) {
    const problem = 'it compares a release with its manifest, so releaseName is needed';
    read.mistake({ input: 'drift', holds: drift.mode, problem });
  }
  return drift;
}

function orNothing(parse: (text: string) => string | undefined): (text: string) => string | undefined {
  return (text) => (text === '' ? '' : parse(text));
}

function readWorkload(read: InputReader, text: string, number: number): WorkloadName[] {
  const name = parseWorkloadName(text);
  if (name !== undefined) return [name];
  read.mistake({ input: `workloads, line ${number}`, holds: text, problem: `expected ${workloadExpected}` });
  return [];
}

const selectorExpected = 'a label selector as kubectl takes it, for example app=web,tier!=cache';

/** The API server checks the rest. */
function parseSelector(text: string): string | undefined {
  return /^[\w./=!,() -]+$/.test(text) ? text : undefined;
}

const mostTolerated = 1_000_000;

function readFleet(read: InputReader): HealthRequest['fleet'] {
  const tolerated = read.parsed('toleratedFailures', 'a whole number', parseCount, 0);
  const failedBefore = read.parsed('failedBefore', 'a whole number', parseCount, 0);
  const names = read.entries('fleet').flatMap(({ text }) => text.split(/[\s,]+/).filter((name) => name !== ''));
  if (names.length === 0) return undefined;
  const wrong = names.find((name) => !/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,57}[A-Za-z0-9])?$/.test(name));
  if (wrong !== undefined) {
    read.mistake({
      input: 'fleet',
      holds: wrong,
      problem: 'expected names of clusters: letters, digits and -, at most 59',
    });
  }
  return { clusters: [...new Set(names)], tolerated, failedBefore };
}

function parseCount(text: string): number | undefined {
  const count = Number(text);
  return /^\d+$/.test(text) && count <= mostTolerated ? count : undefined;
}
