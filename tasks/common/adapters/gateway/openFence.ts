import type { FencePolicy, FenceRecord } from '../../core/helm/fence';
import { fenceGate, type FenceGate } from './fence';
import { openGateway, type Gateway, type GatewayOptions } from './openGateway';

export interface FenceOptions extends GatewayOptions {
  release: string;
  policy: FencePolicy;
  /** Aborts when the lock is lost. From then on every write is refused. */
  lost?: AbortSignal;
}

export interface Fence extends Gateway {
  record(): FenceRecord;
}

/** Throws `ConnectionMissing` or `InputInvalid` if the kubeconfig cannot be used. */
export async function openFence(options: FenceOptions): Promise<Fence> {
  const { release, namespace, policy, lost } = options;
  let gate: FenceGate | undefined;
  const gateway = await openGateway(options, (upstream) => {
    const made = fenceGate(upstream, { release, namespace, policy, lost });
    gate = made;
    return (request) => made.handle(request);
  });
  const record = (): FenceRecord =>
    gate?.record() ?? { forwarded: [], heldBack: [], refused: [], requests: { reads: 0, writes: 0 } };
  return { ...gateway, record };
}
