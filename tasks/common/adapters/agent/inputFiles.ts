import { accessSync, constants, readdirSync, readFileSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import type { InputContext, InputFiles } from '../../core/inputs/inputs';
import { secretFinder } from '../../core/text/secrets';
import type { TaskAgent } from './agent';

function inputFiles(workingDirectory: string): InputFiles {
  const absolute = (file: string): string => path.resolve(workingDirectory, file);
  return {
    platform: process.platform,
    absolute,
    kind: (file) => kindOf(absolute(file)),
    names: (folder) => namesIn(absolute(folder)),
    readText: (file) => readFileSync(absolute(file), 'utf8'),
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function kindOf(file: string): ReturnType<InputFiles['kind']> {
  let stats: Stats;
  try {
    stats = statSync(file);
    accessSync(file, constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EACCES' || code === 'EPERM' ? 'unreadable' : 'missing';
  }
  return stats.isDirectory() ? 'folder' : 'file';
}

/** On Windows every readable file counts as executable. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export function inputContext(agent: TaskAgent): InputContext {
  return {
    files: inputFiles(agent.workingDirectory),
    secrets: secretFinder(agent.secrets()),
    redact: (text) => agent.redact(text),
    serviceConnections: agent.environment.serviceConnections,
  };
}
