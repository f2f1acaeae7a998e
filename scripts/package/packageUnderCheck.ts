import { partText } from './vsix';
import type { Parts } from './vsix';

/** Facts that the check needs in addition to the package. */
export interface CheckContext {
  /** The version in package.json. */
  version: string;
  extensionId: string;
  /** The schema of task.json. If undefined, that check is skipped. */
  taskSchema: Readonly<Record<string, unknown>> | undefined;
  /** The fixed GUIDs of the tasks, keyed by task name. */
  taskIds: Readonly<Record<string, string>>;
  /** Keyed by task name. */
  inputs: Readonly<Record<string, InputsOfCode>>;
  /** Paths of the build machine, which no file may contain. */
  machinePaths: readonly string[];
}

/** The inputs that the code of a task reads. */
export interface InputsOfCode {
  /** The names of these inputs. */
  read: readonly string[];
  /** The values that the code uses if an input is not given. */
  defaults: Readonly<Record<string, string>>;
}

export interface TaskInput {
  name: string;
  type: string;
  label?: string;
  aliases?: readonly string[];
  defaultValue?: string | boolean;
  helpMarkDown?: string;
  required?: boolean;
  groupName?: string;
  visibleRule?: string;
  options?: Readonly<Record<string, string>>;
}

type Handlers = Readonly<Record<string, { target?: string }>>;

/** An unchecked task.json: every field may be missing. */
export interface TaskJson {
  id?: string;
  name?: string;
  friendlyName?: string;
  description?: string;
  helpMarkDown?: string;
  version?: { Major?: number; Minor?: number; Patch?: number };
  minimumAgentVersion?: string;
  instanceNameFormat?: string;
  inputs?: readonly TaskInput[];
  groups?: readonly { name: string; displayName?: string }[];
  outputVariables?: readonly { name: string; description?: string }[];
  restrictions?: { commands?: { mode?: string }; settableVariables?: { allowed?: readonly string[] } };
  execution?: Handlers;
  prejobexecution?: Handlers;
  postjobexecution?: Handlers;
}

export interface PackagedTask {
  /** For example `HelmSafeDeploy/HelmSafeDeployV1`. */
  folder: string;
  json: TaskJson;
}

/** Reads every task.json in the package. Unreadable ones are reported in `problems`. */
export function packagedTasks(parts: Parts): { tasks: PackagedTask[]; problems: string[] } {
  const tasks: PackagedTask[] = [];
  const problems: string[] = [];
  for (const name of parts.keys()) {
    if (!name.endsWith('/task.json')) continue;
    const json = parsed(partText(parts, name));
    if (json === undefined) problems.push(`${name}: is not a JSON object`);
    else tasks.push({ folder: name.slice(0, -'/task.json'.length), json });
  }
  return { tasks, problems };
}

export function parsed(json: string | undefined): Record<string, unknown> | undefined {
  if (json === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Width and height of a PNG. Returns undefined if the content is not a PNG. */
export function pngSize(content: Uint8Array | undefined): { width: number; height: number } | undefined {
  const signature = '89504e470d0a1a0a';
  if (content === undefined || content.length < 24) return undefined;
  const buffer = Buffer.from(content);
  if (buffer.subarray(0, 8).toString('hex') !== signature) return undefined;
  return { width: buffer.readUInt32BE(16), height: buffer.readUInt32BE(20) };
}
