import { TaskError } from '../../core/failure';
import { lineReader } from '../../core/text/foreignText';
import { helmMessage } from '../../core/helm/helmFailure';
import type { KubeObject } from '../../core/kubernetes/object';
import type { Rehearsal } from '../../core/helm/rehearsal';
import { withoutCredentials } from '../../core/text/secretSources';
import { cannotStart, helmEnvironment } from './helm';
import { runProcess, type ProcessResult } from '../system/process';
import { openGateway, unthrottled, type Gateway, type GatewayOptions } from '../gateway/openGateway';
import type { Recording } from '../gateway/rehearsalRecording';
import { rehearsalStage, type Stage } from '../gateway/rehearsalStage';

export interface RehearsalOptions extends GatewayOptions {
  binary: string;
  release: string;
  revision: number;
  /** Records that will differ from the live ones at the real rollback. */
  records?: readonly KubeObject[];
  /** For example `--force-conflicts`. */
  extraArguments?: readonly string[];
  workingDirectory: string;
  /** Helm is ended after this time. A rehearsal waits for nothing, so seconds are enough. */
  timeoutSeconds: number;
  signal: AbortSignal;
  /** Gets redacted lines if `redact` is given. */
  onLine?: (line: string) => void;
}

const maximumErrorCharacters = 64 * 1024;
/** A rehearsal changes nothing, so Helm may be killed soon. */
const killAfterMs = 1_000;

/**
 * Runs `helm rollback` without hooks, because Helm would wait for them. Throws `HelmMissing`, or the error that kept
 * the API server from answering. Any other failure of Helm is an outcome.
 */
export async function rehearseRollback(options: RehearsalOptions): Promise<Rehearsal> {
  const { release, namespace, records } = options;
  let stage: Stage | undefined;
  const gateway = await openGateway(options, (upstream) => {
    const made = rehearsalStage(upstream, { release, namespace }, records === undefined ? {} : { records });
    stage = made;
    return (request) => made.handle(request);
  });
  try {
    const seen = (): Recording => {
      if (stage === undefined) throw new TaskError('Internal', 'The stage of a rehearsal was not made.');
      return stage.recording();
    };
    await refuseOwnWay(options, gateway, seen);
    const readBefore = seen().requests.reads;
    const { result, errorOutput } = await runHelm(options, gateway, rehearsalArguments(options));
    const outcome = outcomeOf(result);
    const [failure] = gateway.failures();
    if (outcome === 'failed' && failure !== undefined) throw failure;
    const { record: _record, ...recording } = seen();
    const ended = endOf(outcome, errorOutput, recording);
    const requests = { ...recording.requests, reads: recording.requests.reads - readBefore };
    return { ...recording, ...ended, requests, exitCode: result.exitCode, durationMs: result.durationMs };
  } finally {
    await gateway.close();
  }
}

/** A wrapper may end with success although Helm has made no revision. */
function endOf(
  outcome: Rehearsal['outcome'],
  errorOutput: string,
  { revision }: Pick<Recording, 'revision'>,
): Pick<Rehearsal, 'outcome' | 'message'> {
  if (outcome !== 'completed') return { outcome, message: helmMessage(errorOutput) };
  if (revision !== undefined) return { outcome, message: '' };
  return { outcome: 'failed', message: 'it ended with success, but created no revision' };
}

/** A wrapper with its own kubeconfig would really roll back, so a harmless command first has to reach the gateway. */
async function refuseOwnWay(options: RehearsalOptions, gateway: Gateway, seen: () => Recording): Promise<void> {
  const { binary, namespace, release } = options;
  const { onLine: _, ...silent } = options;
  await runHelm(silent, gateway, ['history', release, '--max', '1', '--namespace', namespace]);
  if (options.signal.aborted || gateway.failures().length > 0 || seen().requests.reads > 0) return;
  const message = `The Helm of this step (${binary}) does not use the kubeconfig in KUBECONFIG, so the rollback cannot be rehearsed.`;
  throw new TaskError('InputInvalid', message);
}

function rehearsalArguments({
  release,
  revision,
  namespace,
  timeoutSeconds,
  extraArguments,
}: RehearsalOptions): string[] {
  const args = ['rollback', release, String(revision), '--no-hooks', '--history-max', '0'];
  return [...args, '--timeout', `${timeoutSeconds}s`, '--namespace', namespace, ...(extraArguments ?? [])];
}

async function runHelm(
  options: RehearsalOptions,
  gateway: Gateway,
  args: readonly string[],
): Promise<{ result: ProcessResult; errorOutput: string }> {
  const { timeoutSeconds } = options;
  const shown = lineReader();
  const errors = lineReader();
  let errorOutput = '';
  const redacted = (lines: readonly string[]): readonly string[] => lines.map((line) => options.redact?.(line) ?? line);
  const show = (lines: readonly string[]): void => {
    for (const line of redacted(lines)) options.onLine?.(line);
  };
  const takeErrors = (lines: readonly string[]): void => {
    for (const line of redacted(lines)) errorOutput = `${errorOutput}${line}\n`.slice(-maximumErrorCharacters);
    show(lines);
  };
  const result = await runProcess(options.binary, args, {
    cwd: options.workingDirectory,
    env: {
      // Helm gets no secrets, because the gateway authenticates at the API server.
      ...withoutCredentials(helmEnvironment(options.environment, gateway.kubeconfig)),
      ...gateway.environment,
      ...unthrottled,
    },
    onStdout: (chunk) => {
      show(shown.push(chunk));
    },
    onStderr: (chunk) => {
      takeErrors(errors.push(chunk));
    },
    interrupt: options.signal,
    timeoutMs: timeoutSeconds * 1000,
    killAfterMs,
  });
  show(shown.end());
  takeErrors(errors.end());
  if (result.startError !== undefined) throw cannotStart(options.binary, result.startError);
  return { result, errorOutput };
}

function outcomeOf({ exitCode, interrupted, timedOut }: ProcessResult): Rehearsal['outcome'] {
  if (interrupted) return 'cancelled';
  if (timedOut) return 'timedOut';
  return exitCode === 0 ? 'completed' : 'failed';
}
