import { conditionStatus, firstLookStatus, stalledStatus } from './custom/customResources';
import { fieldsOf, isObject, textField, type Condition, type Fields, type JsonObject } from './fields';
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
import { current, inProgress, unknown, type ObjectStatus } from './result';
import { ruledStatus, ruleFor, type StatusRule } from './rules/rules';
import { daemonSetStatus, deploymentStatus, replicaSetStatus, statefulSetStatus } from './builtIn/workloads';
import type { KubeObject } from '../kubernetes/object';

export type { ObjectStatus, Status } from './result';
export { parseStatusRules, type StatusRule, type StatusTest } from './rules/rules';

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
  if (!isObject(value)) return unknown('InvalidObject', 'This is not a Kubernetes object.');
  const kind = textField(value, 'kind');
  const apiVersion = textField(value, 'apiVersion');
  if (kind === '' || apiVersion === '') return unknown('InvalidObject', 'The object has no kind or no apiVersion.');
  if (!isObject(value.metadata)) return unknown('InvalidObject', 'The object has no metadata.');
  const fields = fieldsOf(value);
  const status = statusOf(value, fields, { group: groupOf(apiVersion), kind }, now, rules);
  const [problem] = fields.problems;
  return problem === undefined ? status : unknown('InvalidObject', `The object cannot be judged: ${problem}.`);
}

function statusOf(
  object: JsonObject,
  fields: Fields,
  { group, kind }: { group: string; kind: string },
  now: Date,
  rules: readonly StatusRule[],
): ObjectStatus {
  if (fields.time('metadata.deletionTimestamp') !== undefined) {
    return { status: 'Terminating', reason: 'Terminating', message: 'The object is being deleted.' };
  }
  const stale = generationStatus(fields, kind);
  if (stale !== undefined) return stale;
  const rule = ruleFor(rules, group, kind);
  if (rule !== undefined) return ruledStatus(rule, object, fields);
  const stalled = stalledStatus(fields);
  if (stalled !== undefined) return stalled;
  const kindRule = kindRules.get(group === '' ? kind : `${group}/${kind}`);
  return kindRule === undefined ? genericStatus(object, fields, group, now) : kindRule(fields, now, object);
}

/**
 * This rule is from kstatus: a status about another generation, older or from a restored backup, does not describe this
 * spec.
 */
function generationStatus(fields: Fields, kind: string): ObjectStatus | undefined {
  const generation = fields.integer('metadata.generation');
  const observed = fields.integer('status.observedGeneration');
  if (generation === undefined || observed === undefined || generation === observed) return undefined;
  const message = `${kind} generation is ${generation}, but latest observed generation is ${observed}.`;
  return inProgress('LatestGenerationNotObserved', message);
}

function genericStatus(object: JsonObject, fields: Fields, group: string, now: Date): ObjectStatus {
  const decided = conditionStatus(fields);
  if (decided !== undefined) return decided;
  const hasStatus = isObject(object.status) && Object.keys(object.status).length > 0;
  const awaited = isBuiltIn(group) ? undefined : firstLookStatus(fields, hasStatus, now);
  return awaited ?? current('Current', 'The object is in place, and nothing that it says has to be waited for.');
}

function alwaysCurrent(): ObjectStatus {
  return current('Current', 'The object is in place; objects of this kind are not waited for.');
}

/** Before autoscaling/v2, an annotation held the conditions. v1 still shows them in this annotation. */
function legacyAutoscalerConditions(object: JsonObject): readonly Condition[] {
  const metadata = object.metadata;
  const annotations = isObject(metadata) ? metadata.annotations : undefined;
  const text = isObject(annotations) ? textField(annotations, 'autoscaling.alpha.kubernetes.io/conditions') : '';
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
