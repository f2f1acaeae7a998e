import { isRecord } from '../../kubernetes/json';
import type { KubeObject } from '../../kubernetes/object';

/** Annotations in which controllers and kubectl keep their own notes. */
const bookkeeping = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'deployment.kubernetes.io/',
  'deprecated.daemonset.template.generation',
  'autoscaling.alpha.kubernetes.io/',
  'control-plane.alpha.kubernetes.io/leader',
  'pv.kubernetes.io/',
  'volume.kubernetes.io/',
  'volume.beta.kubernetes.io/',
  'field.cattle.io/',
  'endpoints.kubernetes.io/last-change-trigger-time',
];

const wantedMetadata = ['name', 'namespace', 'labels', 'annotations', 'finalizers'];

/** Leaves out what changes on its own, so that a plan that is approved hours later is still the same plan. */
export function comparable(object: KubeObject, isAutoscaled: boolean): KubeObject {
  const { status: _, ...rest } = object;
  const spec = rest['spec'];
  return {
    ...rest,
    metadata: comparableMetadata(object.metadata),
    ...(isAutoscaled && isRecord(spec) ? { spec: withoutReplicas(spec) } : {}),
  };
}

function comparableMetadata(metadata: KubeObject['metadata']): KubeObject['metadata'] {
  const kept = Object.fromEntries(
    Object.entries(metadata).filter(([name]) => wantedMetadata.includes(name)),
  ) as unknown as KubeObject['metadata'];
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([name]) => !bookkeeping.some((start) => name.startsWith(start)),
  );
  const { annotations: _, ...others } = kept;
  return annotations.length === 0 ? others : { ...others, annotations: Object.fromEntries(annotations) };
}

function withoutReplicas(spec: Record<string, unknown>): Record<string, unknown> {
  const { replicas: _, ...rest } = spec;
  return rest;
}

/** JSON with the fields of every object sorted by name, so that equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (value === undefined) return 'null';
  if (!isRecord(value)) return JSON.stringify(value);
  const fields = Object.keys(value)
    .filter((name) => value[name] !== undefined)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
  return `{${fields.join(',')}}`;
}
