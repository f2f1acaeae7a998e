import { adviceFor } from '../../core/report/advice';
import { asTaskError, type TaskError } from '../../core/failure';
import type { TaskResult } from '../../core/report/report';
import { createAgent, type TaskAgent } from './agent';
import { publishOutputs } from './outputs';

export interface TaskRun {
  agent: TaskAgent;
  signal: AbortSignal;
}

export interface TaskEnd {
  result: TaskResult;
  /** The run page shows it beside the step's result. */
  message: string;
}

/** For a step that stopped before it had a report. The message contains no secret. */
type OutputsOf = (error: Pick<TaskError, 'reason' | 'message'>) => Readonly<Record<string, string>>;

/** The agent sends SIGINT (CTRL_C), after 7.5 s SIGTERM (CTRL_BREAK), and kills 2.5 s later. */
const signals: readonly NodeJS.Signals[] =
  process.platform === 'win32' ? ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK'] : ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** In every case the agent gets a result and the process ends. */
export function runTask(flow: (run: TaskRun) => Promise<TaskEnd>, outputsOf: OutputsOf): void {
  const agent = createAgent();
  const signal = cancellation(agent);
  // An error that nobody catches must not end the step as a success.
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (thrown: unknown) => {
      finish(agent, failed(agent, asTaskError(thrown), outputsOf));
    });
  }
  void flow({ agent, signal })
    .catch((thrown: unknown) => failed(agent, asTaskError(thrown), outputsOf))
    .then((end) => {
      finish(agent, end);
    });
}

function cancellation(agent: TaskAgent): AbortSignal {
  const cancel = new AbortController();
  for (const signal of signals) {
    process.on(signal, () => {
      if (cancel.signal.aborted) return;
      agent.log(`${signal} received: the step is cancelled.`);
      cancel.abort(signal);
    });
  }
  return cancel.signal;
}

function failed(agent: TaskAgent, error: TaskError, outputsOf: OutputsOf): TaskEnd {
  agent.endGroup();
  const message = agent.redact(error.message);
  publishOutputs(agent, outputsOf({ reason: error.reason, message }));
  agent.error(`${message} (${error.reason})`);
  agent.log(adviceFor(error.reason, message));
  if (error.reason === 'Internal') agent.debug(error.stack ?? '');
  return { result: 'Failed', message };
}

/** Idle sockets would keep the process alive, so it exits explicitly, after all output is written. */
function finish(agent: TaskAgent, end: TaskEnd): void {
  if (!agent.privateFolder.remove()) {
    agent.log(`${agent.privateFolder.path} cannot be removed now. The post-job phase and the agent try again.`);
  }
  agent.complete(end.result, end.message);
  process.stdout.write('', () => {
    process.exit(0);
  });
}
