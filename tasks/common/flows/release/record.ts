import type { Ending } from '../../core/report/ending';
import { asTaskError } from '../../core/failure';
import {
  brokenLabel,
  brokenMark,
  inconclusiveLabel,
  prunable,
  reservedLabel,
  runLabel,
  unhealthyLabel,
  verifiedLabel,
  withLink,
} from '../../core/release/history';
import { objectName } from '../../core/kubernetes/manifest';
import type { ReleaseStorage } from '../../core/ports';
import type { Revision } from '../../core/release/release';
import type { ReleaseContext } from '../../core/releaseContext';
import { withRetries } from '../steps/withRetries';
import type { RecordChange } from '../../core/release/releaseRecord';
import { isOwnCause } from '../../core/rollout/causes';
import { firstDeclarers } from '../../core/release/preexisting';

/** For a revision that Helm completed, but nobody saw healthy. */
export const cancelledDescription = 'Cancelled before it was seen healthy';

export function newRevision(before: readonly Revision[], now: readonly Revision[]): Revision | undefined {
  const last = now.at(-1);
  return last !== undefined && last.revision > (before.at(-1)?.revision ?? 0) ? last : undefined;
}

/** `run` and `link` name the run that created the revision and its page, if it was this one. */
export async function verify(
  storage: ReleaseStorage,
  { revision, description }: Revision,
  run = '',
  link = '',
): Promise<void> {
  const labels = {
    [verifiedLabel]: String(revision),
    [unhealthyLabel]: undefined,
    [brokenLabel]: undefined,
    [reservedLabel]: undefined,
    [inconclusiveLabel]: undefined,
    ...madeBy(revision, run),
  };
  const linked = withLink(description, link);
  await storage.update(revision, { labels, ...(linked === description ? {} : { description: linked }) });
}

/** Marks a revision that is as declared, but of which no pod has run all. */
export async function reserve(storage: ReleaseStorage, { revision }: Revision, run = ''): Promise<void> {
  const labels = { [reservedLabel]: String(revision), [brokenLabel]: undefined, ...madeBy(revision, run) };
  await storage.update(revision, { labels });
}

/** Marks a revision that is healthy, and that only metrics or a person can verify now. */
export async function markInconclusive(storage: ReleaseStorage, { revision }: Revision, run = ''): Promise<void> {
  await storage.update(revision, { labels: { [inconclusiveLabel]: String(revision), ...madeBy(revision, run) } });
}

function madeBy(revision: number, run: string): Record<string, string> {
  return run === '' ? {} : { [runLabel]: `${revision}_${run}` };
}

/** Never fails. `mayHaveLeft`: Helm did not get so far that it removed the leftovers of earlier revisions. */
export async function prune(context: ReleaseContext, mayHaveLeft = false): Promise<void> {
  const { agent, namespace, storage, request } = context;
  try {
    const history = await storage.history();
    const needed = firstDeclarers(history, namespace);
    for (const revision of prunable(history, request.historyMax, mayHaveLeft, needed)) {
      await storage.remove(revision.revision);
    }
  } catch (error) {
    agent.warning(`Old revisions could not be removed from Helm's history: ${asTaskError(error).message}`);
  }
}

/** An error in Helm's record may quote a secret, which `helm history` would show. */
export async function hideSecrets(
  { agent, storage }: Pick<ReleaseContext, 'agent' | 'storage'>,
  history: readonly Revision[],
): Promise<void> {
  for (const { revision } of history.filter(({ describesSecret }) => describesSecret === true)) {
    try {
      // Every update of a record removes the secrets from its description.
      await storage.update(revision, {});
    } catch (error) {
      agent.warning(
        `The description of revision ${revision} in Helm's record holds a secret, which could not be removed: ${asTaskError(error).message}`,
      );
    }
  }
}

/** A record that is pending after Helm has ended was left by a killed Helm. */
export async function settle(context: ReleaseContext, revision: Revision): Promise<void> {
  if (!revision.status.startsWith('pending-')) return;
  const change = { status: 'failed', description: 'Helm ended before it was done' } as const;
  await withRetries(context, () => context.storage.update(revision.revision, change));
}

/** Marks a revision failed that nobody has seen healthy. */
export async function markCancelled(context: ReleaseContext, { revision, status }: Revision): Promise<void> {
  if (status === 'failed') return;
  const change = { status: 'failed', description: cancelledDescription } as const;
  await withRetries(context, () => context.storage.update(revision, change));
}

export function unhealthyDescription({ failedWorkload, reason }: Ending): string {
  return `Not healthy: ${failedWorkload} ${reason}`.replace(/ +/g, ' ').trim();
}

/** The mark counts for every revision with the same manifest, and hooks are not in the manifest. */
function brokenLabels(revision: Revision, { reason, failedWorkload }: Blame): Record<string, string> {
  const isOfHook = revision.hooks.some((hook) => objectName(hook) === failedWorkload);
  return isOwnCause(reason) && !isOfHook ? { [brokenLabel]: brokenMark(revision, reason, failedWorkload) } : {};
}

type Blame = Pick<Ending, 'reason' | 'failedWorkload'>;

/** For a serving revision that is unhealthy by a cause of its own. Helm's status stays. */
export async function markBroken(storage: ReleaseStorage, revision: Revision, blame: Blame): Promise<void> {
  await storage.update(revision.revision, { labels: brokenLabels(revision, blame) });
}

export async function markUnhealthy(context: ReleaseContext, revision: Revision, ending: Ending): Promise<void> {
  const change: RecordChange = {
    status: 'failed',
    ...(revision.status === 'failed' ? {} : { description: unhealthyDescription(ending) }),
    labels: {
      [unhealthyLabel]: String(revision.revision),
      [verifiedLabel]: undefined,
      ...brokenLabels(revision, ending),
      ...madeBy(revision.revision, context.run),
    },
  };
  await withRetries(context, () => context.storage.update(revision.revision, change));
}
