import type { FencePolicy, FenceRecord } from '../../core/helm/fence';
import { fenceGate, type FenceGate } from './fence';
import { openGateway, type Gateway, type GatewayOptions } from './openGateway';

export interface FenceOptions extends GatewayOptions {
  release: string;
  policy: FencePolicy;
  /** Aborts when the lock is lost: from then on every write is refused, and reads go on. */
  lost?: AbortSignal;
}

/** A way to the API server for a real Helm, on which nothing is deleted that the policy does not name. */
export interface Fence extends Gateway {
  /** What has happened until now. */
  record(): FenceRecord;
}

/** Opens the fence. Throws `ConnectionMissing` or `InputInvalid` for a kubeconfig that cannot be used. */
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
