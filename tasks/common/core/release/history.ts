import type { Revision } from './release';

/** Helm copies the labels of a revision to every later one (measured), so each mark has the number of its revision. */
export const verifiedLabel = 'helm-safe-deploy/verified';
export const unhealthyLabel = 'helm-safe-deploy/unhealthy';

/** The mark of a revision that was deployed with a reservation: no pod has run all of it (see core/rollout/reservations). */
export const reservedLabel = 'helm-safe-deploy/reserved';

/** The mark of a healthy revision about which the metrics of its baking said too little. */
export const inconclusiveLabel = 'helm-safe-deploy/inconclusive';

export function isInconclusive(revision: Revision): boolean {
  return isMarked(revision, inconclusiveLabel) && !isMarked(revision, verifiedLabel);
}

/**
 * The mark of a revision that was judged unhealthy by a cause of its own: its number, the cause and the object, as in
 * `8_CrashLoop_Deployment.web`. It counts even if the revision was verified earlier.
 */
export const brokenLabel = 'helm-safe-deploy/broken';

/** The value of a label has at most 63 characters. `object`: `Kind/name`, or empty. */
export function brokenMark({ revision }: Revision, cause: string, object: string): string {
  const named = object.replaceAll(/[^A-Za-z0-9.-]/g, '.');
  return [revision, cause, named]
    .join('_')
    .slice(0, 63)
    .replace(/[^A-Za-z0-9]+$/, '');
}

/** Returns the cause by which the revision was judged unhealthy, or an empty text. */
export function brokenBy({ labels, revision }: Revision): string {
  const [, number, cause = ''] = /^(\d+)_([A-Za-z]+)/.exec(labels[brokenLabel] ?? '') ?? [];
  return number === String(revision) ? cause : '';
}

/** The run that created the revision, after its number: `8_4711_20260101.4_web-deploy`; see core/lock/holder. */
export const runLabel = 'helm-safe-deploy/run';

/** Returns the run in the form that `runWords` reads, or an empty text. */
export function runOf({ labels, revision }: Revision): string {
  const [, number, run = ''] = /^(\d+)_(.+)$/.exec(labels[runLabel] ?? '') ?? [];
  return number === String(revision) ? run : '';
}

/** The mark of a serving revision that is `superseded` during a change; see flows/release/mergeBase. */
export const servedLabel = 'helm-safe-deploy/served';

/** Helm 4.3 accepts no longer description from its users. */
const longestDescription = 256;

/** Adds the page of a run to Helm's own words for a good end. Other descriptions, and long ones, stay as they are. */
export function withLink(description: string, link: string): string {
  const linked = `${description} (${link})`;
  const isPlain = /^(?:install|upgrade) complete$/i.test(description);
  return isPlain && link !== '' && linked.length <= longestDescription ? linked : description;
}

function isMarked(revision: Revision, label: string): boolean {
  return revision.labels[label] === String(revision.revision);
}

/** The next successful upgrade of Helm turns `failed` into `superseded`, but the mark stays. */
export function isUnhealthy(revision: Revision): boolean {
  return revision.status === 'failed' || isMarked(revision, unhealthyLabel);
}

/** Helm turns a failed revision into a superseded one, but keeps its description. */
export function wasFailed(revision: Revision): boolean {
  const { description, status } = revision;
  return (
    isUnhealthy(revision) ||
    (status === 'superseded' && /^(?:Upgrade|Release|Rollback) ".*" failed: /s.test(description))
  );
}

/** A failure of Helm itself has no such mark. */
export function wasJudged(revision: Revision): boolean {
  return isMarked(revision, unhealthyLabel);
}

/** Returns true if this task saw the revision healthy, and has not found it unhealthy since then. */
export function isVerified(revision: Revision): boolean {
  return isMarked(revision, verifiedLabel) && !isUnhealthy(revision) && brokenBy(revision) === '';
}

/** Returns true if this task deployed the revision with a reservation, and has not judged it since. */
export function isReserved(revision: Revision): boolean {
  return (
    isMarked(revision, reservedLabel) &&
    !isMarked(revision, verifiedLabel) &&
    !isUnhealthy(revision) &&
    brokenBy(revision) === ''
  );
}

/** The mark of a record that is edited during a change; see flows/release/mergeBase. */
export const editedLabel = 'helm-safe-deploy/edited';

/** Returns true if a run edited the record during a change and has not restored it. */
export function isEdited(revision: Revision): boolean {
  return isMarked(revision, editedLabel);
}

/** Returns true if a run took the status `deployed` during a change and has not restored it. */
export function wasServing(revision: Revision): boolean {
  return revision.status === 'superseded' && isMarked(revision, servedLabel);
}

/** Returns true if no revision has ever served and the dead one was an install, so the whole release may be removed. */
export function isDeadInstall(died: Revision, history: readonly Revision[]): boolean {
  if (died.status !== 'pending-install' && !(died.status === 'uninstalling' && isUnhealthy(died))) return false;
  const others = sinceUninstall(history).filter(({ revision }) => revision !== died.revision);
  return others.every((other) => other.status === 'failed' && !isMarked(other, verifiedLabel));
}

