import path from 'node:path';
import type { DeployRequest, ValuesFile } from '../../core/inputs/deployRequest';
import type { ClusterIdentity } from '../kubernetes/clusterIdentity';
import type { HelmGuard } from './guard';
import { chartArguments, checkArguments } from '../../core/inputs/argumentsInput';
import { declaredKinds, shownCrds, type DeclaredKind } from '../../core/helm/chartCrds';
import { renderedCrds } from '../../core/helm/crdChanges';
import type { KubeObject } from '../../core/kubernetes/object';
import { TaskError } from '../../core/failure';
import { fieldWarning } from '../../core/kubernetes/fieldWarnings';
import { clipped, lineReader } from '../../core/text/foreignText';
import { helmFailureReason, helmMessage, isEchoOfError, withoutObjects } from '../../core/helm/helmFailure';
import type { Helm, HelmResult, RehearsedUpgrade, ReleaseHelm, Rendered, RollbackOptions } from '../../core/ports';
import { isRecord } from '../../core/kubernetes/json';
import { filterFlags } from '../../core/release/tests';
import { helmBuildTemplate, parseHelmBuild, type HelmBuild, type HelmCapabilities } from '../../core/helm/provenance';
import { revisionOf } from '../../core/release/releaseRecord';
import { privateValuesText } from '../../core/inputs/setValues';
import { passesAll, type FencePolicy } from '../../core/helm/fence';
import { openFence, type FenceOptions } from '../gateway/openFence';
import type { Redact, SecretFinder } from '../../core/text/secrets';
import { withoutSecretVariables } from '../../core/text/secretSources';
import {
  chartReference,
  commandLine,
  inputArguments,
  given,
  made,
  type Argument,
  type PreparedInputs,
  type SecretValuesForHelm,
} from '../../core/inputs/commandLine';
import { parseHelpFlags } from '../../core/helm/helmFlags';
import { mistakesError } from '../../core/inputs/inputs';
import { checkValuesFile } from '../../core/inputs/valuesFile';
import { fetchValues } from './fetchValues';
import { readInTurns } from './readInTurns';
import { onStage, rehearsedUpgrade } from './rehearseUpgrade';
import type { PrivateFolder } from '../agent/privateFolder';
import { runProcess, type ProcessOptions } from '../system/process';
import type { Rendering } from '../../core/release/unchanged';

export interface ReleaseHelmOptions {
  binary: string;
  kubeconfig: string;
  /** Present if the kubeconfig holds no credential, and Helm asks this process for one. */
  identity?: ClusterIdentity | undefined;
  namespace: string;
  releaseName: string;
  guard: Pick<HelmGuard, 'environment' | 'watch' | 'done'>;
  workingDirectory: string;
  environment: NodeJS.ProcessEnv;
  isDebug: boolean;
  /** Gets redacted lines of Helm's output. */
  onLine: (line: string) => void;
  /** Redacts whole lines of Helm before any of it is quoted or cut. */
  redact: Redact;
}

export interface HelmOptions extends ReleaseHelmOptions {
  request: DeployRequest;
  /** For files with secret values that Helm reads. */
  folder: PrivateFolder;
  /** Called as soon as a secret is read or made. */
  onSecret: (secret: string) => void;
  secrets: SecretFinder;
  secretValues?: SecretValuesForHelm;
  /** Gets a sentence for each problem with the inputs that is found only here. */
  onWarning: (message: string) => void;
}

/** etcd limits a rendered chart to about a megabyte, gzipped. */
const maximumOutputBytes = 256 * 1024 * 1024;
const maximumErrorCharacters = 64 * 1024;

/** Helm 3.14 has all of them. */
const neededFlags = [
  'install',
  'dry-run',
  'disable-openapi-validation',
  'wait',
  'timeout',
  'history-max',
  'values',
  'set-file',
  'output',
];

