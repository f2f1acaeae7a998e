import { objectName } from '../../../core/kubernetes/manifest';
import type { Revision } from '../../../core/release/release';
import { isDeclaredHold, podHold } from '../../../core/rollout/heldPods';
import { withRetries } from '../../steps/withRetries';
import { desiredObjects } from '../../release/desiredObjects';
import type { RollbackContext } from '../../../core/releaseContext';

/**
 * Ends a pause, a partition or an update on delete that somebody has set by hand and that would keep pods of the
 * revision that is rolled back. Acts only where the policy allows it. A hold that the revision itself declares stays.
 * Returns the keys of the objects that were changed.
 */
export async function releaseHolds(context: RollbackContext, { manifest }: Revision): Promise<string[]> {
  const { agent, cluster, lease, namespace, request } = context;
  if (!request.rollback.policy.allow.includes('PodsHeldBack')) return [];
  const workloads = (await desiredObjects(cluster, manifest, namespace)).filter(({ ref }) => canHold(ref.apiVersion));
  const released: string[] = [];
  for (const { key, ref, declared } of workloads) {
    const hold = podHold(await withRetries(context, () => cluster.get(ref)));
    if (hold === undefined || isDeclaredHold(hold, declared)) continue;
    await lease.confirm();
    await withRetries(context, () => cluster.patch(ref, hold.release));
    released.push(key);
    agent.log(`${objectName(ref)}: ${hold.why}; somebody has set that by hand, and it is undone, as the plan says.`);
  }
  return released;
}

function canHold(apiVersion: string): boolean {
  return apiVersion.startsWith('apps/');
}
