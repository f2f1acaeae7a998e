import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { repository } from '../build';
import { taskNames } from '../docs/pages';
import { brokenPromises, frozenTask } from './frozen';
import type { FrozenTasks } from './frozen';
import type { TaskJson } from './packageUnderCheck';

function frozenFile(source: string): string {
  return path.join(source, 'tasks', 'frozen.json');
}

/** The inputs and outputs that were frozen when the extension was last released. */
export async function readFrozenTasks(source: string): Promise<FrozenTasks> {
  return JSON.parse(await readFile(frozenFile(source), 'utf8')) as FrozenTasks;
}

/** The inputs and outputs as they are in the source now. */
export async function presentTasks(source: string): Promise<FrozenTasks> {
  const names = await taskNames(source);
  const entries = await Promise.all(
    names.map(async (name) => {
      const json = JSON.parse(await readFile(path.join(source, 'tasks', name, 'task.json'), 'utf8')) as TaskJson;
      return [`${name}@${String(json.version?.Major)}`, frozenTask(json)] as const;
    }),
  );
  return Object.fromEntries(entries);
}

/** Adds what is new to the frozen tasks. Throws, and writes nothing, if something was removed or changed. */
export async function freeze(source: string): Promise<void> {
  const [frozen, present] = await Promise.all([readFrozenTasks(source), presentTasks(source)]);
  const broken = brokenPromises(frozen, present);
  if (broken.length > 0) throw new Error(`Pipelines of users would break:\n${broken.join('\n')}`);
  const options = await resolveConfig(frozenFile(source));
  const text = await format(JSON.stringify({ ...frozen, ...present }), { ...options, parser: 'json' });
  await writeFile(frozenFile(source), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await freeze(repository);
