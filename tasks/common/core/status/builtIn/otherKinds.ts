import { counted } from '../../text/counted';
import type { Condition, Fields } from '../fields';
import { current, failed, inProgress, unknown, type ObjectStatus } from '../result';
import { notObserved } from './workloads';

/**
 * A claim must be Bound, as in kstatus. But Lost is Failed here: the volume is gone, and only a person can restore it.
 */
export function claimStatus(fields: Fields): ObjectStatus {
  const phase = fields.text('status.phase') ?? 'not set';
  if (phase === 'Bound') return current('Bound', 'The claim is bound.');
  if (phase === 'Lost') return failed('ClaimLost', 'The volume of the claim does not exist any more.');
  // A storage class with WaitForFirstConsumer binds a claim only when a pod uses it. The claim does not show the mode
  // of its class.
  return inProgress('NotBound', `The claim is not bound; its phase is ${phase}.`);
}

/** kstatus has no rule for volumes, so it calls a failed volume Current. */
export function volumeStatus(fields: Fields): ObjectStatus {
  const phase = fields.text('status.phase');
  switch (phase) {
    case 'Available':
    case 'Bound':
    case 'Released':
      return current(`Volume${phase}`, `The volume's phase is ${phase}.`);
    case 'Failed':
      return failed('VolumeFailed', fields.text('status.message') ?? 'The volume could not be reclaimed.');
    case undefined:
    case 'Pending':
      return inProgress('VolumePending', 'The volume is not available yet.');
    default:
      return unknown('VolumePhaseUnknown', `The volume's phase is ${phase}.`);
  }
}

/**
 * kstatus only requires the cluster IP of a load balancer, which every load balancer has at once. Clients need its
 * address.
 */
export function serviceStatus(fields: Fields): ObjectStatus {
  if (fields.text('spec.type') !== 'LoadBalancer') return current('ServiceReady', 'The service needs no address.');
  if ((fields.text('spec.clusterIP') ?? '') === '') return inProgress('NoIPAssigned', 'The service has no cluster IP.');
  const addresses = fields.list('status.loadBalancer.ingress') ?? [];
  if (addresses.length > 0) return current('ServiceReady', 'The load balancer has an address.');
  if ((fields.list('spec.externalIPs') ?? []).length > 0) {
    return current('ServiceReady', 'The service is reached by its external IPs.');
  }
  return inProgress('NoLoadBalancerAddress', 'The load balancer has no address yet.');
}

/** kstatus assumes that the controller has looked at the object. An object without status shows that it has not. */
export function disruptionBudgetStatus(fields: Fields): ObjectStatus {
  const allowed = fields.integer('status.disruptionsAllowed') ?? 0;
  return notObserved(fields) ?? current('BudgetComputed', `${counted(allowed, 'disruption', 'disruptions')} allowed.`);
}

/** The rule is from kstatus, but a refused name counts at any position in the list of conditions. */
export function definitionStatus(fields: Fields): ObjectStatus {
  const names = fields.condition('NamesAccepted');
  if (names?.status === 'False') return failed(names.reason || 'NamesNotAccepted', said(names));
  const established = fields.condition('Established');
  if (established?.status === 'True') return current('Established', 'The kind is served.');
  if (established?.status === 'False' && established.reason !== 'Installing') {
    return failed(established.reason || 'NotEstablished', said(established));
  }
  return inProgress('Installing', 'The kind is not served yet.');
}

/** kstatus has no rule for this kind, so it calls an API that nobody can call Current. */
export function apiServiceStatus(fields: Fields): ObjectStatus {
  const available = fields.condition('Available');
  if (available === undefined) return inProgress('NotObserved', 'The API server has not checked the service yet.');
  if (available.status === 'True') return current(available.reason || 'Available', 'The API is served.');
  return inProgress(available.reason || 'NotAvailable', said(available));
}

export function namespaceStatus(fields: Fields): ObjectStatus {
  if (fields.text('status.phase') === 'Terminating') {
    return { status: 'Terminating', reason: 'Terminating', message: 'The namespace is being deleted.' };
  }
  return current('NamespaceActive', 'The namespace exists.');
}

/** With these reasons, AbleToScale reports that the target cannot be scaled at all. All other reasons are temporary. */
const unableReasons = ['FailedGetScale', 'FailedUpdateScale'];

/**
 * kstatus has no rule for autoscalers. An autoscaler without metrics does not change the replicas, so the task waits
 * only if the target cannot be found or changed, or has fewer replicas than the minimum, which needs no metrics. This is
 * not Failed, because the target may appear later in the same release.
 */
export function autoscalerStatus(fields: Fields, legacyConditions: readonly Condition[]): ObjectStatus {
  const conditions = [...fields.conditions(), ...legacyConditions];
  const able = conditions.find((condition) => condition.type === 'AbleToScale');
  if (able !== undefined && unableReasons.includes(able.reason)) return inProgress(able.reason, said(able));
  const active = conditions.find((condition) => condition.type === 'ScalingActive');
  const replicas = fields.integer('status.currentReplicas') ?? 0;
  const minimum = fields.integer('spec.minReplicas') ?? 1;
  // Without replicas, the autoscaler is switched off.
  if (replicas > 0 && replicas < minimum) {
    return inProgress(
      'BelowMinimum',
      `Its target has ${counted(replicas, 'replica', 'replicas')}, and the minimum is ${minimum}.`,
    );
  }
  if (active?.status === 'False') return current(active.reason || 'ScalingInactive', said(active));
  return current('AutoscalerCurrent', 'The autoscaler is in place.');
}

function said(condition: Condition): string {
  return condition.message || `${condition.type} is ${condition.status || 'not set'}.`;
}
