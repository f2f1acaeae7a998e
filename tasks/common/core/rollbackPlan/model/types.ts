import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import type { HelmProvenance } from '../../helm/provenance';
import type { Rehearsal } from '../../helm/rehearsal';
import type { Revision } from '../../release/release';
import type { RecordRenewal } from '../../release/servedVersions';
import type { Instances } from './definitions';
import type { FindingCode, PlanFinding } from './findings';

/**
 * Computes the SHA-256 of a text in UTF-8, in lower-case hexadecimal. Callers pass this function in, because the core
 * is pure.
 */
export type Sha256 = (text: string) => string;

/**
 * Digests a text that may hold values of Secrets. The random salt prevents readers of a plan from guessing the values.
 * The salt is stored only in the cluster, beside the kept plan.
 */
export type Seal = (text: string) => string;

export type ToRevision = 'verified' | 'previous' | number;

/** The limits that the inputs set for a rollback. */
export interface RollbackPolicy {
  /** The codes of refusals that become warnings. */
  allow: readonly FindingCode[];
  /** Allows a target, named by number, that failed or was judged unhealthy. */
  allowUnverifiedTarget: boolean;
  /** The revisions with an irreversible step that the rollback may pass. */
  allowIrreversible: readonly number[];
  allowUnknownHelm: boolean;
  /** Allows the deletion of pods that a StatefulSet will never replace on its own. */
  allowPodDelete: boolean;
  maxDeletions: number;
}

/** The policy of inputs that are left at their defaults. */
export const defaultPolicy: RollbackPolicy = {
  allow: [],
  allowUnverifiedTarget: false,
  allowIrreversible: [],
  allowUnknownHelm: false,
  allowPodDelete: false,
  maxDeletions: 10,
};

/**
 * The policy of the automatic rollback of a failed deploy. It allows deleting all objects that the failed revision
 * brought, and any Helm binary, because rehearsal and proof check the result. The deploy chooses the target.
 * `automaticRefusals` lists what is still forbidden.
 */
export const automaticPolicy: RollbackPolicy = {
  ...defaultPolicy,
  allow: ['OwnedByAnother', 'PodsHeldBack'],
  allowUnverifiedTarget: true,
  allowUnknownHelm: true,
  maxDeletions: Infinity,
};

/** The part of a step's inputs that requests a rollback. */
export interface RollbackRequest {
  toRevision: ToRevision;
  policy: RollbackPolicy;
}

/** The kinds that the API server serves, by `servedKey`. It contains only kinds that were looked up. */
export type ServedKinds = ReadonlyMap<string, ServedKind>;

/** `plural` is written as in the API's path, for example `deployments`. */
export type ServedKind = { isServed: true; namespaced: boolean; plural: string } | { isServed: false };

/** The inputs of a plan for a release. */
export interface ReleasePlanInputs extends RollbackRequest {
  release: string;
  namespace: string;
  /** Oldest first. */
  history: readonly Revision[];
  helm: HelmProvenance;
  served: ServedKinds;
  /**
   * By `objectKey`, read in the API version of the target if it declares the object. A Secret may be given as metadata
   * only; the plan then says that its values were not compared.
   */
  live: ReadonlyMap<string, KubeObject>;
  /** All live HorizontalPodAutoscalers, of the release or not. */
  autoscalers: readonly KubeObject[];
  /** Pods of the release's StatefulSets. */
  pods: readonly KubeObject[];
  /** PersistentVolumeClaims of the release's namespaces. */
  claims: readonly KubeObject[];
  /** By the name of a CustomResourceDefinition that the target does not contain. */
  instances?: ReadonlyMap<string, Instances>;
  /** Absent if there is no target to rehearse, or if no rehearsal was possible. */
  rehearsal?: Rehearsal;
  /** The manifest from which Helm merges, if it is not that of the last revision; see core/release/mergeBase. */
  baseManifest?: string;
  /**
   * Records that are rewritten before the rollback, see core/release/servedVersions. `history` already contains the new
   * records.
   */
  renewals?: readonly RecordRenewal[];
  /** Fields that the rehearsal has set without explanation, by the key of the object; see rollbackPlan/strayFields. */
  strays?: ReadonlyMap<string, string>;
  /** The run that deployed a revision, for example `run 20260820.3`, if it is known. */
  deployedBy?: Readonly<Record<number, string>>;
  now: Date;
  sha256: Sha256;
  /** Absent: the values of Secrets are not digested, and neither is the target's record. */
  seal?: Seal;
}

