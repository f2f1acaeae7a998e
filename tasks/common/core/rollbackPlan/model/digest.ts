import { canonicalJson } from './comparable';
import type { ChangePlan, PlannedHook, PlannedObject, Sha256 } from './types';

type Undigested = Omit<ChangePlan, 'digest'>;

/** Covers the content and the time of the plan, so that an old approval cannot be used for a new plan. */
export function planDigest(plan: Undigested, sha256: Sha256): string {
  return `sha256:${sha256(canonicalJson({ createdAt: plan.createdAt, content: planContent(plan) }))}`;
}

/** The digest as earlier versions computed it, without the time. */
export function timelessDigest(plan: Undigested, sha256: Sha256): string {
  return `sha256:${sha256(canonicalJson(planContent(plan)))}`;
}

/** True if both plans would do the same to the same objects, whenever they were made. */
export function isSameContent(one: Undigested, other: Undigested): boolean {
  return canonicalJson(planContent(one)) === canonicalJson(planContent(other));
}

export function isSameObject(one: PlannedObject, other: PlannedObject): boolean {
  return canonicalJson(objectContent(one)) === canonicalJson(objectContent(other));
}

/** Everything in a plan but its wording and what changes on its own: status, pods, times, autoscaled replicas. */
function planContent(plan: Undigested): unknown {
  const { target, targetRecord } = plan;
  return {
    version: 1,
    ...ifAny('change', plan.change === 'rollback' ? '' : plan.change),
    subject: plan.subject,
    present: plan.present?.revision ?? null,
    target: target && { revision: target.revision, proof: target.proof, ...ifAny('record', targetRecord) },
    helm: plan.helm,
    allowPodDelete: plan.allowPodDelete,
    objects: sorted(plan.objects.map(objectContent)),
    hooks: sorted(plan.hooks.map(hookContent)),
    findings: sorted(
      plan.findings
        .filter(({ isMomentary }) => !isMomentary)
        .map((finding) => picked(finding, ['code', 'severity', 'object', 'allowedBy'])),
    ),
  };
}

function hookContent(hook: PlannedHook): unknown {
  return { ...picked(hook, ['kind', 'event', 'willRun', 'contentDigest']), name: lastingName(hook) };
}

/** A name that the chart makes up at each deploy does not count. */
function lastingName({ generated, name }: Pick<PlannedObject, 'generated' | 'name'>): string {
  return generated.includes('metadata.name') ? '' : name;
}

function objectContent(object: PlannedObject): unknown {
  return {
    ...picked(object, ['apiVersion', 'kind', 'namespace', 'restartsPods']),
    name: lastingName(object),
    ...picked(object, ['owner', 'revisions', 'deletedBy', 'contentDigest']),
    fate: lastingFate(object),
    ...ifAny('podTemplate', object.podTemplateDigest),
  };
}

function picked<T>(whole: T, names: readonly (keyof T)[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, whole[name]]));
}

/** Plans of earlier versions do not have these fields, and their digests must not change. */
function ifAny(name: string, text: string): Record<string, string> {
  return text === '' ? {} : { [name]: text };
}

/** Whether a Job with a time to live is created, patched or kept depends on the moment, so these are one fate. */
export function lastingFate({ fate, mayRunAgain }: PlannedObject): string {
  return mayRunAgain && (fate === 'kept' || fate === 'patched' || fate === 'created') ? 'applied' : fate;
}

/** The API server and Helm guarantee no order. */
function sorted(items: readonly unknown[]): string[] {
  return items.map(canonicalJson).sort();
}
