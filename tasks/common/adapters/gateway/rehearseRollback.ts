import { TaskError } from '../../core/failure';
import { lineReader } from '../../core/foreignText';
import { helmMessage } from '../../core/helmFailure';
import type { KubeObject } from '../../core/kubernetes';
import type { Rehearsal } from '../../core/rehearsal';
import { helmEnvironment } from '../helm';
import { runProcess, type ProcessResult } from '../process';
import { openGateway, type Gateway, type GatewayOptions } from './openGateway';
import { rehearsalStage, type Stage } from './rehearse';

export interface RehearsalOptions extends GatewayOptions {
  /** The Helm of the step. */
  binary: string;
  release: string;
  /** To return to. */
  revision: number;
  /** A record of the release as it will be when the real rollback runs, where that is not as it is now. */
  record?: KubeObject;
  /** What the real rollback will be told besides, such as `--force-conflicts`. */
  extraArguments?: readonly string[];
  workingDirectory: string;
  /** For the whole run; a Helm that is still at work then is ended. It waits for nothing, so seconds do. */
  timeoutSeconds: number;
  signal: AbortSignal;
  /** A line of what Helm prints. It may hold anything. */
  onLine?: (line: string) => void;
}

const maximumErrorCharacters = 64 * 1024;
/** Helm's own limit (5 requests a second, 100 at once) is for clusters that others use; this is a proxy of our own. */
const unthrottled = { HELM_QPS: '1000', HELM_BURST_LIMIT: '2000' };
/** Nothing is lost with it: it has changed nothing. */
const killAfterMs = 1_000;

/**
 * Runs `helm rollback` with the very binary, on a stage where nothing changes, and answers what it did there. Without
 * hooks: they would be waited for, and nothing runs them here. Throws `HelmMissing` when it cannot be started, and what
 * kept the API server from answering when Helm failed for that; a Helm that fails by itself is an outcome.
 */
export async function rehearseRollback(options: RehearsalOptions): Promise<Rehearsal> {
  const { release, namespace, record } = options;
  let stage: Stage | undefined;
  const gateway = await openGateway(options, (upstream) => {
    const made = rehearsalStage(upstream, { release, namespace }, record);
    stage = made;
    return (request) => made.handle(request);
  });
  try {
    const { result, said } = await runHelm(options, gateway);
    if (result.startError !== undefined) throw cannotStart(options.binary, result.startError);
    const outcome = outcomeOf(result);
    const [failure] = gateway.failures();
    if (outcome === 'failed' && failure !== undefined) throw failure;
    const recording = stage?.recording();
    if (recording === undefined) throw new TaskError('Internal', 'The stage of a rehearsal was not made.');
    return {
      outcome,
      message: outcome === 'completed' ? '' : helmMessage(said),
      exitCode: result.exitCode,
      durationMs: result.durationMs,
      ...recording,
    };
  } finally {
    await gateway.close();
  }
}

async function runHelm(options: RehearsalOptions, gateway: Gateway): Promise<{ result: ProcessResult; said: string }> {
  const { release, revision, namespace, timeoutSeconds } = options;
  const shown = lineReader();
  const errors = lineReader();
  let said = '';
  const show = (lines: readonly string[]): void => {
    for (const line of lines) options.onLine?.(line);
  };
  const hear = (lines: readonly string[]): void => {
    for (const line of lines) said = `${said}${line}\n`.slice(-maximumErrorCharacters);
    show(lines);
  };
  const args = ['rollback', release, String(revision), '--no-hooks', '--history-max', '0'];
  args.push('--timeout', `${timeoutSeconds}s`, '--namespace', namespace, ...(options.extraArguments ?? []));
  const result = await runProcess(options.binary, args, {
    cwd: options.workingDirectory,
    env: { ...helmEnvironment(options.environment, gateway.kubeconfig), ...gateway.environment, ...unthrottled },
    onStdout: (chunk) => {
      show(shown.push(chunk));
    },
    onStderr: (chunk) => {
      hear(errors.push(chunk));
    },
    interrupt: options.signal,
    timeoutMs: timeoutSeconds * 1000,
    killAfterMs,
  });
  show(shown.end());
  hear(errors.end());
  return { result, said };
}

function outcomeOf({ exitCode, interrupted, timedOut }: ProcessResult): Rehearsal['outcome'] {
  if (interrupted) return 'cancelled';
  if (timedOut) return 'timedOut';
  return exitCode === 0 ? 'completed' : 'failed';
}

function cannotStart(binary: string, error: NodeJS.ErrnoException): TaskError {
  const why = error.code === 'ENOENT' ? 'there is no such program' : error.message;
  return new TaskError('HelmMissing', `Starting Helm (${binary}) failed: ${why}.`, { cause: error });
}
