import { someNames } from '../text/someNames';
import { TaskError } from '../failure';
import { isRecord } from '../kubernetes/json';
import type { KubeObject } from '../kubernetes/object';
import { manifestObjects } from '../kubernetes/manifest';
import type { ApiResource } from '../kubernetes/access';

/*
 * Helm installs the definitions in crds/ folders at a first install only, and never in a dry run. So a dry run fails on
 * objects of these kinds where the real install works (measured with 3.17.3 and 4.1.4).
 */

export interface DeclaredKind extends ApiResource {
  singular: string;
}

/** Reads the output of `helm show crds`. Returns none if it cannot be read. */
export function declaredKinds(crds: string): DeclaredKind[] {
  try {
    return manifestObjects(withSeparators(withoutSchemas(crds))).flatMap(kindsOf);
  } catch (error) {
    if (error instanceof TaskError) return [];
    throw error;
  }
}

/** Returns the names of the definitions in a text. Returns none if it cannot be read. */
export function crdNames(text: string): string[] {
  try {
    return manifestObjects(withSeparators(withoutSchemas(text)))
      .filter(({ kind }) => kind === 'CustomResourceDefinition')
      .map(({ metadata }) => metadata.name);
  } catch (error) {
    if (error instanceof TaskError) return [];
    throw error;
  }
}

/** Reads the whole definitions in the output of `helm show crds`. Throws `ChartInvalid` if it cannot be read. */
export function shownCrds(crds: string): KubeObject[] {
  return manifestObjects(withSeparators(crds)).filter(({ kind }) => kind === 'CustomResourceDefinition');
}

/** Schemas are nearly all of the text, and do not show which kinds exist. */
function withoutSchemas(crds: string): string {
  let schemaIndent: number | undefined;
  const kept = crds.split('\n').filter((line) => {
    const indent = line.search(/\S/);
    if (schemaIndent !== undefined && (indent < 0 || indent > schemaIndent)) return false;
    schemaIndent = /^ +(?:- )?schema: *$/.test(line) ? line.indexOf('schema') : undefined;
    return true;
  });
  return kept.join('\n');
}

/** Helm 3 prints the files without a separator. So a repeated top-level key begins another file. */
function withSeparators(crds: string): string {
  let keys = new Set<string>();
  const lines = crds.split('\n').flatMap((line) => {
    const key = /^(?:\{|\w+(?=\s*:))/.exec(line)?.[0];
    const isOther = keys.size > 0 && (key === '{') !== keys.has('{');
    const isNew = key !== undefined && (keys.has(key) || isOther);
    if (isNew || /^---(\s|$)/.test(line)) keys = new Set();
    if (key !== undefined) keys.add(key);
    return isNew ? ['---', line] : [line];
  });
  return lines.join('\n');
}

function kindsOf({ kind, spec }: KubeObject): DeclaredKind[] {
  if (kind !== 'CustomResourceDefinition' || !isRecord(spec) || !isRecord(spec['names'])) return [];
  const { group, names, scope, versions } = spec;
  const { kind: declared, plural, singular } = names;
  if (typeof group !== 'string' || typeof declared !== 'string' || typeof plural !== 'string') return [];
  return (Array.isArray(versions) ? versions : [])
    .filter(isRecord)
    .filter((version) => version['served'] === true && typeof version['name'] === 'string')
    .map((version) => ({
      apiVersion: `${group}/${String(version['name'])}`,
      kind: declared,
      plural,
      singular: typeof singular === 'string' && singular !== '' ? singular : declared.toLowerCase(),
      namespaced: scope === 'Namespaced',
    }));
}

export interface KindName {
  apiVersion: string;
  kind: string;
}

/** Returns the kinds that Helm did not find, each once. */
export function unservedKinds(message: string): KindName[] {
  const found = [...message.matchAll(/no matches for kind "([^"]+)" in version "([^"]+)"/g)];
  const byName = new Map(found.map(([words, kind = '', apiVersion = '']) => [words, { apiVersion, kind }]));
  return [...byName.values()];
}

export function isDeclared(declared: readonly KindName[], { apiVersion, kind }: KindName): boolean {
  return declared.some((each) => each.apiVersion === apiVersion && each.kind === kind);
}

/** Returns true if the flags of `helm upgrade` skip crds/. The last of several equal flags counts. */
export function skipsCrds(flags: readonly string[]): boolean {
  const last = flags.findLast((flag) => /^--skip-crds(=|$)/.test(flag));
  return last !== undefined && !/=(0|f|false)$/i.test(last);
}

/** Returns `Toy, Doll and 3 more`. */
export function kindNames(kinds: readonly KindName[]): string {
  return someNames([...new Set(kinds.map(({ kind }) => kind))], namedAtMost);
}

const namedAtMost = 5;

/** Returns undefined if the chart brings none of the missing kinds. */
export function crdsAdvice(
  missing: readonly KindName[],
  declared: readonly KindName[],
  why: 'skipped' | 'upgrade',
): string | undefined {
  const own = missing.filter((each) => isDeclared(declared, each));
  if (own.length === 0) return undefined;
  const brings = `The chart declares ${kindNames(own)} in its crds/ folder`;
  return why === 'skipped'
    ? `${brings}, but crds: skip or --skip-crds in the input arguments keeps it from being installed.`
    : `${brings}, which Helm reads at the first install of a release only: set the input crds to create, or to ` +
        'createReplace if definitions that exist have to change too.';
}
