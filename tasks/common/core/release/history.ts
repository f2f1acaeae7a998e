import type { Revision } from './release';

/**
 * Helm copies the labels of a revision's storage object onto every later revision (measured with 3.17.3 and 4.1.4),
 * so each of these marks carries the number of the revision that it is about.
 */
export const verifiedLabel = 'helm-safe-deploy/verified';
export const unhealthyLabel = 'helm-safe-deploy/unhealthy';

/** Names the run that made the revision, after the revision's number: `8_4711_20260101.4_web-deploy`; see core/lock/holder. */
export const runLabel = 'helm-safe-deploy/run';

/** The run that made the revision, as `runWords` reads it; empty where that is not known. */
export function runOf({ labels, revision }: Revision): string {
  const [, number, run = ''] = /^(\d+)_(.+)$/.exec(labels[runLabel] ?? '') ?? [];
  return number === String(revision) ? run : '';
}

/** Stands on the revision that served while it was `superseded` for the time of a change; see flows/release/mergeBase. */
export const servedLabel = 'helm-safe-deploy/served';

function isMarked(revision: Revision, label: string): boolean {
  return revision.labels[label] === String(revision.revision);
}

/** Judged unhealthy by us. Helm turns `failed` into `superseded` at the next good upgrade, this mark stays. */
export function isUnhealthy(revision: Revision): boolean {
  return revision.status === 'failed' || isMarked(revision, unhealthyLabel);
}

/** Helm had done its work, and this task judged the result to be bad. Helm's own failures have no such mark. */
export function wasJudged(revision: Revision): boolean {
  return isMarked(revision, unhealthyLabel);
}

/** Seen healthy by us, and not found unhealthy since. */
export function isVerified(revision: Revision): boolean {
  return isMarked(revision, verifiedLabel) && !isUnhealthy(revision);
}

/** Stands on the revision whose record is edited for the time of a change; see flows/release/mergeBase. */
export const editedLabel = 'helm-safe-deploy/edited';

/** A run has edited its record for the time of a change, and has not put it back. */
export function isEdited(revision: Revision): boolean {
  return isMarked(revision, editedLabel);
}

/** A run took `deployed` from it for the time of a change, and has not put it back. */
export function wasServing(revision: Revision): boolean {
  return revision.status === 'superseded' && isMarked(revision, servedLabel);
}

/**
 * Whether the revision that died was a first install, or the removal of one: nothing of the release has ever served, so
 * it may go as a whole.
 */
export function isDeadInstall(died: Revision, history: readonly Revision[]): boolean {
  if (died.status !== 'pending-install' && !(died.status === 'uninstalling' && isUnhealthy(died))) return false;
  const others = sinceUninstall(history).filter(({ revision }) => revision !== died.revision);
  return others.every((other) => other.status === 'failed' && !isMarked(other, verifiedLabel));
}

export type ReleaseState =
  | { state: 'absent' }
  /** Uninstalled with its history kept: the next deploy is an install. */
  | { state: 'uninstalled'; last: Revision }
  | { state: 'deployed'; last: Revision }
  /** The last revision failed: what it wrote may still be there. */
  | { state: 'failed'; last: Revision }
  /** Somebody is at work on it, or died at it. */
  | { state: 'pending'; last: Revision }
  | { state: 'unknown'; last: Revision };

/** Whether Helm would install now, rather than upgrade. */
export function isFirstInstall({ state }: ReleaseState): boolean {
  return state === 'absent' || state === 'uninstalled';
}

/** What Helm's record says of the release. Answers for every history. */
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
    // A last revision that is superseded was superseded by one whose record is gone: nothing says that it serves.
    case 'superseded':
    case 'failed':
      return { state: 'failed', last };
    case 'unknown':
      return { state: 'unknown', last };
  }
}

/**
 * The revision that was applied last, whatever came of it: what serves now. Undefined where nothing was applied, and
 * where somebody is at work on the release or died at it. A failed upgrade whose pre-hooks Helm has not come past
 * changed nothing (see `changedNothing`); one of its hooks was begun, while a rollback has those of its target, as they
 * were then.
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

/** What came before an uninstall is no history of what runs now. */
export function sinceUninstall(history: readonly Revision[]): readonly Revision[] {
  return history.slice(history.findLastIndex(wasUninstalled) + 1);
}

/** Helm 4.3 notes it, and lets anybody describe a rollback in words of his own; older ones show it by their words alone. */
export function isOfRollback({ description, status, rollbackRevision }: Revision): boolean {
  if (rollbackRevision !== undefined || status === 'pending-rollback') return true;
  return /^Rollback (?:to \d+\b|".*" failed: )/s.test(description);
}

/**
 * An install over a history that was kept turns `uninstalled` into `superseded`, with these words (measured with 3.17.3 and
 * 4.1.4; replaceRelease in pkg/action/install.go). The same befalls a failed revision by `helm install --replace`.
 */
function wasUninstalled({ status, description }: Revision): boolean {
  return status === 'uninstalled' || (status === 'superseded' && description === 'superseded by new release');
}

/** The newest revision of which nothing says that it failed: what came after it may have left something behind. */
export function lastGood(history: readonly Revision[]): Revision | undefined {
  return sinceUninstall(history).findLast((revision) => revision.status === 'deployed' || isVerified(revision));
}

export interface RollbackTarget {
  revision: Revision;
  proof: 'verified' | 'deployed';
}

/**
 * The revision to return to: the newest that was verified healthy, else the newest that Helm calls deployed.
 * `superseded` alone is no proof: it says only that something was deployed after it.
 */
export function rollbackTarget(history: readonly Revision[], before = Infinity): RollbackTarget | undefined {
  const candidates = sinceUninstall(history).filter((revision) => revision.revision < before);
  const verified = candidates.findLast(isVerified);
  if (verified !== undefined) return { revision: verified, proof: 'verified' };
  const deployed = candidates.findLast((revision) => revision.status === 'deployed' && !isUnhealthy(revision));
  return deployed === undefined ? undefined : { revision: deployed, proof: 'deployed' };
}

/**
 * Revisions whose record goes so that at most `maximum` stay, oldest first; 0 keeps all. Unlike Helm's own pruning it
 * spares the newest verified revision, which a run of failures would push out (measured with history-max 3), but not one
 * from before an uninstall: without the record of that it would count for what is there now. With `mayHaveLeft` it spares
 * all that may have left something in the cluster, which nobody would know of any more.
 */
export function prunable(history: readonly Revision[], maximum: number, mayHaveLeft = false): readonly Revision[] {
  if (maximum <= 0 || history.length <= maximum) return [];
  const spared = new Set([
    history.at(-1),
    sinceUninstall(history).findLast(isVerified),
    ...history.filter((r) => r.status === 'deployed'),
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
 * Whether a revision that Helm has given up changed nothing of the release: Helm marks each hook's phase, and touches no
 * object of the chart before the last pre-install or pre-upgrade hook has succeeded. Only a revision that Helm itself
 * has ended says so: in one that is still pending the last hook counts as running for ever (measured with a killed
 * Helm 3.17.3, 4.1.4 and 4.2.3). A hook that runs before and after says only with Helm's description when it failed.
 * Not for rollbacks: their hooks are copied from the target with the phases of its own time.
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
