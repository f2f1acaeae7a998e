import { isRecord } from '../kubernetes/json';
import { isSame } from '../kubernetes/sameValue';
import type { KubeObject } from '../kubernetes/object';
import { manifestKey, manifestObjects, objectName } from '../kubernetes/manifest';
import type { Revision } from './release';

/*
 * Whether a deploy would be the deployed revision over again: what the dry run of Helm gives is held against what that
 * revision's record holds.
 *
 * One Helm gives the manifest, the hooks and the values of an unchanged chart byte by byte as it noted them (3.17.3, 4.1.4
 * and 4.2.3, after install, upgrade and rollback). Another Helm sets blank lines and separators elsewhere (4.2.3 after
 * 3.17.3), which changes no object. A chart that renders something else each time (random passwords, the time, the
 * revision's number) is never unchanged. Tests (`helm test`) are no part of what serves: their names do not count, for
 * many charts make them at random, and what else is random in them is told by a second rendering.
 */

/** What is named of each part; the rest is counted. */
const namedAtMost = 5;

/** What differs, a phrase for each part, with names and paths but no values. Empty: it would be the same over again. */
export function whatChanged({ rendering, deployed }: { rendering: Rendering; deployed: Revision }): string[] {
  return [
    ...chartChange(rendering.chart, deployed.chart),
    ...valuesChange(rendering.config, deployed.config),
    ...manifestChange(rendering.manifest, deployed),
    ...hooksChange(rendering.hooks.filter(isNoTest), deployed),
  ];
}

/** The same of the tests that a revision brings for `helm test`, whatever they are called. */
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

/** A test without its own name, which its labels, selectors and arguments may repeat. */
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

/** Dotted paths of what is not the same on both sides. A list counts as one. */
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

/** In an order of its own, for hooks run in that of their weights and names. */
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
  // Numbers that are too long for a comparison by value are told apart by their digits.
  return meaningOf(wanted) === meaningOf(deployed) ? [] : [`${what} (the text alone)`];
}

/** The lines that are neither blank nor a separator or comment. What that takes from a text in the manifest, its object shows. */
function meaningOf(manifest: string): string {
  const lines = manifest.split('\n').map((line) => line.trimEnd());
  return lines.filter((line) => !/^\s*(#.*)?$|^---/.test(line)).join('\n');
}

/** `Deployment/web differs`; undefined where the objects cannot be read. */
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

/** A key may come more than once: two hooks of one name are two objects. */
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

/** What a chart becomes before anything is changed. */
export interface Rendering {
  manifest: string;
  hooks: readonly { name: string; kind: string; events: readonly string[]; manifest?: string }[];
  /** The values that would be noted in the revision: what the user gives, not what the chart has. */
  config: Readonly<Record<string, unknown>>;
  chart: Revision['chart'];
  /** Of Chart.yaml; absent where it has none. */
  chartAnnotations?: Readonly<Record<string, string>>;
}
