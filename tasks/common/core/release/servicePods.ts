import { apiGroup, manifestObjects } from '../kubernetes/manifest';
import type { KubeObject } from '../kubernetes/object';
import { at, isTrue, listAt, textAt, timeAt } from '../kubernetes/read';
import { isRecord } from '../kubernetes/json';

export interface ServicePods {
  name: string;
  /** The Ingresses of the release that lead to the Service. */
  ingresses: readonly string[];
  pods: number;
  ready: number;
  /** The ready pods that are older than the revision that the deploy created; null if it created none. */
  readyBefore: number | null;
}

export interface ServiceSelector {
  name: string;
  ingresses: readonly string[];
  selector: Readonly<Record<string, unknown>>;
}

/** Returns the Services of a manifest in this namespace that select pods. */
export function serviceSelectors(manifest: string, namespace: string): ServiceSelector[] {
  const objects = manifestObjects(manifest).filter(({ metadata }) => (metadata.namespace ?? namespace) === namespace);
  const ingresses = objects.filter(
    ({ apiVersion, kind }) => kind === 'Ingress' && apiGroup(apiVersion) === 'networking.k8s.io',
  );
  return objects.flatMap((object) => {
    const { name } = object.metadata;
    const selector = at(object, 'spec', 'selector');
    if (object.kind !== 'Service' || apiGroup(object.apiVersion) !== '' || !isRecord(selector)) return [];
    const leading = ingresses.filter((ingress) => backendsOf(ingress).includes(name));
    return Object.keys(selector).length === 0
      ? []
      : [{ name, ingresses: leading.map(({ metadata }) => metadata.name), selector }];
  });
}

function backendsOf(ingress: KubeObject): string[] {
  const paths = listAt(ingress, 'spec', 'rules').flatMap((rule) => listAt(rule, 'http', 'paths'));
  return [at(ingress, 'spec', 'defaultBackend'), ...paths.map((path) => at(path, 'backend'))].map((backend) =>
    textAt(backend, 'service', 'name'),
  );
}

export function isSelectedBy({ metadata }: KubeObject, selector: ServiceSelector['selector']): boolean {
  return Object.entries(selector).every(([label, value]) => metadata.labels?.[label] === value);
}

/** `since` is the API server's time of the revision that the deploy created. */
export function servicePods(
  { name, ingresses, selector }: ServiceSelector,
  pods: readonly KubeObject[],
  since: Date | undefined,
): ServicePods {
  const selected = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      !['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase')) &&
      isSelectedBy(pod, selector),
  );
  const ready = selected.filter((pod) => isTrue(pod, 'Ready'));
  const isBefore = (pod: KubeObject): boolean =>
    since !== undefined && timeAt(pod, 'metadata', 'creationTimestamp') < since.getTime();
  return {
    name,
    ingresses,
    pods: selected.length,
    ready: ready.length,
    readyBefore: since === undefined ? null : ready.filter(isBefore).length,
  };
}

/** `revision`: of a check, which has started no pods itself. */
export function servicePodsWords(services: readonly ServicePods[], revision?: number): string[] {
  return services.map((service) => {
    const { pods, ready, ingresses } = service;
    const place = [`Service/${service.name}`, ...ingresses.map((name) => `Ingress/${name}`)].join(' and ');
    if (pods === 0) return `No pod stands behind ${place}: its selector matches none.`;
    if (ready === 0) return `No ready pod stands behind ${place} (${pods} ${pods === 1 ? 'is' : 'are'} not ready).`;
    const [noun, verb] = ready === 1 ? ['pod', 'stands'] : ['pods', 'stand'];
    return `${ready} ready ${noun} ${verb} behind ${place}${ageWords(service, revision)}.`;
  });
}

function ageWords({ ready, readyBefore }: ServicePods, revision: number | undefined): string {
  if (readyBefore === null) return '';
  const change = revision === undefined ? 'this deploy' : `revision ${revision}`;
  if (readyBefore === 0 && revision !== undefined) return ` since revision ${revision}`;
  if (readyBefore === 0) return ready === 1 ? ', and this deploy started it' : ', and this deploy started them';
  if (readyBefore === ready) return ` from before ${change}: the old version still serves`;
  return `, ${readyBefore} of them from before ${change}`;
}
