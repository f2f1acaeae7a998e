/** Helm's states of a revision (pkg/release/common: Status). A word we do not know is kept as `unknown`. */
export const revisionStatuses = [
  'unknown',
  'deployed',
  'uninstalled',
  'superseded',
  'failed',
  'uninstalling',
  'pending-install',
  'pending-upgrade',
  'pending-rollback',
] as const;

export type RevisionStatus = (typeof revisionStatuses)[number];

export interface Hook {
  name: string;
  kind: string;
  /** `pre-install`, `post-upgrade`, ... */
  events: readonly string[];
  manifest?: string;
  /** Helm's word for its last run: Unknown, Running, Succeeded, Failed; empty when it never ran. */
  lastPhase: string;
}

/** One revision of a release as Helm's storage holds it. */
export interface Revision {
  name: string;
  namespace: string;
  revision: number;
  status: RevisionStatus;
  /** Helm's, or ours; without secrets. */
  description: string;
  /** The description in Helm's storage holds a secret of the job. */
  describesSecret?: true;
  /** RFC 3339 as Helm wrote it; empty when it did not. */
  lastDeployed: string;
  chart: { name: string; version: string; appVersion: string };
  /** Of Chart.yaml; absent where it has none. */
  chartAnnotations?: Readonly<Record<string, string>>;
  /** How Helm 4 wrote the objects: `csa` or `ssa`; absent in the record of a Helm 3, which knows client-side apply alone. */
  applyMethod?: string;
  /** The revision that a rollback went back to; absent where this is none, and in the record of a Helm before 4.3. */
  rollbackRevision?: number;
  manifest: string;
  config: Readonly<Record<string, unknown>>;
  notes: string;
  hooks: readonly Hook[];
  /** Labels of the storage object, ours among them. */
  labels: Readonly<Record<string, string>>;
  /** When the storage object was last written, by the API server's clock, to the second; undefined where it does not say. */
  writtenAt: Date | undefined;
  /** When the storage object was created, by the same clock: before Helm created any object of the revision. */
  createdAt?: Date | undefined;
}
