import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { command } from '../cluster/command';
import type { FlavourName } from '../package/flavour';
import { readVsix } from '../package/vsix';

export interface PackageIdentity {
  version: string;
  flavour: FlavourName;
}

/** Which version and flavour a package says that it is. */
export function identityOf(vsix: Uint8Array): PackageIdentity {
  const xml = new TextDecoder().decode(readVsix(vsix).get('extension.vsixmanifest'));
  const [, id = ''] = / Id="([^"]*)"/.exec(xml) ?? [];
  const [, version = ''] = / Version="(\d+\.\d+\.\d+)"/.exec(xml.slice(xml.indexOf('<Identity'))) ?? [];
  return { version, flavour: id.endsWith('-dev') ? 'development' : 'production' };
}

interface Rebuild extends PackageIdentity {
  /** A folder or an address from which git can clone. */
  from: string;
  /** Prepares the empty clone. By default, `run.cjs` installs the packages of its lockfile. */
  prepare?: (clone: string) => Promise<void>;
}

/** Builds the package of a tag in an empty clone. Rejects with what git or the build says. */
export async function rebuild({ version, flavour, from, prepare }: Rebuild): Promise<Uint8Array> {
  const folder = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-rebuild-'));
  try {
    const clone = path.join(folder, 'source');
    const tag = `v${version}`;
    await succeed(
      'git',
      ['clone', '--quiet', '--no-local', '--depth', '1', '--branch', tag, '--', from, clone],
      folder,
    );
    await prepare?.(clone);
    const out = path.join(folder, 'rebuilt.vsix');
    await succeed(process.execPath, ['scripts/run.cjs', 'scripts/provenance/buildTo.ts', flavour, out], clone);
    return await readFile(out);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function succeed(program: string, args: readonly string[], cwd: string): Promise<void> {
  const { code, stdout, stderr } = await command(program, args, { cwd });
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 2).join(' ')} failed:\n${stdout}${stderr}`.trim());
}

/** The parts that differ, one sentence each. Empty if the packages are the same, byte by byte. */
export function differencesOf(given: Uint8Array, rebuilt: Uint8Array): string[] {
  if (Buffer.from(given).equals(rebuilt)) return [];
  const [one, other] = [readVsix(given), readVsix(rebuilt)];
  const names = [...new Set([...one.keys(), ...other.keys()])].sort();
  const parts = names.flatMap((name) => {
    const [left, right] = [one.get(name), other.get(name)];
    if (left === undefined) return [`${name} is missing in the package`];
    if (right === undefined) return [`${name} does not come from the source`];
    return Buffer.from(left).equals(right) ? [] : [`${name} has other content than the source gives`];
  });
  return parts.length > 0 ? parts : ['the parts are the same, but they are packed in another way'];
}
