import { isBuiltIn } from '../kubernetes/groups';
import { isRecord } from '../kubernetes/json';
import { apiGroup, objectKey } from '../kubernetes/manifest';
import type { KubeObject } from '../kubernetes/object';
import { at, listAt, textAt } from '../kubernetes/read';
import type { Facts, Proof, Question, ReleaseFacts } from './facts';
import type { Finding } from './finding';
import { isRunner } from './runner';

/** A ConfigMap or Secret that a container refers to, without the key or at all not there. */
interface Missing {
  kind: 'ConfigMap' | 'Secret';
  name: string;
  key?: string;
}

/**
 * Returns the facts of a release about its ConfigMaps, Secrets and images. `earlier`: the objects of its earlier
 * revisions. `deployed`: those of the revisions that did not fail.
 */
export function releaseFacts(
  declared: readonly KubeObject[],
  earlier: readonly KubeObject[] = [],
  deployed: readonly KubeObject[] = [],
): ReleaseFacts {
  const [references, images, others] = [new Set<string>(), new Set<string>(), new Set<string>()];
  collect(earlier, references, others);
  collect(deployed, others, images);
  return { declared, images: [...images], ...(earlier.length === 0 ? {} : { references: [...references] }) };
}

const referenceFields: Readonly<Record<string, Missing['kind']>> = {
  configMap: 'ConfigMap',
  configMapRef: 'ConfigMap',
  configMapKeyRef: 'ConfigMap',
  secret: 'Secret',
  secretRef: 'Secret',
  secretKeyRef: 'Secret',
};

function collect(value: unknown, references: Set<string>, images: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collect(item, references, images);
  if (!isRecord(value)) return;
  for (const [field, inner] of Object.entries(value)) {
    const kind = Object.hasOwn(referenceFields, field) ? referenceFields[field] : undefined;
    if (kind !== undefined) references.add(`${kind}/${textAt(inner, 'name') || textAt(inner, 'secretName')}`);
    if (field === 'image' && typeof inner === 'string') images.add(inner);
    collect(inner, references, images);
  }
}

function missingIn({ message }: Finding, podSpec: unknown): Missing | undefined {
  const [, kind = '', name = ''] = /(configmap|secret)s? "([^"]*)" not found/i.exec(message) ?? [];
  if (name !== '') return { kind: kindOf(kind), name };
  const [, lacking = '', holder = '', of = ''] =
    /couldn't find key (\S+) in (ConfigMap|Secret) [^\s/]+\/([^\s/]*[\w-])/.exec(message) ?? [];
  if (of !== '') return { kind: kindOf(holder), name: of, key: lacking };
  const [, volumeName, sort = '', key = ''] =
    /volume "([^"]+)" : references non-existent (config|secret) key: (\S+)/.exec(message) ?? [];
  const volume = listAt(podSpec, 'volumes').find((each) => each['name'] === volumeName);
  const mounted = textAt(volume, 'configMap', 'name') || textAt(volume, 'secret', 'secretName');
  return mounted === '' ? undefined : { kind: kindOf(sort), name: mounted, key };
}

function kindOf(word: string): Missing['kind'] {
  return word.toLowerCase().startsWith('config') ? 'ConfigMap' : 'Secret';
}

/** Controllers that make such objects act within seconds. A kubelet looks for a key again after 30 s at the latest. */
const graceSeconds = 15;
const graceSecondsOfKey = 45;

export function missingQuestion(finding: Finding, podSpec: unknown): Question[] {
  const missing = missingIn(finding, podSpec);
  if (missing === undefined) return [];
  const { namespace = '' } = finding.subject;
  const ref = { apiVersion: 'v1', kind: missing.kind, namespace, name: missing.name };
  return [{ about: 'makers', key: objectKey(ref), missing: ref }];
}

/**
 * Proves that nobody will make the ConfigMap, Secret or key. `waited`: the seconds until the last other workload, which
 * might be the one that makes it, was done.
 */