export function createReleaseHelm(options: ReleaseHelmOptions): ReleaseHelm {
  const { releaseName } = options;
  let known: HelmCapabilities | undefined;

  async function capabilities(signal: AbortSignal): Promise<HelmCapabilities> {
    known ??= await askCapabilities(options, signal);
    return known;
  }

  return {
    capabilities,

    async rollback(rollback: RollbackOptions): Promise<HelmResult> {
      const { revision, timeoutSeconds, endAfterSeconds, wait, forceConflicts = false, description = '' } = rollback;
      // The post-job phase and the fence have not read the capabilities before.
      const helm = await capabilities(neverAborted);
      const args = ['rollback', releaseName, String(revision), '--history-max', '0'];
      args.push('--timeout', `${timeoutSeconds}s`, ...(wait ? [waitFlagOf(helm)] : []));
      if (forceConflicts && helm.major >= 4) args.push('--force-conflicts');
      const takesDescription = helm.major > 4 || (helm.major === 4 && helm.minor >= 3);
      if (takesDescription && description !== '') {
        args.push('--description', clipped(description, mostOfDescription - ' ...'.length));
      }
      return runHelm(options, args, { capture: false, guarded: 'final', timeoutMs: endAfterSeconds * 1000 });
    },

    async uninstall({ timeoutSeconds, keepHistory = false }): Promise<HelmResult> {
      const args = ['uninstall', releaseName, '--timeout', `${timeoutSeconds}s`];
      if (keepHistory) args.push('--keep-history');
      return runHelm(options, args, { capture: false, guarded: 'final' });
    },
  };
}

/** Helm refuses a longer one (MaxDescriptionLength in pkg/action/rollback.go, 4.3). */
const mostOfDescription = 256;

/** A rollback is never interrupted, so neither is the version query before it. */
const neverAborted = new AbortController().signal;

async function askCapabilities(options: ReleaseHelmOptions, signal: AbortSignal): Promise<HelmCapabilities> {
  const bare = (args: string[]): Promise<string> => bareOutput(options, args, signal);
  const [answer, upgradeHelp] = await Promise.all([bare(askForBuild), bare(['upgrade', '--help'])]);
  const build = parseHelmBuild(answer);
  const version = build?.version ?? answer.trim().split(/\s/)[0] ?? '';
  return { ...capabilitiesOf(options.binary, version, upgradeHelp), build };
}

const askForBuild = ['version', '--template', helmBuildTemplate];

/** Undefined if the answer cannot be parsed. */
export async function helmBuild(options: ReleaseHelmOptions, signal: AbortSignal): Promise<HelmBuild | undefined> {
  return parseHelmBuild(await bareOutput(options, askForBuild, signal));
}

