import { isRecord } from '../kubernetes/json';
import { isSame } from '../kubernetes/sameValue';
import type { KubeObject } from '../kubernetes/object';
import { manifestKey, manifestObjects, objectName } from '../kubernetes/manifest';
import type { Revision } from './release';

/*
 * Compares the dry run of Helm with the record of the deployed revision, to find out if a deploy would change nothing.
 *
 * For an unchanged chart, the same version of Helm returns the manifest, the hooks and the values byte by byte as in
 * its record (3.17.3, 4.1.4 and 4.2.3, after install, upgrade and rollback). Another version of Helm puts blank lines
 * and separators elsewhere (4.2.3 after 3.17.3), which changes no object. A chart that renders differently each time
 * (random passwords, the time, the number of the revision) is never unchanged. Tests (`helm test`) are not part of the
 * running release. Their names do not count, because many charts generate random names. A second rendering shows what
 * else in a test is random.
 */

/** At most this many changes of each part are named. The rest is counted. */
const namedAtMost = 5;

/**
 * Returns the differences, a phrase for each part, with names and paths but no values. An empty list means that the
 * deploy would change nothing.
 */
export function whatChanged({ rendering, deployed }: { rendering: Rendering; deployed: Revision }): string[] {
  return [
    ...chartChange(rendering.chart, deployed.chart),
    ...valuesChange(rendering.config, deployed.config),
    ...manifestChange(rendering.manifest, deployed),
    ...hooksChange(rendering.hooks.filter(isNoTest), deployed),
  ];
}

/** Returns true if the tests for `helm test` differ. The names of the tests do not count. */
export function testsChanged(hooks: Hooks, deployed: Hooks): boolean {
  const [one, other] = [hooks, deployed].map((all) =>
    all
      .filter((hook) => !isNoTest(hook))
      .map(namelessTest)
      .sort(),
  );
  return !isSame(one, other);
}

const testEvents = new Set(['test', 'test-success', 'test-failure']);

function isNoTest({ events }: Hooks[number]): boolean {
  return events.length === 0 || !events.every((event) => testEvents.has(event));
}

/** Returns a test without its own name, which may also occur in its labels, selectors and arguments. */
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

type Chart = Revision['chart'];

function chartChange(chart: Chart, deployed: Chart): string[] {
  return isSame(chart, deployed) ? [] : [`the chart (${chartText(chart)}, deployed is ${chartText(deployed)})`];
}

function chartText({ name, version, appVersion }: Chart): string {
  return `${name} ${version}${appVersion === '' ? '' : ` of app version ${appVersion}`}`;
}

function valuesChange(wanted: Revision['config'], deployed: Revision['config']): string[] {
  const paths = changedPaths(wanted, deployed, '');
  return paths.length === 0 ? [] : [`the values (${someOf(paths)})`];
}

/** Returns dotted paths of the values that differ. A list counts as one value. */
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

function manifestChange(manifest: string, deployed: Revision): string[] {
  return textChange('the manifest', manifest, deployed.manifest, deployed.namespace);
}

type Hooks = Rendering['hooks'];

function hooksChange(hooks: Hooks, deployed: Revision): string[] {
  return textChange('the hooks', textOf(hooks), textOf(deployed.hooks.filter(isNoTest)), deployed.namespace);
}

/** Sorts the hooks by their text, because Helm orders them by weight and name anyway. */
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
  if (changes.length > 0) return [`${what} (${someOf(changes)})`];
  // Numbers that are too long for a comparison by value are compared by their digits.
  return meaningOf(wanted) === meaningOf(deployed) ? [] : [`${what} (the text alone)`];
}

/**
 * Returns the lines that are not blank and not a separator or comment. If such a line belongs to a text value, the
 * comparison of the objects finds the difference.
 */
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

/** A key may occur more than once: two hooks of one name are two objects. */
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

function someOf(texts: readonly string[]): string {
  const named = texts.slice(0, namedAtMost).join(', ');
  return texts.length > namedAtMost ? `${named} and ${texts.length - namedAtMost} more` : named;
}

/** The result of rendering a chart, before anything is changed. */
export interface Rendering {
  manifest: string;
  hooks: readonly { name: string; kind: string; events: readonly string[]; manifest?: string }[];
  /** The values that the revision would record: those of the user, not those of the chart. */
  config: Readonly<Record<string, unknown>>;
  chart: Revision['chart'];
  /** From Chart.yaml. Absent if it has none. */
  chartAnnotations?: Readonly<Record<string, string>>;
}
