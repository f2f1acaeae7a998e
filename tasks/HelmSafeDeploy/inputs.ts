import { readArguments } from '../common/core/inputs/argumentsInput';
import { chartLoginDefaults, readChartLogins } from '../common/core/inputs/chartLogins';
import { bakeInputDefaults, readBakeRequest, readBakes } from '../common/core/inputs/bakeRequest';
import { readChartSource } from '../common/core/inputs/chartSource';
import { hasCredential } from '../common/core/inputs/addressCredential';
import { holdsSecret, secretProblem } from '../common/core/inputs/commandLine';
import type { DeployRequest, RepairRequest, ValuesFile } from '../common/core/inputs/deployRequest';
import { driftInputDefaults, readDriftRequest } from '../common/core/inputs/driftRequest';
import { durationExpected, parseDuration } from '../common/core/inputs/duration';
import { readGoYaml } from '../common/core/kubernetes/goYaml';
import { readHelmPath } from '../common/core/inputs/helmPathInput';
import { helmVersionDefaults, readHelmDownload } from '../common/core/inputs/helmVersionInput';
import {
  inputReader,
  type InputContext,
  type InputFiles,
  type InputLine,
  type InputReader,
  type RawInputs,
} from '../common/core/inputs/inputs';
import { isRecord } from '../common/core/kubernetes/json';
import { connectionInputDefaults, readConnection, readNamespace } from '../common/core/inputs/connectionInputs';
import { lockInputDefaults, readLockRequest } from '../common/core/inputs/lockRequest';
import { readMaxPlanAge, readPlanDigest } from '../common/core/inputs/planInputs';
import { ownershipInputDefaults, readOwnershipRequest } from '../common/core/inputs/ownershipRequest';
import { namespaceMetadataDefaults, readNamespaceMetadata } from '../common/core/inputs/namespaceMetadata';
import { parseReleaseName, releaseNameExpected } from '../common/core/inputs/releaseName';
import { readRolloutRequest, rolloutInputDefaults } from '../common/core/inputs/rolloutRequest';
import { readSecretValues, secretValuesDefaults } from '../common/core/inputs/secretValues';
import { readSmokeTestRequest, smokeTestInputDefaults } from '../common/core/inputs/smokeTestRequest';
import type { SecretFinder } from '../common/core/text/secrets';
import { planValues } from '../common/core/inputs/setValues';
import { reusesValues } from '../common/core/inputs/reusedValues';
import type { UninstallRequest } from '../common/core/inputs/uninstallRequest';
import { checkValuesFile, isAddress, type ValuesFileCheck } from '../common/core/inputs/valuesFile';
import { leafPaths, type ValuePath } from '../common/core/inputs/strvals';

/** The same as in task.json. */
export const inputDefaults = {
  ...connectionInputDefaults,
  action: 'deploy',
  planDigest: '',
  maxPlanAge: '25h',
  createNamespace: 'false',
  ...namespaceMetadataDefaults,
  releaseName: '',
  chart: '',
  chartRepository: '',
  ...chartLoginDefaults,
  chartVersion: '',
  verify: 'false',
  keyring: '',
  dependencyUpdate: 'false',
  crds: '',
  valueFiles: '',
  ...secretValuesDefaults,
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
  deleteData: 'false',
  cleanupOnFail: 'false',
  ...driftInputDefaults,
  ...ownershipInputDefaults,
  keepHistory: 'false',
  deleteNamespace: 'false',
  helmPath: '',
  ...helmVersionDefaults,
  ...smokeTestInputDefaults,
  ...bakeInputDefaults,
  ...rolloutInputDefaults,
} as const;

const fallbackTimeoutSeconds = 300;
const fallbackCleanupSeconds = 240;
const fallbackAbandonedSeconds = 900;

const actions = ['deploy', 'plan', 'uninstall'] as const;

/** Read first, because the inputs that count depend on it. Throws `InputInvalid`. */
export function readAction(raw: RawInputs, context: InputContext): (typeof actions)[number] {
  const read = inputReader(inputDefaults, raw, context);
  const action = read.choice('action', actions);
  read.finish();
  return action;
}

/** Throws one TaskError `InputInvalid` that lists every mistake. */
export function readUninstallRequest(raw: RawInputs, context: InputContext): UninstallRequest {
  const read = inputReader(inputDefaults, raw, context);
  const timeoutSeconds = readTimeout(read);
  const request: UninstallRequest = {
    ...repairOf(read, context, timeoutSeconds),
    timeoutSeconds,
    assumeAbandonedAfterSeconds: readAbandoned(read),
    keepHistory: read.boolean('keepHistory'),
    deleteNamespace: read.boolean('deleteNamespace'),
    deleteData: read.boolean('deleteData'),
  };
  if (request.keepHistory && request.deleteNamespace) {
    read.mistake({ input: 'keepHistory', holds: 'true', problem: 'deleteNamespace would delete the history too' });
  }
  read.finish();
  return request;
}

