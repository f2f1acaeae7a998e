import type { DeclaredKind } from '../../helm/chartCrds';
import type { Path } from '../../kubernetes/fieldPath';
import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import type { HelmProvenance } from '../../helm/provenance';
import type { Rehearsal } from '../../helm/rehearsal';
import type { KeptField } from '../../release/keptFields';
import type { Revision } from '../../release/release';
import type { RecordRenewal } from '../../release/servedVersions';
import type { Instances } from './definitions';
import { allowableCodes, type FindingCode, type PlanFinding } from './findings';

/** SHA-256 of a text in UTF-8, in lower-case hexadecimal. */
export type Sha256 = (text: string) => string;

/** A salted digest of a text that may hold values of Secrets. The salt is stored only beside the kept plan. */
export type Seal = (text: string) => string;

export type ToRevision = 'verified' | 'previous' | number;

export interface RollbackPolicy {
  allow: readonly FindingCode[];
  allowUnverifiedTarget: boolean;
  allowIrreversible: readonly number[];
  allowUnknownHelm: boolean;
  /** Allows the deletion of pods that a StatefulSet will never replace. */
  allowPodDelete: boolean;
  maxDeletions: number;
}

export const defaultPolicy: RollbackPolicy = {
  allow: [],
  allowUnverifiedTarget: false,
  allowIrreversible: [],
  allowUnknownHelm: false,
  allowPodDelete: false,
  maxDeletions: 10,
};

/** The automatic rollback trusts rehearsal and proof. `automaticRefusals` lists what it still must not do. */
export const automaticPolicy: RollbackPolicy = {
  ...defaultPolicy,
  allow: ['OwnedByAnother', 'PodsHeldBack'],
  allowUnverifiedTarget: true,
  allowUnknownHelm: true,
  maxDeletions: Infinity,
};

/** A deploy refuses what Helm would refuse. Its plan shows the rest, and a person decides. */
export const deployPolicy: RollbackPolicy = {
  allow: allowableCodes,
  allowUnverifiedTarget: true,
  allowIrreversible: [],
  allowUnknownHelm: true,
  allowPodDelete: false,
  maxDeletions: Infinity,
};

export interface RollbackRequest {
  toRevision: ToRevision;
  policy: RollbackPolicy;
}

/** The change that a plan describes. */
export type PlannedChange = 'rollback' | 'deploy';

/** Facts that only the plan of a deploy has. */
export interface DeployFacts {
  /** The hooks of these events run. */
  hookEvents: readonly string[];
  /** Chart, values, manifest and hooks are those of the deployed revision, which was seen healthy. */
  isSame: boolean;
  /** The kinds of the crds/ folder of the chart, which Helm installs first. */
  definitions: readonly DeclaredKind[];
  /** Why nothing of the deploy can be foreseen, as a clause; empty if it was rehearsed. */
  unforeseen: string;
  /** The fate of the objects with data that the chart drops, by `objectKey`: why one stays, or '' if the task deletes it. */
  dropped: ReadonlyMap<string, string>;
  /** The differences of another rendering of the same chart: the fields by `objectKey`, and by the place of a hook. */
  generated: Generated;
  /** The ResourceQuotas of the namespaces. */
  quotas: readonly KubeObject[];
  /** Live objects that Helm did not get to, with fields that cannot be changed. */
  fixed: readonly RefusedObject[];
}

export interface RefusedObject {
  /** `Kind/name` */
  object: string;
  /** The answer of the API server. */
  message: string;
}

export interface Generated {
  objects: ReadonlyMap<string, readonly Path[]>;
  hooks: ReadonlyMap<string, readonly Path[]>;
}

/** By `servedKey`; only kinds that were looked up. */
export type ServedKinds = ReadonlyMap<string, ServedKind>;

export type ServedKind = { isServed: true; namespaced: boolean; plural: string } | { isServed: false };

export interface ReleasePlanInputs extends RollbackRequest {
  change: PlannedChange;
  /** Only for a deploy. */
  deploy?: DeployFacts;
  release: string;
  namespace: string;
  /** The oldest revision comes first. */
  history: readonly Revision[];
  helm: HelmProvenance;
  served: ServedKinds;
  /** By `objectKey`, in the target's API version. A Secret that is metadata only is reported as not compared. */
  live: ReadonlyMap<string, KubeObject>;
  /** All live HorizontalPodAutoscalers, of the release or not. */
  autoscalers: readonly KubeObject[];
  pods: readonly KubeObject[];
  claims: readonly KubeObject[];
  /** By the name of a definition that the target does not contain. */
  instances?: ReadonlyMap<string, Instances>;
  rehearsal?: Rehearsal;
  /** The manifest from which Helm merges, if it is not that of the last revision. */
  baseManifest?: string;
  /** The records that are rewritten before the rollback; `history` already contains the new ones. */
  renewals?: readonly RecordRenewal[];
  /** Fields that Helm must leave alone. */
  kept?: readonly KeptField[];
  /** A clause by the key of the object, see `strayFields`. */
  strays?: ReadonlyMap<string, string>;
  /** For example `run 20260820.3`, by revision. */
  deployedBy?: Readonly<Record<number, string>>;
  now: Date;
  sha256: Sha256;
  /** Without it, values of Secrets and the target's record are not digested. */
  seal?: Seal;
}

/** A workload that is rolled back without Helm, with the history that its controller keeps. */
export interface PlainWorkload {
  ref: ObjectRef;
  live?: KubeObject;
  /** All ReplicaSets or ControllerRevisions of the namespace. */
  revisions: readonly KubeObject[];
  /** The API server's answer to a dry run of the undo patch. */
  rehearsed?: { result: KubeObject } | { rejected: string };
}

