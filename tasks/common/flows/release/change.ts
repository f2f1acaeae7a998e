import { interruptionText, type Interruption } from '../../core/lock/interruption';
import type { Work } from '../../core/lock/work';
import type { Agent, ReleaseStorage } from '../../core/ports';
import type { Lease, ReleaseContext } from '../../core/releaseContext';
import { interruptionVariable } from '../../core/inputs/taskVariables';
import type { Story } from './story';

/** Helm's records, changed only as long as the release is ours. */
export function fenced(storage: ReleaseStorage, lease: Lease): ReleaseStorage {
  return {
    kind: storage.kind,
    history: () => storage.history(),
    // Confirmed after the reading: what was read before the lease was lost is never written.
    update: (revision, change) => storage.update(revision, change, () => lease.confirm()),
    changed: (revision, change) => storage.changed(revision, change),
    fits: (revision, change) => storage.fits(revision, change),
    async remove(revision) {
      await lease.confirm();
      await storage.remove(revision);
    },
    async keepCopy(revision) {
      await lease.confirm();
      await storage.keepCopy(revision);
    },
    copyOf: (revision) => storage.copyOf(revision),
    dropCopy: (revision) => storage.dropCopy(revision),
    async keepObjects(objects) {
      await lease.confirm();
      return storage.keepObjects(objects);
    },
    keptObjects: () => storage.keptObjects(),
    async dropObjects() {
      await lease.confirm();
      await storage.dropObjects();
    },
  };
}

/**
 * Says what Helm is about to do where it is looked for when this process is no more: in a variable of the step, for its
 * post-job phase, and in the Lease, for the next run.
 */
export async function beginWork(
  context: ReleaseContext,
  story: Pick<Story, 'hasBegun' | 'lastWork'>,
  work: Work,
): Promise<void> {
  const { agent, lease, namespace, request, process } = context;
  story.hasBegun = true;
  story.lastWork = work;
  announceWork(agent, { release: request.releaseName, namespace, ...work, process });
  await lease.begin(work);
}

/** To be said before anything else: nobody may ever tell this process to stop, and post-job has to find it. */
export function announceWork(agent: Pick<Agent, 'setTaskVariable'>, interruption: Interruption): void {
  agent.setTaskVariable(interruptionVariable, interruptionText(interruption));
}

/** A word, and not none at all: a main phase that has said nothing is looked for. */
const nothingLeft = 'nothing';

/** Nothing is left for the post-job phase. */
export function endWork(agent: Pick<Agent, 'setTaskVariable'>): void {
  agent.setTaskVariable(interruptionVariable, nothingLeft);
}
