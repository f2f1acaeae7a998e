import { splitLines } from '../../core/text/foreignText';
import type { RolloutContext } from '../../core/releaseContext';
import type { LogRequest } from '../../core/rollout/facts';
import type { RolloutVerdict } from '../../core/rollout/verdict';
import type { PodLogs } from './podLogs';

/** Keeps the output of Jobs' containers, because the Job's controller deletes their pods. */
interface JobLogs {
  /** Must be called with every verdict. */
  update(verdict: RolloutVerdict): void;
  lastLines: PodLogs['lastLines'];
  /** Waits for the reads that are under way. */
  end(): Promise<void>;
}

const bytes = 64 * 1024;
const jobsListened = 20;

/** Reads the log of a container as soon as a run of it has failed. A log that cannot be read is left out. */
export function jobLogs({ cluster, request }: RolloutContext): JobLogs {
  const tailLines = request.rollout.logLines;
  const known = new Map<string, { shown: string; lines: readonly string[] }>();
  const readings = new Set<Promise<void>>();
  const read = async (key: string, log: LogRequest): Promise<void> => {
    const ref = { namespace: log.namespace, name: log.pod, container: log.container };
    try {
      const text = await cluster.podLog(ref, { previous: log.previous, tailLines, limitBytes: bytes });
      const lines = splitLines(text).filter((line) => line.trim() !== '');
      const entry = known.get(key);
      if (entry !== undefined && lines.length > 0) entry.lines = lines;
    } catch {
      // The pod may be gone already; the code that shows the evidence logs that.
    }
  };
  return {
    update: ({ workloads }) => {
      if (tailLines === 0) return;
      const causes = workloads.filter(({ ref }) => ref.kind === 'Job').flatMap(({ suspects }) => suspects);
      for (const { message, logs } of causes) {
        for (const log of logs) {
          const key = keyOf(log.namespace, log.pod, log.container);
          const entry = known.get(key);
          if (entry?.shown === message || (entry === undefined && known.size >= jobsListened)) continue;
          known.set(key, { shown: message, lines: entry?.lines ?? [] });
          const reading = read(key, log).finally(() => readings.delete(reading));
          readings.add(reading);
        }
      }
    },
    lastLines: (namespace, pod, container) => known.get(keyOf(namespace, pod, container))?.lines ?? [],
    end: async () => {
      await Promise.all(readings);
    },
  };
}

function keyOf(namespace: string, pod: string, container: string): string {
  return `${namespace}/${pod}/${container}`;
}
