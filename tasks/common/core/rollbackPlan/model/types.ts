import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import type { HelmProvenance } from '../../helm/provenance';
import type { Rehearsal } from '../../helm/rehearsal';
import type { Revision } from '../../release/release';
import type { RecordRenewal } from '../../release/servedVersions';
import type { Instances } from './definitions';
import type { FindingCode, PlanFinding } from './findings';

/** SHA-256 of a text's UTF-8, in lower case hexadecimal. An argument, because the core is pure. */
export type Sha256 = (text: string) => string;

/**
 * A digest over a text that may hold values of Secrets. A random salt, which lies in the cluster beside the kept plan
 * and nowhere else, keeps whoever reads a plan from guessing them.
 */
export type Seal = (text: string) => string;

export type ToRevision = 'verified' | 'previous' | number;

/** What a pipeline's author lets a rollback do. */
export interface RollbackPolicy {
  /** Refusals by rule that are to be warnings. */
  allow: readonly FindingCode[];
  /** A target named by number may have failed or been judged unhealthy. */
  allowUnverifiedTarget: boolean;
  /** Revisions whose irreversible step may be passed. */
  allowIrreversible: readonly number[];
  allowUnknownHelm: boolean;
  /** Pods that a StatefulSet will never replace by itself may be deleted. */
  allowPodDelete: boolean;
  maxDeletions: number;
}

/** What the inputs say where nobody says anything else. */
export const defaultPolicy: RollbackPolicy = {
  allow: [],
  allowUnverifiedTarget: false,
  allowIrreversible: [],
  allowUnknownHelm: false,
  allowPodDelete: false,
  maxDeletions: 10,
};

/**
 * Of the automatic rollback of a failed deploy: what the failed revision brought may go, however much it is, and no Helm
 * is refused for its make alone, since rehearsal and proof guard it. Its target is chosen by the deploy. What else it
 * must not do: see `automaticRefusals`.
 */
export const automaticPolicy: RollbackPolicy = {
  ...defaultPolicy,
  allow: ['OwnedByAnother', 'PodsHeldBack'],
  allowUnverifiedTarget: true,
  allowUnknownHelm: true,
  maxDeletions: Infinity,
};

/** How an input of a step asks for a rollback. */
export interface RollbackRequest {
  toRevision: ToRevision;
  policy: RollbackPolicy;
}

/** Which kinds the API server serves, by `servedKey`. A kind that was not asked for is not in it. */
export type ServedKinds = ReadonlyMap<string, ServedKind>;

/** `plural` as in the API's path, for example `deployments`. */
export type ServedKind = { isServed: true; namespaced: boolean; plural: string } | { isServed: false };

/** Everything that a plan for a release is made of. */
export interface ReleasePlanInputs extends RollbackRequest {
  release: string;
  namespace: string;
  /** Oldest first. */
  history: readonly Revision[];
  helm: HelmProvenance;
  served: ServedKinds;
  /**
   * By `objectKey`, read in the API version of the target where it declares the object. A Secret may be given as its
   * metadata alone: then it is said that its values were not compared.
   */
  live: ReadonlyMap<string, KubeObject>;
  /** HorizontalPodAutoscalers that are live, of the release or not. */
  autoscalers: readonly KubeObject[];
  /** Pods of the release's StatefulSets. */
  pods: readonly KubeObject[];
  /** PersistentVolumeClaims of the release's namespaces. */
  claims: readonly KubeObject[];
  /** By the name of a CustomResourceDefinition that the target does not have. */
  instances?: ReadonlyMap<string, Instances>;
  /** Absent where there is no target to rehearse, or the rehearsal could not be had. */
  rehearsal?: Rehearsal;
  /** What Helm merges from where that is not the last revision's own manifest, see core/release/mergeBase. */
  baseManifest?: string;
  /** Records that are written before Helm rolls back, see core/release/servedVersions. `history` is as it is then. */
  renewals?: readonly RecordRenewal[];
  /** What the rehearsal has set and nothing explains, by the key of the object; see rollbackPlan/strayFields. */
  strays?: ReadonlyMap<string, string>;
  /** Who deployed a revision, for example `run 20260820.3`, where that is known. */
  deployedBy?: Readonly<Record<number, string>>;
  now: Date;
  sha256: Sha256;
  /** Absent: contents are digested without the values of Secrets, and the target's record is not. */
  seal?: Seal;
}

/** One workload outside any release, or treated so, with what its controller keeps of its past. */
export interface PlainWorkload {
  ref: ObjectRef;
  /** Absent where there is no such object. */
  live?: KubeObject;
  /** The ReplicaSets or ControllerRevisions of its namespace; those of other workloads are left out here. */
  revisions: readonly KubeObject[];
  /** What the API server answers to `undoPatch` as a dry run, or why it refuses it. */
  rehearsed?: { result: KubeObject } | { rejected: string };
}

/** Everything that a plan for plain workloads is made of. */
export interface WorkloadPlanInputs extends RollbackRequest {
  namespace: string;
  workloads: readonly PlainWorkload[];
  pods: readonly KubeObject[];
  now: Date;
  sha256: Sha256;
}

export type PlanSubject =
  | { kind: 'release'; namespace: string; release: string }
  /** Workloads as the input names them: `deployment/web`. */
  | { kind: 'workloads'; namespace: string; workloads: readonly string[] };

export type Risk = 'none' | 'low' | 'high' | 'refused';

