import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { unzipSync } from 'fflate';
import { TaskError } from '../../core/failure';
import { helmArchive, knownPatch, newestOf, parseSum, type HelmArchive } from '../../core/helm/helmVersion';
import type { HelmDownload } from '../../core/inputs/helmVersionInput';
import { clipped } from '../../core/text/foreignText';
import type { Redact } from '../../core/text/secrets';
import { download, type Download, type DownloadLimits } from './download';

export interface HelmToolOptions {
  request: HelmDownload;
  /** Agent.ToolsDirectory. */
  toolsFolder: string;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  redact: Redact;
  /** The sums that the extension brings, by the name of the archive. */
  sums: Readonly<Record<string, string>>;
  onLine: (line: string) => void;
  platform?: string;
  processor?: string;
  limits?: Partial<DownloadLimits>;
}

/**
 * The folder in the tool cache, in the layout of azure-pipelines-tool-lib. Only this task writes to it, so that it
 * holds no Helm whose sum nobody has checked.
 */
const toolName = 'helm-safe-deploy.helm';

const archiveLimits: DownloadLimits = { bytes: 256 * 1024 * 1024, tryMs: 300_000, tries: 3, redirects: 5 };
const textLimits: DownloadLimits = { bytes: 1024 * 1024, tryMs: 30_000, tries: 3, redirects: 5 };

/** Returns the path of the program. Throws `HelmDownloadFailed` with the input in its message. */
export async function provideHelm(options: HelmToolOptions): Promise<string> {
  const { wish } = options.request;
  const tool = toolOf(options);
  const isKnown = wish.kind === 'exact' || !wish.isLatest;
  const cachedVersion = wish.kind === 'exact' ? wish.version : newestOf(tool.versions(), wish);
  const cached = isKnown && cachedVersion !== undefined ? tool.find(cachedVersion) : undefined;
  if (cached !== undefined && cachedVersion !== undefined) return chosen(options, cachedVersion, cached);
  const version = wish.kind === 'exact' ? wish.version : await newestVersion(options, wish);
  const found = tool.find(version);
  if (found !== undefined) return chosen(options, version, found);
  return tool.add(version, await downloadProgram(options, version));
}

function chosen({ request, onLine }: HelmToolOptions, version: string, file: string): string {
  onLine(`Helm ${version} (helmVersion: ${request.given}) was checked earlier and is in the tool cache: ${file}.`);
  return file;
}

interface Tool {
  versions(): string[];
  /** Undefined if it is not there, or not as it was stored. */
  find(version: string): string | undefined;
  /** Returns the path of the program. */
  add(version: string, program: Uint8Array): string;
}

