import type { KubeObject } from '../kubernetes/object';
import { quantity } from '../kubernetes/quantity';
import { at, isTrue, listAt, textAt, timeAt } from '../kubernetes/read';
import type { NodeFacts, Proof } from './facts';

/** API groups whose kinds make nodes. */
export const nodeMakers: ReadonlySet<string> = new Set([
  'karpenter.sh',
  'karpenter.k8s.aws',
  'karpenter.azure.com',
  'eks.amazonaws.com',
  'cluster.x-k8s.io',
  'machine.openshift.io',
  'autoscaling.openshift.io',
  'machine.sapcloud.io',
  'node.k8s.ovh.net',
  'autoscaling.x-k8s.io',
]);

/** A node that was made by something that keeps no trace in the API, or that stands for many machines. */
export function makesNodes({ metadata: { name, labels = {}, annotations = {} } }: KubeObject): boolean {
  const keys = [...Object.keys(labels), ...Object.keys(annotations)];
  return (
    /^(gk3|fargate)-/.test(name) ||
    labels['type'] === 'virtual-kubelet' ||
    keys.some((key) => /^karpenter\.|^eks\.amazonaws\.com\/compute-type$|gke-provisioning|cluster-autoscaler/.test(key))
  );
}

/** Nodes are being exchanged, or their labels may be on their way, for as long as a node is younger than this. */
const settledMilliseconds = 120_000;
/** An autoscaler speaks within 10 s. */
const graceSeconds = 15;

/**
 * Proves that no node can ever take the pod: each one lacks a label that the pod wants, or has less in all than the pod
 * asks for. Taints, other pods and volumes do not count, because they go away.
 */
export function nodeProof(pod: KubeObject, facts: NodeFacts | undefined, now: Date): Proof | undefined {
  if (facts === undefined || facts.mayGrow || facts.nodes.length === 0) return undefined;
  const { nodes } = facts;
  if (nodes.some((node) => isUnsettled(node, now))) return undefined;
  if (nodes.some((node) => mayFit(pod, node))) return undefined;
  return {
    grace: graceSeconds,
    why: `${nodes.length === 1 ? 'The only node can never' : `None of the ${nodes.length} nodes can ever`} take it, and nothing in the cluster makes nodes.`,
  };
}

function isUnsettled(node: KubeObject, now: Date): boolean {
  const madeAt = timeAt(node, 'metadata', 'creationTimestamp');
  const isNew = madeAt === 0 || now.getTime() - madeAt < settledMilliseconds;
  return (
    isNew ||
    node.metadata.deletionTimestamp !== undefined ||
    at(node, 'spec', 'unschedulable') === true ||
    !isTrue(node, 'Ready')
  );
}

function mayFit(pod: KubeObject, node: KubeObject): boolean {
  return hasRoom(pod, node) && hasLabels(pod, node);
}

/** Resources that every node has from its start. */
const resources = ['cpu', 'memory', 'ephemeral-storage'];

function hasRoom(pod: KubeObject, node: KubeObject): boolean {
  return resources.every((resource) => {
    const limit = quantity(at(node, 'status', 'allocatable', resource));
    const wanted = listAt(pod, 'spec', 'containers').reduce(
      (sum, container) => sum + (quantity(at(container, 'resources', 'requests', resource)) ?? 0),
      0,
    );
    return limit === undefined || wanted <= limit;
  });
}

function hasLabels(pod: KubeObject, { metadata: { labels = {} } }: KubeObject): boolean {
  const selector = Object.entries((at(pod, 'spec', 'nodeSelector') ?? {}) as Record<string, unknown>);
  if (selector.some(([name, value]) => labels[name] !== value)) return false;
  const affinity = at(pod, 'spec', 'affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution');
  const terms = listAt(affinity, 'nodeSelectorTerms');
  return (
    terms.length === 0 || terms.some((term) => listAt(term, 'matchExpressions').every((each) => matches(each, labels)))
  );
}

/** Only what is certainly not so is false. */
function matches(expression: unknown, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[textAt(expression, 'key')];
  const values = at(expression, 'values');
  switch (textAt(expression, 'operator')) {
    case 'In':
      return value !== undefined && Array.isArray(values) && values.includes(value);
    case 'Exists':
      return value !== undefined;
    default:
      return true;
  }
}
