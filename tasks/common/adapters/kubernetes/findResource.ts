import { isRecord } from '../../core/kubernetes/json';
import type { Attempt } from './errors';
import type { Requests } from './requests';
import { builtInResources, groupVersionPath, parseResourceList } from './resources';
import type { ApiResource } from '../../core/kubernetes/access';

/**
 * Finds the kind that a person names in lower case by kind, plural, singular or short name, with the group if more than
 * one API has it. Without a group only the kinds of Kubernetes itself are searched, in their newest version.
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
    // Full names come first, because the full name of one kind may be the short name of another.
    const found =
      resources.find((resource) => isNamed(resource, kind)) ??
      resources.find(({ plural }) => others.get(plural)?.includes(kind) === true);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isNamed({ kind, plural }: ApiResource, word: string): boolean {
  return kind.toLowerCase() === word || plural === word;
}

/** The singular and short names of each kind in an APIResourceList, keyed by plural. */
function otherNames(list: unknown): ReadonlyMap<string, readonly unknown[]> {
  const resources = isRecord(list) && Array.isArray(list['resources']) ? list['resources'].filter(isRecord) : [];
  return new Map(
    resources.map(({ name, singularName, shortNames }) => [
      typeof name === 'string' ? name : '',
      [singularName, ...(Array.isArray(shortNames) ? (shortNames as unknown[]) : [])],
    ]),
  );
}

/** The versions of the group, with the preferred one first. */
function versionsOf(groups: unknown, wanted: string): string[] {
  const list = isRecord(groups) && Array.isArray(groups['groups']) ? groups['groups'].filter(isRecord) : [];
  const group = list.find(({ name }) => name === wanted);
  if (group === undefined) return [];
  const listed: unknown[] = Array.isArray(group['versions']) ? group['versions'] : [];
  const versions = [group['preferredVersion'], ...listed];
  const names = versions.filter(isRecord).map(({ groupVersion }) => groupVersion);
  return [...new Set(names.filter((name): name is string => typeof name === 'string'))];
}
