import { asTaskError } from '../core/failure';
import type { KubeObject, ObjectRef } from '../core/kubernetes';
import { isSecret, objectName } from '../core/manifest';
import { isUnhealthy, sinceUninstall } from '../core/history';
import {
  claimTemplates,
  keepReason,
  leftovers,
  mergeBase,
  newcomers,
  otherOwner,
  type Leftover,
} from '../core/remains';
import type { ReportedLeftover } from '../core/report';
import type { Revision } from '../core/release';
import type { ReleaseContext } from '../core/releaseContext';
import { liveRef } from './wantedObjects';

/** What was changed in Helm's record so that Helm merges from everything that may be there; see core/remains. */
export interface GivenBase {
  /** The history before the change. */
  before: readonly Revision[];
  edited: Revision;
  superseded: readonly Revision[];
  leftovers: readonly ReportedLeftover[];
}

/**
 * Gives Helm the base for what it does next. `chain` are the revisions, oldest first, whose objects and fields may be
 * live; its last one is the last of the history, the one that Helm is made to merge from.
 */
export async function giveBase(
  context: ReleaseContext,
  history: readonly Revision[],
  chain: readonly Revision[],
  good: Revision | undefined,
  wantedManifest: string,
  config?: Readonly<Record<string, unknown>>,
): Promise<GivenBase | undefined> {
  const edited = chain.at(-1);
  if (edited === undefined) return undefined;
  const manifests = chain.map((revision) => revision.manifest);
  const found = leftovers(manifests, good?.manifest, wantedManifest, context.namespace);
  const fates = await Promise.all(found.map((leftover) => fateOf(context, leftover)));
  const foreign = await foreignKeys(context, newcomers(manifests, good?.manifest, wantedManifest, context.namespace));
  const spared = new Set([...fates.filter((fate) => fate.isSpared).map((fate) => fate.key), ...foreign]);
  const superseded = history.filter((revision) => revision.status === 'deployed' && revision !== edited);
  const given: GivenBase = {
    before: history,
    edited,
    superseded,
    leftovers: fates.flatMap((fate) => fate.reports),
  };
  const isUninstall = wantedManifest === '';
  for (const left of given.leftovers) if (!isUninstall || left.keptBecause !== '') context.agent.log(lineOf(left));
  await context.storage.update(edited.revision, {
    manifest: mergeBase(manifests, wantedManifest, context.namespace, spared),
    ...(config === undefined ? {} : { config }),
  });
  // While an older revision is `deployed` in its record, an upgrade merges from that one.
  for (const revision of superseded) await context.storage.update(revision.revision, { status: 'superseded' });
  return given;
}

/** What of it lies in the cluster as another's: left out of the base, Helm refuses to take it over. */
async function foreignKeys(
  context: ReleaseContext,
  objects: readonly { key: string; object: Leftover['object'] }[],
): Promise<string[]> {
  const release = { name: context.request.releaseName, namespace: context.namespace };
  const keys = objects.map(async ({ key, object }) => {
    const ref = await liveRef(context.cluster, object, context.namespace);
    const live = ref === undefined ? undefined : await context.cluster.get(ref, { metadataOnly: isSecret(ref) });
    return live !== undefined && otherOwner(live, release) !== undefined ? [key] : [];
  });
  return (await Promise.all(keys)).flat();
}

interface Fate {
  key: string;
  isSpared: boolean;
  reports: readonly ReportedLeftover[];
}

async function fateOf(context: ReleaseContext, leftover: Leftover): Promise<Fate> {
  const { key, object } = leftover;
  const ref = await liveRef(context.cluster, object, context.namespace);
  // Helm refuses a base with a kind that is not served.
  if (ref === undefined) return { key, isSpared: true, reports: [] };
  const live = await context.cluster.get(ref, { metadataOnly: isSecret(ref) });
  if (live === undefined) return { key, isSpared: false, reports: [] };
  const release = { name: context.request.releaseName, namespace: context.namespace };
  const reason = keepReason(ref, live, release, leftover.wasGood);
  const { kind, name } = ref;
  const claims = reason === undefined ? await claimsOf(context, ref, live) : [];
  return { key, isSpared: reason !== undefined, reports: [{ kind, name, keptBecause: reason ?? '' }, ...claims] };
}

/** The claims that a StatefulSet made are in no manifest: Kubernetes keeps them unless the set itself says otherwise. */
async function claimsOf(context: ReleaseContext, ref: ObjectRef, live: KubeObject): Promise<ReportedLeftover[]> {
  const templates = claimTemplates(live);
  const { namespace } = ref;
  if (namespace === undefined || templates.length === 0) return [];
  try {
    const claims = await context.cluster.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace });
    return claims
      .map(({ metadata }) => metadata.name)
      .filter((name) => templates.some((template) => isClaimOf(name, `${template}-${ref.name}-`)))
      .map((name) => ({ kind: 'PersistentVolumeClaim', name, keptBecause: 'it may hold data' }));
  } catch (error) {
    context.agent.log(`The claims of ${objectName(ref)} could not be read: ${asTaskError(error).message}`);
    return [];
  }
}

function isClaimOf(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length));
}

function lineOf(left: ReportedLeftover): string {
  const what = objectName(left);
  if (left.keptBecause === '') return `${what} is in no manifest that is wanted; Helm removes it.`;
  return `${what} is in no manifest that is wanted, but stays: ${left.keptBecause}.`;
}

/**
 * Puts Helm's record right after Helm has run: the edited record is as it was, and every revision that had failed, or
 * was uninstalled, says X */
export async function restoreRecord(
  context: ReleaseContext,
  given: GivenBase | undefined,
  before: readonly Revision[],
  nothingChanged: boolean,
): Promise<void> {
  const now = new Map((await context.storage.history()).map((revision) => [revision.revision, revision]));
  if (given !== undefined) {
    const { edited } = given;
    if (now.has(edited.revision)) {
      await context.storage.update(edited.revision, {
        manifest: edited.manifest,
        config: edited.config,
        status: edited.status,
      });
    }
    for (const revision of nothingChanged ? given.superseded : []) {
      await context.storage.update(revision.revision, { status: 'deployed' });
    }
  }
  for (const revision of before) {
    const current = now.get(revision.revision);
    if (revision.revision === given?.edited.revision || current === undefined) continue;
    if (current.status !== 'superseded') continue;
    if (isUnhealthy(revision)) await context.storage.update(revision.revision, { status: 'failed' });
    // An install over a kept history does this to it, and what was uninstalled would look like a way back.
    if (revision.status === 'uninstalled') await context.storage.update(revision.revision, { status: 'uninstalled' });
  }
}

/** The revisions whose traces may be live when the last one failed: from the last good one on. */
export function chainFrom(history: readonly Revision[], good: Revision | undefined): readonly Revision[] {
  return sinceUninstall(history).filter((revision) => revision.revision >= (good?.revision ?? 0));
}
