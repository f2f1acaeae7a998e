import type { RolloutContext } from '../../core/releaseContext';
import type { FollowedObject } from '../../core/rollout/snapshot';
import { hasRow, timelineRow } from '../../core/rollout/timelineRow';
import type { RolloutVerdict } from '../../core/rollout/verdict';
import { objectKey } from '../../core/kubernetes/manifest';

/** A release with hundreds of workloads must not bury the rest of the run page. */
const maximumRows = 50;

interface Timeline {
  /** `isOver`: this is the last snapshot. */
  update(verdict: RolloutVerdict, followed: readonly FollowedObject[], isOver: boolean): void;
}

export function timelineOf({ agent }: RolloutContext, phase = ''): Timeline {
  const logged = new Map<string, string>();
  return {
    update: ({ workloads }, followed, isOver) => {
      const objects = new Map(followed.map(({ ref, object }) => [objectKey(ref), object]));
      for (const workload of workloads) {
        const isKnown = logged.has(workload.key);
        if (!isKnown && (logged.size >= maximumRows || !hasRow(workload))) continue;
        const row = timelineRow(workload, objects.get(workload.key), { isOver, phase });
        const { text: _text, ...state } = row;
        // The text of one state differs from try to try, which is no news.
        const news = JSON.stringify([state, workload.cause?.code ?? workload.suspects[0]?.code]);
        if (logged.get(workload.key) === news) continue;
        logged.set(workload.key, news);
        agent.timeline(row);
      }
    },
  };
}
