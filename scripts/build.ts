import { mkdir, readdir, readFile, rm, writeFile, copyFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/core';
import { build as esbuild } from 'esbuild';
import type { BuildOptions as EsbuildOptions, Plugin as EsbuildPlugin } from 'esbuild';
import { buildTab, tabFolder } from './buildTab';
import { entryScript, oldestNodeMajor } from './package/entryScript';
import { flavouredManifest, flavouredTask, productionFlavour, readFlavour, readTaskIds } from './package/flavour';
import { marketplaceLinks } from './package/marketplaceLinks';
import type { PackageJson } from './package/marketplaceLinks';
import type { Flavour, FlavourName, Manifest, TaskIdentity } from './package/flavour';
import { smallAzure, smallYaml } from './package/smallLibraries';
import { sbomFile, softwareBill } from './package/softwareBill';
import { thirdPartyNotices } from './package/thirdPartyNotices';

/** The three phases of a step in which the agent starts a task, named after their entry files. */
const phases = ['index', 'preJob', 'postJob'] as const;

export interface BuildOptions {
  /** The folder with package.json, vss-extension.json, images/ and tasks/. */
  source: string;
  /** The output folder. Its folders `extension` and `maps` are replaced. */
  out: string;
  /** Without it, the production flavour is built. */
  flavour?: FlavourName;
}

export interface BuiltTask {
  name: string;
  /** The path of the task in the package, `<Task>/<Task>V<major>`. */
  folder: string;
  /** The files of its bundles, relative to the source. */
  inputs: readonly string[];
}

interface TaskJson extends TaskIdentity {
  version: { Major: number; Minor: number; Patch: number };
  [field: string]: unknown;
}

/** The folder in `out` with the content of the package. It has the layout of an unpacked package. */
export function extensionFolder(out: string): string {
  return path.join(out, 'extension');
}

function mapFolder(out: string): string {
  return path.join(out, 'maps');
}

/**
 * Builds every task that has a task.json, with manifest, texts and images, into `out`/extension. Source maps go to
 * `out`/maps, which is not packaged.
 */
export async function build({ source, out, flavour: named }: BuildOptions): Promise<BuiltTask[]> {
  for (const folder of [extensionFolder(out), mapFolder(out)]) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
  }
  const { version } = await readJson<PackageJson>(path.join(source, 'package.json'));
  const flavour = await readFlavour(source, named ?? productionFlavour);
  const names = await taskNames(source);
  const tasks = await Promise.all(names.map((name) => buildTask({ source, out, name, version, flavour })));
  const tab = await buildTab(source, path.join(extensionFolder(out), tabFolder), await readTaskIds(source, flavour));
  const inputs = [...tasks.flatMap((task) => task.inputs), ...tab.inputs];
  await writeFile(path.join(extensionFolder(out), sbomFile), toJson(await softwareBill({ source, inputs, version })));
  await writeManifest({ source, out, names, flavour });
  await copyTexts({ source, out });
  return tasks;
}

async function taskNames(source: string): Promise<string[]> {
  const folders = await readdir(path.join(source, 'tasks'));
  return folders.filter((name) => existsSync(path.join(source, 'tasks', name, 'task.json'))).sort();
}

interface TaskOptions extends Omit<BuildOptions, 'flavour'> {
  name: string;
  version: string;
  flavour: Flavour;
}

async function buildTask({ source, out, name, version, flavour }: TaskOptions): Promise<BuiltTask> {
  const from = path.join(source, 'tasks', name);
  const taskJson = flavouredTask(flavour, name, await readJson<TaskJson>(path.join(from, 'task.json')));
  const major = taskJson.version.Major;
  const folder = `${taskJson.name}/${taskJson.name}V${String(major)}`;
  const to = path.join(extensionFolder(out), folder);
  await mkdir(to, { recursive: true });

  const entries = phases.filter((phase) => existsSync(path.join(from, `${phase}.ts`)));
  if (!entries.includes('index')) throw new Error(`tasks/${name} has a task.json, but no index.ts.`);
  const bundle = await bundleTask({ source, name, entries });
  await writeFile(path.join(to, 'main.js'), bundle.code);
  await writeFile(path.join(to, 'ThirdPartyNotices.md'), bundle.notices);
  await writeFile(path.join(mapFolder(out), `${name}V${String(major)}.js.map`), bundle.map);
  for (const entry of entries) await writeFile(path.join(to, `${entry}.js`), entryScript(entry));
  for (const part of bundle.parts) await writeFile(path.join(to, part.file), part.code);
  await copyFile(path.join(from, 'icon.png'), path.join(to, 'icon.png'));
  await writeFile(path.join(to, 'task.json'), toJson({ ...taskJson, version: taskVersion(major, version) }));
  return { name, folder, inputs: bundle.inputs };
}

