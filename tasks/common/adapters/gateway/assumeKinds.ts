import type { DeclaredKind } from '../../core/chartCrds';
import { isRecord } from '../../core/json';
import { apiGroup } from '../../core/manifest';
import { groupVersionPath } from '../kubernetes/resources';
import type { ApiTarget } from './apiRequest';
import type { GatewayRequest } from './loopbackServer';
import { jsonReply, refusalReply, type Reply } from './reply';
import { answeredReply, isSuccess, jsonOf, type Upstream } from './upstream';

/**
 * The cluster as it will be when definitions of these kinds are installed: discovery tells of them, and there is no
 * object of them yet. All other reads are passed on; nothing is written.
 */
export function assumeKinds(
  upstream: Upstream,
  kinds: readonly DeclaredKind[],
): (request: GatewayRequest) => Promise<Reply> {
  const versions = [...new Set(kinds.map(({ apiVersion }) => apiVersion))];
  const version = new Map(versions.map((each) => [groupVersionPath(each), each]));
  return async (request) => {
    const { pathname } = request;
    if (request.asked.type !== 'read') return refusalReply(403, 'Forbidden', 'A dry run of Helm writes nothing.');
    if (pathname === '/apis') return groups(upstream, request, versions);
    const asked = version.get(pathname);
    if (asked !== undefined)
      return resources(
        upstream,
        request,
        kinds.filter(({ apiVersion }) => apiVersion === asked),
      );
    const { target } = request.asked;
    const listed = target?.name === undefined ? kinds.find((kind) => isOf(kind, target)) : undefined;
    return listed === undefined ? upstream.passRead(request) : list(upstream, request, listed);
  };
}

function isOf({ apiVersion, plural }: DeclaredKind, target: ApiTarget | undefined): boolean {
  return target?.apiVersion === apiVersion && target.resource === plural;
}

/** Asked for in the older of its two forms, in which versions are discovered one by one. */
async function groups(upstream: Upstream, request: GatewayRequest, versions: readonly string[]): Promise<Reply> {
  const { answered, value } = await discover(upstream, request);
  if (!isSuccess(answered) || !isRecord(value) || !Array.isArray(value['groups'])) return answeredReply(answered);
  const found = (value['groups'] as unknown[]).filter(isRecord);
  const known = new Set(found.map(({ name }) => name));
  const added = [...new Set(versions.map(apiGroup))].filter((name) => !known.has(name)).map((name) => ({ name }));
  return jsonReply(200, { ...value, groups: [...found, ...added].map((group) => withVersions(group, versions)) });
}

function withVersions(group: Record<string, unknown>, versions: readonly string[]): Record<string, unknown> {
  const known = Array.isArray(group['versions']) ? group['versions'].filter(isRecord) : [];
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
  const known = isRecord(value) && Array.isArray(value['resources']) ? value['resources'].filter(isRecord) : [];
  const added = declared.filter(({ plural }) => !known.some(({ name }) => name === plural)).map(resourceOf);
  return jsonReply(200, {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: declared[0]?.apiVersion,
    resources: [...known, ...added],
  });
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

function resourceOf({ plural, singular, kind, namespaced }: DeclaredKind): Record<string, unknown> {
  return { name: plural, singularName: singular, kind, namespaced, verbs };
}

/** A list of what is not served yet is empty once it is; what a name is asked for is not there, before and after. */
async function list(upstream: Upstream, request: GatewayRequest, { apiVersion, kind }: DeclaredKind): Promise<Reply> {
  const reply = await upstream.passRead(request);
  const status = 'stream' in reply ? reply.stream.statusCode : reply.status;
  if (status !== 404) return reply;
  if ('stream' in reply) reply.stream.resume();
  return jsonReply(200, { apiVersion, kind: `${kind}List`, metadata: { resourceVersion: '1' }, items: [] });
}

async function discover(upstream: Upstream, { pathname, client, signal }: GatewayRequest) {
  const target = { apiVersion: pathname.replace(/^\/apis\/?/, ''), resource: 'the kinds' };
  const answered = await upstream.ask({
    method: 'GET',
    path: pathname,
    target,
    verb: 'get',
    client,
    retry: 'idempotent',
    signal,
  });
  return { answered, value: jsonOf(answered.body) };
}
