import { isRecord } from '../../tasks/common/core/kubernetes/json';

/** The address of a pod. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  /** The name of the pod. */
  readonly pod: string;
}

interface Found extends Endpoint {
  readonly isReady: boolean;
  readonly isServing: boolean;
  readonly isTerminating: boolean;
}

/**
 * The endpoints that a Service uses now, from its EndpointSlices: the ready ones, or if there are none, those that
 * still serve while they terminate (kube-proxy, pkg/proxy/topology.go).
 */
export function currentEndpoints(slices: Iterable<unknown>): Endpoint[] {
  const found = [...slices].flatMap(endpointsOf);
  const ready = found.filter(({ isReady }) => isReady);
  const chosen = ready.length > 0 ? ready : found.filter(({ isServing, isTerminating }) => isServing && isTerminating);
  const byAddress = new Map(chosen.map(({ address, port, pod }) => [`${address}:${port}`, { address, port, pod }]));
  return [...byAddress.values()].sort((a, b) => (a.pod < b.pod ? -1 : 1));
}

function endpointsOf(slice: unknown): Found[] {
  if (!isRecord(slice)) return [];
  const ports = records(slice['ports']).flatMap(({ port }) => (typeof port === 'number' ? [port] : []));
  return records(slice['endpoints']).flatMap((endpoint) => {
    const [address] = Array.isArray(endpoint['addresses']) ? endpoint['addresses'].map(String) : [];
    const target = isRecord(endpoint['targetRef']) ? endpoint['targetRef'] : {};
    const conditions = isRecord(endpoint['conditions']) ? endpoint['conditions'] : {};
    if (address === undefined) return [];
    // A missing condition counts as true, except for terminating (discovery.k8s.io/v1).
    const isReady = conditions['ready'] !== false;
    const isServing = conditions['serving'] === undefined ? isReady : conditions['serving'] === true;
    const state = { isReady, isServing, isTerminating: conditions['terminating'] === true };
    return ports.map((port) => ({
      address,
      port,
      pod: typeof target['name'] === 'string' ? target['name'] : address,
      ...state,
    }));
  });
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
