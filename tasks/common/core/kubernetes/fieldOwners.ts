import type { Path, PathStep } from './fieldPath';
import { isRecord, textOf } from './json';
import { isSame } from './sameValue';
import type { KubeObject } from './object';

/** The manager that set a field last, from `metadata.managedFields`. */
export interface FieldOwner {
  manager: string;
  operation: string;
  /** For example `scale`. Empty for the object itself. */
  subresource: string;
  /** RFC 3339, or empty. */
  time: string;
}

/** Returns the managers that set the field at a path, or a field below it. */
export function ownersOf(object: KubeObject, path: Path): FieldOwner[] {
  const records = recordsOf(object);
  const itself = records.filter((entry) => hold(entry['fieldsV1'], path) === 'field');
  // The manager of a whole map may only have created it while others fill it, so it counts only if nobody else does.
  const holders = itself.length > 0 ? itself : records.filter((entry) => hold(entry['fieldsV1'], path) === 'whole');
  return holders.map(ownerOf);
}

/** Returns the managers that wrote to an object since its state `before`, or all. */
export function writersOf(before: KubeObject | undefined, after: KubeObject): FieldOwner[] {
  const known = recordsOf(before);
  return recordsOf(after)
    .filter((entry) => !known.some((other) => isSame(entry, other)))
    .map(ownerOf);
}

function recordsOf(object: KubeObject | undefined): Record<string, unknown>[] {
  const entries: unknown = object?.metadata.managedFields;
  return Array.isArray(entries) ? entries.filter(isRecord) : [];
}

function ownerOf({ manager, operation, subresource, time }: Record<string, unknown>): FieldOwner {
  return {
    manager: textOf(manager),
    operation: textOf(operation),
    subresource: textOf(subresource),
    time: textOf(time),
  };
}

/** `whole`: the manager holds a list or map above the path as one value, which is replaced and never merged. */
function hold(fields: unknown, path: Path): 'field' | 'whole' | undefined {
  if (!isRecord(fields)) return undefined;
  const [step, ...rest] = path;
  if (step === undefined) return 'field';
  const below = child(fields, step);
  if (below !== undefined) return hold(below, rest);
  return Object.keys(fields).length === 0 ? 'whole' : undefined;
}

function child(fields: Readonly<Record<string, unknown>>, step: PathStep): unknown {
  if (typeof step === 'string') return fields[`f:${step}`];
  if (typeof step === 'number') return fields[`i:${step}`];
  const key = Object.keys(fields).find((name) => name.startsWith('k:') && isKeyOf(name.slice(2), step.item));
  return key === undefined ? undefined : fields[key];
}

function isKeyOf(json: string, item: Readonly<Record<string, unknown>>): boolean {
  const key = parsed(json);
  return isRecord(key) && Object.entries(key).every(([name, value]) => isSame(item[name], value));
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Tools that act for a person, and clients that only name their library or browser. */
const hands =
  /^(kubectl|oc|k9s|lens|openlens|freelens|headlamp|dashboard|rancher|helm|terraform|hashicorp|pulumi|ansible|node-fetch|axios|mozilla|curl|wget|python|openapi-generator|okhttp|java|postmanruntime|insomnia|go-http-client|unknown|before-first-apply)\b/i;

export function isHand(manager: string): boolean {
  return manager === '' || hands.test(manager);
}

/** Controllers of Kubernetes itself, which may set every field that they write. */
const controllers = new Set([
  'kube-controller-manager',
  'kube-scheduler',
  'kube-apiserver',
  'kubelet',
  'cloud-controller-manager',
  'clusterrole-aggregation-controller',
]);

/**
 * Returns true if this owner may set the field, whatever the chart declares. A foreign controller is recognised by how
 * it writes: through the scale subresource, by server-side apply, or to a field that charts leave to controllers.
 */
export function isItsOwn(owner: FieldOwner, path: string): boolean {
  if (isHand(owner.manager)) return false;
  if (controllers.has(owner.manager)) return true;
  if (owner.operation === 'Apply' || owner.subresource === 'scale') return true;
  return path === 'spec.replicas' || path.endsWith('.caBundle');
}
