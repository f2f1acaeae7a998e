import { chainFrom } from '../../core/release/history';
import { endingFor, sentence, type Ending } from '../../core/report/ending';
import { TaskError } from '../../core/failure';
import { briefly } from '../../core/helm/helmFailure';
import type { Revision } from '../../core/release/release';
import { stopIfCancelled, type ReleaseContext } from '../../core/releaseContext';
import { beginWork } from '../release/change';
import { giveBase, onBase } from '../release/mergeBase';
import type { DeployProgress } from '../release/deployProgress';
import { showHookEvidence, whileHooksRun } from '../rollout/hookLogs';
import { withRetries } from '../steps/withRetries';
import { remindingWhile } from '../steps/phase';

export async function uninstall(
  context: ReleaseContext,
  progress: DeployProgress,
  revision: Revision,
  ending: Ending,
): Promise<Ending> {
  progress.serving = null;
  const problem = await removeRelease(context, progress, revision);
  if (problem !== undefined) {
    const message = `${sentence(ending.message)} Uninstalling it failed too: ${sentence(problem.message)}`;
    return { ...ending, message };
  }
  context.agent.log(`Revision ${revision.revision} was the first of this release; it is uninstalled.`);
  // No earlier revision serves now, so this is no rollback.
  const message = `${sentence(ending.message)} There was no revision to roll back to, so the release was uninstalled.`;
  return { ...ending, message };
}

/** Uninstalls a release that never served, and keeps what may hold data. Returns the error that prevented this. */
export async function removeRelease(
  context: ReleaseContext,
  progress: Pick<DeployProgress, 'leftovers' | 'evidence' | 'hasBegun' | 'lastWork'>,
  revision: Revision,
): Promise<TaskError | undefined> {
  const { helm, namespace, request, storage } = context;
  const history = await withRetries(context, () => storage.history());
  stopIfCancelled(context.signal);
  await beginWork(context, progress, { action: 'uninstall', revision: revision.revision });
  const given = await giveBase(context, history, {
    chain: chainFrom(history, undefined),
    good: undefined,
    desiredManifest: '',
  });
  // An uninstall removes everything, so only what stays is news.
  progress.leftovers.push(...(given?.leftovers ?? []).filter(({ keptBecause }) => keptBecause !== ''));
  const { result, hooks } = await onBase(context, given, history, () =>
    whileHooksRun(context, revision.hooks, ['pre-delete', 'post-delete'], () =>
      remindingWhile(context, helm.uninstall({ timeoutSeconds: request.rollbackTimeoutSeconds })),
    ),
  );
  if (result.ok) return undefined;
  await showHookEvidence(context, progress, hooks);
  const said = sentence(briefly(result.failure?.message ?? ''));
  return new TaskError(
    result.failure?.reason ?? 'HelmFailed',
    `${said} To try again: helm uninstall ${request.releaseName} --namespace ${namespace}`,
  );
}

export function cancelledWith(message: string): Ending {
  return endingFor('cancelled', 'Cancelled', message);
}
