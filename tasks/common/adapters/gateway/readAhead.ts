import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject } from '../../core/kubernetes/object';
import { collectionPath, groupOf, type ApiTarget } from './apiRequest';
import { isSuccess, jsonOf, pathAndQuery, type Upstream } from './upstream';

/** Helm reads the objects of a release one by one, twice each. After a few reads, all of a kind are listed at once. */
export interface ReadAhead {
  /** Undefined if the caller must request the object. `onRequest` is called for each list request. */
  object(target: ApiTarget, onRequest: () => void): Promise<KubeObject | undefined>;
  /** The object has changed, so it is requested again. */
  drop(target: ApiTarget): Promise<void>;
}

interface Listing {
  reads: number;
  objects?: Promise<Map<string, KubeObject>>;
}

/** This number of objects of a kind is read by single requests, before the kind is listed. */
const singleReads = 4;
const pageLimit = 500;
/** In a namespace with many releases, more pages would cost more than they save. */
const maximumPages = 4;
/** Helm puts this label on every object that it manages. Others are requested by name. */
const ofHelm = 'app.kubernetes.io/managed-by=Helm';

export function createReadAhead(upstream: Upstream): ReadAhead {
  const listings = new Map<string, Listing>();
  const keyOf = (target: ApiTarget): string => collectionPath(target);
  return {
    async object(target, onRequest) {
      // The Secrets of other releases must not be read.
      const isSecret = groupOf(target) === '' && target.resource === 'secrets';
      if (isSecret || target.namespace === undefined || target.name === undefined) return undefined;
      const listing = listings.get(keyOf(target)) ?? { reads: 0 };
      listings.set(keyOf(target), listing);
      listing.reads += 1;
      if (listing.reads <= singleReads) return undefined;
      // If the list fails, the objects are read one by one.
      listing.objects ??= listAll(upstream, target, onRequest).catch(() => new Map<string, KubeObject>());
      return (await listing.objects).get(target.name);
    },
    async drop(target) {
      (await listings.get(keyOf(target))?.objects)?.delete(target.name ?? '');
    },
  };
}

async function listAll(upstream: Upstream, target: ApiTarget, onRequest: () => void): Promise<Map<string, KubeObject>> {
  const objects = new Map<string, KubeObject>();
  const query = new URLSearchParams({ labelSelector: ofHelm, limit: String(pageLimit) });
  for (let page = 0; page < maximumPages; page++) {
    onRequest();
    const { name: _name, ...collection } = target;
    const answered = await upstream.ask({
      method: 'GET',
      path: pathAndQuery(collectionPath(collection), query),
      target: collection,
      verb: 'list',
      retry: 'idempotent',
    });
    const list = jsonOf(answered.body);
    if (!isSuccess(answered) || !isRecord(list)) return objects;
    for (const object of itemsOf(list, target)) objects.set(object.metadata.name, object);
    const next = isRecord(list['metadata']) ? list['metadata']['continue'] : undefined;
    if (typeof next !== 'string' || next === '') return objects;
    query.set('continue', next);
  }
  return objects;
}

/** The items of a list have no apiVersion and kind. */
function itemsOf(list: Record<string, unknown>, { apiVersion }: ApiTarget): KubeObject[] {
  const { items, kind } = list;
  if (!Array.isArray(items) || typeof kind !== 'string') return [];
  return (items as unknown[]).flatMap((item) => {
    if (!isRecord(item) || !isRecord(item['metadata']) || typeof item['metadata']['name'] !== 'string') return [];
    const metadata = item['metadata'] as KubeObject['metadata'];
    return [{ ...item, apiVersion, kind: kind.replace(/List$/, ''), metadata }];
  });
}
