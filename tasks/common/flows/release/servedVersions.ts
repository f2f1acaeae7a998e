import type { KindName } from '../../core/helm/chartCrds';
import { sinceUninstall } from '../../core/release/history';
import type { Cluster } from '../../core/ports';
import type { Revision } from '../../core/release/release';
import type { ReleaseContext } from '../../core/releaseContext';
import {
  groupsOf,
  isRenewable,
  manifestKinds,
  renewalWords,
  renewedManifest,
  type LostKind,
  type RecordRenewal,
} from '../../core/release/servedVersions';
import type { ApiResource } from '../../core/kubernetes/access';

/** Finds the kind in the requested version, else in another version, else in the group to which it has moved. */
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

/** Looks up each kind once. Use it for one reading of the cluster, because kinds may come and go. */
export function resourceFinder(cluster: Cluster): ResourceFinder {
  const found = new Map<string, Promise<ApiResource | undefined>>();
  return ({ apiVersion, kind }) => {
    const key = `${apiVersion} ${kind}`;
    const resource = found.get(key) ?? servedResource(cluster, { apiVersion, kind });
    found.set(key, resource);
    return resource;
  };
}

/** The kinds of a manifest that are not served in the version that the manifest names. */
async function lostKinds(cluster: Cluster, manifest: string): Promise<LostKind[]> {
  const lost = await Promise.all(
    manifestKinds(manifest).map(async (wanted): Promise<LostKind[]> => {
      const served = await servedResource(cluster, wanted);
      return served?.apiVersion === wanted.apiVersion ? [] : [{ ...wanted, servedAs: served?.apiVersion }];
    }),
  );
  return lost.flat();
}

/** Finds the records to renew from revision `oldest` on. */
export async function findRenewals(
  cluster: Cluster,
  history: readonly Revision[],
  oldest: number,
): Promise<readonly RecordRenewal[]> {
  const read = sinceUninstall(history).filter(({ revision }) => revision >= oldest);
  const found: RecordRenewal[] = [];
  for (const { revision, manifest } of read) {
    const lost = (await lostKinds(cluster, manifest)).filter(isRenewable);
    if (lost.length > 0) found.push({ revision, lost, manifest: renewedManifest(manifest, lost) });
  }
  return found;
}

export async function writeRenewals(
  { agent, storage }: Pick<ReleaseContext, 'agent' | 'storage'>,
  renewals: readonly RecordRenewal[],
): Promise<void> {
  for (const { revision, lost, manifest } of renewals) {
    for (const kind of lost) agent.log(renewalWords(kind, revision));
    await storage.update(revision, { manifest });
  }
}

/** Renews the records that Helm is going to read, from revision `oldest` on, and returns the history. */
export async function renewRecords(
  context: ReleaseContext,
  history: readonly Revision[],
  oldest: number,
): Promise<readonly Revision[]> {
  const renewals = await findRenewals(context.cluster, history, oldest);
  await writeRenewals(context, renewals);
  return renewals.length > 0 ? context.storage.history() : history;
}
