import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, extensionFolder, repository } from '../build';
import type { BuildOptions } from '../build';
import { bareRunProblems, nodesOfTheAgent } from './bareRun';
import { packageProblems } from './check';
import { inputsRead } from './inputsRead';
import type { CheckContext } from './packageUnderCheck';
import { createExtension } from './tfx';
import { normalised, readVsix, writeVsix } from './vsix';

/** Builds and packages. Answers the bytes of the .vsix, the same for the same source. */
export async function packageExtension({ source, out }: BuildOptions): Promise<Uint8Array> {
  await build({ source, out });
  const raw = path.join(out, 'tfx.vsix');
  await createExtension({ root: extensionFolder(out), vsix: raw });
  const parts = normalised(readVsix(await readFile(raw)));
  await rm(raw);
  return writeVsix(parts);
}

/** What the check has to know about the source tree that a package was made from. */
export async function checkContext(source: string): Promise<CheckContext> {
  const json = async (...file: string[]) =>
    JSON.parse(await readFile(path.join(source, ...file), 'utf8')) as Record<string, unknown>;
  const schema = path.join('..', 'shared', 'schemas', 'tasks.schema.json');
  return {
    version: String((await json('package.json'))['version']),
    taskSchema: existsSync(path.join(source, schema)) ? await json(schema) : undefined,
    taskIds: (await json('tasks', 'ids.json')) as Record<string, string>,
    inputsRead: await inputsRead(source),
    machinePaths: [`${source}${path.sep}`],
  };
}

/** `<publisher>.<extension>-<version>.vsix` in `out`. */
export async function vsixFile({ source, out }: BuildOptions): Promise<string> {
  const manifest = JSON.parse(await readFile(path.join(source, 'vss-extension.json'), 'utf8')) as Record<
    string,
    string
  >;
  return path.join(
    out,
    `${String(manifest['publisher'])}.${String(manifest['id'])}-${String(manifest['version'])}.vsix`,
  );
}

async function main(): Promise<void> {
  const options = { source: repository, out: path.join(repository, 'dist') };
  const vsix = await packageExtension(options);
  const context = await checkContext(options.source);
  const { nodes, missing } = nodesOfTheAgent();
  if (context.taskSchema === undefined)
    missing.push('task.json was not compared with its schema: ../shared/schemas/tasks.schema.json is not there.');
  for (const sentence of missing) console.log(`skipped: ${sentence}`);

  const bare = await Promise.all(nodes.map((node) => bareRunProblems(readVsix(vsix), node)));
  const problems = [...packageProblems(vsix, context), ...bare.flat()];
  const file = await vsixFile(options);
  if (problems.length > 0) {
    console.error(`The package is not fit to be published:\n${problems.map((problem) => `- ${problem}`).join('\n')}`);
    process.exitCode = 1;
    return;
  }
  await mkdir(options.out, { recursive: true });
  await writeFile(file, vsix);
  console.log(`packaged ${path.relative(repository, file)} (${String(Math.ceil(vsix.length / 1024))} KiB)`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
