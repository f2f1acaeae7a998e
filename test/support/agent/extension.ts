import fs from 'node:fs';
import path from 'node:path';
import { unzipSync } from 'fflate';
import { asList, asObject, readJson, readTaskDefinition } from './taskDefinition';
import type { TaskDefinition } from './taskDefinition';

export interface Extension {
  readonly publisher: string;
  readonly id: string;
  readonly version: string;
  readonly tasks: readonly TaskDefinition[];
}

const contributionType = 'ms.vss-distributed-task.task';

/**
 * Opens a .vsix file, an unpacked one, or the folder tree that tfx packs, and reads its tasks in both layouts,
 * `<Task>/task.json` and `<Task>/<Task>V1/task.json`. A .vsix is unpacked into `unpackFolder`. Throws an Error that
 * names the part that the Marketplace or the agent would not understand.
 */
export function openExtension(vsixOrFolder: string, unpackFolder: string): Extension {
  const isFile = fs.statSync(vsixOrFolder).isFile();
  const folder = isFile ? unpackFolder : vsixOrFolder;
  if (isFile) unpack(vsixOrFolder, unpackFolder);
  const manifest = ['extension.vsomanifest', 'vss-extension.json'].find((name) =>
    fs.existsSync(path.join(folder, name)),
  );
  if (manifest === undefined) throw new Error(`${vsixOrFolder} has no extension.vsomanifest: it is not an extension.`);
  const json = readJson(path.join(folder, manifest));
  const tasks = asList(json['contributions']).flatMap((value) => readContribution(folder, asObject(value)));
  if (tasks.length === 0) throw new Error(`${vsixOrFolder} contributes no task (${contributionType}).`);
  refuseDuplicates(tasks);
  return { ...readIdentity(folder, manifest), tasks };
}

function unpack(vsix: string, folder: string): void {
  for (const [name, content] of Object.entries(unzipSync(fs.readFileSync(vsix)))) {
    const file = path.resolve(folder, name);
    if (!file.startsWith(path.resolve(folder) + path.sep)) throw new Error(`${vsix} has an entry outside: ${name}`);
    if (name.endsWith('/')) continue;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
  }
}

function readIdentity(folder: string, manifest: string): Omit<Extension, 'tasks'> {
  if (manifest === 'vss-extension.json') return identityOf(readJson(path.join(folder, manifest)));
  const file = path.join(folder, 'extension.vsixmanifest');
  const element = /<Identity\s[^>]*>/.exec(fs.readFileSync(file, 'utf8'))?.[0] ?? '';
  const attribute = (name: string): unknown => new RegExp(`\\s${name}="([^"]*)"`).exec(element)?.[1];
  return identityOf({ publisher: attribute('Publisher'), id: attribute('Id'), version: attribute('Version') });
}

function identityOf(json: Readonly<Record<string, unknown>>): Omit<Extension, 'tasks'> {
  const [publisher, id, version] = [json['publisher'], json['id'], json['version']];
  if (typeof publisher !== 'string' || typeof id !== 'string' || typeof version !== 'string') {
    throw new Error('The extension has no publisher, id or version.');
  }
  return { publisher, id, version };
}

function readContribution(root: string, contribution: Readonly<Record<string, unknown>>): TaskDefinition[] {
  if (contribution['type'] !== contributionType) return [];
  const name = asObject(contribution['properties'])['name'];
  if (typeof name !== 'string' || name === '') {
    throw new Error(`The task contribution ${JSON.stringify(contribution['id'])} has no properties.name.`);
  }
  const folder = path.join(root, name);
  if (!fs.existsSync(folder)) throw new Error(`The task contribution "${name}" has no folder of that name.`);
  if (fs.existsSync(path.join(folder, 'task.json'))) return [readTaskDefinition(folder)];
  const versions = fs.readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const tasks = versions
    .map((entry) => path.join(folder, entry.name))
    .filter((version) => fs.existsSync(path.join(version, 'task.json')))
    .map(readTaskDefinition);
  if (tasks.length === 0) throw new Error(`The folder "${name}" of a task contribution has no task.json.`);
  return tasks;
}

function refuseDuplicates(tasks: readonly TaskDefinition[]): void {
  const seen = new Set<string>();
  for (const task of tasks) {
    const key = `${task.id}@${task.version.major}`;
    if (seen.has(key)) throw new Error(`Two tasks are ${task.name}@${task.version.major} (${task.id}).`);
    seen.add(key);
  }
}

/** `HelmSafeDeploy@1`, a GUID, or a full reference that ends in the name. Throws if the extension has no such task. */
export function findTask(extension: Extension, reference: string): TaskDefinition {
  const [fullName = '', major = ''] = reference.split('@');
  const name = (fullName.split('.').at(-1) ?? '').toLowerCase();
  const found = extension.tasks.find(
    (task) => (task.name.toLowerCase() === name || task.id === name) && String(task.version.major) === major,
  );
  if (found !== undefined) return found;
  const known = extension.tasks.map((task) => `${task.name}@${task.version.major}`).join(', ');
  throw new Error(`The task ${reference} is not in the extension; it has ${known}.`);
}
