import { asTaskError } from '../../core/failure';
import type { RolloutContext } from '../../core/releaseContext';
import type { Facts, Question } from '../../core/rollout/facts';

/** Reads what may prove that waiting cannot help. What cannot be read proves nothing, and is logged once. */
interface FactFinder {
  found(): Facts;
  /** Begins to read. Nothing waits for an answer, because a node may never give one. */
  ask(questions: readonly Question[]): void;
  /** Aborts as soon as there are facts that the last call of `found` did not return. */
  news(): AbortSignal;
}

const logLines = 20;
const logBytes = 16 * 1024;

export function factFinder(context: RolloutContext): FactFinder {
  const { agent, cluster, signal } = context;
  const logs: Record<string, string> = {};
  const asked = new Set<string>();
  const unreadable = new Set<Question['about']>();
  let arrived = new AbortController();
  const readAnswer = async (question: Question): Promise<void> => {
    if (question.about !== 'log') return;
    const { namespace, pod: name, container, previous } = question.log;
    const options = { previous, tailLines: logLines, limitBytes: logBytes, timestamps: true };
    logs[question.key] = await cluster.podLog({ namespace, name, container }, options);
  };
  const read = async (question: Question): Promise<void> => {
    asked.add(question.key);
    try {
      await readAnswer(question);
      arrived.abort();
    } catch (error) {
      const { reason, message } = asTaskError(error);
      if (reason !== 'PermissionDenied' || unreadable.has(question.about) || signal.aborted) return;
      unreadable.add(question.about);
      agent.log(`  (Whether waiting can help is not known, so every grace is kept: ${message})`);
    }
  };
  return {
    found: () => {
      arrived = new AbortController();
      return { logs: { ...logs } };
    },
    ask: (questions) => {
      for (const question of questions) {
        if (!asked.has(question.key) && !unreadable.has(question.about)) void read(question);
      }
    },
    news: () => arrived.signal,
  };
}
