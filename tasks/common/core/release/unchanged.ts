import { someNames } from '../text/someNames';
import { isRecord } from '../kubernetes/json';
import { isSame } from '../kubernetes/sameValue';
import type { KubeObject } from '../kubernetes/object';
import { manifestKey, manifestObjects, objectName } from '../kubernetes/manifest';
import type { Revision } from './release';
import { isTestEvent } from './tests';

/*
 * For an unchanged chart, the dry run of the same Helm returns manifest, hooks and values byte by byte as in its record
 * (3.17.3, 4.1.4 and 4.2.3). Another Helm puts blank lines and separators elsewhere, which changes no object. A chart
 * with random passwords or the time is never unchanged. Tests (`helm test`) are not part of the running release, and
 * many charts give them random names.
 */

/** The other changes of each part are counted. */
const namedAtMost = 5;

/** Returns a phrase for each part that differs, with names and paths but no values. */
export function whatChanged({ rendering, deployed }: { rendering: Rendering; deployed: Revision }): string[] {
  const { chart, config, hooks, manifest } = rendering;
  const { namespace } = deployed;
  return [
    ...(isSame(chart, deployed.chart)
      ? []
      : [`the chart (${chartText(chart)}, deployed is ${chartText(deployed.chart)})`]),
    ...valuesChange(config, deployed.config),
    ...textChange('the manifest', manifest, deployed.manifest, namespace),
    ...textChange('the hooks', textOf(hooks.filter(isNoTest)), textOf(deployed.hooks.filter(isNoTest)), namespace),
  ];
}

/** The names of the tests do not count. */
export function testsChanged(hooks: Hooks, deployed: Hooks): boolean {
  const [one, other] = [hooks, deployed].map((all) =>
    all
      .filter((hook) => !isNoTest(hook))
      .map(namelessTest)
      .sort(),
  );
  return !isSame(one, other);
}

function isNoTest({ events }: Hooks[number]): boolean {
  return events.length === 0 || !events.every(isTestEvent);
}

/** Removes the test's name, which may also occur in its labels, selectors and arguments. */
function namelessTest({ name, manifest = '' }: Hooks[number]): string {
  const text = objectsText(manifest) ?? manifest;
  return name === '' ? text : text.replaceAll(name, '*');
}

function objectsText(manifest: string): string | undefined {
  try {
    return JSON.stringify(manifestObjects(manifest));
  } catch {
    return undefined;
  }
}

function chartText({ name, version, appVersion }: Revision['chart']): string {
  return `${name} ${version}${appVersion === '' ? '' : ` of app version ${appVersion}`}`;
}

function valuesChange(wanted: Revision['config'], deployed: Revision['config']): string[] {
  const paths = changedPaths(wanted, deployed, '');
  return paths.length === 0 ? [] : [`the values (${someNames(paths, namedAtMost)})`];
}

/** Returns dotted paths. A list counts as one value. */
function changedPaths(one: unknown, other: unknown, path: string): string[] {
  if (isSame(one, other)) return [];
  if (!isRecord(one) || !isRecord(other)) return [path];
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].sort();
  return names.flatMap((name) => {
    const below = path === '' ? name : `${path}.${name}`;
    if (!Object.hasOwn(one, name) || !Object.hasOwn(other, name)) return [below];
    return changedPaths(one[name], other[name], below);
  });
}

type Hooks = Rendering['hooks'];

/** Helm orders hooks by weight and name, so their order in the record does not count. */
function textOf(hooks: Hooks): string {
  return hooks
    .map(({ manifest = '' }) => `---\n${manifest.trim()}\n`)
    .sort()
    .join('');
}

function textChange(what: string, wanted: string, deployed: string, namespace: string): string[] {
  if (wanted === deployed) return [];
  const changes = objectChanges(wanted, deployed, namespace);
  if (changes === undefined) return [`${what} (it cannot be read)`];
  if (changes.length > 0) return [`${what} (${someNames(changes, namedAtMost)})`];
  // Numbers that are too long for a comparison by value are compared by their digits.
  return meaningOf(wanted) === meaningOf(deployed) ? [] : [`${what} (the text alone)`];
}

/** Removes blank lines, separators and comments. If a text value has such a line, the objects differ already. */
function meaningOf(manifest: string): string {
  const lines = manifest.split('\n').map((line) => line.trimEnd());
  return lines.filter((line) => !/^\s*(#.*)?$|^---/.test(line)).join('\n');
}

/** Returns phrases such as `Deployment/web differs`, or undefined if the objects cannot be read. */
function objectChanges(wanted: string, deployed: string, namespace: string): string[] | undefined {
  const before = objectsByKey(deployed, namespace);
  const after = objectsByKey(wanted, namespace);
  if (before === undefined || after === undefined) return undefined;
  const gone = [...before].filter(([key]) => !after.has(key)).map(([, objects]) => `${namesOf(objects)} is gone`);
  const others = [...after].flatMap(([key, objects]) => {
    const known = before.get(key);
    if (known === undefined) return [`${namesOf(objects)} is new`];
    return isSame(known, objects) ? [] : [`${namesOf(objects)} differs`];
  });
  return [...others, ...gone];
}

function namesOf([first]: readonly KubeObject[]): string {
  return first === undefined ? '' : objectName({ kind: first.kind, name: first.metadata.name });
}

/** Two hooks may have the same key. */
function objectsByKey(manifest: string, namespace: string): Map<string, KubeObject[]> | undefined {
  const byKey = new Map<string, KubeObject[]>();
  try {
    for (const object of manifestObjects(manifest)) {
      const key = manifestKey(object, namespace);
      byKey.set(key, [...(byKey.get(key) ?? []), object]);
    }
    return byKey;
  } catch {
    return undefined;
  }
}

/** The result of rendering a chart, before anything is changed. */
export interface Rendering {
  manifest: string;
  hooks: readonly { name: string; kind: string; events: readonly string[]; manifest?: string }[];
  /** The values of the user, as the revision would record them. */
  config: Readonly<Record<string, unknown>>;
  chart: Revision['chart'];
  chartAnnotations?: Readonly<Record<string, string>>;
}
