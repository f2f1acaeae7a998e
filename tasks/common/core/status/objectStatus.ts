import { isRecord } from '../kubernetes/json';
import { customStatus, said, stalledStatus } from './custom/customResources';
import { fieldsOf, textField, type Condition, type Fields, type JsonObject } from './fields';
import { isBuiltIn } from '../kubernetes/groups';
import { jobStatus } from './builtIn/jobs';
import {
  apiServiceStatus,
  autoscalerStatus,
  claimStatus,
  definitionStatus,
  disruptionBudgetStatus,
  namespaceStatus,
  serviceStatus,
  volumeStatus,
} from './builtIn/otherKinds';
import { podStatus } from './builtIn/pods';
import { current, inProgress, notWaitedFor, unknown, type ObjectStatus } from './result';
import { operatorRules } from './operators/operatorRules';
import { askedToHold, ruledStatus, ruleFor, type StatusRule } from './rules/rules';
import { daemonSetStatus, deploymentStatus, replicaSetStatus, statefulSetStatus } from './builtIn/workloads';
import type { KubeObject } from '../kubernetes/object';

export type { ObjectStatus, Status } from './result';
export { parseStatusRules } from './rules/ruleText';
export type { StatusRule } from './rules/rules';

type KindRule = (fields: Fields, now: Date, object: JsonObject) => ObjectStatus;

/**
 * Judges if one object has reached the state that its spec asks for, in the words of kstatus. The object and the time
 * are the only inputs. The rules are those of kstatus; docs/status-rules.md lists the differences with their reasons.
 * `Failed` is the object's own report and does not mean that the object cannot recover: to know that, its pods and
 * events are needed. The function accepts anything and never throws: `Unknown` is the status of a value that is not a
 * Kubernetes object, or that has a field of the wrong type.
 */
export function objectStatus(object: KubeObject, now: Date, rules: readonly StatusRule[] = []): ObjectStatus {
  // A manifest or a webhook may break the promise of the type.
  const value: unknown = object;
  if (!isRecord(value)) return unknown('InvalidObject', 'This is not a Kubernetes object.');
  const kind = textField(value, 'kind');
  const apiVersion = textField(value, 'apiVersion');
  if (kind === '' || apiVersion === '') return unknown('InvalidObject', 'The object has no kind or no apiVersion.');
  if (!isRecord(value.metadata)) return unknown('InvalidObject', 'The object has no metadata.');
  const fields = fieldsOf(value);
  const group = groupOf(apiVersion);
  const status = statusOf(value, fields, now, { group, kind, rules });
  // The shape of a custom resource's own fields is its operator's choice.
  const isOwn = (problem: string): boolean => isBuiltIn(group) || problem.startsWith('metadata');
  const problem = fields.problems.find(isOwn);
  return problem === undefined ? status : unknown('InvalidObject', `The object cannot be judged: ${problem}.`);
}

function statusOf(
  object: JsonObject,
  fields: Fields,
  now: Date,
  { group, kind, rules }: { group: string; kind: string; rules: readonly StatusRule[] },
): ObjectStatus {
  const unawaited = unawaitedStatus(object, fields);
  if (unawaited !== undefined) return unawaited;
  const isCustom = !isBuiltIn(group);
  const stale = generationStatus(fields, kind, isCustom);
  const rule = ruleFor(rules, group, kind);
  const known = isCustom ? ruleFor(operatorRules, group, kind) : undefined;
  // A controller need not look at what is suspended, so its status may stay behind.
  if (stale !== undefined) return askedToHold(rule ?? known, object) ?? stale;
  const own = rule === undefined ? undefined : ownRuleStatus(rule, object, fields, now);
  if (own !== undefined) return own;
  const stalled = stalledStatus(fields);
  if (stalled !== undefined) return stalled;
  if (isCustom) {
    return (known && ruledStatus(known, object, fields, now)) ?? customStatus(object, fields, now);
  }
  const kindRule = kindRules.get(group === '' ? kind : `${group}/${kind}`);
  return kindRule === undefined ? builtInStatus(fields) : kindRule(fields, now, object);
}

