/**
 * A stand-in for the agent's Node. It runs the task's file with the Node for Windows, started and cancelled as by the
 * agent for Windows (see scripts/cluster/go/windowsagent). `wine.ts` bundles it, with its settings in a file beside it.
 */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { toLinuxPath, toWindowsPath, windowsEnvironment, type WineSettings } from './winePaths';

const settings = JSON.parse(
  readFileSync(path.join(path.dirname(process.argv[1] ?? ''), 'wine.json'), 'utf8'),
) as WineSettings;
const script = process.argv[2] ?? '';

const child = spawn(settings.wine, [settings.agent, toWindowsPath(settings.node), toWindowsPath(script)], {
  env: { ...windowsEnvironment(process.env), ...settings.environment },
  stdio: ['pipe', 'pipe', 'pipe'],
});
child.stdin.on('error', () => undefined);
// The agent for Windows sends only what is requested. If the stand-in is killed, the input of this process ends.
process.on('SIGINT', () => child.stdin.write('cancel\n'));
process.on('SIGTERM', () => undefined);
// Kills like a task manager: only the Node for Windows ends, and no other process is informed.
process.on('SIGUSR2', () => child.stdin.write('kill\n'));
// A dead agent reads nothing more.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
pass(child.stdout, process.stdout);
pass(child.stderr, process.stderr);
// Wine's own processes may hold the pipes.
const drainMs = 1000;
child.once('exit', (code) => {
  const end = (): void => {
    process.exit(code ?? 1);
  };
  child.once('close', end);
  setTimeout(end, drainMs);
});

function pass(from: NodeJS.ReadableStream, to: NodeJS.WriteStream): void {
  createInterface({ input: from, crlfDelay: Infinity }).on('line', (line) => {
    to.write(`${toLinuxPath(line)}\n`);
  });
}
