import { canonicalJson } from './comparable';
import type { PlanFinding, PlannedObject, RollbackPlan, Sha256 } from './types';

/**
 * The digest of a plan, `sha256:` and 64 hexadecimal digits: of all that matters, and of nothing that changes by itself
 * (status, resourceVersion, pods, restarts, times, replicas that an autoscaler owns, the wording). Computed from the
 * plan alone, so whoever holds a plan can check that it is the one of its digest.
 */
export function planDigest(plan: Omit<RollbackPlan, 'digest'>, sha256: Sha256): string {
  return `sha256:${sha256(canonicalJson(digestContent(plan)))}`;
}

/** The same digest means that nothing of this differs. */
export function digestContent(plan: Omit<RollbackPlan, 'digest'>): unknown {
  return {
    version: 1,
    subject: plan.subject,
    present: plan.present?.revision ?? null,
    target: plan.target === null ? null : { revision: plan.target.revision, proof: plan.target.proof },
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

function objectContent(object: PlannedObject): unknown {
  const { apiVersion, kind, namespace, name, restartsPods, owner, revisions, deletedBy, contentDigest } = object;
  const fate = lastingFate(object);
  return { apiVersion, kind, namespace, name, fate, restartsPods, owner, revisions, deletedBy, contentDigest };
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
