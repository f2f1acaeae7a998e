import { wellEnded, type Ending } from '../../core/report/ending';
import { isReserved, isVerified } from '../../core/release/history';
import type { Drift } from '../../core/release/drift';
import type { DeployContext } from '../../core/releaseContext';
import { testsChanged, whatChanged, type Rendering } from '../../core/release/unchanged';
import { driftOf } from '../release/drift';
import type { ReleaseSnapshot } from './readRelease';

/**
 * The ending of a deploy that has nothing to do: the chart and its values are those of the serving revision, which is
 * healthy, and the live objects are as it declares them. Undefined where there is something to do. `known` is the drift
 * that was looked for and logged before.
 */
export async function unchanged(
  context: DeployContext,
  seen: ReleaseSnapshot,
  known?: readonly Drift[],
): Promise<Ending | undefined> {
  const { agent, namespace, request } = context;
  if (seen.state.state !== 'deployed' || request.forceUpgrade || !seen.isHealthy) return undefined;
  const deployed = seen.history.at(-1);
  if (deployed === undefined || !(isVerified(deployed) || isReserved(deployed))) return undefined;
  if (seen.isUnfinishedRollback) {
    agent.log(
      `Revision ${deployed.revision} was created by a rollback that did not finish. This deploy removes its leftovers.`,
    );
    return undefined;
  }
  const changes = whatChanged({ rendering: seen.rendering, deployed });
  const isTestChanged = changes.length === 0 && (await hasOtherTests(context, seen.rendering.hooks, deployed.hooks));
  if (isTestChanged) changes.push('the tests (helm test)');
  if (changes.length > 0) {
    agent.log(`This deploy differs from revision ${deployed.revision} in ${changes.join(', ')}.`);
    return undefined;
  }
  const release = { name: request.releaseName, namespace };
  const drift = known ?? (await driftOf(context, deployed.manifest, release));
  if (drift.length > 0) {
    const what = `The chart and its values are those of revision ${deployed.revision}, but the cluster is not as they say`;
    logDrift(context, what, known === undefined ? drift : []);
    return undefined;
  }
  agent.log(
    `The chart and its values are those of revision ${deployed.revision}, which is healthy, and the cluster is as they say: ` +
      'there is nothing to do. No revision is created and no hook runs (forceUpgrade: true creates one anyway).',
  );
  return { ...wellEnded, outcome: 'unchanged' };
}

function logDrift({ agent }: DeployContext, what: string, unlogged: readonly Drift[]): void {
  agent.log(unlogged.length === 0 ? `${what}, see above.` : `${what}:`);
  for (const { message } of unlogged) agent.log(`  ${message}`);
}

type Hooks = Rendering['hooks'];

/** Tests that are rendered differently each time, from the same chart and values, are no change. */
async function hasOtherTests({ agent, helm, signal }: DeployContext, hooks: Hooks, deployed: Hooks): Promise<boolean> {
  if (!testsChanged(hooks, deployed)) return false;
  const { rendering } = await helm.render(signal);
  if (rendering === undefined || !testsChanged(hooks, rendering.hooks)) return true;
  agent.log('The tests of the chart (helm test) are rendered in another way each time, which counts for nothing.');
  return false;
}
