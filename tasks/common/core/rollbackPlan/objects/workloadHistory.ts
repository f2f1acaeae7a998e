import { isRecord } from '../../kubernetes/json';
import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { apiGroup, objectName } from '../../kubernetes/manifest';
import { at } from '../../kubernetes/read';
import { isSame } from '../../kubernetes/sameValue';
import { finding, type PlanFinding } from '../model/findings';
import { numberList } from '../model/target';
import type { PlainWorkload, RollbackRequest, ToRevision } from '../model/types';

/** A pod template as the controller keeps it. */
export interface PastTemplate {
  revision: number;
  /** The name of the ReplicaSet or ControllerRevision. */
  name: string;
  createdAt: string;
  changeCause: string;
  template: Readonly<Record<string, unknown>>;
  /** What a run has noted about pods of this template; see `templateMarks`. */
  judged: 'ready' | 'broken' | 'unknown';
  /** The cause, for `broken`. */
  cause: string;
  /** A ReplicaSet keeps the Deployment's annotations of that time. */
  annotations: Readonly<Record<string, string>>;
}

const revisionAnnotation = 'deployment.kubernetes.io/revision';
const changeCause = 'kubernetes.io/change-cause';

/**
 * The marks of a ReplicaSet or ControllerRevision whose pods a run has seen ready, or broken by a cause of their own. The
 * value begins with the uid of the object, because `kubectl rollout undo` copies annotations.
 */
const verifiedTemplate = 'helm-safe-deploy/verified';
const brokenTemplate = 'helm-safe-deploy/broken';

/** The annotations for an object with this uid; null removes one. `cause`: empty if the pods are ready. */
export function templateMarks(uid: string, cause: string): Readonly<Record<string, string | null>> {
  return cause === '' ? { [verifiedTemplate]: uid, [brokenTemplate]: null } : { [brokenTemplate]: `${uid}_${cause}` };
}

function judgedBy({ uid = '', annotations = {} }: KubeObject['metadata']): Pick<PastTemplate, 'judged' | 'cause'> {
  const [of = '', cause = ''] = annotations[brokenTemplate]?.split('_') ?? [];
  if (of === uid && cause !== '') return { judged: 'broken', cause };
  return { judged: uid !== '' && annotations[verifiedTemplate] === uid ? 'ready' : 'unknown', cause: '' };
}

/** The oldest template comes first, and the present one last. */
export function pastTemplates({ live, revisions }: PlainWorkload): PastTemplate[] {
  if (live === undefined) return [];
  const own = revisions.filter(({ metadata }) =>
    metadata.ownerReferences?.some(({ uid, controller }) => controller === true && uid === live.metadata.uid),
  );
  return own.flatMap((one) => pastTemplate(one) ?? []).sort((one, other) => one.revision - other.revision);
}

function pastTemplate(kept: KubeObject): PastTemplate | undefined {
  const annotations = kept.metadata.annotations ?? {};
  const isReplicaSet = kept.kind === 'ReplicaSet';
  const revision = isReplicaSet ? Number(annotations[revisionAnnotation]) : kept['revision'];
  const template = isReplicaSet ? at(kept, 'spec', 'template') : at(kept, 'data', 'spec', 'template');
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || !isRecord(template)) return undefined;
  return {
    revision,
    name: kept.metadata.name,
    createdAt: kept.metadata.creationTimestamp ?? '',
    changeCause: annotations[changeCause] ?? '',
    ...judgedBy(kept.metadata),
    template: isReplicaSet ? withoutHash(template) : withoutDirective(template),
    annotations: isReplicaSet ? annotations : {},
  };
}

/** The Deployment controller adds a label to the templates of its ReplicaSets. */
function withoutHash(template: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const metadata = template['metadata'];
  if (!isRecord(metadata) || !isRecord(metadata['labels'])) return template;
  const { 'pod-template-hash': _, ...labels } = metadata['labels'];
  return { ...template, metadata: { ...metadata, labels } };
}

function withoutDirective(template: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { $patch: _, ...rest } = template;
  return rest;
}

export type UndoChoice =
  { past: PastTemplate; present: PastTemplate; patch: Readonly<Record<string, unknown>> } | { refusal: PlanFinding };

const kinds = ['Deployment', 'StatefulSet', 'DaemonSet'];

/**
 * Chooses the same target as `kubectl rollout undo`, unless the newest revision is wanted that a run has seen ready.
 */