export function createHelm(options: HelmOptions): Helm {
  const { request } = options;
  const helm = createReleaseHelm(options);
  const { secretValues } = options;
  const stdin = secretValues !== undefined && 'stdin' in secretValues ? { stdin: secretValues.stdin } : {};
  const stageOptions = { ...options, askToken: options.identity?.askToken };
  let prepared: Promise<PreparedInputs> | undefined;

  async function upgradeArguments(signal: AbortSignal): Promise<string[]> {
    prepared ??= prepareInputs(options, signal);
    const inputs = await prepared;
    const args: Argument[] = [
      ...['upgrade', request.releaseName].map(made),
      ...chartReference(request, inputs, options.workingDirectory),
      made('--install'),
      ...(request.takeOwnership === undefined ? [] : [made(`--${ownershipFlag}`)]),
      // The task itself has created the definitions, or the inputs ask for none.
      ...(request.crds === undefined ? [] : [made('--skip-crds')]),
      ...inputArguments(request, inputs, options.workingDirectory),
    ];
    return commandLine(args, options.secrets);
  }

  return {
    ...helm,

    async render(signal, assumed = [], records = []): Promise<Rendered> {
      // Helm 3 spends most of the dry run of a large chart on this validation (0.9 s of 1.1 s for 50 Deployments,
      // measured). The upgrade validates again before it changes anything.
      const args = [
        ...(await upgradeArguments(signal)),
        '--dry-run=server',
        '--disable-openapi-validation',
        '--output',
        'json',
      ];
      if (request.dependencyUpdate) args.push('--dependency-update');
      const said: string[] = [];
      const onLine = (line: string): number => said.push(line);
      const run = (how: Partial<HelmOptions>): Promise<HelmResult> =>
        runHelm({ ...options, onLine, ...how }, args, { capture: true, interrupt: signal, ...stdin });
      const isLive = assumed.length === 0 && records.length === 0;
      const { result } = isLive
        ? { result: await run({}) }
        : await onStage(stageOptions, { assumed, records }, async (how) => ({ result: await run(how) }));
      const rendered = { ...result, stdout: '', said };
      if (!result.ok) return rendered;
      const rendering = renderingOf(result.stdout);
      await readInTurns(rendering.manifest);
      return { ...rendered, rendering };
    },

    async rehearse(staging, signal): Promise<RehearsedUpgrade> {
      const timeoutMs = rehearsalSeconds * 1000;
      const more = ['--no-hooks', '--skip-crds', '--history-max', '0', '--timeout', `${rehearsalSeconds}s`];
      const args = [...(await upgradeArguments(signal)), ...more];
      const onLine = (): void => undefined;
      const { result, stage } = await onStage(stageOptions, staging, async (how, stage) => ({
        result: await runHelm({ ...options, onLine, ...how }, args, {
          capture: false,
          interrupt: signal,
          timeoutMs,
          ...stdin,
        }),
        stage,
      }));
      return rehearsedUpgrade(result, stage);
    },

    async chartCrds(signal): Promise<readonly DeclaredKind[] | undefined> {
      prepared ??= prepareInputs(options, signal);
      const words = [
        ...['show', 'crds'].map(made),
        ...chartReference(request, await prepared, options.workingDirectory),
        ...chartArguments(request.extraArguments).map((word) => given('arguments', word)),
      ];
      const args = commandLine(words, options.secrets);
      const result = await runHelm({ ...options, onLine: () => undefined }, args, { capture: true, interrupt: signal });
      return result.ok ? declaredKinds(result.stdout) : undefined;
    },

    async crds(signal): Promise<readonly KubeObject[]> {
      prepared ??= prepareInputs(options, signal);
      const inputs = await prepared;
      const { workingDirectory, secrets } = options;
      const chart = chartReference(request, inputs, workingDirectory);
      const ofChart = chartArguments(request.extraArguments).map((word) => given('arguments', word));
      const run = async (words: readonly Argument[]): Promise<HelmResult> =>
        runHelm({ ...options, onLine: () => undefined }, commandLine(words, secrets), {
          capture: true,
          interrupt: signal,
          ...stdin,
        });
      const values = inputArguments({ ...request, extraArguments: [] }, inputs, workingDirectory);
      // With the server, Helm 4 refuses objects whose definitions are missing; without it, lookup() finds nothing.
      for (const server of [[], ['--dry-run=server']]) {
        const flags = ['--include-crds', ...server].map(made);
        const words = [...['template', request.releaseName].map(made), ...chart, ...values, ...ofChart, ...flags];
        const rendered = await run(words);
        if (rendered.ok) return renderedCrds(rendered.stdout);
      }
      const shown = await run([...['show', 'crds'].map(made), ...chart, ...ofChart]);
      if (!shown.ok) throw new TaskError(shown.failure?.reason ?? 'HelmFailed', shown.failure?.message ?? '');
      return shownCrds(shown.stdout);
    },

    async upgrade(
      { timeoutSeconds, wait, createNamespace, forceConflicts = false, kept, lost },
      signal,
    ): Promise<HelmResult> {
      const args = [...(await upgradeArguments(signal)), '--history-max', '0', '--timeout', `${timeoutSeconds}s`];
      if (createNamespace) args.push('--create-namespace');
      if (forceConflicts) args.push('--force-conflicts');
      if (wait) args.push(waitFlagOf(await helm.capabilities(signal)));
      // Helm's --timeout starts again for each hook and each wait; our limit covers all of them.
      const timeoutMs = timeoutSeconds * 1000;
      const how = { capture: false, interrupt: signal, timeoutMs, guarded: 'interruptible', ...stdin } as const;
      const fieldWarnings = new Set<string>();
      const onLine = (line: string): void => {
        const warning = fieldWarning(line);
        if (warning === undefined) options.onLine(line);
        else fieldWarnings.add(warning);
      };
      const run = (chosen: HelmOptions): Promise<HelmResult> => runHelm({ ...chosen, onLine }, args, how);
      const result = await (kept.length === 0
        ? run(options)
        : behindFence(options, { policy: passesAll, kept, lost }, run));
      return { ...result, fieldWarnings: [...fieldWarnings] };
    },

    async test({ timeoutSeconds, filter, lost }, signal): Promise<HelmResult> {
      const args = ['test', request.releaseName, '--timeout', `${timeoutSeconds}s`, ...filterFlags(filter)];
      // Helm's --timeout starts again for each test. Helm gets a moment to end by its own.
      const timeoutMs = timeoutSeconds * 1000 + testEndsWithinMs;
      const how = { capture: true, interrupt: signal, timeoutMs, guarded: 'interruptible' } as const;
      if (filter.length === 0) return runHelm(options, args, how);
      return behindFence(options, { policy: besideRecord, lost }, (fenced) => runHelm(fenced, args, how));
    },
  };
}