/** One workload outside of any release, or treated as such, with the history that its controller keeps. */
export interface PlainWorkload {
  ref: ObjectRef;
  /** Absent if there is no such object. */
  live?: KubeObject;
  /** All ReplicaSets or ControllerRevisions of the namespace; the planner ignores those of other workloads. */
  revisions: readonly KubeObject[];
  /** The API server's answer to a dry run of `undoPatch`, or the reason why it refuses the patch. */
  rehearsed?: { result: KubeObject } | { rejected: string };
}

/** The inputs of a plan for plain workloads. */
export interface WorkloadPlanInputs extends RollbackRequest {
  namespace: string;
  workloads: readonly PlainWorkload[];
  pods: readonly KubeObject[];
  now: Date;
  sha256: Sha256;
}

type PlanSubject =
  | { kind: 'release'; namespace: string; release: string }
  /** Workloads as the input names them: `deployment/web`. */
  | { kind: 'workloads'; namespace: string; workloads: readonly string[] };

export type Risk = 'none' | 'low' | 'high' | 'refused';

/** Says if a revision was seen healthy. `unproven`: it was deployed, but no task has checked it. */
export type RevisionProof = 'verified' | 'unproven' | 'unhealthy';

export interface RevisionFacts {
  revision: number;
  status: string;
  proof: RevisionProof;
  /** `name version`; for a plain workload, the name of its ReplicaSet or ControllerRevision. */
  chart: string;
  appVersion: string;
  /** RFC 3339 as recorded; empty if it was not recorded. */
  deployedAt: string;
  description: string;
  /** The run that deployed the revision; empty if it is not known. */
  deployedBy: string;
}

export const fates = ['kept', 'patched', 'created', 'deleted', 'orphaned', 'takenOver', 'keptByPolicy'] as const;

/**
 * The fate of an object. `kept`: the object already is as the target declares it. `orphaned`: it stays alive, but no
 * manifest declares it any more. `takenOver`: the object becomes part of the release; it belonged to another owner or
 * to none that Helm knows.
 */
export type ObjectFate = (typeof fates)[number];

/** How the log and the differences of two plans name each fate. */
export const fateWords: Readonly<Record<ObjectFate, string>> = {
  kept: 'kept',
  patched: 'patched',
  created: 'created',
  deleted: 'deleted',
  orphaned: 'left without a manifest',
  takenOver: 'taken over',
  keptByPolicy: 'kept by its policy',
};

/** A field that was changed after the deploy and that the rollback sets back. */
export interface DriftedField {
  /** Dotted, with list indices in brackets. */
  path: string;
  /** As JSON, cut; empty if the field is absent or must not be shown. */
  live: string;
  becomes: string;
}

/** A field that the rollback changes. */
export interface FieldChange {
  /** Dotted, with list indices or names of items in brackets. */
  path: string;
  /** As JSON, cut; empty if the field is absent. */
  from: string;
  becomes: string;
}

/** A field whose value must not change between the plan and its execution. */
export interface FieldValue {
  path: string;
  /** As JSON, cut; empty if the value must not be shown. */
  value: string;
  /** A digest of the whole value, see `Seal`. It is short, because it only has to detect a change. */
  valueDigest: string;
}

/** A container whose image the rollback changes. */
export interface ImageChange {
  container: string;
  from: string;
  becomes: string;
}

