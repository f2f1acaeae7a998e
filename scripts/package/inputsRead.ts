import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { TaskError } from '../../tasks/common/core/failure';
import type { InputContext, RawInputs } from '../../tasks/common/core/inputs/inputs';
import type { InputsOfCode, TaskJson } from './packageUnderCheck';

/** The exports of `tasks/<Task>/inputs.ts`: `inputDefaults`, and functions `read<Something>`. */
type InputsModule = Readonly<Record<string, unknown>>;
type ReadInputs = (raw: RawInputs, context: InputContext) => unknown;

/** A context without files and service connections. Only the names of the requested inputs matter here. */
const emptyContext: InputContext = {
  files: { absolute: (name) => name, kind: () => 'missing', names: () => [], readText: () => '' },
  secrets: { ranges: () => [], isIn: () => false, occurrences: () => [] },
  redact: (text) => text,
  serviceConnections: [],
};

/**
 * Finds the inputs that the code of each task reads by running that code: once without any input, and once for each
 * option of each pick list, because one input may decide if another is read.
 */
export async function inputsRead(source: string): Promise<Record<string, InputsOfCode>> {
  const tasks = path.join(source, 'tasks');
  const found: Record<string, InputsOfCode> = {};
  for (const name of await readdir(tasks)) {
    const [taskJson, inputs] = [path.join(tasks, name, 'task.json'), path.join(tasks, name, 'inputs.ts')];
    if (!existsSync(taskJson) || !existsSync(inputs)) continue;
    const json = JSON.parse(await readFile(taskJson, 'utf8')) as TaskJson;
    const module = (await import(pathToFileURL(inputs).href)) as InputsModule;
    found[name] = {
      read: [
        ...new Set(
          scenarios(json).flatMap((given) => readersOf(name, module).flatMap((reader) => namesRead(reader, given))),
        ),
      ].sort(),
      defaults: (module['inputDefaults'] ?? {}) as Record<string, string>,
    };
  }
  return found;
}

function scenarios(json: TaskJson): Record<string, string>[] {
  const chosen = (json.inputs ?? []).flatMap(({ name, options }) =>
    Object.keys(options ?? {}).map((option) => ({ [name]: option })),
  );
  return [{}, ...chosen];
}

/** A task with several actions reads the inputs of each by a function of its own. */
function readersOf(task: string, module: InputsModule): ReadInputs[] {
  const found = Object.entries(module).filter(
    ([name, value]) => name.startsWith('read') && typeof value === 'function',
  );
  if (found.length === 0) throw new Error(`tasks/${task}/inputs.ts has to export a function read<...>.`);
  return found.map(([, reader]) => reader as ReadInputs);
}

function namesRead(readInputs: ReadInputs, given: Readonly<Record<string, string>>): string[] {
  const names: string[] = [];
  const raw: RawInputs = (name) => {
    names.push(name);
    return given[name];
  };
  try {
    readInputs(raw, emptyContext);
  } catch (error) {
    // Hardly any input was given, so input errors are expected.
    if (!(error instanceof TaskError) || error.reason !== 'InputInvalid') throw error;
  }
  return names;
}
