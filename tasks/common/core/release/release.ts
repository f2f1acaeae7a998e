/** The statuses of pkg/release/common. Any other word becomes `unknown`. */
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
  /** `pre-install`, `post-upgrade` and others. */
  events: readonly string[];
  manifest?: string;
  /** Helm's word for the last run: Unknown, Running, Succeeded, Failed, or empty. */
  lastPhase: string;
  /** RFC 3339, by the clock of the machine that ran Helm. Absent for a hook that has not run. */
  startedAt?: string;
  completedAt?: string;
}

export interface Revision {
  name: string;
  namespace: string;
  revision: number;
  status: RevisionStatus;
  /** By Helm or by this task, without secrets. */
  description: string;
  /** The description in Helm's storage has a secret of the job. */
  describesSecret?: true;
  /** RFC 3339, or empty. */
  lastDeployed: string;
  chart: { name: string; version: string; appVersion: string };
  chartAnnotations?: Readonly<Record<string, string>>;
  /** How Helm 4 wrote the objects: `csa` or `ssa`. Absent in a record of Helm 3, which means `csa`. */
  applyMethod?: string;
  /** The target of a rollback, from Helm 4.3 on. */
  rollbackRevision?: number;
  manifest: string;
  config: Readonly<Record<string, unknown>>;
  notes: string;
  hooks: readonly Hook[];
  /** Labels of the storage object. */
  labels: Readonly<Record<string, string>>;
  /** When the storage object was last written, by the API server's clock, to the second. */
  writtenAt: Date | undefined;
  /** By the same clock, before Helm created any object of the revision. */
  createdAt?: Date | undefined;
}
