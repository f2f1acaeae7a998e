import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** Production is for everybody. Development can be installed beside it in one organisation, to try a change. */
export type FlavourName = 'production' | 'development';

export const productionFlavour: FlavourName = 'production';

/** What makes a task another one for Azure Pipelines. */
export interface TaskIdentity {
  id: string;
  name: string;
  friendlyName: string;
}

/** A file of the folder `flavours`: what it replaces in the manifest and in each task.json. */
export interface Flavour {
  manifest: Readonly<Record<string, unknown>>;
  /** Keyed by the folder below `tasks`. Empty if the tasks stay as they are. */
  tasks: Readonly<Record<string, TaskIdentity>>;
}

interface Contribution {
  type: string;
  properties?: { name?: string; supportsTasks?: readonly string[] };
}

export interface Manifest {
  contributions: readonly Contribution[];
  files: readonly { path: string }[];
  [field: string]: unknown;
}

export async function readFlavour(source: string, name: FlavourName): Promise<Flavour> {
  return JSON.parse(await readFile(path.join(source, 'flavours', `${name}.json`), 'utf8')) as Flavour;
}

/** The ids of the tasks, keyed by the folder below `tasks`. */
export type TaskIds = Readonly<Record<string, string>>;

/** The ids of the tasks in a flavour. */
export async function readTaskIds(source: string, { tasks }: Flavour): Promise<TaskIds> {
  const ids = JSON.parse(await readFile(path.join(source, 'tasks', 'ids.json'), 'utf8')) as TaskIds;
  return Object.fromEntries(Object.entries(ids).map(([folder, id]) => [folder, tasks[folder]?.id ?? id]));
}

export function flavouredTask<Task extends TaskIdentity>(flavour: Flavour, folder: string, task: Task): Task {
  return { ...task, ...flavour.tasks[folder] };
}

/** Names the tasks of the flavour wherever the manifest names a task. `ids` are those of the production flavour. */
export function flavouredManifest({ manifest: override, tasks }: Flavour, manifest: Manifest, ids: TaskIds): Manifest {
  const nameOf = (name: string): string => tasks[name]?.name ?? name;
  const idOf = (id: string): string => {
    const folder = Object.keys(ids).find((each) => ids[each] === id);
    return (folder === undefined ? undefined : tasks[folder]?.id) ?? id;
  };
  const contributions = manifest.contributions.map((contribution) => {
    const { type, properties = {} } = contribution;
    const { name, supportsTasks } = properties;
    const isTask = type === 'ms.vss-distributed-task.task' && name !== undefined;
    return {
      ...contribution,
      properties: {
        ...properties,
        ...(isTask ? { name: nameOf(name) } : {}),
        ...(supportsTasks === undefined ? {} : { supportsTasks: supportsTasks.map(idOf) }),
      },
    };
  });
  const files = manifest.files.map((file) => ({ ...file, path: nameOf(file.path) }));
  return { ...manifest, ...override, contributions, files };
}
