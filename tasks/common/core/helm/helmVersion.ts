import { helmReleases } from './helmReleases';

/** The Helm that a pipeline asks for. Versions are written without `v`. */
export type HelmVersionWish =
  | { kind: 'exact'; version: string }
  /** The newest release of a major version, or of one of its minor versions. `isLatest`: the cache is not enough. */
  | { kind: 'newest'; major: number; minor?: number; isLatest: boolean };

/** `latest` means this major version: a step never gets a new major version of Helm that nobody asked for. */
export const latestMajor = 4;

export const helmVersionExpected = `an exact version from 3.14 on (4.1.4), a range inside of one major version (4.x, 4.1.x), or latest for the newest Helm ${latestMajor}`;

/** Returns undefined for a text that is no wish, or one for a Helm that is too old. */
export function parseHelmVersion(text: string): HelmVersionWish | undefined {
  if (/^latest$/i.test(text)) return { kind: 'newest', major: latestMajor, isLatest: true };
  const exact = /^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4}(?:-[0-9A-Za-z.-]{1,40})?)$/.exec(text);
  if (exact !== null) {
    const [, major = '', minor = '', patch = ''] = exact;
    return isSupported(Number(major), Number(minor))
      ? { kind: 'exact', version: `${Number(major)}.${Number(minor)}.${patch}` }
      : undefined;
  }
  const range = /^v?(\d{1,4})(?:\.(?:x|\*|(\d{1,4})(?:\.(?:x|\*))?))?$/i.exec(text);
  if (range === null) return undefined;
  const major = Number(range[1]);
  const minor = range[2] === undefined ? undefined : Number(range[2]);
  if (!isSupported(major, minor ?? Infinity)) return undefined;
  return { kind: 'newest', major, ...(minor === undefined ? {} : { minor }), isLatest: false };
}

function isSupported(major: number, minor: number): boolean {
  return major > 3 || (major === 3 && minor >= 14);
}

/** Returns the newest of these versions that fulfils the wish. Pre-releases fulfil none. */
export function newestOf(versions: readonly string[], { major, minor }: { major?: number; minor?: number }) {
  return versions
    .flatMap((version) => {
      const parts = /^(\d+)\.(\d+)\.(\d+)$/.exec(version);
      return parts === null ? [] : [{ version, numbers: parts.slice(1).map(Number) }];
    })
    .filter(
      ({ numbers }) => (major === undefined || numbers[0] === major) && (minor === undefined || numbers[1] === minor),
    )
    .sort((one, other) => difference(one.numbers, other.numbers))
    .at(-1)?.version;
}

function difference(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((number, index) => number !== other[index]);
  return at < 0 ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
}

/** The newest patch release of a minor version that this extension knows, else 0. */
export function knownPatch(major: number, minor: number): number {
  const known = Object.keys(helmReleases).map((tag) => tag.slice(1));
  return Number(newestOf(known, { major, minor })?.split('.')[2] ?? 0);
}

const systems: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const processors: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', ia32: '386', arm: 'arm' };

export interface HelmArchive {
  /** The name on the download site. */
  name: string;
  /** The path of the program in the archive. */
  program: string;
}

/** Undefined if the Helm project publishes nothing for this system. */
export function helmArchive(version: string, platform: string, processor: string): HelmArchive | undefined {
  const system = systems[platform];
  const architecture = processors[processor];
  if (system === undefined || architecture === undefined) return undefined;
  const isWindows = platform === 'win32';
  return {
    name: `helm-v${version}-${system}-${architecture}.${isWindows ? 'zip' : 'tar.gz'}`,
    program: `${system}-${architecture}/helm${isWindows ? '.exe' : ''}`,
  };
}

/** Returns the sum in the answer of a download site (`SUM  NAME` or the sum alone), in lower case. */
export function parseSum(answer: string): string | undefined {
  return /^\s*([0-9a-f]{64})(?:\s|$)/i.exec(answer)?.[1]?.toLowerCase();
}
