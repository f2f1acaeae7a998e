import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, extensionFolder, repository } from '../build';
import { bareRunProblems, nodesOfTheAgent } from './bareRun';
import { packageProblems } from './check';
import { productionFlavour, readFlavour } from './flavour';
import type { FlavourName, TaskIdentity } from './flavour';
import { inputsRead } from './inputsRead';
import type { CheckContext } from './packageUnderCheck';
import { createExtension } from './tfx';
import { normalised, readVsix, writeVsix } from './vsix';

/**
 * Builds and packages in a temporary folder. Returns the bytes of the .vsix, which are the same for the same source.
 */
export async function packageExtension(source: string, flavour: FlavourName = productionFlavour): Promise<Uint8Array> {
  const out = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-package-'));
  try {
    await build({ source, out, flavour });
    const raw = path.join(out, 'raw.vsix');
    await createExtension({ root: extensionFolder(out), vsix: raw });
    return await writeVsix(normalised(readVsix(await readFile(raw))));
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Facts about the source tree of a package that the check needs. */
export async function checkContext(source: string, flavour: FlavourName = productionFlavour): Promise<CheckContext> {
  const json = async (...file: string[]) =>
    JSON.parse(await readFile(path.join(source, ...file), 'utf8')) as Record<string, unknown>;
  const { manifest, tasks } = await readFlavour(source, flavour);
  const keyedByName = <Value>(values: Record<string, Value>, own?: (task: TaskIdentity) => Value) =>
    Object.fromEntries(
      Object.entries(values).map(([folder, value]) => {
        const task = tasks[folder];
        return task === undefined ? [folder, value] : [task.name, own?.(task) ?? value];
      }),
    );
  const schema = path.join('..', 'shared', 'schemas', 'tasks.schema.json');
  return {
    version: String((await json('package.json'))['version']),
    taskSchema: existsSync(path.join(source, schema)) ? await json(schema) : undefined,
    extensionId: String(manifest['id'] ?? (await json('vss-extension.json'))['id']),
    taskIds: keyedByName((await json('tasks', 'ids.json')) as Record<string, string>, ({ id }) => id),
    inputs: keyedByName(await inputsRead(source)),
    machinePaths: [`${source}${path.sep}`],
  };
}

/** Path of this checkout's package: `dist/<publisher>.<extension>-<version>.vsix`. */
export async function vsixFile(flavour: FlavourName = productionFlavour): Promise<string> {
  const json = async (file: string) =>
    JSON.parse(await readFile(path.join(repository, file), 'utf8')) as Record<string, string>;
  const { version } = await json('package.json');
  const { manifest } = await readFlavour(repository, flavour);
  const { publisher, id } = { ...(await json('vss-extension.json')), ...manifest };
  return path.join(repository, 'dist', `${String(publisher)}.${String(id)}-${String(version)}.vsix`);
}

/** All problems of a package, and the checks that could not run on this machine. */
export async function checkPackage(
  vsix: Uint8Array,
  context: CheckContext,
): Promise<{ problems: string[]; skipped: string[] }> {
  const { nodes, missing } = nodesOfTheAgent();
  const bare = await Promise.all(nodes.map((node) => bareRunProblems(readVsix(vsix), node)));
  const noSchema = 'task.json was not compared with its schema: ../shared/schemas/tasks.schema.json is not there.';
  return {
    problems: [...packageProblems(vsix, context), ...bare.flat()],
    skipped: [...missing, ...(context.taskSchema === undefined ? [noSchema] : [])],
  };
}

async function main(): Promise<void> {
  const vsix = await packageExtension(repository);
  const { problems, skipped } = await checkPackage(vsix, await checkContext(repository));
  for (const sentence of skipped) console.log(`skipped: ${sentence}`);
  if (problems.length > 0) {
    throw new Error(`The package is not fit to be published:\n${problems.map((problem) => `- ${problem}`).join('\n')}`);
  }
  const file = await vsixFile();
  await mkdir(path.dirname(file), { recursive: true });
  // A rename replaces the file at once, so a reader gets either the old or the new package.
  await writeFile(`${file}.new`, vsix);
  await rename(`${file}.new`, file);
  console.log(`packaged ${path.relative(repository, file)} (${String(Math.ceil(vsix.length / 1024))} KiB)`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
