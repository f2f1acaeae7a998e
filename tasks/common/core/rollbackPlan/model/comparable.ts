import { isRecord } from '../../kubernetes/json';
import type { KubeObject } from '../../kubernetes/object';

/*
 * What of an object counts when two states of it are compared. Left out is what changes by itself: a plan that is
 * approved eight hours after it was made is still the same plan.
 */

/** Bookkeeping of controllers and of kubectl, in annotations. */
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

/** The metadata that somebody wants; the rest is the API server's. */
const wantedMetadata = ['name', 'namespace', 'labels', 'annotations', 'finalizers'];

/** An object without its status and what else changes by itself. `isAutoscaled`: its replicas do as well. */
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

/** JSON with the fields of every object in the order of their names: one text for one value. */
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
