import facts from './facts.json' with { type: 'json' };
import type { FailureReason } from '../../tasks/common/core/failure';
import type { ObjectMatching } from '../../tasks/common/core/helm/provenance';
import type { RevisionStatus } from '../../tasks/common/core/release/release';

/** Parts of a failed revision that neither the last deployed revision nor the new one has. */
export interface Leftovers {
  readonly fields: 'stay' | 'go';
  readonly objects: 'stay' | 'go';
}

/** How Helm ends after SIGINT: its exit code, and the status of the revision that it was working on. */
export interface Interrupted {
  readonly exitCode: number | null;
  readonly status: RevisionStatus;
}

/** The facts that the tasks' rules depend on, measured with one Helm. */
export interface HelmFacts {
  /** How Helm matches an object of the last manifest with one of the new manifest (core/helm/provenance). */
  readonly matching: ObjectMatching;
  /** True if Helm can roll back over a revision that dropped an object which still exists (core/helm/provenance). */
  readonly adoptsObjectsOutsideLastManifest: boolean;
  /**
   * The leftovers after an upgrade that follows a failed revision (core/release/mergeBase), with and without an older
   * revision in status `deployed`.
   */
  readonly afterFailed: Leftovers;
  readonly afterFailedWithoutDeployed: Leftovers;
  /** True if the labels of a revision's record are copied to the next record (core/release/history). */
  readonly copiesLabels: boolean;
  readonly interruptedUpgrade: Interrupted;
  readonly interruptedRollback: Interrupted;
  /** When a post-install hook runs while pods are not ready, without and with --wait. */
  readonly postHook: { readonly withoutWait: 'at once' | 'never'; readonly withWait: 'at once' | 'never' };
  /**
   * The result for an object that already exists: without Helm's labels and annotations, with those of this release,
   * with --take-ownership.
   */
  readonly existingObject: {
    readonly foreign: 'refused' | 'adopted';
    readonly annotated: 'refused' | 'adopted';
    readonly takeOwnership: 'refused' | 'adopted';
  };
  /** The names of the fields in a revision's record, after an install and after a rollback. */
  readonly record: readonly string[];
  readonly rollbackRecord: readonly string[];
  readonly applyMethod: string;
  /** The flags of each command that the task uses, as in its help: `timeout duration`, `install`. */
  readonly flags: Readonly<Record<'upgrade' | 'rollback' | 'uninstall', readonly string[]>>;
  /** The reasons that core/helm/helmFailure derives from Helm's messages, keyed by what went wrong. */
  readonly failures: Readonly<Record<string, FailureReason>>;
}

/** The measured facts by version. `npm run helm -- VERSION` writes them. */
export const knownFacts = facts as unknown as Readonly<Record<string, HelmFacts>>;

/** One sentence for each fact in which two Helms differ. A list counts as a set. */
export function factDifferences(known: unknown, found: unknown, at = ''): string[] {
  if (Array.isArray(known) && Array.isArray(found)) {
    const lacks = known.filter((one) => !found.includes(one)).map((one) => `${at}: no ${String(one)} any more`);
    return [...lacks, ...found.filter((one) => !known.includes(one)).map((one) => `${at}: ${String(one)} is new`)];
  }
  if (isFields(known) && isFields(found)) {
    const names = [...new Set([...Object.keys(known), ...Object.keys(found)])].sort();
    return names.flatMap((name) => factDifferences(known[name], found[name], at === '' ? name : `${at}.${name}`));
  }
  return known === found ? [] : [`${at}: ${shown(found)}, was ${shown(known)}`];
}

/** The newest measured version before this one, preferably of the same major version. */
export function newestBefore(version: string, known: readonly string[] = Object.keys(knownFacts)): string | undefined {
  const older = known.filter((each) => compareVersions(each, version) < 0).sort(compareVersions);
  const [major = ''] = version.split('.');
  return older.findLast((each) => each.startsWith(`${major}.`)) ?? older.at(-1);
}

/** Compares versions of three numbers. */
export function compareVersions(one: string, other: string): number {
  const [numbers, others] = [one, other].map((text) => text.split('.').map(Number));
  for (const index of [0, 1, 2]) {
    const difference = (numbers?.[index] ?? 0) - (others?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
