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
  description: string;
  /** RFC 3339 as Helm wrote it; empty when it did not. */
  lastDeployed: string;
  chart: { name: string; version: string; appVersion: string };
  manifest: string;
  config: Readonly<Record<string, unknown>>;
  notes: string;
  hooks: readonly Hook[];
  /** Labels of the storage object, ours among them. */
  labels: Readonly<Record<string, string>>;
}
