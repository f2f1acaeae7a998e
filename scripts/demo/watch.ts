import type { Cluster, Follower } from '../../tasks/common/core/ports';
import { isRecord } from '../../tasks/common/core/kubernetes/json';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { currentEndpoints, type Endpoint } from './endpoints';
import type { FollowQuery } from '../../tasks/common/core/kubernetes/queries';

export interface ReplicaFigures {
  readonly wanted: number;
  /** The lowest number of available replicas that the Deployment's strategy allows: replicas minus maxUnavailable. */
  readonly allowed: number;
  /** The lowest number of ready replicas, or of ready endpoints, that was seen. */
  readonly lowestReady: number;
}

/** Follows one Deployment and the Service of the same name. */
export interface ServiceWatch {
  endpoints(): readonly Endpoint[];
  replicas(): ReplicaFigures;
  /** Resolves when all desired replicas are endpoints. Rejects if the time is over before. */
  complete(timeoutMs: number): Promise<void>;
  /** Starts to record the lowest number. */
  startCounting(): void;
  stop(): void;
}

export async function watchService(cluster: Cluster, namespace: string, name: string): Promise<ServiceWatch> {
  const stopped = new AbortController();
  const follower = await cluster.follow(queries(namespace, name), stopped.signal);
  let lowestReady = Infinity;
  let isCounting = false;

  const count = (): void => {
    if (!isCounting) return;
    const deployment = deploymentOf(follower);
    const ready = deployment === undefined ? 0 : replicaCounts(deployment).ready;
    lowestReady = Math.min(lowestReady, ready, endpointsOf(follower).length);
  };
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await follower.changed(60_000, stopped.signal);
      count();
    }
  };
  const running = run();

  return {
    endpoints: () => endpointsOf(follower),
    replicas: () => {
      const deployment = deploymentOf(follower);
      const { wanted, allowed } = deployment === undefined ? { wanted: 0, allowed: 0 } : replicaCounts(deployment);
      return { wanted, allowed, lowestReady: Number.isFinite(lowestReady) ? lowestReady : 0 };
    },
    complete: async (timeoutMs) => {
      const timeout = AbortSignal.timeout(timeoutMs);
      for (;;) {
        const deployment = deploymentOf(follower);
        const { wanted, ready } = deployment === undefined ? { wanted: 0, ready: 0 } : replicaCounts(deployment);
        const endpoints = endpointsOf(follower).length;
        if (wanted > 0 && ready === wanted && endpoints === wanted) return;
        if (timeout.aborted) {
          throw new Error(`Service/${name} has ${endpoints} endpoints for ${wanted} replicas, ${ready} of them ready.`);
        }
        await follower.changed(100, timeout);
      }
    },
    startCounting: () => {
      isCounting = true;
      count();
    },
    stop: () => {
      stopped.abort();
      follower.stop();
      void running;
    },
  };
}

function queries(namespace: string, name: string): FollowQuery[] {
  return [
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      namespace,
      labelSelector: `kubernetes.io/service-name=${name}`,
      keep: () => true,
    },
    { apiVersion: 'apps/v1', kind: 'Deployment', namespace, fieldSelector: `metadata.name=${name}`, keep: () => true },
  ];
}

function objectsOf(follower: Follower, kind: string): KubeObject[] {
  return [...follower.snapshot().objects.values()].filter((object) => object.kind === kind);
}

function endpointsOf(follower: Follower): Endpoint[] {
  return currentEndpoints(objectsOf(follower, 'EndpointSlice'));
}

function deploymentOf(follower: Follower): KubeObject | undefined {
  return objectsOf(follower, 'Deployment')[0];
}

/** Rounds a maxUnavailable in percent down. The API server ensures that the rollout can always proceed. */
export function replicaCounts(deployment: KubeObject): { wanted: number; allowed: number; ready: number } {
  const spec = record(deployment['spec']);
  const status = record(deployment['status']);
  const wanted = typeof spec['replicas'] === 'number' ? spec['replicas'] : 1;
  const ready = typeof status['readyReplicas'] === 'number' ? status['readyReplicas'] : 0;
  const unavailable = record(record(spec['strategy'])['rollingUpdate'])['maxUnavailable'];
  const maxUnavailable =
    typeof unavailable === 'number' ? unavailable : Math.floor((wanted * parseInt(String(unavailable), 10)) / 100);
  return { wanted, ready, allowed: Math.max(0, wanted - (Number.isNaN(maxUnavailable) ? 0 : maxUnavailable)) };
}

function record(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
