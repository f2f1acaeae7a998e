import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openExtension } from './extension';
import type { Extension } from './extension';
import { agentFolders, makeFolders } from './folders';
import type { AgentFolders } from './folders';
import { startJob } from './job';
import type { Job, JobHost, JobResult, JobSpec } from './job';
import type { AgentLogLine } from './log';
import type { AgentTimings } from './stepHost';
import type { TaskDefinition } from './taskDefinition';

export interface AgentOptions {
  /** A .vsix file or an unpacked one. */
  readonly extension: string;
  /** Paths of Node binaries. The default for 20 is the binary of this process. */
  readonly nodes?: Readonly<Partial<Record<'20' | '24', string>>>;
  /** True if a Node24 handler runs on Node 24 (AGENT_USE_NODE24_WITH_HANDLER_DATA). */
  readonly useNode24?: boolean;
  /** The agent's folder. The default is a temporary folder, which dispose removes. */
  readonly root?: string;
  /** The variables that a task inherits from the agent, in addition to PATH, HOME (an empty folder) and LANG. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The default is the agent's real times. */
  readonly timings?: Partial<AgentTimings>;
  readonly version?: string;
  readonly name?: string;
  readonly onLine?: (line: AgentLogLine) => void;
}

/** An agent with one installed extension. It runs one job at a time. */
export interface Agent {
  readonly extension: Extension;
  readonly folders: AgentFolders;
  /** Throws at once if a step names an unknown task or if another job is running. */
  startJob(spec: JobSpec): Job;
  /** Rejects with AgentViolationError if a task printed something that the agent would not understand. */
  runJob(spec: JobSpec): Promise<JobResult>;
  /** Kills the processes that its jobs left running and removes its temporary folder. */
  dispose(): void;
}

/** The waiting times of the Azure Pipelines agent. */
export const realTimings: AgentTimings = {
  sigintMs: 7500,
  sigtermMs: 2500,
  stdioGraceMs: 5000,
  doneGraceMs: 5000,
  retryDelayMs: (attempt) => (attempt + 1) ** 2 * 1000,
};

/** Opens the extension and puts each task where the agent would, alone in `_tasks/<name>_<id>/<version>`. */
export function createAgent(options: AgentOptions): Agent {
  const root = path.resolve(options.root ?? fs.mkdtempSync(path.join(os.tmpdir(), 'agent-')));
  const folders = agentFolders(root);
  makeFolders(folders);
  const version = options.version ?? '5.278.0';
  const removeRoot = (): void => {
    if (options.root === undefined) fs.rmSync(root, { recursive: true, force: true });
  };
  const extension = installOr(removeRoot, () => installExtension(options.extension, folders, version));
  const host: JobHost = {
    extension,
    folders,
    name: options.name ?? 'Agent 1',
    version,
    step: {
      nodes: absolute({ '20': process.execPath, ...options.nodes }),
      useNode24: options.useNode24 ?? false,
      agentEnvironment: { ...agentEnvironment(root), ...options.environment },
      timings: { ...realTimings, ...options.timings },
    },
    onLine: options.onLine,
  };
  const jobs: Job[] = [];
  let isRunning = false;
  const start = (spec: JobSpec): Job => {
    if (isRunning) throw new Error('The agent still runs a job: it takes one at a time.');
    const job = startJob(host, spec);
    isRunning = true;
    const ended = (): void => {
      isRunning = false;
    };
    job.done.then(ended, ended);
    jobs.push(job);
    return job;
  };
  const dispose = (): void => {
    for (const job of jobs) killAll(job);
    removeRoot();
  };
  return { extension, folders, startJob: start, runJob: async (spec) => start(spec).done, dispose };
}

function installOr(cleanUp: () => void, install: () => Extension): Extension {
  try {
    return install();
  } catch (error) {
    cleanUp();
    throw error;
  }
}

function absolute<Key extends string>(files: Readonly<Partial<Record<Key, string>>>): Partial<Record<Key, string>> {
  const entries = Object.entries(files) as [Key, string][];
  return Object.fromEntries(entries.map(([key, file]) => [key, path.resolve(file)])) as Partial<Record<Key, string>>;
}

function killAll(job: Job): void {
  job.loseAgent();
  for (const { pid } of job.processes()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

function installExtension(source: string, folders: AgentFolders, agentVersion: string): Extension {
  const unpacked = fs.mkdtempSync(path.join(folders.work, 'vsix-'));
  const extension = openExtension(source, unpacked);
  const tasks = extension.tasks.map((task) => installTask(task, folders, agentVersion));
  fs.rmSync(unpacked, { recursive: true });
  return { ...extension, tasks };
}

function installTask(task: TaskDefinition, folders: AgentFolders, agentVersion: string): TaskDefinition {
  if (isOlder(agentVersion, task.minimumAgentVersion)) {
    throw new Error(`${task.name} needs an agent of version ${task.minimumAgentVersion}; this one is ${agentVersion}.`);
  }
  const { major, minor, patch } = task.version;
  const folder = path.join(folders.tasks, `${task.name}_${task.id}`, `${major}.${minor}.${patch}`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.cpSync(task.folder, folder, { recursive: true });
  return { ...task, folder };
}

function isOlder(version: string, minimum: string): boolean {
  const parts = (text: string): number[] => text.split('.').map(Number);
  const [have, need] = [parts(version), parts(minimum)];
  const differing = need.findIndex((part, index) => part !== (have[index] ?? 0));
  return differing >= 0 && (have[differing] ?? 0) < (need[differing] ?? 0);
}

// npm puts the project's own tools first in PATH. An agent does not have them.
function agentEnvironment(root: string): Record<string, string> {
  const home = path.join(root, '_home');
  fs.mkdirSync(home, { recursive: true });
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const tools = path.join('node_modules', '.bin');
  const PATH = folders
    .filter((folder) => !folder.endsWith(tools) && !folder.includes('node-gyp-bin'))
    .join(path.delimiter);
  return { PATH, HOME: home, LANG: 'C.UTF-8' };
}
