/** The statuses that Helm gives a revision (pkg/release/common: Status). Any other word becomes `unknown`. */
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
  /** Helm's word for the last run of the hook: Unknown, Running, Succeeded, Failed. Empty if the hook never ran. */
  lastPhase: string;
}

/** One revision of a release, from Helm's storage. */
export interface Revision {
  name: string;
  namespace: string;
  revision: number;
  status: RevisionStatus;
  /** The description by Helm or by this task, without secrets. */
  description: string;
  /** True if the description in Helm's storage has a secret of the job. */
  describesSecret?: true;
  /** RFC 3339, as Helm wrote it. Empty if Helm wrote none. */
  lastDeployed: string;
  chart: { name: string; version: string; appVersion: string };
  /** From Chart.yaml. Absent if it has none. */
  chartAnnotations?: Readonly<Record<string, string>>;
  /** How Helm 4 wrote the objects: `csa` or `ssa`. Absent in a record of Helm 3, which only has client-side apply. */
  applyMethod?: string;
  /** The target of a rollback. Absent if the revision is no rollback, and in the record of a Helm before 4.3. */
  rollbackRevision?: number;
  manifest: string;
  config: Readonly<Record<string, unknown>>;
  notes: string;
  hooks: readonly Hook[];
  /** Labels of the storage object, with the labels of this task. */
  labels: Readonly<Record<string, string>>;
  /**
   * When the storage object was last written, by the API server's clock, to the second. Undefined if the object has no
   * time.
   */
  writtenAt: Date | undefined;
  /**
   * When the storage object was created, by the same clock. This was before Helm created any object of the revision.
   */
  createdAt?: Date | undefined;
}