function toolOf({ toolsFolder, platform = process.platform, processor = process.arch }: HelmToolOptions): Tool {
  const root = path.join(toolsFolder, toolName);
  const name = platform === 'win32' ? 'helm.exe' : 'helm';
  const folderOf = (version: string): string => path.join(root, version, processor);
  const find = (version: string): string | undefined => {
    const file = path.join(folderOf(version), name);
    try {
      const stored = readFileSync(`${file}.sha256`, 'utf8').trim();
      return sha256(readFileSync(file)) === stored ? file : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    find,
    versions: () => {
      try {
        return readdirSync(root);
      } catch {
        return [];
      }
    },
    add: (version, program) => {
      const folder = folderOf(version);
      const made = `${folder}.${randomUUID()}`;
      try {
        mkdirSync(made, { recursive: true });
        writeFileSync(path.join(made, name), program, { mode: 0o755 });
        writeFileSync(path.join(made, `${name}.sha256`), sha256(program));
        putInPlace(made, folder, () => find(version) !== undefined);
        writeFileSync(`${folder}.complete`, '');
      } catch (cause) {
        // Two jobs may have moved the same broken folder.
        if (find(version) === undefined) {
          const message = `Storing Helm ${version} in the tool cache (${folder}) failed: ${(cause as Error).message}.`;
          throw new TaskError('TempFolderUnusable', message, { cause });
        }
      } finally {
        rmSync(made, { recursive: true, force: true });
      }
      return path.join(folder, name);
    },
  };
}

/** The folder appears as a whole. Another job may have put it there; a broken one is moved out of the way. */
function putInPlace(made: string, folder: string, isGood: () => boolean): void {
  try {
    renameSync(made, folder);
  } catch {
    if (isGood()) return;
    const broken = `${folder}.${randomUUID()}`;
    renameSync(folder, broken);
    renameSync(made, folder);
    rmSync(broken, { recursive: true, force: true });
  }
}

async function newestVersion(
  options: HelmToolOptions,
  { major, minor }: { major: number; minor?: number },
): Promise<string> {
  if (minor !== undefined) return newestPatch(options, major, minor);
  const name = `helm${major}-latest-version`;
  const text = textIn(await read(options, name), options, name);
  const version = newestOf([text.trim().replace(/^v/, '')], { major });
  if (version !== undefined) return version;
  throw failed(
    options,
    `${place(options, name)} answered ${quoted(options, text)}, which is no version of Helm ${major}`,
  );
}

/** Asks for one patch release after the other. */
async function newestPatch(options: HelmToolOptions, major: number, minor: number): Promise<string> {
  const exists = async (patch: number): Promise<boolean> => {
    const { name } = archiveOf(options, `${major}.${minor}.${patch}`);
    const answer = await read(options, `${name}.sha256sum`);
    return !('status' in answer && answer.status === 404) && sumIn(answer, options, name) !== '';
  };
  let patch = knownPatch(major, minor);
  while (patch > 0 && !(await exists(patch))) patch -= 1;
  while (patch < mostPatches && (await exists(patch + 1))) patch += 1;
  return `${major}.${minor}.${patch}`;
}

/** Ends the search at a site that has everything. */
const mostPatches = 99;

/** Returns the program after its archive was compared with every sum that is known. */
async function downloadProgram(options: HelmToolOptions, version: string): Promise<Uint8Array> {
  const archive = archiveOf(options, version);
  const { name } = archive;
  const published = sumIn(await read(options, `${name}.sha256sum`), options, name);
  const shipped = options.sums[name];
  if (shipped !== undefined && shipped !== published) {
    throw failed(
      options,
      `${place(options, name)} has the published SHA-256 ${published}, and this extension knows ${shipped}`,
    );
  }
  const bytes = bytesIn(await read(options, name, archiveLimits), options, name);
  const sum = sha256(bytes);
  if (sum !== published) {
    throw failed(options, `${place(options, name)} has the SHA-256 ${sum}, and its published sum is ${published}`);
  }
  const also =
    shipped === undefined ? 'this extension brings no sum for it' : 'and so does the sum that this extension brings';
  options.onLine(
    `Helm ${version} (helmVersion: ${options.request.given}) comes from ${place(options, name)}. Its SHA-256 ${sum} agrees with the published one; ${also}.`,
  );
  return unpacked(options, archive, bytes);
}

function sumIn(answer: Download, options: HelmToolOptions, archiveName: string): string {
  const name = `${archiveName}.sha256sum`;
  const text = textIn(answer, options, name);
  const sum = parseSum(text);
  if (sum !== undefined) return sum;
  throw failed(options, `${place(options, name)} answered ${quoted(options, text)}, which is no SHA-256 sum`);
}

async function unpacked(options: HelmToolOptions, { name, program }: HelmArchive, bytes: Buffer): Promise<Uint8Array> {
  let data: Uint8Array | undefined;
  try {
    data = name.endsWith('.zip') ? fromZip(bytes, program) : await fromTar(bytes, program);
  } catch (error) {
    throw failed(options, `${place(options, name)} cannot be unpacked: ${(error as Error).message}`);
  }
  if (data === undefined) throw failed(options, `${place(options, name)} holds no ${program}`);
  return data;
}

function fromZip(bytes: Buffer, program: string): Uint8Array | undefined {
  return unzipSync(bytes, { filter: ({ name }) => name === program })[program];
}

async function fromTar(bytes: Buffer, program: string): Promise<Uint8Array | undefined> {
  const { parseTar } = await import('nanotar');
  return parseTar(gunzipSync(bytes)).find(({ name }) => name === program)?.data;
}

function archiveOf(options: HelmToolOptions, version: string): HelmArchive {
  const { platform = process.platform, processor = process.arch } = options;
  const archive = helmArchive(version, platform, processor);
  if (archive !== undefined) return archive;
  throw failed(
    options,
    `the Helm project publishes no program for ${platform} on ${processor}; install one and name it in helmPath`,
  );
}

function read(options: HelmToolOptions, name: string, limits = textLimits): Promise<Download> {
  const { request, environment, signal } = options;
  return download(`${request.site}/${name}`, {
    what: name,
    environment,
    signal,
    limits: { ...limits, ...options.limits },
  });
}

function bytesIn(answer: Download, options: HelmToolOptions, name: string): Buffer {
  if ('bytes' in answer) return answer.bytes;
  const { host, problem, status } = answer;
  const isElsewhere = host !== new URL(options.request.site).host;
  const means = status === 404 ? ': it has no such file' : '';
  throw failed(
    options,
    `reading ${place(options, name)} failed${isElsewhere ? ` at ${host}` : ''}: ${problem}${means}`,
  );
}

function textIn(answer: Download, options: HelmToolOptions, name: string): string {
  return bytesIn(answer, options, name).toString('utf8');
}

/** The address without a user and a password. */
function place({ request }: HelmToolOptions, name: string): string {
  const { origin, pathname } = new URL(`${request.site}/${name}`);
  return origin + pathname;
}

const mostQuoted = 60;

function quoted({ redact }: HelmToolOptions, text: string): string {
  return `"${clipped(redact(text).trim().replace(/\s+/g, ' '), mostQuoted)}"`;
}

function failed({ request }: HelmToolOptions, problem: string): TaskError {
  const message = `Input helmVersion holds "${request.given}": ${problem}. Nothing was changed.`;
  return new TaskError('HelmDownloadFailed', message, { facts: { inputs: 'helmVersion' } });
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
