import type { ApiServer } from '../../scripts/cluster/api';
import type { Job } from '../support/agent';
import { watch, type LiveObject } from './api';
import type { Place } from './cases';
import { changingHelm, rehearsingHelm } from './processTable';
import { recordsPath } from './records';
import { firstWorkload, textOfWorkload } from './workloads';

/** The process of a job to disturb. */
export interface Scene {
  readonly job: Job;
  readonly server: ApiServer;
  readonly namespace: string;
  /** The release, or the name under which plain workloads are locked. */
  readonly subject: string;
  /** The main phase's process, or the post-job phase's once it runs. */
  readonly pid: () => number | undefined;
  /** The last revision before that process began. */
  readonly lastRevision: number;
  /** The value `text` of the revision that the process deploys or rolls back to. */
  readonly text: string;
  /** The source of numbers for random places. */
  readonly delayMs: number;
}

/** The job ended before the place was seen, so nothing was disturbed. */
export class PlaceMissed extends Error {
  constructor(place: string) {
    super(`The job ended, and ${place} was not seen.`);
  }
}

/** Resolves as soon as the process is at the place. Throws PlaceMissed. */
export async function reach(place: Place, scene: Scene): Promise<void> {
  const ended = new AbortController();
  const missed = scene.job.done.then(
    () => Promise.reject(new PlaceMissed(place)),
    () => Promise.reject(new PlaceMissed(place)),
  );
  try {
    await Promise.race([seen(place, scene, ended.signal), missed]);
  } finally {
    ended.abort();
  }
}

function seen(place: Place, scene: Scene, signal: AbortSignal): Promise<void> {
  const { job } = scene;
  switch (place) {
    case 'process-started':
      return until(signal, () => scene.pid() !== undefined);
    case 'lease-acquired':
      return leaseOf(scene, signal);
    case 'release-looked-at':
      return line(job, /^At most .* from here/);
    case 'helm-started':
      return helmRuns(scene, signal, 'upgrade');
    case 'record-pending':
      return record(scene, signal, ({ status }) => status === 'pending-install' || status === 'pending-upgrade');
    case 'first-object-changed':
      return firstObject(scene, signal);
    case 'pre-hook-running':
      return hook(scene, signal, 'pre-upgrade');
    case 'post-hook-running':
      return hook(scene, signal, 'post-upgrade');
    case 'helm-ended':
      return line(job, /^Helm (succeeded|failed|was stopped)/);
    case 'following':
      return line(job, /^##\[group\]Follow (revision|the workloads)/);
    case 'verdict-failed':
      return line(job, /^##\[group\]Why it failed/);
    case 'planning-again':
      return line(job, /^##\[group\]Plan again/);
    case 'rehearsing':
      return until(signal, () => {
        const pid = scene.pid();
        return pid !== undefined && rehearsingHelm(pid) !== undefined;
      });
    case 'plan-kept':
      return planKept(scene, signal);
    case 'rollback-started':
      return helmRuns(scene, signal, 'rollback');
    case 'rollback-pending':
      return record(scene, signal, ({ status }) => status === 'pending-rollback');
    case 'rollback-applied':
      return rollbackApplied(scene, signal);
    case 'workload-patched':
      return workloadPatched(scene, signal);
    case 'deleting':
      return deletion(scene, signal);
    case 'uninstalling':
      return record(scene, signal, ({ status }) => status === 'uninstalling');
    case 'verified':
      return record(scene, signal, ({ revision, labels }) => labels['helm-safe-deploy/verified'] === String(revision));
    case 'random-1':
    case 'random-2':
      return later(scene, signal);
  }
}

const readEveryMs = 5;

/** Checks quickly again and again, because these places last only for milliseconds. */
function until(signal: AbortSignal, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (signal.aborted) return;
      if (holds()) resolve();
      else setTimeout(look, readEveryMs);
    };
    look();
  });
}

async function line(job: Job, pattern: RegExp): Promise<void> {
  await job.waitForLine(pattern, 600_000);
}

