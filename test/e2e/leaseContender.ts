import { once } from 'node:events';
import { createCluster } from '../../tasks/common/adapters/kubernetes/cluster';
import { systemClock } from '../../tasks/common/adapters/system/clock';
import { TaskError, type FailureReason } from '../../tasks/common/core/failure';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { Cluster } from '../../tasks/common/core/ports';
import type { LeaseContext } from '../../tasks/common/core/releaseContext';
import { withLease } from '../../tasks/common/flows/lock/lease';
import { recordingAgent, type RecordingAgent } from '../support/fakes/recordingAgent';

/** A run that wants a release. It is a process of its own or shares a process with others. */
export interface ContenderSpec {
  kubeconfig: string;
  namespace: string;
  release: string;
  name: string;
  /** The error of its wall clock. */
  skewMs: number;
  /**
   * `section`: enters the guarded section this many times, with one lease each. `hold`: changes the object until the
   * run is stopped or has lost the lease.
   */
  does: { section: number } | 'hold';
}

export type ContenderSays =
  | { event: 'ready' }
  | { event: 'held' }
  | { event: 'done' }
  | { event: 'lost'; message: string }
  | { event: 'failed'; message: string };

export interface Client {
  context: LeaseContext;
  agent: RecordingAgent;
  /** The monotonic time of the last renewal of the lease. */
  renewedMs(): number;
  readonly close: () => void;
}

export async function client(
  { kubeconfig, namespace, release, name, skewMs }: Omit<ContenderSpec, 'does'>,
  request: Partial<LeaseContext['request']> = {},
): Promise<Client> {
  const cluster = await createCluster(kubeconfig);
  const agent = recordingAgent();
  let renewedMs = 0;
  const context: LeaseContext = {
    agent,
    cluster,
    clock: { ...systemClock, now: () => new Date(Date.now() + skewMs) },
    guard: {
      alive(ageMs) {
        renewedMs = systemClock.monotonicMs() - ageMs;
      },
    },
    namespace,
    signal: new AbortController().signal,
    holder: { identity: name, link: `https://dev.example/${name}`, process: `machine/${process.pid}/${name}`, run: '' },
    isProcessGone: () => false,
    request: { releaseName: release, lock: 'required', lockTimeoutSeconds: 300, ...request },
  };
  return {
    context,
    agent,
    renewedMs: () => renewedMs,
    close: () => {
      cluster.close();
    },
  };
}

const guardedName = 'guarded';

/** The object that the sections guard. It names the contender inside. */
export async function guarded(cluster: Cluster, namespace: string): Promise<KubeObject & { data: { inside: string } }> {
  const object = await cluster.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: guardedName });
  if (object === undefined) throw new Error('The guarded object is not there.');
  return object as KubeObject & { data: { inside: string } };
}

export function guardedObject(namespace: string, inside = ''): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: guardedName, namespace }, data: { inside } };
}

/**
 * Enters and leaves the section. Fails where another contender is inside or enters meanwhile, because the object then
 * differs.
 */
async function section(
  { cluster, clock, namespace, holder }: LeaseContext,
  confirm: () => Promise<void>,
): Promise<void> {
  const found = await guarded(cluster, namespace);
  if (found.data.inside !== '') throw new Error(`${found.data.inside} is inside, and ${holder.identity} too.`);
  const entered = await cluster.update({ ...found, data: { inside: holder.identity } });
  await clock.sleep(20, new AbortController().signal);
  await confirm();
  await cluster.update({ ...entered, data: { inside: '' } });
}

export async function sections(context: LeaseContext, count: number): Promise<void> {
  for (let done = 0; done < count; done++) {
    await withLease(context, (lease) => section(context, () => lease.confirm()));
  }
}

/** Changes the guarded object again and again, each time confirmed. It ends only with an error. */
async function hold(context: LeaseContext, isHeld: () => void): Promise<void> {
  const { cluster, clock, namespace, holder } = context;
  await withLease(context, async (lease) => {
    await lease.begin({ action: 'upgrade', revision: 7 });
    isHeld();
    for (;;) {
      // The object is read before the lease is confirmed. A run stopped between the two is refused because of the
      // resourceVersion.
      const found = await guarded(cluster, namespace).catch(unless('ClusterUnreachable'));
      await lease.confirm();
      if (found !== undefined)
        await cluster
          .update({ ...found, data: { inside: holder.identity } })
          .catch(unless('Conflict', 'ClusterUnreachable'));
      await clock.sleep(100, new AbortController().signal);
    }
  });
}

/**
 * A request that was under way when the process was stopped has no answer any more. The lease then shows whether the
 * run still holds it.
 */
function unless(...reasons: FailureReason[]): (thrown: unknown) => undefined {
  return (thrown) => {
    if (!(thrown instanceof TaskError) || !reasons.includes(thrown.reason)) throw thrown;
  };
}

function say(what: ContenderSays): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

async function contend(spec: ContenderSpec): Promise<void> {
  const { context, close } = await client(spec);
  say({ event: 'ready' });
  // Contenders that compete begin together, however long each took to start.
  await once(process.stdin, 'data');
  process.stdin.destroy();
  try {
    if (spec.does !== 'hold') await sections(context, spec.does.section);
    else
      await hold(context, () => {
        say({ event: 'held' });
      });
    say({ event: 'done' });
  } catch (thrown) {
    const message = String(thrown);
    say({ event: thrown instanceof TaskError && thrown.reason === 'LeaseLost' ? 'lost' : 'failed', message });
  } finally {
    close();
  }
}

const own = process.env['LEASE_CONTENDER'];
if (own !== undefined) void contend(JSON.parse(own) as ContenderSpec);
