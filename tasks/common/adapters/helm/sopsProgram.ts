import { readdirSync } from 'node:fs';
import path from 'node:path';
import { newestOf } from '../../core/helm/helmVersion';
import { isExecutable } from '../agent/inputFiles';
import { findProgram } from '../system/platform';

interface SopsPlaces {
  /** Wins over the other places. */
  sopsPath: string | undefined;
  environment: NodeJS.ProcessEnv;
  /** Agent.ToolsDirectory, in the layout of azure-pipelines-tool-lib. */
  toolsFolder: string | undefined;
}

/** Looks on PATH, and then for the newest sops that an earlier step has put into the tool cache. */
export function findSops({ sopsPath, environment, toolsFolder }: SopsPlaces): string | undefined {
  return sopsPath ?? findProgram(process.platform, 'sops', environment, isExecutable) ?? cachedSops(toolsFolder);
}

function cachedSops(toolsFolder: string | undefined): string | undefined {
  if (!toolsFolder) return undefined;
  const root = path.join(toolsFolder, 'sops');
  const name = process.platform === 'win32' ? 'sops.exe' : 'sops';
  // The marker says that the folder was filled completely.
  const complete = namesIn(root).filter((version) =>
    namesIn(path.join(root, version)).includes(`${process.arch}.complete`),
  );
  const files = new Map(complete.map((version) => [version, path.join(root, version, process.arch, name)]));
  const usable = [...files].filter(([, file]) => isExecutable(file)).map(([version]) => version);
  return files.get(newestOf(usable, {}) ?? '');
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
