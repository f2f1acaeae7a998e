import { writeFileSync } from 'node:fs';
import { isProcessGone, machineMs, processesStartedWith, signalProcess } from '../adapters/system/processes';
import { duty, startOfDuty, type GuardAction, type GuardEvent, type GuardLimits } from './duty';
import { guardVariable, kindOfVariable, readMessage } from './messages';

/** Reads the task's messages from standard input, which ends with the task, and acts on them. Never throws. */
export function runGuard(limits: GuardLimits, token: string): void {
  let state = startOfDuty(machineMs());
  let timer: NodeJS.Timeout | undefined;
  const handle = (first: GuardEvent): void => {
    const events = [first];
    let lookInMs: number | undefined;
    for (let event = events.shift(); event !== undefined; event = events.shift()) {
      const step = duty(state, event, machineMs(), limits);
      ({ state, lookInMs } = step);
      events.push(...step.actions.flatMap((action) => consequences(action, token)));
    }
    clearTimeout(timer);
    // After a pause of this process, the pipe may hold messages that are older than the timer. They are read first.
    if (lookInMs !== undefined) timer = setTimeout(() => setImmediate(look), lookInMs);
  };
  const look = (): void => {
    const gone = state.watched.filter(({ mark }) => isProcessGone(mark, 'group')).map(({ mark }) => mark);
    handle({ event: 'looked', gone });
  };
  surviveWhatEndsOthers();
  hearLines(process.stdin, handle);
  handle({ event: 'looked', gone: [] });
}

function consequences(action: GuardAction, token: string): GuardEvent[] {
  switch (action.action) {
    case 'interrupt':
      signalProcess(action.mark, 'SIGINT', 'group');
      return [];
    case 'kill':
      signalProcess(action.mark, 'SIGKILL', 'group');
      return [];
    case 'search':
      return startedUntold(token);
    case 'exit':
      process.exit(0);
  }
}

function startedUntold(token: string): GuardEvent[] {
  return processesStartedWith(guardVariable).flatMap(({ groupMark, value }): GuardEvent[] => {
    const kind = kindOfVariable(value, token);
    return kind === undefined ? [] : [{ event: 'watch', mark: groupMark, kind }];
  });
}

function hearLines(input: NodeJS.ReadStream, handle: (event: GuardEvent) => void): void {
  let unread = '';
  const ownerGone = (): void => {
    handle({ event: 'ownerGone' });
  };
  input.setEncoding('utf8');
  input.on('data', (chunk: string) => {
    const lines = (unread + chunk).split('\n');
    unread = lines.pop() ?? '';
    for (const message of lines.map(readMessage)) if (message !== undefined) handle(message);
  });
  input.once('end', ownerGone);
  input.once('error', ownerGone);
}

/** The guard must survive what ends the task or its whole process tree. */
function surviveWhatEndsOthers(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.on('uncaughtException', () => undefined);
  try {
    // When memory runs out, the kernel kills the agent's tasks and their children first, unless this is undone.
    writeFileSync('/proc/self/oom_score_adj', '0');
  } catch {
    // This is not Linux, or the write is not allowed.
  }
}
