import { someNames } from '../text/someNames';
import { isRecord } from './json';
import type { KubeObject } from './object';
import { manifestObjects, objectName } from './manifest';

/*
 * The API server drops a field that the kind does not have and warns. client-go prints the warning into Helm's output.
 * A server-side apply is refused instead (measured with 3.14, 3.22, 4.1 and 4.3).
 */

/** The forms of a warning: plain up to Kubernetes 1.32, quoted since then. */
const plainLine = /^W\d{4} \S+ +\d+ warnings\.go:\d+\] (.*)$/;
const quotedLine = /^I\d{4} \S+ +\d+ warnings\.go:\d+\] ("Warning: .*")$/;

/** Returns `unknown field "spec.foo"` if a line of Helm is such a warning. */
export function fieldWarning(line: string): string | undefined {
  const warning = plainLine.exec(line)?.[1] ?? unquoted(quotedLine.exec(line)?.[1]);
  return warning !== undefined && fieldOf(warning) !== undefined ? warning : undefined;
}

function unquoted(text = ''): string | undefined {
  try {
    return String(JSON.parse(text)).replace(/^Warning: /, '');
  } catch {
    return undefined;
  }
}

function fieldOf(warning: string): string | undefined {
  return /^(?:unknown|duplicate) field "(.+)"$/.exec(warning)?.[1];
}

const namedAtMost = 10;

/** Names the objects of the manifest that have such a field. */
export function fieldWarningWords(warnings: readonly string[], manifest: string): string | undefined {
  if (warnings.length === 0) return undefined;
  const objects = manifestObjects(manifest);
  const named = warnings.map((warning, at) => (at < namedAtMost ? `${warning}${ownersOf(warning, objects)}` : warning));
  return `The API server warns about objects of this chart: ${someNames(named, namedAtMost)}. It ignores fields that it does not know: correct the name, the place or the indentation of these fields in the chart.`;
}

function ownersOf(warning: string, objects: readonly KubeObject[]): string {
  const path = (fieldOf(warning) ?? '').split(/[.[\]]+/).filter((step) => step !== '');
  const owners = objects
    .filter((object) => has(object, path))
    .map(({ kind, metadata }) => objectName({ kind, ...metadata }));
  return owners.length === 0 ? '' : ` (${someNames(owners, 2)})`;
}

function has(value: unknown, [step, ...below]: readonly string[]): boolean {
  if (step === undefined) return true;
  if (Array.isArray(value)) return has((value as unknown[])[Number(step)], below);
  return isRecord(value) && Object.hasOwn(value, step) && has(value[step], below);
}
