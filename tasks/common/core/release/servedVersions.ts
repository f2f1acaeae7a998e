import type { KindName } from '../helm/chartCrds';
import { isRecord } from '../kubernetes/json';
import type { KubeObject } from '../kubernetes/object';
import { apiGroup, manifestObjects } from '../kubernetes/manifest';
import type { Revision } from './release';
import { isCustomResource } from '../kubernetes/groups';
import { manifestDocument } from './mergeBase';

/*
 * If the cluster no longer serves an API version in Helm's record, Helm can neither upgrade the release nor roll back
 * to that revision («no matches for kind»). So the task updates the versions in the record, as the plug-in mapkubeapis
 * does. The API server reports which version it serves instead.
 */

/** Kinds that moved to another group (Kubernetes' deprecated API migration guide). */
const movedKinds: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  extensions: {
    DaemonSet: 'apps',
    Deployment: 'apps',
    Ingress: 'networking.k8s.io',
    NetworkPolicy: 'networking.k8s.io',
    ReplicaSet: 'apps',
  },
};

/** Returns the groups in which a kind may be served today, the likeliest first. */
export function groupsOf({ apiVersion, kind }: KindName): string[] {
  const group = apiGroup(apiVersion);
  const moved = Object.hasOwn(movedKinds, group) ? movedKinds[group] : undefined;
  return moved !== undefined && Object.hasOwn(moved, kind) ? [group, moved[kind] ?? ''] : [group];
}

/** A kind in a version that is not served. `servedAs` is undefined if no version is served. */
export interface LostKind extends KindName {
  servedAs: string | undefined;
}

export function manifestKinds(manifest: string): KindName[] {
  const named = manifestObjects(manifest).map(({ apiVersion, kind }): [string, KindName] => [
    `${apiVersion} ${kind}`,
    { apiVersion, kind },
  ]);
  return [...new Map(named).values()];
}

/**
 * Puts lost kinds into their served versions. Objects of a built-in kind without any served version are left out.
 * Custom resources stay, because their definition may come back. Other documents stay the same byte by byte.
 */
export function renewedManifest(manifest: string, lost: readonly LostKind[]): string {
  if (lost.length === 0) return manifest;
  return manifest
    .split(/^(?=---(?:\s|$))/m)
    .map((document) => renewedDocument(document, lost))
    .join('');
}

function renewedDocument(document: string, lost: readonly LostKind[]): string {
  const objects = manifestObjects(document);
  const concerned = objects.filter((object) => lostKindOf(object, lost) !== undefined);
  const [first] = concerned;
  if (first === undefined) return document;
  const renewed = objects.flatMap((object) => renewedObject(object, lost));
  if (objects.length > 1 || renewed.length !== 1) return renewed.map(manifestDocument).join('');
  const text = withVersion(document, first.apiVersion, renewed[0]?.apiVersion ?? '');
  return text ?? renewed.map(manifestDocument).join('');
}

function lostKindOf({ apiVersion, kind }: KindName, lost: readonly LostKind[]): LostKind | undefined {
  return lost.find((each) => each.apiVersion === apiVersion && each.kind === kind);
}

function renewedObject(object: KubeObject, lost: readonly LostKind[]): KubeObject[] {
  const kind = lostKindOf(object, lost);
  if (kind === undefined) return [object];
  if (kind.servedAs !== undefined) return [{ ...object, apiVersion: kind.servedAs }];
  return isCustomResource(kind) ? [object] : [];
}

/** Changes the one line that has the version. Returns undefined if the text has another form. */
function withVersion(document: string, from: string, to: string): string | undefined {
  const line = /^(apiVersion:[ \t]*)(["']?)([^\s"'#]+)\2([ \t]*(?:#.*)?)$/gm;
  const found = [...document.matchAll(line)];
  if (found.length !== 1 || found[0]?.[3] !== from) return undefined;
  const text = document.replace(line, (...[, key, quote, , rest]: string[]) => `${key}${quote}${to}${quote}${rest}`);
  const [object] = manifestObjects(text);
  return isRecord(object) && object.apiVersion === to ? text : undefined;
}

/** A record with lost kinds, and its manifest without them. */
export interface RecordRenewal {
  revision: number;
  lost: readonly LostKind[];
  manifest: string;
}

/** The history as it will be after these records are written. */
export function renewedHistory(history: readonly Revision[], renewals: readonly RecordRenewal[]): readonly Revision[] {
  return history.map((revision) => renewedRevision(revision, renewals));
}

export function renewedRevision(record: Revision, renewals: readonly RecordRenewal[]): Revision {
  const renewal = renewals.find(({ revision }) => revision === record.revision);
  return renewal === undefined ? record : { ...record, manifest: renewal.manifest };
}

export function renewalWords({ apiVersion, kind, servedAs }: LostKind, revision: number): string {
  const gone = `Helm's record of revision ${revision} names ${kind} of ${apiVersion}, which the API server no longer serves`;
  if (servedAs !== undefined) return `${gone}: the task writes ${servedAs} there, so that Helm can read it.`;
  return `${gone} in any version: the task removes it there, so that Helm can read the record.`;
}

export function isRenewable(lost: LostKind): boolean {
  return lost.servedAs !== undefined || !isCustomResource(lost);
}