export function undoOf(workload: PlainWorkload, { toRevision, policy }: RollbackRequest): UndoChoice {
  const { ref, live } = workload;
  const name = objectName(ref);
  const refuse = (code: PlanFinding['code'], message: string): UndoChoice => ({
    refusal: finding(code, message, { object: name }),
  });
  if (apiGroup(ref.apiVersion) !== 'apps' || !kinds.includes(ref.kind)) {
    return refuse(
      'KindUnsupported',
      `${name} cannot be rolled back: only Deployments, StatefulSets and DaemonSets keep earlier revisions.`,
    );
  }
  if (live === undefined)
    return refuse('WorkloadMissing', `${name} does not exist in namespace ${ref.namespace ?? ''}.`);
  if (at(live, 'spec', 'paused') === true && !policy.allow.includes('WorkloadPaused')) {
    return refuse(
      'WorkloadPaused',
      `${name} is paused, so its pods would not change. Resume it first (kubectl rollout resume).`,
    );
  }
  const templates = pastTemplates(workload);
  const present = templates.at(-1);
  if (present === undefined) return refuse('TargetMissing', `The cluster keeps no revision of ${name}.`);
  const past = wanted(templates, toRevision);
  if (past === undefined) return absent(name, templates, toRevision, refuse);
  if (past === present) {
    return refuse(
      'RevisionIsPresent',
      `${name} is already at revision ${past.revision}, so there is nothing to roll back.`,
    );
  }
  return { past, present, patch: undoPatch(ref, live, past) };
}

function wanted(templates: readonly PastTemplate[], toRevision: ToRevision): PastTemplate | undefined {
  if (typeof toRevision === 'number') return templates.find(({ revision }) => revision === toRevision);
  const earlier = templates.slice(0, -1);
  if (toRevision === 'previous') return earlier.at(-1);
  return (
    earlier.findLast(({ judged }) => judged === 'ready') ??
    earlier.findLast(({ judged }) => judged === 'unknown') ??
    earlier.at(-1)
  );
}

function absent(
  name: string,
  templates: readonly PastTemplate[],
  toRevision: ToRevision,
  refuse: (code: PlanFinding['code'], message: string) => UndoChoice,
): UndoChoice {
  const known = numberList(templates.map(({ revision }) => revision));
  if (typeof toRevision !== 'number') {
    return refuse('TargetMissing', `${name} has no earlier revision; its controller keeps ${known}.`);
  }
  const isOld = toRevision >= 1 && toRevision < (templates.at(-1)?.revision ?? 0);
  const message = `${name} has no revision ${toRevision}${isOld ? ' any more' : ''}; its controller keeps ${known}.`;
  return refuse(isOld ? 'RevisionPruned' : 'RevisionMissing', message);
}

/** They describe the present state of a Deployment and not a revision (kubectl, rollback.go). */
const ownAnnotations = [
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  'deployment.kubernetes.io/revision-history',
  'deployment.kubernetes.io/desired-replicas',
  'deployment.kubernetes.io/max-replicas',
  'deprecated.deployment.rollback.to',
  verifiedTemplate,
  brokenTemplate,
];

/** For a Deployment, also restores the annotations of that time. */
function undoPatch(ref: ObjectRef, live: KubeObject, past: PastTemplate): Readonly<Record<string, unknown>> {
  const template = mergePatch(at(live, 'spec', 'template'), past.template);
  const annotations = ref.kind === 'Deployment' ? annotationPatch(live, past) : {};
  return {
    metadata: {
      // With the uid, the API server refuses the patch if the object was created again.
      uid: live.metadata.uid,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    spec: { template, ...(at(live, 'spec', 'paused') === true ? { paused: null } : {}) },
  };
}

function annotationPatch(live: KubeObject, past: PastTemplate): Record<string, unknown> {
  const counts = ([name]: [string, unknown]): boolean => !ownAnnotations.includes(name);
  const present = Object.fromEntries(Object.entries(live.metadata.annotations ?? {}).filter(counts));
  const then = Object.fromEntries(Object.entries(past.annotations).filter(counts));
  return mergePatch(present, then) as Record<string, unknown>;
}

/** Makes a JSON merge patch (RFC 7386). */
function mergePatch(from: unknown, to: unknown): unknown {
  if (!isRecord(from) || !isRecord(to)) return to;
  const names = new Set([...Object.keys(from), ...Object.keys(to)]);
  return Object.fromEntries(
    [...names].flatMap((name): [string, unknown][] => {
      if (!Object.hasOwn(to, name)) return [[name, null]];
      return isSame(from[name], to[name])
        ? []
        : [[name, Object.hasOwn(from, name) ? mergePatch(from[name], to[name]) : to[name]]];
    }),
  );
}
