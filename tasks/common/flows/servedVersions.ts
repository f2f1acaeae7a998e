import type { KindName } from '../core/chartCrds';
import { sinceUninstall } from '../core/history';
import type { ApiResource, Cluster } from '../core/ports';
import type { Revision } from '../core/release';
import type { ReleaseContext } from '../core/releaseContext';
import {
  groupsOf,
  isRenewable,
  manifestKinds,
  renewalWords,
  renewedManifest,
  type LostKind,
} from '../core/servedVersions';

/** Where a kind is served: in the version that is asked for, else in another one, or where its group has gone. */
export async function servedResource(cluster: Cluster, wanted: KindName): Promise<ApiResource | undefined> {
  const { apiVersion, kind } = wanted;
  const exact = await cluster.resource(apiVersion, kind);
  if (exact !== undefined) return exact;
  for (const group of groupsOf(wanted)) {
    const found = await cluster.findResource(kind.toLowerCase(), group);
    if (found?.kind === kind) return found;
  }
  return undefined;
}

export type ResourceFinder = (wanted: KindName) => Promise<ApiResource | undefined>;

/** Finds each kind once, for the time of one look: a kind may be installed, or go, between two of them. */
export function resourceFinder(cluster: Cluster): ResourceFinder {
  const found = new Map<string, Promise<ApiResource | undefined>>();
  return ({ apiVersion, kind }) => {
    const key = `${apiVersion} ${kind}`;
    const resource = found.get(key) ?? servedResource(cluster, { apiVersion, kind });
    found.set(key, resource);
    return resource;
  };
}

/** The kinds of a manifest that are not served in the version that it names. */
async function lostKinds(cluster: Cluster, manifest: string): Promise<LostKind[]> {
  const lost = await Promise.all(
    manifestKinds(manifest).map(async (wanted): Promise<LostKind[]> => {
      const served = await servedResource(cluster, wanted);
      return served?.apiVersion === wanted.apiVersion ? [] : [{ ...wanted, servedAs: served?.apiVersion }];
    }),
  );
  return lost.flat();
}

/**
 * Brings the records that Helm is going to read up to date, from `oldest` on: to versions of their objects that the API
 * server serves. Answers with the history as it is then. What is written is right for good, whatever comes after.
 */
export async function renewRecords(
  context: ReleaseContext,
  history: readonly Revision[],
  oldest: number,
): Promise<readonly Revision[]> {
  const { agent, cluster, storage } = context;
  let isRenewed = false;
  for (const { revision, manifest } of sinceUninstall(history)) {
    const lost = revision < oldest ? [] : (await lostKinds(cluster, manifest)).filter(isRenewable);
    if (lost.length === 0) continue;
    for (const kind of lost) agent.log(renewalWords(kind, revision));
    await storage.update(revision, { manifest: renewedManifest(manifest, lost) });
    isRenewed = true;
  }
  return isRenewed ? storage.history() : history;
}