/**
 * The version of a task in an extension of `version`. Each task has its own major version (users write `Task@1`), so
 * the major version of the extension becomes part of the minor version: task versions may only rise, also from
 * extension 1.9 to 2.0.
 */
export function taskVersion(major: number, version: string): TaskJson['version'] {
  const [extensionMajor = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return { Major: major, Minor: extensionMajor * 100 + minor, Patch: patch };
}

/** The program that `tasks/common/adapters/helm/guard.ts` starts. Its source is in `tasks/common/guard`. */
export const guardFile = 'guard.js';
/** The program that Helm starts (see `adapters/kubernetes/clusterIdentity.ts`). Its source is in `tasks/common/credential`. */
export const credentialFile = 'credential.js';
/** The library for Azure, which only a connection to Azure loads. Its source is `adapters/azure/msal.ts`. */
export const azureFile = 'azure.js';

/** What lies beside `main.js`, by the source that starts or loads it. */
const parts = [
  { user: 'adapters/helm/guard.ts', file: guardFile, entry: 'guard/index.ts' },
  { user: 'adapters/kubernetes/clusterIdentity.ts', file: credentialFile, entry: 'credential/index.ts' },
  { user: 'adapters/azure/signIn.ts', file: azureFile, entry: 'adapters/azure/msal.ts' },
] as const;

/** Leaves the library for Azure out of `main.js`. */
const azureApart: EsbuildPlugin = {
  name: 'azure-apart',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^\.\/msal$/ }, () => ({ path: `./${azureFile}`, external: true }));
  },
};

/** The common esbuild options of all bundles. */
function bundling(source: string) {
  return {
    absWorkingDir: source,
    bundle: true,
    minify: true,
    platform: 'node',
    target: `node${String(oldestNodeMajor)}`,
    format: 'cjs',
    charset: 'utf8',
    write: false,
    logLevel: 'silent',
  } as const satisfies EsbuildOptions;
}

/**
 * Makes one bundle for all phases of a task. They share nearly all code, and the code of other phases is not evaluated.
 */
async function bundleTask({ source, name, entries }: { source: string; name: string; entries: readonly string[] }) {
  const result = await esbuild({
    ...bundling(source),
    stdin: {
      contents: entries.map((entry) => `exports.${entry} = () => require('./${entry}.ts');`).join('\n'),
      resolveDir: path.join(source, 'tasks', name),
      sourcefile: `tasks/${name}/main.js`,
    },
    outfile: 'main.js',
    sourcemap: 'external',
    legalComments: 'external',
    metafile: true,
    plugins: [smallYaml, azureApart],
  });
  if (result.warnings.length > 0) {
    throw new Error(`esbuild warns about ${name}: ${result.warnings.map((warning) => warning.text).join('; ')}`);
  }
  const inputs = Object.keys(result.metafile.inputs);
  const needed = parts.filter(({ user }) => inputs.includes(`tasks/common/${user}`));
  const bundles = await Promise.all(needed.map((part) => bundlePart(source, part)));
  const main = shortNames(outputOf(result, 'main.js'), outputOf(result, '.map'));
  const outputs = [result, ...bundles.map(({ bundle }) => bundle)];
  const allInputs = outputs.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  return {
    inputs: allInputs,
    code: main.code,
    map: main.map ?? '',
    notices: await thirdPartyNotices({
      source,
      inputs: allInputs,
      legalComments: outputs.map((each) => outputOf(each, '.LEGAL.txt')).join('\n'),
    }),
    parts: bundles.map(({ file, bundle }) => ({ file, code: shortNames(outputOf(bundle, file)).code })),
  };
}

