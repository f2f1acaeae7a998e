import { canonicalJson } from './comparable';
import type { PlannedObject, RevisionFacts, RollbackPlan, Sha256 } from './types';
import type { PlanFinding } from './findings';

type Undigested = Omit<RollbackPlan, 'digest'>;

/**
 * The digest of a plan: `sha256:` and 64 hexadecimal digits. It covers the plan's content and the time at which the
 * plan was made, so that an old approval cannot be used for it. The digest is computed from the plan alone, so
 * everybody who has the plan can check it.
 */
export function planDigest(plan: Undigested, sha256: Sha256): string {
  return `sha256:${sha256(canonicalJson({ createdAt: plan.createdAt, content: planContent(plan) }))}`;
}

/** The digest as earlier versions made it, without the time. */
export function timelessDigest(plan: Undigested, sha256: Sha256): string {
  return `sha256:${sha256(canonicalJson(planContent(plan)))}`;
}

/** Returns true if both plans would do the same to the same objects. The times of the plans do not count. */
export function isSameContent(one: Undigested, other: Undigested): boolean {
  return canonicalJson(planContent(one)) === canonicalJson(planContent(other));
}

/** Returns true if both plans would do the same to this object. */
export function isSameObject(one: PlannedObject, other: PlannedObject): boolean {
  return canonicalJson(objectContent(one)) === canonicalJson(objectContent(other));
}

/**
 * Everything in a plan that matters. Left out is what changes on its own (status, resourceVersion, pods, restarts,
 * times, replicas that an autoscaler sets) and the wording.
 */
function planContent(plan: Undigested): unknown {
  return {
    version: 1,
    subject: plan.subject,
    present: plan.present?.revision ?? null,
    target: plan.target === null ? null : targetContent(plan.target, plan.targetRecord),
    helm: plan.helm,
    allowPodDelete: plan.allowPodDelete,
    objects: sorted(plan.objects.map(objectContent)),
    hooks: sorted(
      plan.hooks.map(({ kind, name, event, willRun, contentDigest }) => ({
        kind,
        name,
        event,
        willRun,
        contentDigest,
      })),
    ),
    findings: sorted(plan.findings.filter(({ isMomentary }) => !isMomentary).map(findingContent)),
  };
}

function targetContent({ revision, proof }: RevisionFacts, record: string): unknown {
  return { revision, proof, ...ifAny('record', record) };
}

function objectContent(object: PlannedObject): unknown {
  const { apiVersion, kind, namespace, name, restartsPods, owner, revisions, deletedBy, contentDigest } = object;
  const fate = lastingFate(object);
  const podTemplate = ifAny('podTemplate', object.podTemplateDigest);
  return {
    apiVersion,
    kind,
    namespace,
    name,
    fate,
    restartsPods,
    owner,
    revisions,
    deletedBy,
    contentDigest,
    ...podTemplate,
  };
}

/** Plans of earlier versions do not have these fields, and their digests must not change. */
function ifAny(name: string, text: string): Record<string, string> {
  return text === '' ? {} : { [name]: text };
}

/**
 * A Job that is removed after a while may be created, patched or kept, depending on the time of the rollback. All three
 * count as the same fate.
 */
export function lastingFate({ fate, mayRunAgain }: PlannedObject): string {
  return mayRunAgain && (fate === 'kept' || fate === 'patched' || fate === 'created') ? 'applied' : fate;
}

function findingContent({ code, severity, object, allowedBy }: PlanFinding): unknown {
  return { code, severity, object, allowedBy };
}

/** The API server and Helm guarantee no order. */
function sorted(items: readonly unknown[]): string[] {
  return items.map(canonicalJson).sort();
}
