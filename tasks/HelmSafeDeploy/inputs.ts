import { readArguments } from '../common/core/argumentsInput';
import { readChartSource } from '../common/core/chartSource';
import type { DeployRequest, RepairRequest } from '../common/core/deployRequest';
import { durationExpected, parseDuration } from '../common/core/duration';
import { readHelmPath } from '../common/core/helmPathInput';
import {
  inputReader,
  type InputContext,
  type InputFiles,
  type InputLine,
  type InputReader,
  type RawInputs,
} from '../common/core/inputs';
import { connectionInputDefaults, readConnection, readNamespace } from '../common/core/connectionInputs';
import { lockInputDefaults, readLockRequest } from '../common/core/lockRequest';
import { parseReleaseName, releaseNameExpected } from '../common/core/releaseName';
import { readRolloutRequest, rolloutInputDefaults } from '../common/core/rolloutRequest';
import { planValues } from '../common/core/setValues';
import { isAddress, valuesFileProblem } from '../common/core/valuesFile';

/** Every input of the task with what it is when the pipeline says nothing; the same as in task.json. */
export const inputDefaults = {
  ...connectionInputDefaults,
  createNamespace: 'false',
  releaseName: '',
  chart: '',
  chartRepository: '',
  chartVersion: '',
  dependencyUpdate: 'false',
  valueFiles: '',
  set: '',
  setString: '',
  setFile: '',
  setLiteral: '',
  arguments: '',
  timeout: '5m',
  rollbackTimeout: '',
  onFailure: 'rollback',
  historyMax: '10',
  onInterrupted: 'rollback',
  cleanupTimeout: '4m',
  ...lockInputDefaults,
  assumeAbandonedAfter: '15m',
  recreateFailedInstall: 'true',
  forceUpgrade: 'false',
  helmPath: '',
  ...rolloutInputDefaults,
} as const;

const fallbackTimeoutSeconds = 300;
const fallbackCleanupSeconds = 240;
const fallbackAbandonedSeconds = 900;

/** Reads all inputs; throws one TaskError `InputInvalid` that lists every mistake. */
export function readDeployRequest(raw: RawInputs, context: InputContext): DeployRequest {
  const read = inputReader(inputDefaults, raw, context);
  const { files, secrets } = context;

  const timeoutSeconds = readTimeout(read);
  const repair = repairOf(read, context, timeoutSeconds);
  const chart = readChartSource(read, files);
  const chartVersion = read.optionalText('chartVersion');
  const valueFiles = read.lines('valueFiles').map((line) => readValueFile(read, files, line));
  const values = planValues(
    {
      set: read.setLines('set'),
      setString: read.setLines('setString'),
      setFile: read.setLines('setFile'),
      setLiteral: read.setLines('setLiteral'),
    },
    secrets,
    { kind: (path) => files.kind(path), isAddress },
  );
  const extra = readArguments(read.text('arguments'), secrets);
  for (const mistake of [...values.mistakes, ...extra.mistakes]) read.mistake(mistake);
  const request: DeployRequest = {
    ...repair,
    createNamespace: read.boolean('createNamespace'),
    chart,
    ...(chartVersion === undefined ? {} : { chartVersion }),
    dependencyUpdate: read.boolean('dependencyUpdate'),
    valueFiles,
    values: values.values,
    extraArguments: extra.words,
    timeoutSeconds,
    onFailure: read.choice('onFailure', ['rollback', 'keep']),
    assumeAbandonedAfterSeconds: read.parsed(
      'assumeAbandonedAfter',
      durationExpected,
      parseDuration,
      fallbackAbandonedSeconds,
    ),
    recreateFailedInstall: read.boolean('recreateFailedInstall'),
    forceUpgrade: read.boolean('forceUpgrade'),
  };
  read.finish();
  return request;
}

/** The inputs that the post-job phase needs: the chart and the values may be gone by then. */
export function readRepair(raw: RawInputs, context: InputContext): RepairRequest {
  const read = inputReader(inputDefaults, raw, context);
  const request = repairOf(read, context, readTimeout(read));
  read.finish();
  return request;
}

function repairOf(
  read: InputReader,
  { files, serviceConnections }: InputContext,
  timeoutSeconds: number,
): RepairRequest {
  const connection = readConnection(read, serviceConnections);
  const namespace = readNamespace(read);
  const helmPath = readHelmPath(read, files);
  return {
    connection,
    ...(namespace === undefined ? {} : { namespace }),
    releaseName: read.parsed('releaseName', releaseNameExpected, parseReleaseName, ''),
    rollbackTimeoutSeconds: readRollbackTimeout(read, timeoutSeconds),
    historyMax: read.parsed('historyMax', 'a whole number, 0 for no limit', parseCount, 0),
    rollout: readRolloutRequest(read),
    ...(helmPath === undefined ? {} : { helmPath }),
    ...readLockRequest(read),
    onInterrupted: read.choice('onInterrupted', ['rollback', 'keep']),
    cleanupTimeoutSeconds: read.parsed('cleanupTimeout', durationExpected, parseDuration, fallbackCleanupSeconds),
  };
}

function readTimeout(read: InputReader): number {
  return read.parsed('timeout', durationExpected, parseDuration, fallbackTimeoutSeconds);
}

function readValueFile(read: InputReader, files: InputFiles, line: InputLine): string {
  if (isAddress(line.text)) return line.text;
  const problem = valueFileProblem(files, line.text);
  if (problem !== undefined) read.mistake({ input: `valueFiles, line ${line.number}`, holds: line.text, problem });
  return files.absolute(line.text);
}

function valueFileProblem(files: InputFiles, path: string): string | undefined {
  // Helm reads its standard input then, and parses every path as an address first
  if (path === '-') return 'expected a file: the task has no standard input';
  if (/%(?![0-9a-f]{2})/i.test(files.absolute(path))) return 'Helm cannot open a path with a lone percent sign in it';
  switch (files.kind(path)) {
    case 'missing':
      return 'there is no such file; relative paths start at System.DefaultWorkingDirectory';
    case 'folder':
      return 'this is a folder, expected a file of values';
    case 'unreadable':
      return unreadable;
    case 'file':
      return textProblem(files, path);
  }
}

const unreadable = 'this file cannot be read by the user that the agent runs as';

function textProblem(files: InputFiles, path: string): string | undefined {
  let text: string;
  try {
    text = files.readText(path);
  } catch {
    return unreadable;
  }
  const problem = valuesFileProblem(text);
  return problem === undefined ? undefined : `this file ${problem}`;
}

function readRollbackTimeout(read: InputReader, timeoutSeconds: number): number {
  const expected = `${durationExpected}, or nothing for the same as timeout`;
  const parse = (text: string): number | undefined => (text === '' ? timeoutSeconds : parseDuration(text));
  return read.parsed('rollbackTimeout', expected, parse, timeoutSeconds);
}

function parseCount(text: string): number | undefined {
  const count = Number(text);
  // Helm reads it into an int
  return /^\d+$/.test(text) && count <= 2_147_483_647 ? count : undefined;
}