export interface WorkloadPlanInputs extends RollbackRequest {
  namespace: string;
  workloads: readonly PlainWorkload[];
  pods: readonly KubeObject[];
  now: Date;
  sha256: Sha256;
}

type PlanSubject =
  | { kind: 'release'; namespace: string; release: string }
  /** For example `deployment/web`. */
  | { kind: 'workloads'; namespace: string; workloads: readonly string[] };

export type Risk = 'none' | 'low' | 'high' | 'refused';

/** `unproven`: it was deployed, but no task has seen it healthy. */
export type RevisionProof = 'verified' | 'unproven' | 'unhealthy';

export interface RevisionFacts {
  revision: number;
  status: string;
  proof: RevisionProof;
  /** `name version`; for a plain workload, the name of its ReplicaSet or ControllerRevision. */
  chart: string;
  appVersion: string;
  /** RFC 3339; empty if it was not recorded. */
  deployedAt: string;
  description: string;
  /** For example `run 20260820.3`; empty if it is not known. */
  deployedBy: string;
}

/** In the order in which pages show them. */
export const fates = ['deleted', 'takenOver', 'created', 'patched', 'orphaned', 'keptByPolicy', 'kept'] as const;

/** `orphaned`: no manifest declares it any more. `takenOver`: it did not belong to this release before. */
export type ObjectFate = (typeof fates)[number];

export const fateWords: Readonly<Record<ObjectFate, string>> = {
  kept: 'kept',
  patched: 'patched',
  created: 'created',
  deleted: 'deleted',
  orphaned: 'left without a manifest',
  takenOver: 'taken over',
  keptByPolicy: 'kept by its policy',
};

/** A field that was changed after the deploy and that the rollback sets again. */
export interface PlannedDrift {
  path: string;
  /** The JSON is cut, and empty if the field is absent or must not be shown. */
  live: string;
  becomes: string;
}

export interface FieldChange {
  path: string;
  /** The JSON is cut, and empty if the field is absent. */
  from: string;
  becomes: string;
}

/** A field whose value must not change until the plan is executed. */
export interface FieldValue {
  path: string;
  /** As JSON, cut; empty if the value must not be shown. */
  value: string;
  /** The digest of the whole value is short, because it only has to detect a change. */
  valueDigest: string;
}

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
  /** The plural as in the API's path; empty if the kind is not served. */
  resource: string;
  /** Empty for a cluster-scoped object. */
  namespace: string;
  name: string;
  fate: ObjectFate;
  /** A sentence; empty if the fate needs no explanation. */
  reason: string;
  isLive: boolean;
  isInLast: boolean;
  isInTarget: boolean;
  /** False if the fate only follows from Helm's rules. */
  isRehearsed: boolean;
  /** Empty if there is no live object. */
  uid: string;
  /** Empty if the object belongs to this release. */
  owner: string;
  /** A unified diff from the live object to the result, with the values of Secrets hidden. */
  diff: readonly string[];
  /** The number of lines that are left out. */
  diffCut: number;
  secretKeys: readonly SecretKey[];
  drift: readonly PlannedDrift[];
  /** The list has at most 100 changes, without values of Secrets. */
  changes: readonly FieldChange[];
  /** The list has at most 400 fields. */
  fields: readonly FieldValue[];
  images: readonly ImageChange[];
  /** The custom resources that are deleted with their definition. */
  goWithIt: readonly string[];
  /** The fields that are other ones at each deploy. The digest does not cover their values. */
  generated: readonly string[];
  restartsPods: boolean;
  /** True for a Job with a time to live: if it was removed before the rollback, it runs again. */
  mayRunAgain: boolean;
  /** Null unless the object is a plain workload. */
  revisions: { present: number; target: number } | null;
  /** The task deletes the object after the target is healthy. */
  deletedBy: '' | 'helm' | 'task';
  contentDigest: string;
  /** Empty unless the object is a plain workload. */
  podTemplateDigest: string;
}

export interface PlannedHook {
  /** Empty if the manifest cannot be read. */
  apiVersion: string;
  kind: string;
  resource: string;
  namespace: string;
  name: string;
  event: string;
  revision: number;
  willRun: boolean;
  /** Empty if the hook runs. */
  reason: string;
  /** The fields that are other ones at each deploy. */
  generated: readonly string[];
  contentDigest: string;
}

/** Holds no values of Secrets. Schema: docs/plan.schema.json. */
export interface ChangePlan {
  schemaVersion: 1;
  change: PlannedChange;
  subject: PlanSubject;
  createdAt: string;
  digest: string;
  risk: Risk;
  toRevision: string;
  /** Null if it is not known, for plain workloads, and before a first install. */
  present: RevisionFacts | null;
  /** For a deploy, the revision that Helm would make. */
  target: RevisionFacts | null;
  /** A `Seal` of the target's record, for a deploy of its chart and values; empty without a target or a seal. */
  targetRecord: string;
  /** The newest revision comes first; the present one is included. */
  passed: readonly RevisionFacts[];
  /** Null for plain workloads. */
  helm: { version: string; provenance: HelmProvenance['from']; rehearsal: Rehearsal['outcome'] | 'none' } | null;
  /** Part of the digest if the pods of a StatefulSet restart. */
  allowPodDelete: boolean;
  objects: readonly PlannedObject[];
  hooks: readonly PlannedHook[];
  findings: readonly PlanFinding[];
  trappedPods: readonly string[];
  deletions: number;
}