const testEndsWithinMs = 2_000;
/** A rehearsal waits for nothing, so a longer run hangs. */
export const rehearsalSeconds = 120;

/**
 * Answers each change of Helm's record as if it was done. While tests are filtered, Helm would store the record without
 * the hooks that it leaves out, and a killed Helm would not restore them (measured).
 */
const besideRecord: FencePolicy = { ...passesAll, isLeft: ({ isStorage }) => isStorage };

async function behindFence(
  options: HelmOptions,
  how: Pick<FenceOptions, 'policy' | 'kept' | 'lost'>,
  run: (fenced: HelmOptions) => Promise<HelmResult>,
): Promise<HelmResult> {
  const askToken = options.identity?.askToken;
  const fence = await openFence({ ...options, ...how, askToken, release: options.releaseName });
  // Helm reads its plug-ins, repositories and logins from the home of the agent's user.
  const { KUBECACHEDIR } = fence.environment;
  const environment = { ...options.environment, KUBECACHEDIR };
  try {
    return await run({ ...options, kubeconfig: fence.kubeconfig, identity: undefined, environment });
  } finally {
    await fence.close();
  }
}

const ownershipFlag = 'take-ownership';
const noOwnership = {
  input: 'takeOwnership',
  holds: 'true',
  problem: 'this Helm cannot take objects over; Helm 3.17 and later can (helmVersion)',
};

/** Writes files for values that no command line may contain. */
async function prepareInputs(options: HelmOptions, signal: AbortSignal): Promise<PreparedInputs> {
  const { request, folder, secrets } = options;
  if (request.extraArguments.length > 0 || request.takeOwnership !== undefined) {
    const flags = parseHelpFlags(await bareOutput(options, ['upgrade', '--help'], signal));
    const mistakes = checkArguments(request.extraArguments, flags, secrets);
    if (request.takeOwnership !== undefined && !flags.has(ownershipFlag)) mistakes.push(noOwnership);
    if (mistakes.length > 0) throw mistakesError(mistakes);
  }
  const { chart, values } = request;
  const { secretValues } = options;
  return {
    valueFiles: await Promise.all(request.valueFiles.map((file, index) => privateCopy(options, file, index, signal))),
    ...(secretValues === undefined ? {} : { secretValues }),
    ...(chart.kind === 'path' && chart.isSecret ? { chart: folder.link('chart', chart.reference) } : {}),
    values: {
      ...(values.privateValues === undefined
        ? {}
        : { values: folder.write('values.yaml', privateValuesText(values.privateValues)) }),
      texts: values.privateTexts.map(({ text }, index) => folder.write(`value-${index}`, text)),
    },
  };
}

/** Undefined if Helm may read the values file itself. */
async function privateCopy(
  { environment, folder, onWarning, workingDirectory }: HelmOptions,
  file: ValuesFile,
  index: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (typeof file === 'string') return undefined;
  const { kind, reference, input } = file;
  if (kind === 'path') return folder.link(`values-${index}.yaml`, path.resolve(workingDirectory, reference));
  const text = await fetchValues(reference, { input, environment, signal });
  const { problem, warning } = checkValuesFile(text);
  if (problem !== undefined) throw mistakesError([{ input, problem: `the content at its address ${problem}` }]);
  if (warning !== undefined) onWarning(`${input}: the content at its address ${warning}.`);
  return folder.write(`values-${index}.yaml`, text);
}

interface HowToRun {
  /** The whole standard input. */
  stdin?: string;
  /** Keeps stdout out of the log. With --debug, Helm prints values and manifests there. */
  capture: boolean;
  interrupt?: AbortSignal;
  timeoutMs?: number;
  /** Set if the run changes the release, so that the guard watches it. */
  guarded?: 'interruptible' | 'final';
}

