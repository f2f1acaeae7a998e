import type { Path, Step } from './fieldPath';
import { isRecord } from './json';
import { isSame } from './sameValue';
import type { KubeObject } from './object';

/** Who has set a field last, as the API server notes it in `metadata.managedFields`. */
export interface FieldOwner {
  manager: string;
  operation: string;
  /** Through which it wrote, for example `scale`; empty for the object itself. */
  subresource: string;
  /** RFC 3339; empty when not noted. */
  time: string;
}

/** Those that have set the field at a path, or something below it. None where nothing is noted about it. */
export function ownersOf(object: KubeObject, path: Path): FieldOwner[] {
  const records = recordsOf(object);
  const itself = records.filter((entry) => hold(entry['fieldsV1'], path) === 'field');
  // Who holds a whole may just have made the map that others fill: it counts where nobody holds the field itself.
  const holders = itself.length > 0 ? itself : records.filter((entry) => hold(entry['fieldsV1'], path) === 'whole');
  return holders.map(ownerOf);
}

/** Those that have written to an object since an earlier state of it; of no state: ever. */
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
  return { manager: text(manager), operation: text(operation), subresource: text(subresource), time: text(time) };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What has no more fields on the way is held as a whole: a list or map that is replaced, never merged. */
function hold(fields: unknown, path: Path): 'field' | 'whole' | undefined {
  if (!isRecord(fields)) return undefined;
  const [step, ...rest] = path;
  if (step === undefined) return 'field';
  const below = child(fields, step);
  if (below !== undefined) return hold(below, rest);
  return Object.keys(fields).length === 0 ? 'whole' : undefined;
}

function child(fields: Readonly<Record<string, unknown>>, step: Step): unknown {
  if ('field' in step) return fields[`f:${step.field}`];
  if ('index' in step) return fields[`i:${step.index}`];
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

/**
 * Names of what a person works with, and of what works for one: these are not the cluster's own doing. A client that
 * names itself after nothing but its library or browser tells nothing about who it is, so it counts among them.
 */
const hands =
  /^(kubectl|oc|k9s|lens|openlens|freelens|headlamp|dashboard|rancher|helm|terraform|hashicorp|pulumi|ansible|node-fetch|axios|mozilla|curl|wget|python|openapi-generator|okhttp|java|postmanruntime|insomnia|go-http-client|unknown|before-first-apply)\b/i;

/** Whether a name is that of a person's tool, or of Helm. */
export function isHand(manager: string): boolean {
  return manager === '' || hands.test(manager);
}

/** Controllers of Kubernetes itself: what they write is what the object is for. */
const controllers = new Set([
  'kube-controller-manager',
  'kube-scheduler',
  'kube-apiserver',
  'kubelet',
  'cloud-controller-manager',
  'clusterrole-aggregation-controller',
]);

/**
 * Whether a field is this owner's to set, whatever the chart declares. A controller outside of Kubernetes is known by how
 * it writes: through the scale subresource, by server-side apply under a name of its own, or to a field that charts
 * leave to one (the number of replicas, a webhook's CA). A plain update by an unknown name is not.
 */
export function isItsOwn(owner: FieldOwner, path: string): boolean {
  if (isHand(owner.manager)) return false;
  if (controllers.has(owner.manager)) return true;
  if (owner.operation === 'Apply' || owner.subresource === 'scale') return true;
  return path === 'spec.replicas' || path.endsWith('.caBundle');
}
