import fs from 'node:fs';
import path from 'node:path';
import type { JobResult } from './agent';

/** What the processes of the machine show to others while a job runs. */
export interface SeenProcesses {
  commandLines: Set<string>;
  /** By a command line. They are read only for command lines that contain one of the words given. */
  environments: Map<string, Set<string>>;
}

/** Reads the processes of the machine again and again. */
export function watchProcesses(words: readonly string[] = []): { stop(): SeenProcesses } {
  const seen: SeenProcesses = { commandLines: new Set(), environments: new Map() };
  const timer = setInterval(() => {
    for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const commandLine = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        seen.commandLines.add(commandLine);
        const word = words.find((each) => commandLine.includes(each));
        if (word === undefined) continue;
        const known = seen.environments.get(word) ?? new Set();
        seen.environments.set(word, known.add(fs.readFileSync(`/proc/${pid}/environ`, 'utf8')));
      } catch {
        // The process has ended.
      }
    }
  }, 25);
  return {
    stop: () => {
      clearInterval(timer);
      return seen;
    },
  };
}

/** Every file below a folder with its content, but for the programs of the tasks. */
export function filesBelow(folder: string): [name: string, content: string][] {
  const entries = fs.readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !file.includes(`${path.sep}_tasks${path.sep}`))
    .map((file) => [file, fs.readFileSync(file, 'latin1')]);
}

/** Everything that the agent sends on, but for the commands by which it learns of secrets. */
export function shownBy({ steps }: JobResult): [name: string, content: string][] {
  return steps.flatMap((step): [string, string][] => [
    ['the output', step.raw.flatMap(({ line }) => (line.startsWith('##vso[task.setsecret') ? [] : [line])).join('\n')],
    ['the log', step.log.map(({ text }) => text).join('\n')],
    ['the issues', step.issues.map(({ message }) => message).join('\n')],
    ['the outputs', JSON.stringify(step.outputs)],
    ['the summary', step.summaries.join('\n')],
    ...step.attachments.map(({ name, content }): [string, string] => [
      `the attachment ${name}`,
      content.toString('utf8'),
    ]),
  ]);
}
