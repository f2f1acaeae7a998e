import { isRecord } from '../../core/kubernetes/json';
import { asTaskError, TaskError } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import { apiGroup } from '../../core/kubernetes/manifest';
import { attempted, notUnderstood, refusal, snippet, statusOf, type Answer, type Attempt, type Verb } from './errors';
import { builtInResource, groupVersionPath, parseResourceList, resourcePath } from './resources';
import type { Exchange, Transport } from './transport';
import type { ApiResource } from '../../core/kubernetes/access';
import type { ListQuery } from '../../core/kubernetes/queries';

/** The objects have apiVersion and kind. */
interface Page {
  items: KubeObject[];
  resourceVersion: string;
  continueToken: string | undefined;
}

const pageLimit = 500;
/** Then everything is read in one request. client-go does the same when its pages keep expiring. */
const pagedTries = 3;

/** For requests that must be sent first, such as discovery. */
interface How {
  retry?: Exchange['retry'];
  signal?: AbortSignal;
}

export interface Requests {
  transport: Transport;
  /** Uses discovery, which is cached once it succeeded. Undefined if the kind is not served. */
  resource(apiVersion: string, kind: string, how?: How): Promise<ApiResource | undefined>;
  /** Throws `KindNotServed`. */
  served(apiVersion: string, kind: string, attempt: Attempt, how?: How): Promise<ApiResource>;
  /** Throws the API server's error unless it answers with a success. */
  json(exchange: Exchange): Promise<unknown>;
  /** `take` gets each page, so that its memory can be released. Returns the resourceVersion of the list. */
  pages(query: ListQuery, options: PagesOptions): Promise<string>;
}

interface PagesOptions {
  retry: Exchange['retry'];
  signal?: AbortSignal;
  /** Called before every try, because the pages of an earlier try are no longer valid. */
  start(): void;
  take(items: KubeObject[]): void | Promise<void>;
}

export function createRequests(transport: Transport): Requests {
  const { server } = transport;
  const discovered = new Map<string, ApiResource[]>();
  const underWay = new Map<string, Promise<ApiResource[]>>();

  const json = async (exchange: Exchange): Promise<unknown> => {
    const answer = await transport.send(exchange);
    if (answer.status < 200 || answer.status > 299) throw refusal(answer, exchange.attempt, server);
    return parseJson(answer, exchange.attempt, server);
  };

  const discover = async (apiVersion: string, { retry, signal }: How): Promise<ApiResource[]> => {
    const attempt: Attempt = { verb: 'get', target: `the kinds of ${apiVersion}` };
    const answer = await transport.send({
      method: 'GET',
      path: groupVersionPath(apiVersion),
      attempt,
      retry: retry ?? 'idempotent',
      ...(signal && { signal }),
    });
    if (answer.status === 404 && isKubernetesNotFound(answer)) return [];
    if (answer.status !== 200) throw refusal(answer, attempt, server);
    const resources = parseResourceList(apiVersion, parseJson(answer, attempt, server));
    if (resources === undefined) throw notUnderstood(attempt, server, 'it gave no list of resources');
    discovered.set(apiVersion, resources);
    return resources;
  };

  // Simultaneous callers share one request, unless its sender is cancelled.
  const discoverOnce = async (apiVersion: string, how: How): Promise<ApiResource[]> => {
    const shared = underWay.get(apiVersion);
    if (shared === undefined) {
      const own = discover(apiVersion, how).finally(() => underWay.delete(apiVersion));
      underWay.set(apiVersion, own);
      return own;
    }
    try {
      return await shared;
    } catch (error) {
      if (asTaskError(error).reason !== 'Cancelled') throw error;
      return discover(apiVersion, how);
    }
  };

  const resource = async (apiVersion: string, kind: string, how: How = {}): Promise<ApiResource | undefined> => {
    const known = builtInResource(apiVersion, kind) ?? discovered.get(apiVersion)?.find((each) => each.kind === kind);
    if (known !== undefined) return known;
    // A definition may have been installed since the last discovery.
    return (await discoverOnce(apiVersion, how)).find((each) => each.kind === kind);
  };

  const served = async (apiVersion: string, kind: string, attempt: Attempt, how?: How): Promise<ApiResource> => {
    const found = await resource(apiVersion, kind, how);
    if (found !== undefined) return found;
    throw kindNotServed(apiVersion, kind, attempt);
  };

  const page = async (resourceOf: ApiResource, query: ListQuery, options: PageOptions): Promise<Answer> =>
    transport.send({
      method: 'GET',
      path: resourcePath(resourceOf, {
        namespace: query.namespace,
        query: {
          labelSelector: query.labelSelector,
          fieldSelector: query.fieldSelector,
          limit: options.limit === undefined ? undefined : String(options.limit),
          continue: options.continueToken,
        },
      }),
      attempt: listAttempt('list', query, resourceOf),
      accept: acceptFor(query, 'list'),
      retry: options.retry,
      ...(options.signal && { signal: options.signal }),
    });

  return {
    transport,
    resource,
    served,
    json,
    async pages(query, options) {
      const attempt = listAttempt('list', query);
      const { signal, retry } = options;
      const resourceOf = await served(query.apiVersion, query.kind, attempt, { retry, ...(signal && { signal }) });
      for (let tries = 0; ; tries++) {
        options.start();
        const limit = tries < pagedTries ? pageLimit : undefined;
        let continueToken: string | undefined;
        for (;;) {
          const answer = await page(resourceOf, query, { retry, signal, limit, continueToken });
          if (answer.status === 410 && continueToken !== undefined && tries < pagedTries) break;
          if (answer.status !== 200) throw refusal(answer, listAttempt('list', query, resourceOf), server);
          const parsed = parsePage(parseJson(answer, attempt, server), query, () =>
            notUnderstood(attempt, server, 'it gave no list'),
          );
          await options.take(parsed.items);
          if (parsed.continueToken === undefined) return parsed.resourceVersion;
          continueToken = parsed.continueToken;
        }
      }
    },
  };
}