function helmRuns(scene: Scene, signal: AbortSignal, verb: string): Promise<void> {
  return until(signal, () => {
    const pid = scene.pid();
    return pid !== undefined && changingHelm(pid, verb) !== undefined;
  });
}

async function later(scene: Scene, signal: AbortSignal): Promise<void> {
  await until(signal, () => scene.pid() !== undefined);
  await new Promise((resolve) => setTimeout(resolve, scene.delayMs));
}

function watched(
  { server }: Scene,
  path: string,
  signal: AbortSignal,
  isIt: (object: LiveObject, change: string) => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    watch(server, path, signal, (object, change) => {
      if (isIt(object, change)) resolve();
    });
  });
}

interface RecordLabels {
  readonly revision: number;
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
}

function labelsOf({ metadata }: LiveObject): RecordLabels {
  const labels = metadata.labels ?? {};
  return { revision: Number(labels['version']), status: labels['status'] ?? '', labels };
}

/** A record that the disturbed process made. With `uninstalling` it may also be an older record. */
function record(scene: Scene, signal: AbortSignal, isIt: (seen: RecordLabels) => boolean): Promise<void> {
  return watched(scene, recordsPath(scene.namespace), signal, (object) => {
    const labels = labelsOf(object);
    return labels.revision > scene.lastRevision && isIt(labels);
  });
}

function rollbackApplied(scene: Scene, signal: AbortSignal): Promise<void> {
  const pending = new Set<number>();
  return record(scene, signal, ({ revision, status }) => {
    if (status === 'pending-rollback') pending.add(revision);
    return status === 'deployed' && pending.has(revision);
  });
}

/** The Lease names this process as its holder. */
function leaseOf(scene: Scene, signal: AbortSignal): Promise<void> {
  const { namespace, subject } = scene;
  const name = `helm-safe-deploy.${subject}`;
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases?fieldSelector=metadata.name%3D${name}`;
  return watched(scene, path, signal, ({ metadata, ...lease }) => {
    const { holderIdentity = '' } = lease['spec'] as { holderIdentity?: string };
    const process = metadata.annotations?.['helm-safe-deploy/process'] ?? '';
    return holderIdentity !== '' && process.includes(`/${scene.pid() ?? -1}/`);
  });
}

/** ConfigMaps are among the first kinds that Helm applies, and this one changes with every revision. */
function firstObject(scene: Scene, signal: AbortSignal): Promise<void> {
  const path = `/api/v1/namespaces/${scene.namespace}/configmaps?fieldSelector=metadata.name%3Dweb`;
  return watched(scene, path, signal, (object, change) => {
    const data = object['data'] as { text?: string } | undefined;
    return change !== 'DELETED' && data?.text === scene.text;
  });
}

/** No other run of the case keeps a plan. */
function planKept(scene: Scene, signal: AbortSignal): Promise<void> {
  const { namespace, subject } = scene;
  const path = `/api/v1/namespaces/${namespace}/secrets?labelSelector=helm-safe-deploy%2Fplan%3D${subject}`;
  return watched(scene, path, signal, () => true);
}

/** Objects of the second revision alone are removed when the first one serves again. */
function deletion(scene: Scene, signal: AbortSignal): Promise<void> {
  const path = `/api/v1/namespaces/${scene.namespace}/configmaps?fieldSelector=metadata.name%3Donly-two`;
  return watched(scene, path, signal, (_, change) => change === 'DELETED');
}

function workloadPatched(scene: Scene, signal: AbortSignal): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${scene.namespace}/deployments?fieldSelector=metadata.name%3D${firstWorkload}`;
  return watched(scene, path, signal, (object) => textOfWorkload(object) === scene.text);
}

function hook(scene: Scene, signal: AbortSignal, event: string): Promise<void> {
  const path = `/api/v1/namespaces/${scene.namespace}/pods?labelSelector=job-name%3Dweb-${event}`;
  return watched(scene, path, signal, (pod) => (pod['status'] as { phase?: string }).phase === 'Running');
}
