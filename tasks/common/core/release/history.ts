import type { Revision } from './release';

/**
 * Helm copies the labels of a revision's storage object to every later revision (measured with 3.17.3 and 4.1.4). So
 * each of these marks has the number of the revision that it is about.
 */
export const verifiedLabel = 'helm-safe-deploy/verified';
export const unhealthyLabel = 'helm-safe-deploy/unhealthy';

/**
 * This mark names the run that made the revision, after the number of the revision: `8_4711_20260101.4_web-deploy`; see
 * core/lock/holder.
 */
export const runLabel = 'helm-safe-deploy/run';

/**
 * Returns the run that made the revision, in the form that `runWords` reads. Returns an empty text if the run is not
 * known.
 */
export function runOf({ labels, revision }: Revision): string {
  const [, number, run = ''] = /^(\d+)_(.+)$/.exec(labels[runLabel] ?? '') ?? [];
  return number === String(revision) ? run : '';
}

/**
 * This mark is on the serving revision while its status is `superseded` during a change; see flows/release/mergeBase.
 */
export const servedLabel = 'helm-safe-deploy/served';

function isMarked(revision: Revision, label: string): boolean {
  return revision.labels[label] === String(revision.revision);
}

/**
 * Returns true if Helm or this task judged the revision unhealthy. The next successful upgrade of Helm turns `failed`
 * into `superseded`, but the mark stays.
 */
export function isUnhealthy(revision: Revision): boolean {
  return revision.status === 'failed' || isMarked(revision, unhealthyLabel);
}

/**
 * Returns true if Helm had done its work and this task judged the result unhealthy. A failure of Helm itself has no
 * such mark.
 */
export function wasJudged(revision: Revision): boolean {
  return isMarked(revision, unhealthyLabel);
}

/** Returns true if this task saw the revision healthy, and has not found it unhealthy since then. */
export function isVerified(revision: Revision): boolean {
  return isMarked(revision, verifiedLabel) && !isUnhealthy(revision);
}

/** This mark is on a revision whose record is edited during a change; see flows/release/mergeBase. */
export const editedLabel = 'helm-safe-deploy/edited';

/** Returns true if a run edited the record during a change and has not restored it. */
export function isEdited(revision: Revision): boolean {
  return isMarked(revision, editedLabel);
}

/** Returns true if a run took the status `deployed` from the revision during a change and has not restored it. */
export function wasServing(revision: Revision): boolean {
  return revision.status === 'superseded' && isMarked(revision, servedLabel);
}

/**
 * Returns true if the dead revision was a first install, or the removal of one. No revision of the release has ever
 * served, so the whole release may be removed.
 */
export function isDeadInstall(died: Revision, history: readonly Revision[]): boolean {
  if (died.status !== 'pending-install' && !(died.status === 'uninstalling' && isUnhealthy(died))) return false;
  const others = sinceUninstall(history).filter(({ revision }) => revision !== died.revision);
  return others.every((other) => other.status === 'failed' && !isMarked(other, verifiedLabel));
}

export type ReleaseState =
  | { state: 'absent' }
  /** The release is uninstalled and its history was kept: the next deploy is an install. */
  | { state: 'uninstalled'; last: Revision }
  | { state: 'deployed'; last: Revision }
  /** The last revision failed, but its objects may still exist. */
  | { state: 'failed'; last: Revision }
  /** Somebody is working on the release, or died while working on it. */
  | { state: 'pending'; last: Revision }
  | { state: 'unknown'; last: Revision };

/** Returns true if Helm would install the release now, and not upgrade it. */
export function isFirstInstall({ state }: ReleaseState): boolean {
  return state === 'absent' || state === 'uninstalled';
}

/** Returns the state of the release according to Helm's records. There is an answer for every history. */
export function releaseState(history: readonly Revision[]): ReleaseState {
  const last = history.at(-1);
  if (last === undefined) return { state: 'absent' };
  switch (last.status) {
    case 'deployed':
      return { state: 'deployed', last };
    case 'uninstalled':
      return { state: 'uninstalled', last };
    case 'pending-install':
    case 'pending-upgrade':
    case 'pending-rollback':
    case 'uninstalling':
      return { state: 'pending', last };
    // If the last revision is superseded, the record of the revision that superseded it is gone. Nothing shows that the
    // last revision is serving.
    case 'superseded':
    case 'failed':
      return { state: 'failed', last };
    case 'unknown':
      return { state: 'unknown', last };
  }
}

/**
 * Returns the revision that was applied last, whatever its result: the serving revision. Returns undefined if nothing
 * was applied, or if somebody is working on the release or died while working on it. If Helm failed at the pre-hooks of
 * an upgrade, this upgrade changed nothing (see `changedNothing`), and one of its hooks had begun. For a rollback, the
 * phases of the hooks prove nothing: Helm copies the hooks of the target with their old phases.
 */
export function appliedLast(history: readonly Revision[]): Revision | undefined {
  const { state } = releaseState(history);
  if (state !== 'deployed' && state !== 'failed') return undefined;
  return sinceUninstall(history).findLast((revision) => {
    const { hooks } = revision;
    return !(['pre-install', 'pre-upgrade'] as const).some(
      (event) =>
        changedNothing(revision, event) &&
        hooks.some(({ events, lastPhase }) => events.includes(event) && begunPhases.has(lastPhase)),
    );
  });
}

