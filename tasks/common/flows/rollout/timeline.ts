import type { RolloutContext } from '../../core/releaseContext';
import type { RolloutSnapshot } from '../../core/rollout/snapshot';
import { hasRow, timelineRow } from '../../core/rollout/timelineRow';
import type { RolloutVerdict } from '../../core/rollout/verdict';
import { objectKey } from '../../core/kubernetes/manifest';

/** The run page shows a row below the step for each workload; a release of hundreds must not bury the rest of the run. */
const maximumRows = 50;

export interface Timeline {
  /** Tells of every workload of which something has changed. `isOver`: this was the last look. */
  tell(verdict: RolloutVerdict, snapshot: RolloutSnapshot, isOver: boolean): void;
}

export function timelineOf({ agent }: RolloutContext, phase = ''): Timeline {
  const told = new Map<string, string>();
  return {
    tell: ({ workloads }, snapshot, isOver) => {
      const objects = new Map(snapshot.followed.map(({ ref, object }) => [objectKey(ref), object]));
      for (const workload of workloads) {
        const isKnown = told.has(workload.key);
        if (!isKnown && (told.size >= maximumRows || !hasRow(workload))) continue;
        const row = timelineRow(workload, objects.get(workload.key), { isOver, phase });
        const { text: _text, ...state } = row;
        // The words of one state differ from try to try; that is no news.
        const news = JSON.stringify([state, workload.cause?.code ?? workload.suspects[0]?.code]);
        if (told.get(workload.key) === news) continue;
        told.set(workload.key, news);
        agent.timeline(row);
      }
    },
  };
}
