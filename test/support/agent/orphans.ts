import fs from 'node:fs';

export interface FoundProcess {
  readonly pid: number;
  readonly name: string;
}

export const lookupVariable = 'VSTS_PROCESS_LOOKUP_ID';

/** The processes that run now, which the agent remembers at job start. Empty without /proc. */
export function runningProcesses(): FoundProcess[] {
  return readdir('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => ({ pid: Number(entry), name: read(`/proc/${entry}/comm`).trim() }));
}

/** The processes that were started with this job's mark in their environment. */
export function processesMarked(lookupId: string): FoundProcess[] {
  const mark = `${lookupVariable}=${lookupId}`.toLowerCase();
  return runningProcesses().filter(({ pid }) =>
    read(`/proc/${pid}/environ`)
      .split('\0')
      .some((entry) => entry.toLowerCase() === mark),
  );
}

/** Kills the processes that have the job's mark and did not exist when the job began. Returns the killed ones. */
export function killOrphans(lookupId: string, before: readonly FoundProcess[]): FoundProcess[] {
  const known = new Set(before.map(({ pid, name }) => `${pid}_${name}`));
  const orphans = processesMarked(lookupId).filter(({ pid, name }) => !known.has(`${pid}_${name}`));
  return orphans.filter(({ pid }) => {
    try {
      return process.kill(pid, 'SIGKILL');
    } catch {
      return false;
    }
  });
}

function readdir(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

// A process of another user, or one that has just ended, cannot be read.
function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
