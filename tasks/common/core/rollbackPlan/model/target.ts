import { clipped } from '../../text/foreignText';
import { brokenWords, isReserved, isUnhealthy, isVerified, judgedBroken, sinceUninstall } from '../../release/history';
import type { Revision } from '../../release/release';
import { finding, type PlanFinding } from './findings';
import type { RevisionProof, RollbackRequest, ToRevision } from './types';

export interface TargetChoice {
  /** The last revision in Helm's history, whatever its status. */
  present?: Revision;
  target?: Revision;
  /** The newest revision comes first; the present one is included. */
  passed: readonly Revision[];
  findings: readonly PlanFinding[];
}

/**
 * Helm changes the status `failed` to `superseded` when the next deploy succeeds, but keeps the description (pkg/action
 * install.go, upgrade.go, rollback.go). It also keeps the first description of an operation that was killed.
 */
const failedDescription =
  /^(?:Release|Upgrade|Rollback) ".*" failed: |^Not healthy: |^Helm ended before it was done$|^(?:Preparing upgrade|Initial install underway)$/s;

/** A clause; undefined if the revision may be a target. */
export function whyUnfit(revision: Revision, history: readonly Revision[]): string | undefined {
  const quote = failedDescription.test(revision.description) ? ` («${shortened(revision.description)}»)` : '';
  switch (revision.status) {
    case 'failed':
      return `it failed${quote}`;
    case 'pending-install':
    case 'pending-upgrade':
    case 'pending-rollback':
    case 'uninstalling':
      return `it is ${revision.status}: it was never completed`;
    case 'unknown':
      return isUnread(revision) ? 'its record cannot be read' : 'its status is not known';
    case 'uninstalled':
      return 'it was uninstalled';
    case 'deployed':
    case 'superseded':
      if (isUnhealthy(revision)) return `it was judged unhealthy${quote}`;
      return quote === ''
        ? brokenSince(revision, history)
        : `it failed${quote}, although its status is ${revision.status} now`;
  }
}

function brokenSince(revision: Revision, history: readonly Revision[]): string | undefined {
  const judged = judgedBroken(revision, history);
  return judged && brokenWords(revision, judged);
}

export function proofOf(revision: Revision, history: readonly Revision[]): RevisionProof {
  if (whyUnfit(revision, history) !== undefined) return 'unhealthy';
  return isVerified(revision) ? 'verified' : 'unproven';
}

/** `history` is sorted, oldest first. */
export function chooseTarget(history: readonly Revision[], release: string, request: RollbackRequest): TargetChoice {
  const present = history.at(-1);
  if (present === undefined) return refused(finding('ReleaseMissing', `There is no release ${release}.`));
  const lookedUp = lookUp(history, present, release, request.toRevision);
  if ('refusal' in lookedUp) return { ...refused(lookedUp.refusal), present };
  const { target } = lookedUp;
  const passed = history.filter(({ revision }) => revision > target.revision).toReversed();
  return {
    present,
    target,
    passed,
    findings: [
      ...judged(target, history, request),
      ...lostMarks(target, history),
      ...surroundings(present, target, passed),
    ],
  };
}

function refused(refusal: PlanFinding): TargetChoice {
  return { passed: [], findings: [refusal] };
}

type LookUp = { target: Revision } | { refusal: PlanFinding };

function lookUp(history: readonly Revision[], present: Revision, release: string, wanted: ToRevision): LookUp {
  const candidates = sinceUninstall(history).filter((revision) => revision !== present);
  if (wanted === 'verified') return verifiedTarget(candidates, history, release);
  if (wanted === 'previous') {
    const target = candidates.at(-1);
    return target === undefined ? { refusal: nothingBefore(present, release) } : { target };
  }
  return numbered(history, present, release, wanted);
}

function verifiedTarget(candidates: readonly Revision[], history: readonly Revision[], release: string): LookUp {
  const present = history.at(-1);
  const fit = candidates.filter((revision) => whyUnfit(revision, history) === undefined);
  const target = fit.findLast(isVerified) ?? fit.findLast(isReserved) ?? fit.at(-1);
  if (target !== undefined) return { target };
  if (candidates.length === 0 && present !== undefined) return { refusal: nothingBefore(present, release) };
  const unfit = candidates.toReversed().map((revision) => `${revision.revision}: ${whyUnfit(revision, history) ?? ''}`);
  const message =
    `No revision of release ${release} before revision ${present?.revision ?? ''} is a safe target ` +
    `(${shortened(unfit.join('; '))}). If you know that one of them works, set toRevision to its number, with allowUnverifiedTarget.`;
  return { refusal: finding('TargetMissing', message) };
}

function nothingBefore(present: Revision, release: string): PlanFinding {
  const message =
    present.status === 'uninstalled'
      ? `Release ${release} was uninstalled with revision ${present.revision}: deploy it again.`
      : `Revision ${present.revision} of release ${release} is the oldest in Helm's history (since the last uninstall), so there is no earlier revision to roll back to.`;
  return finding('TargetMissing', message);
}