export type ReleaseState =
  | { state: 'absent' }
  /** The history was kept. The next deploy is an install. */
  | { state: 'uninstalled'; last: Revision }
  | { state: 'deployed'; last: Revision }
  /** The objects of the last revision may exist. */
  | { state: 'failed'; last: Revision }
  /** Somebody works on the release, or died while working on it. */
  | { state: 'pending'; last: Revision }
  | { state: 'unknown'; last: Revision };

/** Returns true if Helm would install the release, and not upgrade it. */
export function isFirstInstall({ state }: ReleaseState): boolean {
  return state === 'absent' || state === 'uninstalled';
}

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
    // The record of the revision that superseded it is gone, so nothing shows that this revision is serving.
    case 'superseded':
    case 'failed':
      return { state: 'failed', last };
    case 'unknown':
      return { state: 'unknown', last };
  }
}

/**
 * Returns the serving revision, unless the release is pending. An upgrade that failed in its pre-hooks changed nothing.
 * For a rollback, the phases of the hooks prove nothing: Helm copies the target's hooks with their old phases.
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

/** Revisions before the last uninstall do not describe the present release. */
export function sinceUninstall(history: readonly Revision[]): readonly Revision[] {
  return history.slice(history.findLastIndex(wasUninstalled) + 1);
}

/** Helm 4.3 records that a revision is a rollback. Older versions show it only in the description. */
export function isOfRollback({ description, status, rollbackRevision }: Revision): boolean {
  if (rollbackRevision !== undefined || status === 'pending-rollback') return true;
  return /^Rollback (?:to \d+\b|".*" failed: )/s.test(description);
}

/** An install over a kept history writes this description (measured with 3.17.3 and 4.1.4; replaceRelease). */
function wasUninstalled({ status, description }: Revision): boolean {
  return status === 'uninstalled' || (status === 'superseded' && description === 'superseded by new release');
}

/** The newest revision that is deployed or verified. Later revisions may have left objects or fields. */
export function lastGood(history: readonly Revision[]): Revision | undefined {
  return sinceUninstall(history).findLast(
    (revision) => revision.status === 'deployed' || isVerified(revision) || isReserved(revision),
  );
}

export interface RollbackTarget {
  revision: Revision;
  proof: 'verified' | 'reserved' | 'deployed';
}

/**
 * Returns the newest judgement of this revision's manifest if it was «unhealthy by a cause of its own»: the judged
 * revision, which is this one or another with the same manifest. Such a revision is no target of a rollback.
 */
export function judgedBroken(revision: Revision, history: readonly Revision[]): Revision | undefined {
  const last = sinceUninstall(history).findLast(
    (other) => (isVerified(other) || brokenBy(other) !== '') && other.manifest === revision.manifest,
  );
  return last === undefined || brokenBy(last) === '' ? undefined : last;
}

/** A clause that says why a revision is no target; `judged` is the answer of `judgedBroken`. */
export function brokenWords(revision: Revision, judged: Revision): string {
  const who =
    judged.revision === revision.revision ? 'it' : `revision ${judged.revision}, which has the same manifest,`;
  return `${who} was judged unhealthy by a cause of its own (${brokenBy(judged)})`;
}

/**
 * Returns the newest verified revision, or else the newest one with a reservation, or else the newest deployed one.
 * `superseded` alone proves nothing.
 */
export function rollbackTarget(history: readonly Revision[], before = Infinity): RollbackTarget | undefined {
  const candidates = sinceUninstall(history).filter(
    (revision) => revision.revision < before && judgedBroken(revision, history) === undefined,
  );
  const verified = candidates.findLast(isVerified);
  if (verified !== undefined) return { revision: verified, proof: 'verified' };
  const reserved = candidates.findLast(isReserved);
  if (reserved !== undefined) return { revision: reserved, proof: 'reserved' };
  const deployed = candidates.findLast((revision) => revision.status === 'deployed' && !isUnhealthy(revision));
  return deployed === undefined ? undefined : { revision: deployed, proof: 'deployed' };
}

/**
 * Returns the revisions to remove so that at most `maximum` remain, oldest first; 0 keeps all. Unlike Helm's pruning,
 * this spares the target of a rollback. `mayHaveLeft` spares revisions that may have left
 * objects, which nobody would know without their records. `needed` are further numbers to spare.
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
    rollbackTarget(history)?.revision,
    ...history.filter((r) => r.status === 'deployed' || needed.has(r.revision)),
    ...(mayHaveLeft
      ? sinceGood(history).filter((r) => !changedNothing(r, 'pre-install') && !changedNothing(r, 'pre-upgrade'))
      : []),
  ]);
  return history.filter((revision) => !spared.has(revision)).slice(0, history.length - maximum);
}

function sinceGood(history: readonly Revision[]): readonly Revision[] {
  const since = sinceUninstall(history);
  return since.slice(
    since.findLastIndex((revision) => revision.status === 'deployed' || isVerified(revision) || isReserved(revision)) +
      1,
  );
}

/**
 * Returns true if a failed revision changed no object: Helm changes objects only after the last pre-hook. A pending
 * revision proves nothing, because its last hook stays running in the record (measured with a killed Helm 3.17.3, 4.1.4
 * and 4.2.3). Not for rollbacks: their hooks have the phases of the target's hooks.
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

/** The revisions whose objects may be live when the last one failed. */
export function chainFrom(history: readonly Revision[], good: Revision | undefined): readonly Revision[] {
  return sinceUninstall(history).filter((revision) => revision.revision >= (good?.revision ?? 0));
}