/** Throws one TaskError `InputInvalid` that lists every mistake. */
export function readDeployRequest(raw: RawInputs, context: InputContext): DeployRequest {
  const read = inputReader(inputDefaults, raw, context);
  const timeoutSeconds = readTimeout(read);
  const repair = repairOf(read, context, timeoutSeconds);
  const chart = readChart(read, context);
  const values = readValues(read, context);
  const bake = readBakeRequest(read, context);
  const drift = readDriftRequest(read, ['report', 'fail', 'correct']);
  const takeOwnership = readOwnershipRequest(read);
  const createNamespace = read.boolean('createNamespace');
  const crds = read.choice('crds', ['', 'skip', 'create', 'createReplace']);
  const namespaceMetadata = readNamespaceMetadata(read, createNamespace);
  const request: DeployRequest = {
    ...repair,
    ...chart,
    ...values,
    ...readPlanInputs(read),
    createNamespace,
    ...(crds === '' ? {} : { crds }),
    ...(namespaceMetadata === undefined ? {} : { namespaceMetadata }),
    timeoutSeconds,
    onFailure: read.choice('onFailure', ['rollback', 'keep']),
    assumeAbandonedAfterSeconds: readAbandoned(read),
    recreateFailedInstall: read.boolean('recreateFailedInstall'),
    forceUpgrade: read.boolean('forceUpgrade'),
    deleteData: read.boolean('deleteData'),
    ...(bake === undefined ? {} : { bake }),
    cleanupOnFail: read.boolean('cleanupOnFail'),
    ...(drift === undefined ? {} : { drift }),
    ...(takeOwnership === undefined ? {} : { takeOwnership }),
  };
  read.finish();
  return request;
}

function readPlanInputs(read: InputReader): Pick<DeployRequest, 'action' | 'planDigest' | 'maxPlanAgeSeconds'> {
  const planDigest = readPlanDigest(read);
  return {
    action: read.choice('action', actions) === 'plan' ? 'plan' : 'deploy',
    ...(planDigest === undefined ? {} : { planDigest }),
    maxPlanAgeSeconds: readMaxPlanAge(read),
  };
}

type ChartInputs = Pick<DeployRequest, 'chart' | 'chartLogins' | 'chartVersion' | 'verify' | 'dependencyUpdate'>;

function readChart(read: InputReader, context: InputContext): ChartInputs {
  const { files, secrets } = context;
  const chartLogins = readChartLogins(read);
  const chart = readChartSource(read, context, chartLogins);
  const verify = readVerify(read, files);
  const chartVersion = read.optionalText('chartVersion');
  if (chartVersion !== undefined && holdsSecret(chartVersion, secrets)) {
    read.mistake({ input: 'chartVersion', problem: secretProblem });
  }
  const dependencyUpdate = read.boolean('dependencyUpdate');
  if (dependencyUpdate && chart.kind === 'path' && chart.isSecret) {
    const problem = `${secretProblem}; with dependencyUpdate, Helm needs this path on its command line`;
    read.mistake({ input: 'chart', problem });
  }
  return {
    chart,
    chartLogins,
    ...(verify === undefined ? {} : { verify }),
    ...(chartVersion === undefined ? {} : { chartVersion }),
    dependencyUpdate,
  };
}

type ValueInputs = Pick<
  DeployRequest,
  'valueFiles' | 'secretValues' | 'values' | 'extraArguments' | 'givenPaths' | 'warnings'
>;

function readValues(read: InputReader, context: InputContext): ValueInputs {
  const { files, secrets } = context;
  const valueFileLines = read.lines('valueFiles');
  const warnings: string[] = [];
  const valueFiles = valueFileLines.map((line) => readValueFile(read, context, line, warnings));
  const secretValues = readSecretValues(read, files);
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
  warnings.push(...values.warnings);
  const given = {
    valueFiles,
    ...(secretValues === undefined ? {} : { secretValues }),
    values: values.values,
    extraArguments: extra.words,
  };
  const assigned = [...(secretValues?.paths ?? []), ...values.paths];
  return {
    ...given,
    givenPaths: reusesValues(given) ? givenPaths(files, valueFileLines, assigned) : [],
    warnings,
  };
}