function ownRuleStatus(rule: StatusRule, object: JsonObject, fields: Fields, now: Date): ObjectStatus | undefined {
  if (rule.current?.length === 0 && rule.failed.length === 0) {
    return current(notWaitedFor, 'Not waited for: statusRules says current always.');
  }
  return ruledStatus(rule, object, fields, now);
}

function unawaitedStatus(object: JsonObject, fields: Fields): ObjectStatus | undefined {
  if (fields.time('metadata.deletionTimestamp') !== undefined) {
    return { status: 'Terminating', reason: 'Terminating', message: 'The object is being deleted.' };
  }
  if (annotationOf(object, waitAnnotation) !== 'ignore') return undefined;
  return current(notWaitedFor, `Not waited for: the annotation ${waitAnnotation} says ignore.`);
}

const waitAnnotation = 'helm-safe-deploy/wait';
function annotationOf(object: JsonObject, name: string): string {
  const annotations = isRecord(object.metadata) ? object.metadata.annotations : undefined;
  return isRecord(annotations) ? textField(annotations, name) : '';
}

/**
 * This rule is from kstatus: a status about another generation, older or from a restored backup, does not describe this
 * spec. An operator may count in another way, so for a custom resource only an older generation is waited for.
 */
function generationStatus(fields: Fields, kind: string, isCustom: boolean): ObjectStatus | undefined {
  const generation = fields.integer('metadata.generation');
  const observed = fields.integer('status.observedGeneration');
  if (generation === undefined || observed === undefined || generation === observed) return undefined;
  if (isCustom && observed > generation) return undefined;
  const message = `${kind} generation is ${generation}, but latest observed generation is ${observed}.`;
  return inProgress('LatestGenerationNotObserved', message);
}

function builtInStatus(fields: Fields): ObjectStatus {
  const ready = fields.condition('Ready');
  if (ready === undefined || ready.status === 'True') return alwaysCurrent();
  return inProgress(ready.reason || 'NotReady', said(ready));
}

function alwaysCurrent(): ObjectStatus {
  return current('Current', 'The object is in place; objects of this kind are not waited for.');
}

/** Before autoscaling/v2, an annotation held the conditions. v1 still shows them in this annotation. */
function legacyAutoscalerConditions(object: JsonObject): readonly Condition[] {
  const text = annotationOf(object, 'autoscaling.alpha.kubernetes.io/conditions');
  if (text === '') return [];
  try {
    return fieldsOf({ status: { conditions: JSON.parse(text) as unknown } }).conditions();
  } catch {
    // Anybody can write an annotation. If the text is not JSON, it says nothing about the autoscaler.
    return [];
  }
}

const kindRules: ReadonlyMap<string, KindRule> = new Map<string, KindRule>([
  ['apps/Deployment', deploymentStatus],
  ['extensions/Deployment', deploymentStatus],
  ['apps/StatefulSet', statefulSetStatus],
  ['apps/DaemonSet', daemonSetStatus],
  ['extensions/DaemonSet', daemonSetStatus],
  ['apps/ReplicaSet', replicaSetStatus],
  ['extensions/ReplicaSet', replicaSetStatus],
  ['ReplicationController', replicaSetStatus],
  ['batch/Job', jobStatus],
  ['batch/CronJob', alwaysCurrent],
  ['Pod', podStatus],
  ['PersistentVolumeClaim', claimStatus],
  ['PersistentVolume', volumeStatus],
  ['Service', serviceStatus],
  ['Namespace', namespaceStatus],
  ['ConfigMap', alwaysCurrent],
  ['Secret', alwaysCurrent],
  ['policy/PodDisruptionBudget', disruptionBudgetStatus],
  ['apiextensions.k8s.io/CustomResourceDefinition', definitionStatus],
  ['apiregistration.k8s.io/APIService', apiServiceStatus],
  [
    'autoscaling/HorizontalPodAutoscaler',
    (fields, _now, object) => autoscalerStatus(fields, legacyAutoscalerConditions(object)),
  ],
  // Many Ingress controllers never write an address, so the task does not wait for one (as in kstatus, unlike
  // gitops-engine).
  ['networking.k8s.io/Ingress', alwaysCurrent],
  ['extensions/Ingress', alwaysCurrent],
]);

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash === -1 ? '' : apiVersion.slice(0, slash);
}