const begunPhases: ReadonlySet<string> = new Set(['Failed', 'Running', 'Unknown']);

/** Returns the revisions after the last uninstall. Earlier revisions do not describe the present release. */
export function sinceUninstall(history: readonly Revision[]): readonly Revision[] {
  return history.slice(history.findLastIndex(wasUninstalled) + 1);
}

/**
 * Helm 4.3 records that a revision is a rollback, and lets the user choose the description. Older versions show a
 * rollback only by its description.
 */
export function isOfRollback({ description, status, rollbackRevision }: Revision): boolean {
  if (rollbackRevision !== undefined || status === 'pending-rollback') return true;
  return /^Rollback (?:to \d+\b|".*" failed: )/s.test(description);
}

/**
 * An install over a kept history turns `uninstalled` into `superseded`, with this description (measured with 3.17.3 and
 * 4.1.4; replaceRelease in pkg/action/install.go). `helm install --replace` does the same to a failed revision.
 */
function wasUninstalled({ status, description }: Revision): boolean {
  return status === 'uninstalled' || (status === 'superseded' && description === 'superseded by new release');
}

/** Returns the newest revision that is deployed or verified. Later revisions may have left objects or fields behind. */
export function lastGood(history: readonly Revision[]): Revision | undefined {
  return sinceUninstall(history).findLast((revision) => revision.status === 'deployed' || isVerified(revision));
}

export interface RollbackTarget {
  revision: Revision;
  proof: 'verified' | 'deployed';
}

/**
 * Returns the target of a rollback: the newest revision that was verified healthy, or else the newest revision that
 * Helm calls deployed. The status `superseded` alone proves nothing: it only says that a later revision was deployed.
 */
export function rollbackTarget(history: readonly Revision[], before = Infinity): RollbackTarget | undefined {
  const candidates = sinceUninstall(history).filter((revision) => revision.revision < before);
  const verified = candidates.findLast(isVerified);
  if (verified !== undefined) return { revision: verified, proof: 'verified' };
  const deployed = candidates.findLast((revision) => revision.status === 'deployed' && !isUnhealthy(revision));
  return deployed === undefined ? undefined : { revision: deployed, proof: 'deployed' };
}

/**
 * Returns the revisions whose records are removed so that at most `maximum` remain, oldest first. 0 keeps all. Unlike
 * the pruning of Helm, this spares the newest verified revision, which a series of failures would push out (measured
 * with history-max 3). A verified revision from before an uninstall is not spared: without the record of the uninstall,
 * that revision would count as live. With `mayHaveLeft`, all revisions that may have left something in the cluster are
 * spared, because without their records nobody would know about their leftovers. `needed` are the numbers of revisions
 * that are spared for another reason.
 */
export function prunable(
  history: readonly Revision[],
  maximum: number,
  mayHaveLeft = false,
  needed: ReadonlySet<number> = new Set(),
): readonly Revision[] {
  if (maximum <= 0 || history.length <= maximum) return [];
  const spared = new Set([
    history.at(-1),
    sinceUninstall(history).findLast(isVerified),
    ...history.filter((r) => r.status === 'deployed' || needed.has(r.revision)),
    ...(mayHaveLeft
      ? sinceGood(history).filter((r) => !changedNothing(r, 'pre-install') && !changedNothing(r, 'pre-upgrade'))
      : []),
  ]);
  return history.filter((revision) => !spared.has(revision)).slice(0, history.length - maximum);
}

function sinceGood(history: readonly Revision[]): readonly Revision[] {
  const since = sinceUninstall(history);
  return since.slice(since.findLastIndex((revision) => revision.status === 'deployed' || isVerified(revision)) + 1);
}

/**
 * Returns true if a revision that Helm ended as failed changed no object of the release. Helm records a phase for each
 * hook, and touches no object of the chart before the last pre-install or pre-upgrade hook has succeeded. Only a
 * revision that Helm itself ended proves this: in a pending revision, the last hook stays running in the record
 * (measured with a killed Helm 3.17.3, 4.1.4 and 4.2.3). If a hook runs both before and after the change, only Helm's
 * description shows when the hook failed. This function is not for rollbacks: their hooks are copied from the target,
 * with their old phases.
 */
export function changedNothing(revision: Revision, event: 'pre-install' | 'pre-upgrade'): boolean {
  if (revision.status !== 'failed') return false;
  const later = event.replace('pre-', 'post-');
  const open = revision.hooks.filter((hook) => hook.events.includes(event) && hook.lastPhase !== 'Succeeded');
  if (open.some((hook) => !hook.events.includes(later))) return true;
  const { description } = revision;
  return (
    open.length > 0 && (description.includes(`${event} hooks failed: `) || description.includes(`failed ${event}: `))
  );
}

/** The revisions whose objects may be live when the last one failed: the last good revision and all after it. */
export function chainFrom(history: readonly Revision[], good: Revision | undefined): readonly Revision[] {
  return sinceUninstall(history).filter((revision) => revision.revision >= (good?.revision ?? 0));
}
