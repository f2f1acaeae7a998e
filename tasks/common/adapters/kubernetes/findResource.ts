import { isBuiltIn } from '../../core/kubernetes/groups';
import { isRecord } from '../../core/kubernetes/json';
import { listAt, textAt } from '../../core/kubernetes/read';
import type { Attempt } from './errors';
import type { Requests } from './requests';
import { builtInResources, groupVersionPath, parseResourceList } from './resources';
import type { ApiResource } from '../../core/kubernetes/access';

/**
 * `kind` is the kind, plural, singular or short name in lower case. Without a group only the kinds of Kubernetes itself
 * are searched, in their newest version.
 */
export async function findResource(requests: Requests, kind: string, group?: string): Promise<ApiResource | undefined> {
  if (group === undefined) return builtInResources().findLast((resource) => isNamed(resource, kind));
  const attempt: Attempt = { verb: 'get', target: `the API group ${group}` };
  const groups = await requests.json({ method: 'GET', path: '/apis', attempt, retry: 'idempotent' });
  for (const version of versionsOf(groups, group)) {
    const path = groupVersionPath(version);
    const list = await requests.json({ method: 'GET', path, attempt, retry: 'idempotent' });
    const others = otherNames(list);
    const resources = parseResourceList(version, list) ?? [];
    // The full name of one kind may be the short name of another.
    const found =
      resources.find((resource) => isNamed(resource, kind)) ??
      resources.find(({ plural }) => others.get(plural)?.includes(kind) === true);
    if (found !== undefined) return found;
  }
  return undefined;
}

const aggregated = ['v2', 'v2beta1']
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .join(',');

/** All custom kinds that can be listed, by one request; undefined if the API server has no aggregated discovery. */
export async function customKinds(requests: Requests): Promise<ApiResource[] | undefined> {
  const attempt: Attempt = { verb: 'get', target: 'the kinds of all API groups' };
  const list = await requests.json({ method: 'GET', path: '/apis', attempt, retry: 'idempotent', accept: aggregated });
  if (!isRecord(list) || !Array.isArray(list['items'])) return undefined;
  return listAt(list, 'items').flatMap((group) => {
    const name = textAt(group, 'metadata', 'name');
    const [preferred] = listAt(group, 'versions');
    if (isBuiltIn(name) || preferred === undefined) return [];
    const apiVersion = `${name}/${textAt(preferred, 'version')}`;
    return listAt(preferred, 'resources').flatMap((resource) => {
      const [kind, verbs] = [textAt(resource, 'responseKind', 'kind'), resource['verbs']];
      if (kind === '' || !Array.isArray(verbs) || !verbs.includes('list')) return [];
      const namespaced = resource['scope'] === 'Namespaced';
      return [{ apiVersion, kind, plural: textAt(resource, 'resource'), namespaced }];
    });
  });
}

/** All kinds of objects in namespaces that can be listed and deleted; undefined if any group cannot be asked. */
export async function namespacedKinds(requests: Requests): Promise<ApiResource[] | undefined> {
  const attempt: Attempt = { verb: 'get', target: 'the kinds of all API groups' };
  const found: ApiResource[] = [];
  for (const path of ['/api', '/apis']) {
    const list = await requests.json({ method: 'GET', path, attempt, retry: 'idempotent', accept: aggregated });
    if (!isRecord(list) || !Array.isArray(list['items'])) return undefined;
    for (const group of listAt(list, 'items')) {
      const name = textAt(group, 'metadata', 'name');
      const seen = new Set<string>();
      for (const version of listAt(group, 'versions')) {
        if (textAt(version, 'freshness') === 'Stale') return undefined;
        const apiVersion = [name, textAt(version, 'version')].filter((part) => part !== '').join('/');
        for (const resource of listAt(version, 'resources')) {
          const [kind, plural] = [textAt(resource, 'responseKind', 'kind'), textAt(resource, 'resource')];
          const verbs: readonly unknown[] = Array.isArray(resource['verbs']) ? resource['verbs'] : [];
          const isListed = verbs.includes('list') && verbs.includes('delete');
          if (kind === '' || !isListed || resource['scope'] !== 'Namespaced' || seen.has(plural)) continue;
          seen.add(plural);
          found.push({ apiVersion, kind, plural, namespaced: true });
        }
      }
    }
  }
  return found;
}

function isNamed({ kind, plural }: ApiResource, word: string): boolean {
  return kind.toLowerCase() === word || plural === word;
}

/** Returns singular and short names by plural. */
function otherNames(list: unknown): ReadonlyMap<string, readonly unknown[]> {
  const resources = isRecord(list) && Array.isArray(list['resources']) ? list['resources'].filter(isRecord) : [];
  return new Map(
    resources.map(({ name, singularName, shortNames }) => [
      typeof name === 'string' ? name : '',
      [singularName, ...(Array.isArray(shortNames) ? (shortNames as unknown[]) : [])],
    ]),
  );
}

/** The preferred version comes first. */
function versionsOf(groups: unknown, wanted: string): string[] {
  const list = isRecord(groups) && Array.isArray(groups['groups']) ? groups['groups'].filter(isRecord) : [];
  const group = list.find(({ name }) => name === wanted);
  if (group === undefined) return [];
  const listed: unknown[] = Array.isArray(group['versions']) ? group['versions'] : [];
  const versions = [group['preferredVersion'], ...listed];
  const names = versions.filter(isRecord).map(({ groupVersion }) => groupVersion);
  return [...new Set(names.filter((name): name is string => typeof name === 'string'))];
}
