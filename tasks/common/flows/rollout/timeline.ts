import type { RolloutContext } from '../../core/releaseContext';
import type { RolloutSnapshot } from '../../core/rollout/snapshot';
import { hasRow, timelineRow } from '../../core/rollout/timelineRow';
import type { RolloutVerdict } from '../../core/rollout/verdict';
import { objectKey } from '../../core/kubernetes/manifest';

/** A release with hundreds of workloads must not bury the rest of the run page. */
const maximumRows = 50;

interface Timeline {
  /** `isOver`: this is the last snapshot. */
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
        // The text of one state differs from try to try, which is no news.
        const news = JSON.stringify([state, workload.cause?.code ?? workload.suspects[0]?.code]);
        if (told.get(workload.key) === news) continue;
        told.set(workload.key, news);
        agent.timeline(row);
      }
    },
  };
}
