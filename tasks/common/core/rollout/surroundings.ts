import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { at, listAt, textAt } from '../kubernetes/read';
import { isRunner, mayOwnRunners } from './runner';

export interface Surroundings {
  namespace: string;
  /** True if a custom resource may own workloads that are not known by name. */
  owned: boolean;
  replicaSets: boolean;
  pods: boolean;
  /** Selects all pods and ReplicaSets of the followed workloads; absent if their templates share no label. */
  labelSelector?: string;
  /** Names of the claims that pods of these workloads mount. A name that ends in `-` is a prefix. */
  claims: readonly string[];
}

export function surroundingsOf(objects: readonly { ref: ObjectRef; declared: KubeObject }[]): Surroundings[] {
  const byNamespace = new Map<string, { ref: ObjectRef; declared: KubeObject }[]>();
  for (const object of objects) {
    const { namespace } = object.ref;
    if (namespace !== undefined) byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), object]);
  }
  return [...byNamespace].map(([namespace, inside]) => surroundingsIn(namespace, inside));
}

function surroundingsIn(namespace: string, objects: readonly { ref: ObjectRef; declared: KubeObject }[]): Surroundings {
  const workloads = objects.filter(({ ref }) => isRunner(ref));
  const owned = objects.some(({ ref }) => mayOwnRunners(ref));
  const labelSelector = owned ? undefined : commonSelector(workloads.map(({ declared }) => podLabels(declared)));
  return {
    namespace,
    owned,
    replicaSets: owned || workloads.some(({ ref }) => ref.kind === 'Deployment'),
    pods: owned || workloads.length > 0,
    ...(labelSelector === undefined ? {} : { labelSelector }),
    claims: workloads.flatMap(({ ref, declared }) => claimNames(ref, declared)),
  };
}

function podLabels(workload: KubeObject): Record<string, string> {
  const labels =
    workload.kind === 'Pod'
      ? at(workload, 'metadata', 'labels')
      : at(workload, 'spec', 'template', 'metadata', 'labels');
  const pairs = Object.entries((labels ?? {}) as Record<string, unknown>);
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}

const plainLabel = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

function commonSelector(all: readonly Record<string, string>[]): string | undefined {
  const [first, ...others] = all;
  if (first === undefined) return undefined;
  const common = Object.entries(first).filter(
    ([name, value]) => plainLabel.test(value) && others.every((labels) => labels[name] === value),
  );
  return common.length === 0 ? undefined : common.map(([name, value]) => `${name}=${value}`).join(',');
}

function claimNames(ref: ObjectRef, workload: KubeObject): string[] {
  const spec = workload.kind === 'Pod' ? at(workload, 'spec') : at(workload, 'spec', 'template', 'spec');
  const mounted = listAt(spec, 'volumes').map((volume) => textAt(volume, 'persistentVolumeClaim', 'claimName'));
  const made = listAt(workload, 'spec', 'volumeClaimTemplates').map(
    (template) => `${textAt(template, 'metadata', 'name')}-${ref.name}-`,
  );
  return [...mounted.filter((name) => name !== ''), ...made];
}
