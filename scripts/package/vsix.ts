import { unzipSync } from 'fflate';
import { zip } from './zip';

/** The files of a package, keyed by their path in it. */
export type Parts = ReadonlyMap<string, Uint8Array>;

const contentTypes = '[Content_Types].xml';

export function readVsix(vsix: Uint8Array): Map<string, Uint8Array> {
  return new Map(Object.entries(unzipSync(vsix)));
}

/** Returns the same bytes for the same parts, whatever order, time and permissions their files had. */
export async function writeVsix(parts: Parts): Promise<Uint8Array> {
  return zip([...parts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The parts that tfx wrote, without folder entries and with sorted content types. tfx lists the types in the order in
 * which the file system lists the files.
 */
export function normalised(parts: Parts): Map<string, Uint8Array> {
  const files = new Map([...parts].filter(([name]) => !name.endsWith('/')));
  const types = partText(files, contentTypes) ?? '';
  const defaults = [...types.matchAll(/<Default [^>]*>/g)].map(([tag]) => tag).sort();
  const sorted = types.replace(/<Default [^>]*>/g, () => defaults.shift() ?? '');
  return files.set(contentTypes, new TextEncoder().encode(sorted));
}

/** The text of a part. Returns undefined if the package has no such part. */
export function partText(parts: Parts, name: string): string | undefined {
  const content = parts.get(name);
  return content === undefined ? undefined : new TextDecoder().decode(content);
}