/** For the post-job phase. The chart and the values may be gone by then. */
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
  const helmDownload = readHelmDownload(read);
  const smokeTest = readSmokeTestRequest(read);
  return {
    connection,
    ...(namespace === undefined ? {} : { namespace }),
    releaseName: read.parsed('releaseName', releaseNameExpected, parseReleaseName, ''),
    rollbackTimeoutSeconds: readRollbackTimeout(read, timeoutSeconds),
    historyMax: read.parsed('historyMax', 'a whole number, 0 for no limit', parseCount, 0),
    rollout: readRolloutRequest(read),
    ...(helmPath === undefined ? {} : { helmPath }),
    ...(helmDownload === undefined ? {} : { helmDownload }),
    ...readLockRequest(read),
    onInterrupted: read.choice('onInterrupted', ['rollback', 'keep']),
    cleanupTimeoutSeconds: read.parsed('cleanupTimeout', durationExpected, parseDuration, fallbackCleanupSeconds),
    ...(smokeTest === undefined ? {} : { smokeTest }),
    ...(readBakes(read) ? { bakes: true as const } : {}),
  };
}

function readVerify(read: InputReader, files: InputFiles): DeployRequest['verify'] {
  const keyring = read.optionalText('keyring');
  if (!read.boolean('verify')) return undefined;
  if (keyring === undefined) return {};
  if (files.kind(keyring) !== 'file') {
    const problem = 'there is no such file; expected a keyring that `gpg --export` wrote, or nothing for that of GnuPG';
    read.mistake({ input: 'keyring', holds: keyring, problem });
  }
  return { keyring: files.absolute(keyring) };
}

function readTimeout(read: InputReader): number {
  return read.parsed('timeout', durationExpected, parseDuration, fallbackTimeoutSeconds);
}

function readAbandoned(read: InputReader): number {
  return read.parsed('assumeAbandonedAfter', durationExpected, parseDuration, fallbackAbandonedSeconds);
}

function readValueFile(
  read: InputReader,
  { files, secrets }: InputContext,
  line: InputLine,
  warnings: string[],
): ValuesFile {
  const input = `valueFiles, line ${line.number}`;
  if (isAddress(line.text)) return readAddress(read, secrets, line.text, input);
  const { problem, warning } = checkPath(files, line.text);
  if (problem !== undefined) read.mistake({ input, holds: line.text, problem });
  if (warning !== undefined) warnings.push(`${input}: this file ${warning}.`);
  const reference = files.absolute(line.text);
  return holdsSecret(line.text, secrets) ? { kind: 'path', reference, input } : reference;
}

function readAddress(read: InputReader, secrets: SecretFinder, reference: string, input: string): ValuesFile {
  if (!hasCredential(reference) && !holdsSecret(reference, secrets)) return reference;
  if (!/^https:/i.test(reference) || !URL.canParse(reference)) {
    const problem = 'it holds a secret, so the task has to read it for Helm, and reads https addresses only';
    read.mistake({ input, problem });
  }
  return { kind: 'address', reference, input };
}

function checkPath(files: InputFiles, path: string): ValuesFileCheck {
  // For `-` Helm reads its standard input. It parses every other path as an address first.
  if (path === '-') return { problem: 'expected a file: the task has no standard input' };
  if (/%(?![0-9a-f]{2})/i.test(files.absolute(path))) {
    return { problem: 'Helm cannot open a path with a lone percent sign in it' };
  }
  switch (files.kind(path)) {
    case 'missing':
      return { problem: 'there is no such file; relative paths start at System.DefaultWorkingDirectory' };
    case 'folder':
      return { problem: 'this is a folder, expected a file of values' };
    case 'unreadable':
      return { problem: unreadable };
    case 'file':
      return checkText(files, path);
  }
}

const unreadable = 'this file cannot be read by the user that the agent runs as';

function checkText(files: InputFiles, path: string): ValuesFileCheck {
  let text: string;
  try {
    text = files.readText(path);
  } catch {
    return { problem: unreadable };
  }
  const { problem, ...check } = checkValuesFile(text);
  return problem === undefined ? check : { problem: `this file ${problem}` };
}

/** Returns undefined if a values file is an address. */
function givenPaths(
  files: InputFiles,
  lines: readonly InputLine[],
  assigned: readonly ValuePath[],
): readonly ValuePath[] | undefined {
  if (lines.some(({ text }) => isAddress(text))) return undefined;
  const inFiles = lines.flatMap(({ text }) => {
    if (files.kind(text) !== 'file') return [];
    return readGoYaml(files.readText(text)).flatMap((document) =>
      'value' in document && isRecord(document.value) ? leafPaths(document.value) : [],
    );
  });
  return [...inFiles, ...assigned];
}

function readRollbackTimeout(read: InputReader, timeoutSeconds: number): number {
  const expected = `${durationExpected}, or nothing for the same as timeout`;
  const parse = (text: string): number | undefined => (text === '' ? timeoutSeconds : parseDuration(text));
  return read.parsed('rollbackTimeout', expected, parse, timeoutSeconds);
}

function parseCount(text: string): number | undefined {
  const count = Number(text);
  // Helm reads the number into an int.
  return /^\d+$/.test(text) && count <= 2_147_483_647 ? count : undefined;
}