export interface SecretKey {
  name: string;
  change: 'changed' | 'added' | 'removed' | 'unchanged' | 'notCompared';
}

export interface PlannedObject {
  apiVersion: string;
  kind: string;
  /** The plural as in the API's path, for example `deployments`; empty if the API server does not serve the kind. */
  resource: string;
  /** Empty for a cluster-scoped object. */
  namespace: string;
  name: string;
  fate: ObjectFate;
  /** The reason for the fate, in a sentence; empty if the fate needs no explanation. */
  reason: string;
  isLive: boolean;
  isInLast: boolean;
  isInTarget: boolean;
  /** True if a rehearsal showed this fate; false if it follows from Helm's rules. */
  isRehearsed: boolean;
  /** The uid of the live object; empty if there is none. */
  uid: string;
  /** The owner of the object, if it is not this release; otherwise empty. */
  owner: string;
  /**
   * Lines of a unified diff from the live object to the result, with the values of Secrets hidden; empty if nothing
   * changes.
   */
  diff: readonly string[];
  /** The number of diff lines that were left out because the diff is too long. */
  diffCut: number;
  /** For a Secret: the keys that change. */
  secretKeys: readonly SecretKey[];
  drift: readonly DriftedField[];
  /** Without values of Secrets; at most 100. */
  changes: readonly FieldChange[];
  /** A later plan compares these fields to find changes; at most 400. */
  fields: readonly FieldValue[];
  images: readonly ImageChange[];
  /** For a CustomResourceDefinition that is deleted: the custom resources that are deleted with it. */
  goWithIt: readonly string[];
  restartsPods: boolean;
  /**
   * True for a Job that is removed some time after it has ended. If it was removed before the rollback, it runs again.
   */
  mayRunAgain: boolean;
  /** For a plain workload: the newest revision of its controller, and the target revision. */
  revisions: { present: number; target: number } | null;
  /** Deleted by Helm during its rollback, or by the task after the target is healthy. */
  deletedBy: '' | 'helm' | 'task';
  /** SHA-256 of the parts of the object that matter, before and after; see `Seal`. */
  contentDigest: string;
  /** For a plain workload: SHA-256 of the target's pod template; otherwise empty. */
  podTemplateDigest: string;
}

export interface PlannedHook {
  /** Empty if the manifest of the hook cannot be read. */
  apiVersion: string;
  kind: string;
  resource: string;
  namespace: string;
  name: string;
  event: string;
  /** The revision whose record contains the hook. */
  revision: number;
  willRun: boolean;
  /** The reason why the hook does not run; empty if it runs. */
  reason: string;
  contentDigest: string;
}

/** A planned rollback. Plain data without values of Secrets. Schema: docs/plan.schema.json. */
export interface RollbackPlan {
  schemaVersion: 1;
  subject: PlanSubject;
  /** ISO time. */
  createdAt: string;
  /** `sha256:` and 64 hexadecimal digits; see `planDigest`. */
  digest: string;
  risk: Risk;
  toRevision: string;
  /** The revision that serves now. Null if it is not known, and for plain workloads, which have a revision each. */
  present: RevisionFacts | null;
  target: RevisionFacts | null;
  /** SHA-256 of the target's record (manifest, hooks, values), see `Seal`; empty without a target or without a seal. */
  targetRecord: string;
  /** Revisions that the rollback passes, newest first, including the present one. */
  passed: readonly RevisionFacts[];
  /** Null for plain workloads. */
  helm: { version: string; provenance: HelmProvenance['from']; rehearsal: Rehearsal['outcome'] | 'none' } | null;
  /** True if pods may be deleted. Part of the digest if the pods of a StatefulSet restart. */
  allowPodDelete: boolean;
  objects: readonly PlannedObject[];
  hooks: readonly PlannedHook[];
  findings: readonly PlanFinding[];
  /** Pods that are only replaced if they are deleted, as of now. */
  trappedPods: readonly string[];
  /** The number of deleted objects. */
  deletions: number;
}
