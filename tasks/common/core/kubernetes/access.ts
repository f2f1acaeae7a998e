import { apiGroup } from './manifest';

export interface NeededAccess {
  verb: string;
  /** Empty for the core group. */
  apiGroup: string;
  resource: string;
  /** Absent for cluster-scoped resources. */
  namespace?: string;
  /** Absent if the right may cover any object. */
  name?: string;
}

export function accessTo(verb: string, resource: ApiResource, namespace: string, name?: string): NeededAccess {
  const group = apiGroup(resource.apiVersion);
  const where = resource.namespaced ? { namespace } : {};
  return { verb, apiGroup: group, resource: resource.plural, ...where, ...(name === undefined ? {} : { name }) };
}

function holds(list: readonly string[], word: string): boolean {
  return list.includes('*') || list.includes(word);
}

function allows(rule: AccessRule, need: NeededAccess): boolean {
  if (!holds(rule.verbs, need.verb) || !holds(rule.apiGroups, need.apiGroup)) return false;
  if (!holds(rule.resources, need.resource)) return false;
  if (rule.resourceNames.length === 0) return true;
  // `create` cannot be limited by name, because the authorizer does not know the name.
  return need.verb !== 'create' && need.name !== undefined && rule.resourceNames.includes(need.name);
}

/**
 * Returns the needs that the rules of one namespace do not allow. Such rules include those of the whole cluster: a
 * right to a cluster-scoped resource that is missing here is surely missing.
 */
export function missingAccess(rules: readonly AccessRule[], needs: readonly NeededAccess[]): NeededAccess[] {
  const seen = new Set<string>();
  return needs.filter((need) => {
    const key = `${need.verb} ${need.apiGroup}/${need.resource} ${need.namespace ?? ''}`;
    if (seen.has(key) || rules.some((rule) => allows(rule, need))) return false;
    seen.add(key);
    return true;
  });
}

/** Returns `create, get deployments.apps in namespace shop; …`. */
export function accessSentence(missing: readonly NeededAccess[]): string {
  const byResource = new Map<string, string[]>();
  for (const need of missing) {
    const where = need.namespace === undefined ? 'in the whole cluster' : `in namespace ${need.namespace}`;
    const resource = need.apiGroup === '' ? need.resource : `${need.resource}.${need.apiGroup}`;
    const key = `${resource} ${where}`;
    byResource.set(key, [...(byResource.get(key) ?? []), need.verb]);
  }
  return [...byResource].map(([what, verbs]) => `${verbs.join(', ')} ${what}`).join('; ');
}

export interface ApiResource {
  apiVersion: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}

export interface AccessRule {
  verbs: readonly string[];
  apiGroups: readonly string[];
  resources: readonly string[];
  resourceNames: readonly string[];
}
