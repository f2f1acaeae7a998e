import type { DeclaredKind } from '../../core/helm/chartCrds';
import { isRecord } from '../../core/kubernetes/json';
import { apiGroup } from '../../core/kubernetes/manifest';
import { groupVersionPath } from '../kubernetes/resources';
import type { ApiTarget } from './apiRequest';
import type { GatewayRequest } from './loopbackServer';
import { jsonReply, type Reply } from './reply';
import { answeredReply, isSuccess, jsonOf, type Answered, type Upstream } from './upstream';

type Handler = (request: GatewayRequest) => Promise<Reply>;

/** Discovery lists these kinds, which have no objects yet. All other requests go to `next`. */
export function assumeKinds(upstream: Upstream, kinds: readonly DeclaredKind[], next: { handle: Handler }): Handler {
  const version = new Map(versionsOf(kinds).map((each) => [groupVersionPath(each), each]));
  return async (request) => {
    const { pathname } = request;
    if (request.asked.type !== 'read') return next.handle(request);
    if (pathname === '/apis') return groups(upstream, request, kinds);
    const asked = version.get(pathname);
    if (asked !== undefined)
      return resources(
        upstream,
        request,
        kinds.filter(({ apiVersion }) => apiVersion === asked),
      );
    const { target } = request.asked;
    const listed = target?.name === undefined ? kinds.find((kind) => isOf(kind, target)) : undefined;
    return listed === undefined ? next.handle(request) : list(next, request, listed);
  };
}

function isOf({ apiVersion, plural }: DeclaredKind, target: ApiTarget | undefined): boolean {
  return target?.apiVersion === apiVersion && target.resource === plural;
}

/** The client accepts all resources of all groups, or only the names of the groups. */
async function groups(upstream: Upstream, request: GatewayRequest, kinds: readonly DeclaredKind[]): Promise<Reply> {
  const { answered, value } = await discover(upstream, request, jsonForms(request.headers.accept));
  if (!isSuccess(answered) || !isRecord(value)) return answeredReply(answered);
  const { groups: named, items } = value;
  if (Array.isArray(items)) {
    const body = { ...value, items: aggregated(items.filter(isRecord), kinds) };
    return jsonReply(200, body, answered.headers['content-type']);
  }
  if (!Array.isArray(named)) return answeredReply(answered);
  return jsonReply(200, { ...value, groups: groupNames(named.filter(isRecord), kinds) });
}

function jsonForms(accept = ''): string {
  const forms = accept.split(',').filter((form) => form.trim().startsWith('application/json'));
  return forms.join(',') || 'application/json';
}

type Fields = Record<string, unknown>;

function groupNames(found: readonly Fields[], kinds: readonly DeclaredKind[]): Fields[] {
  const known = new Set(found.map(({ name }) => name));
  const versions = versionsOf(kinds);
  const added = [...new Set(versions.map(apiGroup))].filter((name) => !known.has(name)).map((name) => ({ name }));
  return [...found, ...added].map((group) => withVersions(group, versions));
}

function versionsOf(kinds: readonly DeclaredKind[]): string[] {
  return [...new Set(kinds.map(({ apiVersion }) => apiVersion))];
}

/** The items of an APIGroupDiscoveryList (k8s.io/api/apidiscovery) name every resource of every version. */
function aggregated(found: readonly Fields[], kinds: readonly DeclaredKind[]): Fields[] {
  const nameOf = ({ metadata }: Fields): unknown => (isRecord(metadata) ? metadata['name'] : undefined);
  const known = new Set(found.map(nameOf));
  const added = [...new Set(kinds.map(({ apiVersion }) => apiGroup(apiVersion)))]
    .filter((name) => !known.has(name))
    .map((name): Fields => ({ metadata: { name } }));
  return [...found, ...added].map((group) => {
    const own = kinds.filter(({ apiVersion }) => apiGroup(apiVersion) === nameOf(group));
    return own.length === 0 ? group : { ...group, versions: discoveredVersions(listOf(group['versions']), own) };
  });
}

function discoveredVersions(found: readonly Fields[], kinds: readonly DeclaredKind[]): Fields[] {
  const known = new Set(found.map(({ version }) => version));
  const added = [...new Set(kinds.map(versionName))]
    .filter((version) => !known.has(version))
    .map((version): Fields => ({ version, freshness: 'Current' }));
  return [...found, ...added].map((one) => {
    const resources = listOf(one['resources']);
    const names = new Set(resources.map(({ resource }) => resource));
    const own = kinds.filter((kind) => versionName(kind) === one['version'] && !names.has(kind.plural));
    return { ...one, resources: [...resources, ...own.map(discovered)] };
  });
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function versionName({ apiVersion }: DeclaredKind): string {
  return apiVersion.slice(apiVersion.indexOf('/') + 1);
}

function discovered(declared: DeclaredKind): Fields {
  const { apiVersion, plural, singular, kind, namespaced } = declared;
  const responseKind = { group: apiGroup(apiVersion), version: versionName(declared), kind };
  const scope = namespaced ? 'Namespaced' : 'Cluster';
  return { resource: plural, responseKind, scope, singularResource: singular, verbs };
}

function withVersions(group: Fields, versions: readonly string[]): Fields {
  const known = listOf(group['versions']);
  const added = versions
    .filter((version) => apiGroup(version) === group['name'])
    .filter((version) => !known.some(({ groupVersion }) => groupVersion === version))
    .map((version) => ({ groupVersion: version, version: version.slice(version.indexOf('/') + 1) }));
  const all = [...known, ...added];
  return { ...group, versions: all, preferredVersion: group['preferredVersion'] ?? all[0] };
}

async function resources(
  upstream: Upstream,
  request: GatewayRequest,
  declared: readonly DeclaredKind[],
): Promise<Reply> {
  const { answered, value } = await discover(upstream, request);
  if (!isSuccess(answered) && answered.status !== 404) return answeredReply(answered);
  const known = isRecord(value) ? listOf(value['resources']) : [];
  const added = declared.filter(({ plural }) => !known.some(({ name }) => name === plural)).map(resourceOf);
  return jsonReply(200, {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: declared[0]?.apiVersion,
    resources: [...known, ...added],
  });
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

function resourceOf({ plural, singular, kind, namespaced }: DeclaredKind): Fields {
  return { name: plural, singularName: singular, kind, namespaced, verbs };
}

/** A read of one named object needs no such answer: it gets 404 before and after the kind is installed. */
async function list(
  next: { handle: Handler },
  request: GatewayRequest,
  { apiVersion, kind }: DeclaredKind,
): Promise<Reply> {
  const reply = await next.handle(request);
  const status = 'stream' in reply ? reply.stream.statusCode : reply.status;
  if (status !== 404) return reply;
  if ('stream' in reply) reply.stream.resume();
  return jsonReply(200, { apiVersion, kind: `${kind}List`, metadata: { resourceVersion: '1' }, items: [] });
}

async function discover(
  upstream: Upstream,
  { pathname, client, signal }: GatewayRequest,
  accept = 'application/json',
): Promise<{ answered: Answered; value: unknown }> {
  const target = { apiVersion: pathname.replace(/^\/apis\/?/, ''), resource: 'the kinds' };
  const answered = await upstream.ask({
    method: 'GET',
    path: pathname,
    target,
    verb: 'get',
    accept,
    client,
    retry: 'idempotent',
    signal,
  });
  return { answered, value: jsonOf(answered.body) };
}
