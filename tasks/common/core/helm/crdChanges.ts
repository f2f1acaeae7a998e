import { isRecord } from '../kubernetes/json';
import type { KubeObject } from '../kubernetes/object';
import { at, isTrue, listAt, textAt } from '../kubernetes/read';
import { manifestObjects } from '../kubernetes/manifest';
import { isUnchangedByApply } from '../kubernetes/sameContent';
import { someNames } from '../text/someNames';

/**
 * The values of the input `crds`. `skip` makes nothing, not even at a first install; `create` makes missing definitions.
 * `createReplace` also replaces those that differ.
 */
export type CrdsPolicy = 'skip' | 'create' | 'createReplace';

/**
 * Reads the output of `helm template --include-crds`. Helm treats conditions and tags of subcharts there as in an
 * install; `helm show crds` prints the definitions of all subcharts (measured with 3.17.3 and 4.3.2).
 */
export function renderedCrds(output: string): KubeObject[] {
  const parts = output.split(/^---[ \t]*\n(?=# Source: )/m);
  // A file may hold several documents, of which Helm names the source once.
  const crds = parts.filter((part) => crdSource.test(part)).join('\n---\n');
  return definitionsIn(crds);
}

function definitionsIn(text: string): KubeObject[] {
  return manifestObjects(text).filter(({ kind }) => kind === 'CustomResourceDefinition');
}

const crdSource = /^(?:---[ \t]*\n)?# Source: (?:[^/\n]+\/charts\/)*[^/\n]+\/crds\//;

export type CrdChange =
  | { change: 'create' | 'replace'; name: string; object: KubeObject }
  | { change: 'none'; name: string; why: string }
  | { change: 'refused'; name: string; why: string };

export interface LiveCrd {
  live: KubeObject;
  /** False only if there is certainly no object of the kind. */
  hasObjects: boolean;
}

/** Decides what becomes of one definition of the chart. */
export function crdChange(declared: KubeObject, found: LiveCrd | undefined, policy: CrdsPolicy): CrdChange {
  const { name } = declared.metadata;
  if (found === undefined) return { change: 'create', name, object: declared };
  const { live } = found;
  if (policy !== 'createReplace') return { change: 'none', name, why: 'it exists' };
  if (live.metadata.deletionTimestamp !== undefined) return { change: 'refused', name, why: 'it is being deleted' };
  const lost = lostVersions(declared, found);
  if (lost.length > 0) return { change: 'refused', name, why: lostWords(lost) };
  if (textAt(declared, 'spec', 'scope') !== textAt(live, 'spec', 'scope')) {
    return { change: 'refused', name, why: 'its scope would change, which Kubernetes does not allow' };
  }
  const object = replacement(declared, live);
  return isUnchangedByApply(object, live)
    ? { change: 'none', name, why: 'it is as the chart declares it' }
    : { change: 'replace', name, object };
}

interface LostVersion {
  version: string;
  why: string;
}

/**
 * Versions in which objects may be stored and that the chart's definition lacks: the API server refuses it. And versions
 * that are served now and would not be any more, while there are objects to read in them.
 */
function lostVersions(declared: KubeObject, { live, hasObjects }: LiveCrd): LostVersion[] {
  const versions = new Map(listAt(declared, 'spec', 'versions').map((one) => [textAt(one, 'name'), one]));
  const { status } = live;
  const stored = isRecord(status) && Array.isArray(status['storedVersions']) ? status['storedVersions'] : [];
  const unknown = stored
    .filter((version): version is string => typeof version === 'string' && !versions.has(version))
    .map((version) => ({ version, why: 'objects may be stored in it (status.storedVersions)' }));
  const unserved = listAt(live, 'spec', 'versions')
    .filter((one) => one['served'] === true && versions.get(textAt(one, 'name'))?.['served'] !== true)
    .map((one) => ({ version: textAt(one, 'name'), why: 'the cluster serves it now' }));
  if (!hasObjects) return unknown;
  return [...unknown, ...unserved.filter(({ version }) => !unknown.some((one) => one.version === version))];
}

function lostWords(lost: readonly LostVersion[]): string {
  const words = lost.map(({ version, why }) => `${version} (${why})`);
  return `the chart's definition no longer serves ${someNames(words)}`;
}

/** The API server serves the kind and has accepted its names. */
export function isEstablished(live: KubeObject | undefined): boolean {
  return live !== undefined && isTrue(live, 'Established') && isTrue(live, 'NamesAccepted');
}

/** Returns the message of a condition that keeps a definition from being established, or an empty text. */
export function unestablishedWords(live: KubeObject | undefined): string {
  const conditions = listAt(live, 'status', 'conditions').filter((one) => one['status'] === 'False');
  return conditions.map((one) => textAt(one, 'message')).join(' ');
}

/** Others add labels, annotations and the certificate of a conversion webhook; these stay. */
function replacement(declared: KubeObject, live: KubeObject): KubeObject {
  const { resourceVersion, uid, labels, annotations, ownerReferences, finalizers } = live.metadata;
  const metadata = {
    ...declared.metadata,
    labels: { ...labels, ...declared.metadata.labels },
    annotations: { ...annotations, ...declared.metadata.annotations },
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(ownerReferences === undefined ? {} : { ownerReferences }),
    ...(finalizers === undefined ? {} : { finalizers }),
  };
  return { ...declared, metadata, spec: withCertificate(declared['spec'], live) };
}

function withCertificate(spec: unknown, live: KubeObject): unknown {
  const path = ['conversion', 'webhook', 'clientConfig'];
  const [wanted, found] = [at(spec, ...path), at(live, 'spec', ...path, 'caBundle')];
  if (!isRecord(spec) || !isRecord(wanted) || wanted['caBundle'] !== undefined || found === undefined) return spec;
  const { conversion } = spec as { conversion: { webhook: object } };
  const webhook = { ...conversion.webhook, clientConfig: { ...wanted, caBundle: found } };
  return { ...spec, conversion: { ...conversion, webhook } };
}
