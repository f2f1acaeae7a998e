import { isRecord } from '../../kubernetes/json';
import { planDigest, timelessDigest } from '../model/digest';
import { fates, type ChangePlan, type PlannedHook, type PlannedObject, type Sha256 } from '../model/types';

/** The results tab finds plans by this attachment type. */
export const planAttachmentType = 'helm-safe-deploy.plan';

export function planJson(plan: ChangePlan): string {
  return `${JSON.stringify(plan, undefined, 2)}\n`;
}

/** `isTimeProven` is false for a plan of an earlier version, whose digest does not cover its time. */
type ReadPlan = { plan: ChangePlan; isTimeProven: boolean } | { problem: string };

/** Computes the digest again, so that a cut, changed or foreign text is a problem (a clause). */
export function readPlan(text: string, expected: string, sha256: Sha256): ReadPlan {
  const plan = parsed(text);
  if (!isRecord(plan)) return { problem: 'it is not a JSON object' };
  if (plan['schemaVersion'] !== 1) {
    return { problem: `its schemaVersion is ${JSON.stringify(plan['schemaVersion'] ?? null)}, and this task knows 1` };
  }
  if (!isPlan(plan)) return { problem: 'this task did not write it' };
  const whole = withNewerFields(plan);
  const isTimeProven = whole.digest === planDigest(whole, sha256);
  if (!isTimeProven && whole.digest !== timelessDigest(whole, sha256)) {
    return { problem: 'it was changed, because its content does not match its digest' };
  }
  if (!isSameDigest(whole.digest, expected)) return { problem: `its digest is ${whole.digest}` };
  return { plan: whole, isTimeProven };
}

/** Accepts both spellings: with or without `sha256:`, in upper or lower case. */
export function isSameDigest(one: string, other: string): boolean {
  return plainDigest(one) !== '' && plainDigest(one) === plainDigest(other);
}

export function plainDigest(text: string): string {
  return /^(?:sha256:)?([0-9a-f]{64})$/.exec(text.trim().toLowerCase())?.[1] ?? '';
}

/** Adds the fields that plans of earlier versions lack. */
function withNewerFields(plan: ChangePlan): ChangePlan {
  const older: Pick<ChangePlan, 'change' | 'targetRecord'> = { change: 'rollback', targetRecord: '' };
  const olderObject: Pick<PlannedObject, 'podTemplateDigest' | 'changes' | 'fields' | 'goWithIt' | 'generated'> = {
    generated: [],
    podTemplateDigest: '',
    changes: [],
    fields: [],
    goWithIt: [],
  };
  return {
    ...older,
    ...plan,
    objects: plan.objects.map((object) => ({ ...olderObject, ...object })),
    hooks: plan.hooks.map((hook) => ({ ...olderHook, ...hook })),
  };
}

const olderHook: Pick<PlannedHook, 'generated'> = { generated: [] };

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Checks the fields on which readers of a plan rely. */
function isPlan(value: Record<string, unknown>): value is Record<string, unknown> & ChangePlan {
  const { subject, present, target, helm, objects, hooks, findings, passed, trappedPods } = value;
  return (
    ['digest', 'createdAt', 'risk', 'toRevision'].every((name) => typeof value[name] === 'string') &&
    isSubject(subject) &&
    [present, target].every((facts) => facts === null || isFacts(facts)) &&
    (helm === null || hasTexts(helm, ['version', 'provenance', 'rehearsal'])) &&
    isListOf(passed, isFacts) &&
    isListOf(objects, isObject) &&
    isListOf(hooks, (hook) =>
      hasTexts(hook, ['apiVersion', 'kind', 'resource', 'namespace', 'name', 'event', 'reason', 'contentDigest']),
    ) &&
    isListOf(findings, (one) => hasTexts(one, ['code', 'severity', 'object', 'message', 'allowedBy'])) &&
    isListOf(trappedPods, (pod) => typeof pod === 'string')
  );
}

function isSubject(value: unknown): boolean {
  if (!hasTexts(value, ['kind', 'namespace'])) return false;
  return (
    hasTexts(value, ['release']) ||
    isListOf((value as Record<string, unknown>)['workloads'], (name) => typeof name === 'string')
  );
}

function isFacts(value: unknown): boolean {
  const texts = ['status', 'proof', 'chart', 'appVersion', 'deployedAt', 'description', 'deployedBy'];
  return hasTexts(value, texts) && Number.isSafeInteger((value as Record<string, unknown>)['revision']);
}

const objectTexts = [
  'apiVersion',
  'kind',
  'resource',
  'namespace',
  'name',
  'fate',
  'reason',
  'uid',
  'owner',
  'deletedBy',
  'contentDigest',
];

function isObject(value: unknown): boolean {
  if (!isRecord(value) || !hasTexts(value, objectTexts)) return false;
  const isText = (one: unknown): boolean => typeof one === 'string';
  return (
    fates.some((fate) => fate === value['fate']) &&
    isListOf(value['diff'], isText) &&
    isListOf(value['drift'], (field) => hasTexts(field, ['path', 'live', 'becomes'])) &&
    isListOf(value['images'], (image) => hasTexts(image, ['container', 'from', 'becomes'])) &&
    isListOf(value['secretKeys'], (key) => hasTexts(key, ['name', 'change']))
  );
}

function hasTexts(value: unknown, names: readonly string[]): boolean {
  return isRecord(value) && names.every((name) => typeof value[name] === 'string');
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}