async function runHelm(options: ReleaseHelmOptions, args: readonly string[], how: HowToRun): Promise<HelmResult> {
  const output = helmOutput(options, how.capture);
  let pid: number | undefined;
  const { guarded, interrupt, stdin, timeoutMs } = how;
  const pass = options.identity?.lend();
  const result = await runProcess(
    options.binary,
    [...args, '--namespace', options.namespace, ...(options.isDebug ? ['--debug'] : [])],
    {
      cwd: options.workingDirectory,
      env: {
        ...helmEnvironment(options.environment, options.kubeconfig),
        ...pass?.environment,
        ...(guarded === undefined ? {} : options.guard.environment(guarded)),
      },
      onStdout: output.onStdout,
      onStderr: output.onStderr,
      onStart: (started: number) => {
        if (guarded === undefined) return;
        pid = started;
        options.guard.watch(started, guarded);
      },
      sharesConsole: guarded === 'interruptible',
      ...(interrupt && { interrupt }),
      ...(stdin !== undefined && { stdin }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    },
  );
  pass?.end();
  if (pid !== undefined) options.guard.done(pid);
  const { stdout, stderr } = output.end();
  if (result.startError !== undefined) throw cannotStart(options.binary, result.startError);
  const { exitCode, signal, interrupted: cancelled, timedOut, durationMs } = result;
  const ok = exitCode === 0;
  const ended: HelmResult = { ok, exitCode, signal, cancelled, timedOut, stdout, durationMs };
  return ok ? ended : { ...ended, failure: failureOf(ended, stderr) };
}

/** Shows Helm's lines while it runs, and keeps a captured stdout and the end of stderr. */
function helmOutput(
  { redact, onLine, isDebug }: ReleaseHelmOptions,
  isCaptured: boolean,
): Pick<ProcessOptions, 'onStdout' | 'onStderr'> & { end(): { stdout: string; stderr: string } } {
  const stdout: Uint8Array[] = [];
  let stdoutBytes = 0;
  let stderr = '';
  const shown = lineReader();
  const errors = lineReader();
  const show = (lines: readonly string[]): void => {
    lines.map(redact).forEach(onLine);
  };
  const takeErrors = (lines: readonly string[]): void => {
    const redacted = lines.map(redact);
    for (const line of redacted) stderr = `${stderr}${line}\n`.slice(-maximumErrorCharacters);
    const logged = isDebug
      ? redacted
      : redacted.filter((line) => line.trim() !== '' && !isEchoOfError(line)).map(withoutObjects);
    logged.forEach(onLine);
  };
  return {
    onStdout: (chunk) => {
      if (isCaptured && (stdoutBytes += chunk.length) <= maximumOutputBytes) stdout.push(chunk);
      if (!isCaptured && !isDebug) show(shown.push(chunk));
    },
    onStderr: (chunk) => {
      takeErrors(errors.push(chunk));
    },
    end: () => {
      show(shown.end());
      takeErrors(errors.end());
      return { stdout: Buffer.concat(stdout).toString('utf8'), stderr };
    },
  };
}

/**
 * Helm 4's own wait fails at once on a Deployment whose last rollout missed its deadline, before the controller has
 * seen the new one (measured, 4.1.4 and 4.2.3). The legacy wait looks at the pods.
 */
function waitFlagOf({ major }: HelmCapabilities): string {
  return major >= 4 ? '--wait=legacy' : '--wait';
}

function failureOf(result: HelmResult, stderr: string): NonNullable<HelmResult['failure']> {
  const message = helmMessage(stderr) || `helm ended with exit code ${result.exitCode ?? result.signal ?? 'unknown'}`;
  if (result.cancelled) return { reason: 'Cancelled', message };
  if (result.timedOut) {
    const isOurStop = /^context canceled$|^helm ended with /.test(message);
    const reason = isOurStop ? '' : ` (${message})`;
    return { reason: 'TimedOut', message: `Helm had not finished when its time was over${reason}` };
  }
  if (result.signal === 'SIGKILL') {
    return {
      reason: 'HelmFailed',
      message: 'helm was killed (SIGKILL); on a small agent this is the kernel when memory runs out',
    };
  }
  return { reason: helmFailureReason(stderr), message };
}

export function cannotStart(binary: string, error: NodeJS.ErrnoException): TaskError {
  const failed = `Starting Helm (${binary}) failed:`;
  switch (error.code) {
    case 'ENOENT':
      return new TaskError('HelmMissing', `${failed} there is no such program.`, { cause: error });
    case 'E2BIG':
    case 'ENAMETOOLONG': {
      // The limits are 128 KiB for one argument on Linux and 32,767 characters for all arguments on Windows.
      const way = 'move long values of set, setString or arguments to a values file';
      const message = `${failed} its command line and environment are longer than this system allows; ${way}.`;
      return new TaskError('InputInvalid', message, { cause: error });
    }
    default:
      return new TaskError('HelmMissing', `${failed} ${error.message}.`, { cause: error });
  }
}

/** Drops settings that change the cluster, identity or namespace of the inputs, or make Helm print values. */
export function helmEnvironment(environment: NodeJS.ProcessEnv, kubeconfig: string): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(
    ([name]) => !/^HELM_(KUBE|NAMESPACE$|DEBUG$|MAX_HISTORY$)/i.test(name),
  );
  return { ...Object.fromEntries(kept), KUBECONFIG: kubeconfig };
}