/** Whether a revision was seen to serve. `unproven`: it was deployed, and nobody has looked. */
export type RevisionProof = 'verified' | 'unproven' | 'unhealthy';

export interface RevisionFacts {
  revision: number;
  status: string;
  proof: RevisionProof;
  /** `name version`; the ReplicaSet's or ControllerRevision's name for a plain workload. */
  chart: string;
  appVersion: string;
  /** RFC 3339 as it was recorded; empty where it was not. */
  deployedAt: string;
  description: string;
  /** Who deployed it; empty where that is not known. */
  deployedBy: string;
}

export const fates = ['kept', 'patched', 'created', 'deleted', 'orphaned', 'takenOver', 'keptByPolicy'] as const;

/**
 * What becomes of an object. `kept`: the target declares it and it is so already. `orphaned`: it stays alive and no
 * manifest has it any more. `takenOver`: it is another's, or nobody's that Helm knows, and becomes the release's.
 */
export type ObjectFate = (typeof fates)[number];

/** A field that somebody changed since it was deployed, and that the rollback sets again. */
export interface DriftedField {
  /** Dotted, with list indices in brackets. */
  path: string;
  /** As JSON, cut; empty where it is absent or not to be shown. */
  live: string;
  becomes: string;
}

/** A field that the rollback changes. */
export interface FieldChange {
  /** Dotted, with list indices or the names of items in brackets. */
  path: string;
  /** As JSON, cut; empty where it is absent. */
  from: string;
  becomes: string;
}

/** A field that must be as it was when the plan was made. */
export interface FieldValue {
  path: string;
  /** As JSON, cut; empty where it is not to be shown. */
  value: string;
  /** Of the whole value, see `Seal`; short, to tell whether it is another one. */
  valueDigest: string;
}

/** A container that runs another image afterwards. */
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
  /** As in the API's path, for example `deployments`; empty where the API server does not serve the kind. */
  resource: string;
  /** Empty for a cluster-scoped one. */
  namespace: string;
  name: string;
  fate: ObjectFate;
  /** Why, in a sentence; empty where the fate says all. */
  reason: string;
  isLive: boolean;
  isInLast: boolean;
  isInTarget: boolean;
  /** Whether Helm was seen to do this in a rehearsal; else it is what its rules say. */
  isRehearsed: boolean;
  /** Of the live object; empty where there is none. */
  uid: string;
  /** Whose it is, where it is not this release's; else empty. */
  owner: string;
  /** Lines of a unified diff from what is live to what will be, values of Secrets hidden; empty where nothing changes. */
  diff: readonly string[];
  /** Lines of the diff that were left out because it is long. */
  diffCut: number;
  /** Of a Secret: the keys that do not stay as they are. */
  secretKeys: readonly SecretKey[];
  drift: readonly DriftedField[];
  /** Without values of Secrets; at most 100. */
  changes: readonly FieldChange[];
  /** By which a later plan tells what has changed; at most 400. */
  fields: readonly FieldValue[];
  images: readonly ImageChange[];
  /** Of a CustomResourceDefinition that is deleted: the objects of its kind, which go with it. */
  goWithIt: readonly string[];
  restartsPods: boolean;
  /** A Job that is removed some time after it has ended: it runs (again) where that was before the rollback. */
  mayRunAgain: boolean;
  /** Of a plain workload: the revision that its controller has made newest, and the one that it returns to. */
  revisions: { present: number; target: number } | null;
  /** Who deletes it: Helm in its rollback, or the task afterwards, when the target is healthy. */
  deletedBy: '' | 'helm' | 'task';
  /** SHA-256 of what matters of the object before and after; see `Seal`. */
  contentDigest: string;
  /** Of a plain workload: SHA-256 of the pod template that it is to have; empty of everything else. */
  podTemplateDigest: string;
}

export interface PlannedHook {
  /** Empty where its manifest cannot be read. */
  apiVersion: string;
  kind: string;
  resource: string;
  namespace: string;
  name: string;
  event: string;
  /** The revision in whose record it stands. */
  revision: number;
  willRun: boolean;
  /** Why it does not run; empty where it does. */
  reason: string;
  contentDigest: string;
}

/** A rollback, thought through. Plain data without values of Secrets. Schema: docs/plan.schema.json. */
export interface RollbackPlan {
  schemaVersion: 1;
  subject: PlanSubject;
  /** ISO time. */
  createdAt: string;
  /** `sha256:` and 64 hexadecimal digits; see `planDigest`. */
  digest: string;
  risk: Risk;
  toRevision: string;
  /** What serves now; null where nothing is known of it, and for plain workloads, each of which has its own. */
  present: RevisionFacts | null;
  target: RevisionFacts | null;
  /** SHA-256 of the target's record (manifest, hooks, values), see `Seal`; empty where there is no target or no seal. */
  targetRecord: string;
  /** Revisions that the rollback passes, newest first, the present one among them. */
  passed: readonly RevisionFacts[];
  /** Null for plain workloads. */
  helm: { version: string; provenance: HelmProvenance['from']; rehearsal: Rehearsal['outcome'] | 'none' } | null;
  /** Whether pods may be deleted; part of the digest where a StatefulSet's pods restart. */
  allowPodDelete: boolean;
  objects: readonly PlannedObject[];
  hooks: readonly PlannedHook[];
  findings: readonly PlanFinding[];
  /** Pods that will not be replaced unless they are deleted, as of now. */
  trappedPods: readonly string[];
  /** How many objects are deleted. */
  deletions: number;
}