function numbered(history: readonly Revision[], present: Revision, release: string, wanted: number): LookUp {
  const target = history.find(({ revision }) => revision === wanted);
  if (target === undefined) return { refusal: absent(history, present, release, wanted) };
  if (target === present) {
    const message = `Release ${release} is already at revision ${wanted} (${present.status}), so there is nothing to roll back.`;
    return { refusal: finding('RevisionIsPresent', message) };
  }
  if (!sinceUninstall(history).includes(target)) {
    const message = `Release ${release} was uninstalled after revision ${wanted}, so that revision cannot be a target. Deploy its chart again instead.`;
    return { refusal: finding('RevisionUninstalled', message) };
  }
  return { target };
}

function absent(history: readonly Revision[], present: Revision, release: string, wanted: number): PlanFinding {
  const known = numberList(history.map(({ revision }) => revision));
  if (wanted > present.revision || wanted < 1) {
    return finding('RevisionMissing', `Release ${release} has no revision ${wanted}; Helm's history has ${known}.`);
  }
  const message = `Revision ${wanted} of release ${release} is no longer in Helm's history (it was pruned or deleted); the history has ${known}.`;
  return finding('RevisionPruned', message);
}

function judged(
  target: Revision,
  history: readonly Revision[],
  { toRevision, policy }: RollbackRequest,
): PlanFinding[] {
  const number = target.revision;
  const unfit = whyUnfit(target, history);
  if (unfit !== undefined) {
    const isNamed = typeof toRevision === 'number';
    const way = isNamed
      ? 'To roll back to it anyway, set allowUnverifiedTarget.'
      : `To roll back to it anyway, set toRevision to ${number}, with allowUnverifiedTarget.`;
    const message = `Revision ${number} is not a safe target: ${unfit}.`;
    return [finding('RevisionUnhealthy', message, { way, allowed: isNamed && policy.allowUnverifiedTarget })];
  }
  if (isVerified(target)) return [];
  const known = isReserved(target)
    ? 'was deployed with a reservation: all of it was as declared, but pods have not run all of it'
    : 'was deployed, but no mark says that it was ever seen healthy';
  return [finding('UnverifiedTarget', `Revision ${number} ${known}.`)];
}

/** A reader knows of the newer revisions that they were verified once, and asks why none of them is the target. */
function lostMarks(target: Revision, history: readonly Revision[]): PlanFinding[] {
  return history.slice(0, -1).flatMap((revision) => {
    const judged = revision.revision > target.revision ? judgedBroken(revision, history) : undefined;
    if (judged === undefined || isUnhealthy(revision)) return [];
    const message = `Revision ${revision.revision} is not the target, because ${brokenWords(revision, judged)}.`;
    return [finding('VerifiedNoLonger', message, { isMomentary: true })];
  });
}

function surroundings(present: Revision, target: Revision, passed: readonly Revision[]): PlanFinding[] {
  const findings = pendingFinding(present);
  const known = new Set(passed.map(({ revision }) => revision));
  const gaps = numbersBetween(target.revision, present.revision).filter((number) => !known.has(number));
  if (gaps.length > 0) {
    const which = `revision${gaps.length === 1 ? '' : 's'} ${numberList(gaps)}`;
    findings.push(finding('HistoryIncomplete', `Helm's history no longer has ${which}, ${unknownSteps}`));
  }
  const unread = passed.filter(isUnread).map(({ revision }) => revision);
  if (unread.length > 0) {
    const which = `${unread.length === 1 ? 'record of revision' : 'records of revisions'} ${numberList(unread.toReversed())}`;
    findings.push(finding('HistoryIncomplete', `The ${which} cannot be read, ${unknownSteps}`));
  }
  return findings;
}

export function pendingFinding({ lastDeployed, revision, status }: Revision): PlanFinding[] {
  if (!status.startsWith('pending-') && status !== 'uninstalling') return [];
  const since = lastDeployed === '' ? '' : ` since ${lastDeployed.replace(/\.\d+/, '')}`;
  const message = `Revision ${revision} is ${status}${since}: another Helm is still changing the release, or was killed while it did.`;
  return [finding('ReleasePending', message, { isMomentary: true })];
}

const unknownSteps = 'so the plan cannot show the irreversible steps in between.';

/** The storage returns an unreadable record as a revision without facts. */
function isUnread({ status, manifest, chart }: Revision): boolean {
  return status === 'unknown' && manifest === '' && chart.name === '';
}

/** At most 1000, because a record may contain any number. */
function numbersBetween(low: number, high: number): number[] {
  const count = Math.min(Math.max(0, high - low - 1), 1000);
  return Array.from({ length: count }, (_, index) => low + 1 + index);
}

/** For example `1-3, 7`. */
export function numberList(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const range = ranges.at(-1);
    if (range !== undefined && number === range[1] + 1) range[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
}

export function shortened(text: string, most = 300): string {
  return clipped(text.replace(/\s+/g, ' ').trim(), most);
}
