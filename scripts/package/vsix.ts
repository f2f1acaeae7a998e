import { unzipSync, zipSync } from 'fflate';
import type { Zippable } from 'fflate';

/** The files of a package by their path in it. */
export type Parts = ReadonlyMap<string, Uint8Array>;

const contentTypes = '[Content_Types].xml';

export function readVsix(vsix: Uint8Array): Map<string, Uint8Array> {
  return new Map(Object.entries(unzipSync(vsix)));
}

/** The same bytes for the same parts, whatever order, time and rights their files had. */
export function writeVsix(parts: Parts): Uint8Array {
  // fflate writes the local fields of the date, so this one is the same in every time zone.
  const mtime = new Date(1980, 0, 1);
  const sorted: Zippable = {};
  for (const [name, content] of [...parts].sort(([a], [b]) => (a < b ? -1 : 1)))
    sorted[name] = [content, { mtime, level: 9 }];
  return zipSync(sorted);
}

/**
 * The parts that tfx wrote, without its folder entries, and with the content types in one order: tfx lists them in the
 * order in which the file system named the files.
 */
export function normalised(parts: Parts): Map<string, Uint8Array> {
  const files = new Map([...parts].filter(([name]) => !name.endsWith('/')));
  const types = partText(files, contentTypes) ?? '';
  const defaults = [...types.matchAll(/<Default [^>]*>/g)].map(([tag]) => tag).sort();
  const sorted = types.replace(/<Default [^>]*>/g, () => defaults.shift() ?? '');
  return files.set(contentTypes, new TextEncoder().encode(sorted));
}

/** The text of a part, undefined where the package has no such part. */
export function partText(parts: Parts, name: string): string | undefined {
  const content = parts.get(name);
  return content === undefined ? undefined : new TextDecoder().decode(content);
}
