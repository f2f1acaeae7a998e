import facts from './facts.json' with { type: 'json' };
import type { FailureReason } from '../../tasks/common/core/failure';
import type { ObjectMatching } from '../../tasks/common/core/helm/provenance';
import type { RevisionStatus } from '../../tasks/common/core/release/release';

/** What a failed revision had, and neither the last deployed one nor the new one has. */
export interface Leftovers {
  readonly fields: 'stay' | 'go';
  readonly objects: 'stay' | 'go';
}

/** How Helm ends when it is told to (SIGINT): its exit code, and the status of the revision that it was at. */
export interface Interrupted {
  readonly exitCode: number | null;
  readonly status: RevisionStatus;
}

/** What the rules of the tasks rest on, measured with one Helm. */
export interface HelmFacts {
  /** By what Helm takes an object of the last manifest for one of the new manifest (core/helm/provenance). */
  readonly matching: ObjectMatching;
  /** A rollback over a revision that dropped an object which is still there (core/helm/provenance). */
  readonly adoptsObjectsOutsideLastManifest: boolean;
  /** An upgrade after a failed revision (core/release/mergeBase): while an older one is `deployed`, and while none is. */
  readonly afterFailed: Leftovers;
  readonly afterFailedWithoutDeployed: Leftovers;
  /** Labels of a revision's storage object are copied onto the next one's (core/release/history). */
  readonly copiesLabels: boolean;
  readonly interruptedUpgrade: Interrupted;
  readonly interruptedRollback: Interrupted;
  /** When a post-install hook runs while pods are not ready, without and with --wait. */
  readonly postHook: { readonly withoutWait: 'at once' | 'never'; readonly withWait: 'at once' | 'never' };
  /** An object that is there: without a mark of Helm, with those of this release, with --take-ownership. */
  readonly existingObject: {
    readonly foreign: 'refused' | 'adopted';
    readonly annotated: 'refused' | 'adopted';
    readonly takeOwnership: 'refused' | 'adopted';
  };
  /** The names of the fields of a revision's record, of an install and of a rollback. */
  readonly record: readonly string[];
  readonly rollbackRecord: readonly string[];
  readonly applyMethod: string;
  /** The flags of each verb that the task uses, as its help shows them: `timeout duration`, `install`. */
  readonly flags: Readonly<Record<'upgrade' | 'rollback' | 'uninstall', readonly string[]>>;
  /** What is made of Helm's words (core/helm/helmFailure), by what went wrong. */
  readonly failures: Readonly<Record<string, FailureReason>>;
}

/** What was measured, by version; `npm run helm -- VERSION` writes it. */
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

/** The newest version before this one that was measured, of its major where there is one. */
export function newestBefore(version: string, known: readonly string[] = Object.keys(knownFacts)): string | undefined {
  const older = known.filter((each) => compareVersions(each, version) < 0).sort(compareVersions);
  const [major = ''] = version.split('.');
  return older.findLast((each) => each.startsWith(`${major}.`)) ?? older.at(-1);
}

/** Versions of three numbers. */
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
