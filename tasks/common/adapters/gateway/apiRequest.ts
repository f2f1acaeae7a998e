import type { WriteVerb } from '../../core/helm/rehearsal';

export interface ApiTarget {
  /** For example `apps/v1` or `v1`. */
  apiVersion: string;
  /** The plural in the path, for example `deployments`. */
  resource: string;
  /** Absent for a cluster-scoped resource, and for all namespaces. */
  namespace?: string;
  /** A collection has no name. */
  name?: string;
  subresource?: string;
}

export type Asked =
  /** `target` is absent for discovery, schemas and the version. */
  | { type: 'read'; target?: ApiTarget }
  /** For a creation, `target` is the collection. */
  | { type: 'write'; verb: WriteVerb; target: ApiTarget }
  /** Only the answer shows which objects are deleted. */
  | { type: 'deleteCollection'; target: ApiTarget }
  | { type: 'forbidden'; why: string };

/** These connect to a running process, which knows no dry run. */
const connecting = new Set(['attach', 'exec', 'portforward', 'proxy']);
/** The API server handles these itself. An aggregated API may define others, whose effect is not known. */
const ownSubresources = new Set([
  'approval',
  'binding',
  'ephemeralcontainers',
  'eviction',
  'finalize',
  'resize',
  'scale',
  'status',
  'token',
]);
/** The API server stores nothing of a review. */
const reviewGroups = new Set(['authentication.k8s.io', 'authorization.k8s.io']);
const roots = /^\/(?:apis?|openapi|version|healthz|livez|readyz|\.well-known)(?:\/|$)/;

/** Everything unknown is forbidden, because Helm needs none of it. `contentType` shows a server-side apply. */
export function whatIsAsked(method: string, pathname: string, contentType: string): Asked {
  const parts = pathParts(pathname);
  if (parts === undefined || !roots.test(pathname)) return { type: 'forbidden', why: 'this is not a path of the API' };
  const target = apiTarget(parts);
  const { subresource } = target ?? {};
  if (subresource !== undefined && connecting.has(subresource.split('/')[0] ?? '')) {
    return { type: 'forbidden', why: `connections to what runs (${subresource}) are not passed on` };
  }
  if (method === 'GET') return { type: 'read', ...(target && { target }) };
  if (target === undefined) return { type: 'forbidden', why: `a ${method} here is not passed on` };
  if (method === 'POST' && reviewGroups.has(groupOf(target)) && target.resource.endsWith('reviews')) {
    return { type: 'read', target };
  }
  if (subresource !== undefined && !ownSubresources.has(subresource)) {
    return { type: 'forbidden', why: `what a write to the subresource ${subresource} does cannot be known` };
  }
  return writeAsked(method, target, contentType);
}

function writeAsked(method: string, target: ApiTarget, contentType: string): Asked {
  const isNamed = target.name !== undefined;
  const write = (verb: WriteVerb): Asked => ({ type: 'write', verb, target });
  switch (method) {
    case 'POST':
      if (target.subresource === 'eviction') return write('delete');
      if (!isNamed || target.subresource !== undefined) return write('create');
      break;
    case 'PUT':
      if (isNamed) return write('update');
      break;
    case 'PATCH':
      if (isNamed) return write(/^application\/apply-patch\b/i.test(contentType) ? 'apply' : 'patch');
      break;
    case 'DELETE':
      if (isNamed && target.subresource !== undefined) break;
      return isNamed ? write('delete') : { type: 'deleteCollection', target };
    default:
  }
  return { type: 'forbidden', why: `a ${method} here is not passed on` };
}

export function groupOf({ apiVersion }: ApiTarget): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

/** Undefined if the API server could read the path differently. */
function pathParts(pathname: string): string[] | undefined {
  if (!pathname.startsWith('/')) return undefined;
  const parts: string[] = [];
  for (const raw of pathname.slice(1).replace(/\/$/, '').split('/')) {
    const part = decoded(raw);
    if (part === undefined || part === '' || part === '.' || part === '..' || /[/\\]/.test(part)) return undefined;
    parts.push(part);
  }
  return parts;
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** Undefined for discovery and for paths outside of /api and /apis. */
function apiTarget(parts: readonly string[]): ApiTarget | undefined {
  const [root, first = '', second = ''] = parts;
  if (root !== 'api' && root !== 'apis') return undefined;
  const apiVersion = root === 'api' ? first : `${first}/${second}`;
  const rest = parts.slice(root === 'api' ? 2 : 3);
  // The old watch paths have a prefix before the path of the watched objects.
  if (rest[0] === 'watch') rest.shift();
  const [resource, name, third, ...further] = rest;
  if (resource === undefined) return undefined;
  // A namespace is itself an object and has its own subresources.
  const isInNamespace = resource === 'namespaces' && name !== undefined && third !== undefined;
  if (!isInNamespace || (further.length === 0 && /^(?:status|finalize)$/.test(third))) {
    return { apiVersion, resource, ...namePart(name), ...subresourcePart(third, ...further) };
  }
  const [object, ...below] = further;
  return { apiVersion, resource: third, namespace: name, ...namePart(object), ...subresourcePart(...below) };
}

function namePart(name: string | undefined): { name?: string } {
  return name === undefined ? {} : { name };
}

function subresourcePart(...parts: readonly (string | undefined)[]): { subresource?: string } {
  const given = parts.filter((part) => part !== undefined);
  return given.length === 0 ? {} : { subresource: given.join('/') };
}

export function collectionPath({ apiVersion, resource, namespace }: ApiTarget): string {
  const version = apiVersion.split('/').map(encodeURIComponent).join('/');
  const root = apiVersion.includes('/') ? `/apis/${version}` : `/api/${version}`;
  const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${within}/${encodeURIComponent(resource)}`;
}

/** For example `deployments/web in namespace shop`. */
export function describeTarget({ resource, namespace, name, subresource }: ApiTarget): string {
  const what = [resource, name, subresource].filter((part) => part !== undefined).join('/');
  return namespace === undefined ? what : `${what} in namespace ${namespace}`;
}