/** Renames what nobody outside of a bundle sees. The names that SWC chooses compress better than those of esbuild. */
function shortNames(code: string, map?: string): { code: string; map?: string } {
  return transformSync(code, {
    configFile: false,
    swcrc: false,
    isModule: 'commonjs',
    minify: true,
    jsc: {
      target: 'es2022',
      parser: { syntax: 'ecmascript' },
      minify: { compress: false, mangle: { topLevel: true }, format: { comments: false } },
    },
    ...(map === undefined ? {} : { sourceMaps: true, inputSourceMap: map }),
  });
}

type Bundle = Awaited<ReturnType<typeof bundlePart>>['bundle'];

function outputOf({ outputFiles }: Pick<Bundle, 'outputFiles'>, suffix: string): string {
  return outputFiles.find((file) => file.path.endsWith(suffix))?.text ?? '';
}

/** Programs and libraries of their own stay outside of `main.js`, which each start of a task reads. */
async function bundlePart(source: string, { file, entry }: Pick<(typeof parts)[number], 'file' | 'entry'>) {
  const bundle = await esbuild({
    ...bundling(source),
    entryPoints: [path.join(source, 'tasks', 'common', entry)],
    outfile: file,
    plugins: file === azureFile ? [smallAzure] : [],
    legalComments: 'external',
    metafile: true,
  });
  return { file, bundle };
}

/** The code of one file that lies beside `main.js`. */
export async function codeOfPart(source: string, name: (typeof parts)[number]['file']): Promise<string> {
  const part = parts.find(({ file }) => file === name);
  if (part === undefined) throw new Error(`There is no part ${name}.`);
  const { bundle } = await bundlePart(source, part);
  return shortNames(outputOf(bundle, name)).code;
}

/** Writes the manifest for the built tasks. A task that was not built gets no files and no contribution. */
async function writeManifest({
  source,
  out,
  names,
  flavour,
}: Omit<TaskOptions, 'name' | 'version'> & { names: readonly string[] }) {
  const manifest = await readJson<Manifest>(path.join(source, 'vss-extension.json'));
  const { version, repository: home } = await readJson<PackageJson>(path.join(source, 'package.json'));
  const ids = await readJson<Record<string, string>>(path.join(source, 'tasks', 'ids.json'));
  const isBuilt = (name: string | undefined) => name !== undefined && names.includes(name);
  const contributions = manifest.contributions.filter(
    ({ type, properties }) => type !== 'ms.vss-distributed-task.task' || isBuilt(properties?.name),
  );
  const left = manifest.contributions.filter((contribution) => !contributions.includes(contribution));
  const files = manifest.files.filter((file) => left.every(({ properties }) => properties?.name !== file.path));
  const whole = { ...manifest, version, ...marketplaceLinks(home, version), files, contributions };
  await writeFile(
    path.join(extensionFolder(out), 'vss-extension.json'),
    toJson(flavouredManifest(flavour, whole, ids)),
  );
}

async function copyTexts({ source, out }: BuildOptions) {
  const to = extensionFolder(out);
  const overview = await readFile(path.join(source, 'overview.md'), 'utf8');
  await writeFile(path.join(to, 'overview.md'), overview);
  await mkdir(path.join(to, 'images'), { recursive: true });
  const pictures = [...overview.matchAll(/\]\((images\/[\w-]+\.png)\)/g)].map(([, file = '']) => file);
  for (const file of ['images/extension-icon.png', ...pictures]) {
    await copyFile(path.join(source, file), path.join(to, file));
  }
  await copyFile(path.join(source, 'docs', 'privacy.md'), path.join(to, 'privacy.md'));
  // The Marketplace derives the type of a file from its extension.
  await copyFile(path.join(source, 'LICENSE'), path.join(to, 'LICENSE.md'));
}

async function readJson<T>(file: string): Promise<T> {
  const text = await readFile(file, 'utf8');
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

export const repository = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tasks = await build({ source: repository, out: path.join(repository, 'dist') });
  for (const task of tasks) console.log(`built dist/extension/${task.folder}`);
}
