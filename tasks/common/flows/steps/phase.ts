import type { RolloutContext } from '../../core/releaseContext';
import { duration } from '../../core/text/durationText';

export async function group<T>(context: RolloutContext, title: string, act: () => Promise<T>): Promise<T> {
  const startedAt = context.clock.now().toISOString();
  context.agent.startGroup(title);
  try {
    return await act();
  } finally {
    context.agent.endGroup();
    const finishedAt = context.clock.now().toISOString();
    context.phases?.push({ kind: 'phase', name: title, result: '', startedAt, finishedAt });
  }
}

/** Helm prints nothing while a hook runs, so that people would think it hangs. */
export async function remindingWhile<T>(context: RolloutContext, work: Promise<T>): Promise<T> {
  const { agent, clock } = context;
  const ended = new AbortController();
  const started = clock.now().getTime();
  const remind = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(reminderMs, ended.signal);
      if (ended.signal.aborted) return;
      agent.log(`  Helm is still working after ${duration((clock.now().getTime() - started) / 1000)}.`);
    }
  };
  const reminding = remind();
  try {
    return await work;
  } finally {
    ended.abort();
    await reminding;
  }
}

const reminderMs = 30_000;

export function secondsUntil(deadline: Date, now: Date): number {
  return Math.max(1, Math.floor((deadline.getTime() - now.getTime()) / 1000));
}

export function later(from: Date, seconds: number): Date {
  return new Date(from.getTime() + seconds * 1000);
}
