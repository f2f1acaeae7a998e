import type { WriteVerb } from '../../core/helm/rehearsal';

/** What a path of the Kubernetes API names. */
export interface ApiTarget {
  /** `apps/v1`, `v1`. */
  apiVersion: string;
  /** As in the path, for example `deployments`. */
  resource: string;
  /** Absent: cluster-scoped, or all namespaces. */
  namespace?: string;
  /** Absent: all of the resource. */
  name?: string;
  subresource?: string;
}

/** What a request asks for, as far as the gateway must know. */
export type Asked =
  /** Nothing changes by it; `target` is absent for discovery, schemas and the version. */
  | { type: 'read'; target?: ApiTarget }
  /** Of a creation, `target` names the object's collection. */
  | { type: 'write'; verb: WriteVerb; target: ApiTarget }
  /** `target` names no object: which ones are deleted is told by the answer. */
  | { type: 'deleteCollection'; target: ApiTarget }
  | { type: 'forbidden'; why: string };

/** Subresources that lead on to something that knows no dry run and nothing of Kubernetes. */
const connecting = new Set(['attach', 'exec', 'portforward', 'proxy']);
/** Those whose writes the API server itself does; what an aggregated API makes of others cannot be known. */
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
/** A review is created to be answered: nothing is kept of it. */
const reviewGroups = new Set(['authentication.k8s.io', 'authorization.k8s.io']);
const roots = /^\/(?:apis?|openapi|version|healthz|livez|readyz|\.well-known)(?:\/|$)/;

/**
 * Reads method and path. What it does not know is forbidden: Helm asks for none of it. `contentType` tells a server-side
 * apply from other patches.
 */
export function whatIsAsked(method: string, pathname: string, contentType: string): Asked {
  const parts = pathParts(pathname);
  if (parts === undefined || !roots.test(pathname)) return { type: 'forbidden', why: 'this is no path of the API' };
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

/** Decoded. Undefined for what the API server could read in another way than we do. */
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

/** `/api/VERSION/...` or `/apis/GROUP/VERSION/...`; undefined for discovery and whatever lies elsewhere. */
function apiTarget(parts: readonly string[]): ApiTarget | undefined {
  const [root, first = '', second = ''] = parts;
  if (root !== 'api' && root !== 'apis') return undefined;
  const apiVersion = root === 'api' ? first : `${first}/${second}`;
  const rest = parts.slice(root === 'api' ? 2 : 3);
  // The old paths of watches; the rest of them names what is watched.
  if (rest[0] === 'watch') rest.shift();
  const [resource, name, third, ...further] = rest;
  if (resource === undefined) return undefined;
  // A namespace is an object too, and has subresources of its own.
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

/** The path of all objects of the target's resource and namespace. */
export function collectionPath({ apiVersion, resource, namespace }: ApiTarget): string {
  const version = apiVersion.split('/').map(encodeURIComponent).join('/');
  const root = apiVersion.includes('/') ? `/apis/${version}` : `/api/${version}`;
  const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${within}/${encodeURIComponent(resource)}`;
}

/** `deployments/web in namespace shop`, for messages. */
export function describeTarget({ resource, namespace, name, subresource }: ApiTarget): string {
  const what = [resource, name, subresource].filter((part) => part !== undefined).join('/');
  return namespace === undefined ? what : `${what} in namespace ${namespace}`;
}
