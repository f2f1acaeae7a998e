import { interruptionText, type Interruption } from '../../core/lock/interruption';
import type { Work } from '../../core/lock/work';
import type { Agent, ReleaseStorage } from '../../core/ports';
import type { Lease, ReleaseContext } from '../../core/releaseContext';
import { interruptionVariable } from '../../core/inputs/taskVariables';
import type { DeployProgress } from './deployProgress';
import type { Holder } from '../../core/lock/holder';
import type { KeptObject } from '../../core/release/preexisting';

/** Helm's records, changed only while this run holds the lease. */
export function fenced(storage: ReleaseStorage, lease: Lease): ReleaseStorage {
  return {
    kind: storage.kind,
    history: () => storage.history(),
    // The lease is confirmed after the read, so that a record from before its loss is never written.
    update: (revision, change) => storage.update(revision, change, () => lease.confirm()),
    changed: (revision, change) => storage.changed(revision, change),
    fits: (revision, change) => storage.fits(revision, change),
    async remove(revision) {
      await lease.confirm();
      await storage.remove(revision);
    },
    crdFiles: (revision) => storage.crdFiles(revision),
    async keepCopy(revision) {
      await lease.confirm();
      await storage.keepCopy(revision);
    },
    copyOf: (revision) => storage.copyOf(revision),
    async dropCopy(revision) {
      await lease.confirm();
      await storage.dropCopy(revision);
    },
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

/** Records the work for the step's post-job phase (a task variable) and for the next run (the Lease). */
export async function beginWork(
  context: ReleaseContext,
  progress: Pick<DeployProgress, 'hasBegun' | 'lastWork'>,
  work: Work,
): Promise<void> {
  const { agent, lease, namespace, request, process } = context;
  progress.hasBegun = true;
  progress.lastWork = work;
  announceWork(agent, { release: request.releaseName, namespace, ...work, process });
  await lease.begin(work);
}

/** Must come before everything else, because this process may be killed without a warning. */
export function announceWork(agent: Pick<Agent, 'setTaskVariable'>, interruption: Interruption): void {
  agent.setTaskVariable(interruptionVariable, interruptionText(interruption));
}

/** Without a value, the post-job phase would search for a main phase that still runs. */
const nothingLeft = 'nothing';

export function endWork(agent: Pick<Agent, 'setTaskVariable'>): void {
  agent.setTaskVariable(interruptionVariable, nothingLeft);
}

interface StartOfRun {
  storage: ReleaseStorage;
  signal: AbortSignal;
  holder: Pick<Holder, 'process' | 'run' | 'link'>;
}

export function contextUnder<Start extends StartOfRun>(start: Start, lease: Lease) {
  return {
    ...start,
    lease,
    storage: fenced(start.storage, lease),
    signal: AbortSignal.any([start.signal, lease.lost]),
    process: start.holder.process,
    run: start.holder.run,
    link: start.holder.link,
    preexisting: [] as KeptObject[],
  };
}
