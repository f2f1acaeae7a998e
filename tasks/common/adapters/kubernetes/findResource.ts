import { isRecord } from '../../core/json';
import type { ApiResource } from '../../core/ports';
import type { Attempt } from './errors';
import type { Requests } from './requests';
import { builtInResources, groupVersionPath, parseResourceList } from './resources';

/**
 * The kind that a person names: by kind, plural or singular in lower case, with the group where more than one API has
 * it. Without a group only the kinds of Kubernetes itself are meant, in their newest version.
 */
export async function findResource(requests: Requests, kind: string, group?: string): Promise<ApiResource | undefined> {
  const isMeant = (resource: ApiResource): boolean => isNamed(resource, kind);
  if (group === undefined) return builtInResources().findLast(isMeant);
  const attempt: Attempt = { verb: 'get', target: `the API group ${group}` };
  const groups = await requests.json({ method: 'GET', path: '/apis', attempt, retry: 'idempotent' });
  for (const version of versionsOf(groups, group)) {
    const path = groupVersionPath(version);
    const list = await requests.json({ method: 'GET', path, attempt, retry: 'idempotent' });
    const found = parseResourceList(version, list)?.find(isMeant);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isNamed({ kind, plural }: ApiResource, word: string): boolean {
  return kind.toLowerCase() === word || plural === word;
}

/** The group's versions, the preferred one first. */
function versionsOf(groups: unknown, wanted: string): string[] {
  const list = isRecord(groups) && Array.isArray(groups['groups']) ? groups['groups'].filter(isRecord) : [];
  const group = list.find(({ name }) => name === wanted);
  if (group === undefined) return [];
  const listed: unknown[] = Array.isArray(group['versions']) ? group['versions'] : [];
  const versions = [group['preferredVersion'], ...listed];
  const names = versions.filter(isRecord).map(({ groupVersion }) => groupVersion);
  return [...new Set(names.filter((name): name is string => typeof name === 'string'))];
}
