import fs from 'node:fs';
import path from 'node:path';

export interface AgentFolders {
  /** Agent.HomeDirectory. */
  readonly home: string;
  /** Agent.WorkFolder. */
  readonly work: string;
  readonly build: string;
  /** System.DefaultWorkingDirectory. */
  readonly sources: string;
  readonly artifacts: string;
  readonly binaries: string;
  readonly testResults: string;
  readonly temp: string;
  readonly tools: string;
  readonly tasks: string;
}

export function agentFolders(root: string): AgentFolders {
  const work = path.join(root, '_work');
  const build = path.join(work, '1');
  return {
    home: root,
    work,
    build,
    sources: path.join(build, 's'),
    artifacts: path.join(build, 'a'),
    binaries: path.join(build, 'b'),
    testResults: path.join(build, 'TestResults'),
    temp: path.join(work, '_temp'),
    tools: path.join(work, '_tool'),
    tasks: path.join(work, '_tasks'),
  };
}

/** Prepares a job as the agent does: creates all folders and empties the temporary one. */
export function prepareFolders(folders: AgentFolders): void {
  empty(folders.temp);
  makeFolders(folders);
}

export function makeFolders(folders: AgentFolders): void {
  for (const folder of Object.values(folders) as string[]) fs.mkdirSync(folder, { recursive: true });
}

export function empty(folder: string): void {
  if (!fs.existsSync(folder)) return;
  for (const entry of fs.readdirSync(folder)) fs.rmSync(path.join(folder, entry), { recursive: true, force: true });
}