export function configProof(
  finding: Finding,
  podSpec: unknown,
  { release, makers }: Facts,
  waited: number,
): Proof | undefined {
  const missing = missingIn(finding, podSpec);
  if (missing === undefined || release === undefined) return undefined;
  const { kind, name, key } = missing;
  const { namespace = '' } = finding.subject;
  const isOwn = ({ apiVersion, kind: own, metadata }: KubeObject): boolean =>
    apiVersion === 'v1' && own === kind && metadata.name === name && (metadata.namespace ?? namespace) === namespace;
  const own = release.declared.filter(isOwn);
  if (release.declared.some((object) => !isOwn(object) && mayMake(object, name))) return undefined;
  if (own.length > 0) {
    if (key === undefined || !own.every((object) => isWholeAsDeclared(object) && !hasKey(object, key)))
      return undefined;
    return { grace: 0, why: `This revision declares ${kind}/${name} without the key ${key}.` };
  }
  const found = makers[objectKey({ apiVersion: 'v1', kind, namespace, name })];
  const isNew = release.references !== undefined && !release.references.includes(`${kind}/${name}`);
  if (!isNew || found === undefined || found.objects.some((object) => mayMake(object, name))) return undefined;
  if (key === undefined && found.isThere) return undefined;
  const why = `This revision is the first that refers to ${kind}/${name}, and nothing in the release or the namespace makes it.`;
  return { grace: waited + (key === undefined ? graceSeconds : graceSecondsOfKey), why };
}

const dataFields = ['data', 'stringData', 'binaryData'];

function hasKey(object: KubeObject, key: string): boolean {
  return dataFields.some((field) => at(object, field, key) !== undefined);
}

/** An empty object, one of a special type, or one with a foreign annotation may be filled by a controller. */
function isWholeAsDeclared(object: KubeObject): boolean {
  const { labels = {}, annotations = {} } = object.metadata;
  const domains = [...Object.keys(labels), ...Object.keys(annotations)].map((name) =>
    name.split('/').slice(0, -1).join('/'),
  );
  const isPlain = domains.every(
    (domain) => domain === '' || domain === 'app.kubernetes.io' || domain.endsWith('helm.sh'),
  );
  const type = textAt(object, 'type');
  const hasData = dataFields.some((field) => Object.keys(at(object, field) ?? {}).length > 0);
  return isPlain && hasData && (type === '' || type === 'Opaque');
}

/** Kinds of these groups make no ConfigMaps and Secrets that are named after them. */
const makesNothing =
  /^(monitoring\.coreos\.com|(networking|security)\.istio\.io|gateway\.networking\.k8s\.io|traefik\.io|keda\.sh)$/;
/** Built-in kinds that make objects, or that give the right to make the named ones. */
const mightMake: ReadonlySet<string> = new Set([
  'Job',
  'CronJob',
  'Ingress',
  'Role',
  'ClusterRole',
  'ServiceAccount',
  'Certificate',
]);

/** Returns true if the object may be the reason for which something makes a ConfigMap or Secret of this name. */
function mayMake(object: KubeObject, name: string): boolean {
  const group = apiGroup(object.apiVersion);
  if (!isBuiltIn(group)) {
    const isNamesake = !makesNothing.test(group) && name.includes(object.metadata.name);
    return isNamesake || JSON.stringify(object).includes(name);
  }
  if (mightMake.has(object.kind)) return JSON.stringify(object).includes(name);
  return isRunner(object) && commandWords(object).some((word) => word.includes(name));
}

/** The command lines and plain environment values of all containers, which may tell a program what to make. */
function commandWords(workload: KubeObject): string[] {
  const spec = at(workload, 'spec', 'template', 'spec') ?? at(workload, 'spec');
  return ['containers', 'initContainers'].flatMap((list) =>
    listAt(spec, list).flatMap((container) =>
      [at(container, 'command'), at(container, 'args'), listAt(container, 'env').map(({ value }) => value)]
        .flat()
        .filter((word): word is string => typeof word === 'string'),
    ),
  );
}