interface PageOptions {
  retry: Exchange['retry'];
  signal: AbortSignal | undefined;
  limit: number | undefined;
  continueToken: string | undefined;
}

function kindNotServed(apiVersion: string, kind: string, attempt: Attempt): TaskError {
  const message = `Could not ${attempted(attempt)}: the API server serves no ${kind} of ${apiVersion}.`;
  return new TaskError('KindNotServed', message, { facts: { apiVersion, kind } });
}

/** For example `Pod objects in namespace shop`. */
export function listAttempt(verb: Verb, query: ListQuery, resource?: ApiResource): Attempt {
  const where = query.namespace === undefined ? '' : ` in namespace ${query.namespace}`;
  return { verb, target: `${query.kind} objects${where}`, ...rights(resource, query.namespace) };
}

/** For example `Deployment/web in namespace shop`. */
export function objectAttempt(
  verb: Verb,
  ref: { kind: string; name: string; namespace?: string | undefined },
  resource?: ApiResource,
): Attempt {
  const where = ref.namespace === undefined || resource?.namespaced === false ? '' : ` in namespace ${ref.namespace}`;
  return { verb, target: `${ref.kind}/${ref.name}${where}`, ...rights(resource, ref.namespace) };
}

function rights(resource: ApiResource | undefined, namespace: string | undefined): Pick<Attempt, 'resource'> {
  if (resource === undefined) return {};
  const group = apiGroup(resource.apiVersion);
  return { resource: { group, plural: resource.plural, namespace: resource.namespaced ? namespace : undefined } };
}

/** A 404 of anything else (a load balancer, a wrong address) must not count as a missing object. */
export function isKubernetesNotFound(answer: Answer): boolean {
  const status = statusOf(answer);
  if (status !== undefined) return status.reason === 'NotFound' || status.code === 404;
  return answer.body.toString('utf8').trim() === '404 page not found';
}

export function parseJson(answer: Answer, attempt: Attempt, server: string): unknown {
  try {
    return JSON.parse(answer.body.toString('utf8'));
  } catch (error) {
    const type = answer.contentType === '' ? 'no content type' : answer.contentType;
    throw notUnderstood(attempt, server, `it answered ${answer.status} with ${type}: ${snippet(answer)}`, error);
  }
}

/** An aggregated API server may not know the metadata form; `asKubeObject` reduces its whole objects. */
export function acceptFor({ metadataOnly }: { metadataOnly?: boolean }, form: 'object' | 'list'): string {
  const kind = form === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata';
  return metadataOnly === true ? `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json` : 'application/json';
}

/** kubectl stores the whole object in this annotation, even the data of a Secret. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

function metadataOf(metadata: Record<string, unknown>): Record<string, unknown> {
  const { annotations, ...others } = metadata;
  if (!isRecord(annotations)) return metadata;
  return {
    ...others,
    annotations: Object.fromEntries(Object.entries(annotations).filter(([name]) => name !== lastApplied)),
  };
}

/** Undefined for anything else. Items of a list and metadata-only answers get the requested apiVersion and kind. */
export function asKubeObject(
  value: unknown,
  asked: { apiVersion: string; kind: string; metadataOnly?: boolean },
): KubeObject | undefined {
  if (!isRecord(value) || !isRecord(value['metadata'])) return undefined;
  const { metadata } = value;
  if (typeof metadata['name'] !== 'string') return undefined;
  const { apiVersion, kind } = asked;
  if (asked.metadataOnly === true) return { apiVersion, kind, metadata: metadataOf(metadata) } as KubeObject;
  if (typeof value['apiVersion'] === 'string' && typeof value['kind'] === 'string') return value as KubeObject;
  return { ...value, apiVersion, kind } as KubeObject;
}

/** They are often half of an object, and followers do not need them. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  delete object.metadata['managedFields'];
  return object;
}

function parsePage(value: unknown, query: ListQuery, problem: () => TaskError): Page {
  if (!isRecord(value) || !isRecord(value['metadata'])) throw problem();
  const { items, metadata } = value;
  // Go encodes an empty list as null.
  if (items !== null && !Array.isArray(items)) throw problem();
  const continueToken = metadata['continue'];
  const objects = (items ?? []).map((item: unknown) => {
    const object = asKubeObject(item, query);
    if (object === undefined) throw problem();
    return query.withManagers === true ? object : withoutManagedFields(object);
  });
  return {
    items: objects,
    resourceVersion: typeof metadata['resourceVersion'] === 'string' ? metadata['resourceVersion'] : '',
    continueToken: typeof continueToken === 'string' && continueToken !== '' ? continueToken : undefined,
  };
}