async function bareOutput(options: ReleaseHelmOptions, args: readonly string[], signal: AbortSignal): Promise<string> {
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  const result = await runProcess(options.binary, args, {
    cwd: options.workingDirectory,
    env: withoutSecretVariables(helmEnvironment(options.environment, options.kubeconfig)),
    onStdout: (chunk) => stdout.push(chunk),
    onStderr: (chunk) => stderr.push(chunk),
    interrupt: signal,
    timeoutMs: 30_000,
  });
  if (result.startError !== undefined) throw cannotStart(options.binary, result.startError);
  if (result.exitCode === 0) return Buffer.concat(stdout).toString('utf8');
  if (signal.aborted) throw new TaskError('Cancelled', 'Cancelled while asking Helm for its version.');
  const output = helmMessage(options.redact(Buffer.concat(stderr).toString('utf8')).slice(0, 2000));
  throw new TaskError(
    'HelmUnsupported',
    `Asking ${options.binary} for its version (helm ${args.join(' ')}) failed with exit code ${result.exitCode ?? 'none'}: ${output}`,
  );
}

function capabilitiesOf(binary: string, version: string, upgradeHelp: string): HelmCapabilities {
  const parts = /^v?(\d+)(?:\.(\d+))?/.exec(version);
  const upgradeFlags = parseHelpFlags(upgradeHelp);
  const major = Number(parts?.[1] ?? Number.NaN);
  const minor = Number(parts?.[2] ?? 0);
  const missing = neededFlags.filter((flag) => !upgradeFlags.has(flag));
  if (Number.isNaN(major) || major < 3 || (major === 3 && minor < 14) || missing.length > 0) {
    const lacks = missing.length > 0 ? ` It lacks --${missing.join(', --')}.` : '';
    throw new TaskError(
      'HelmUnsupported',
      `${binary} is Helm ${version || 'of no known version'}; 3.14 or later is needed.${lacks}`,
    );
  }
  return { version, major, minor };
}

function renderingOf(stdout: string): Rendering {
  const release: unknown = JSON.parse(stdout.slice(Math.max(0, stdout.indexOf('{'))));
  if (!isRecord(release)) throw new TaskError('HelmUnsupported', "Helm's dry run printed no release.");
  const hooks = Array.isArray(release['hooks']) ? release['hooks'].filter(isRecord) : [];
  // Parsed like the record, so that the two can be compared.
  const { config, chart, chartAnnotations } = revisionOf(release, { namespace: '', labels: {}, writtenAt: undefined });
  return {
    config,
    chart,
    ...(chartAnnotations === undefined ? {} : { chartAnnotations }),
    manifest: typeof release['manifest'] === 'string' ? release['manifest'] : '',
    hooks: hooks.map((hook) => ({
      name: String(hook['name']),
      kind: String(hook['kind']),
      events: Array.isArray(hook['events']) ? hook['events'].map(String) : [],
      ...(typeof hook['manifest'] === 'string' ? { manifest: hook['manifest'] } : {}),
    })),
  };
}
