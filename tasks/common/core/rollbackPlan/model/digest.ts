import { canonicalJson } from './comparable';
import type { PlannedObject, RevisionFacts, RollbackPlan, Sha256 } from './types';
import type { PlanFinding } from './findings';

type Undigested = Omit<RollbackPlan, 'digest'>;

/**
 * The digest of a plan, `sha256:` and 64 hexadecimal digits: of its content and of the time at which it was made, so
 * that nobody can make an old approval count for it. Computed from the plan alone: whoever holds a plan can check it.
 */
export function planDigest(plan: Undigested, sha256: Sha256): string {
  return `sha256:${sha256(canonicalJson({ createdAt: plan.createdAt, content: planContent(plan) }))}`;
}

/** The digest as earlier versions made it: without the time. */
export function timelessDigest(plan: Undigested, sha256: Sha256): string {
  return `sha256:${sha256(canonicalJson(planContent(plan)))}`;
}

/** Whether both would do the same to the same. When they were made does not count. */
export function isSameContent(one: Undigested, other: Undigested): boolean {
  return canonicalJson(planContent(one)) === canonicalJson(planContent(other));
}

/** Whether both plans would do the same to this object. */
export function isSameObject(one: PlannedObject, other: PlannedObject): boolean {
  return canonicalJson(objectContent(one)) === canonicalJson(objectContent(other));
}

/**
 * All that matters of a plan, and nothing that changes by itself (status, resourceVersion, pods, restarts, times,
 * replicas that an autoscaler owns, the wording).
 */
export function planContent(plan: Undigested): unknown {
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

/** Plans of earlier versions have no such fields: their digests stay what they were. */
function ifAny(name: string, text: string): Record<string, string> {
  return text === '' ? {} : { [name]: text };
}

/** A Job that goes by itself is made, changed or left, as its time will have it. */
export function lastingFate({ fate, mayRunAgain }: PlannedObject): string {
  return mayRunAgain && (fate === 'kept' || fate === 'patched' || fate === 'created') ? 'applied' : fate;
}

function findingContent({ code, severity, object, allowedBy }: PlanFinding): unknown {
  return { code, severity, object, allowedBy };
}

/** The API server and Helm promise no order. */
function sorted(items: readonly unknown[]): string[] {
  return items.map(canonicalJson).sort();
}
