import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { repository } from './build';
import type { MochaRequest, MochaResult } from './test/mochaRun';
import { planTests } from './test/plan';
import type { Group, Plan } from './test/plan';
import { summary, withRealNodeRequired } from './test/summary';
import type { PartResult } from './test/summary';

const require = createRequire(import.meta.url);
const children = new Set<ChildProcess>();

/** How long the process of a group may live after its last test before it is killed. */
const graceMilliseconds = 10_000;
const drainMilliseconds = 2000;

/** The checks, each with the program of its package and its arguments. None of them changes a file. */
const checks = [
  { name: 'format', bin: 'prettier/bin/prettier.cjs', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'types', bin: 'typescript/bin/tsc', args: ['--noEmit'] },
  { name: 'tab types', bin: 'typescript/bin/tsc', args: ['--noEmit', '--project', 'tab'] },
  { name: 'lint', bin: 'eslint/bin/eslint.js', args: ['--max-warnings', '0', '.'] },
];

async function main(): Promise<void> {
  const plan = planTests(repository, process.argv.slice(2));
  const early = plan.groups.filter(({ alone }) => !alone);
  const late = plan.groups.filter(({ alone }) => alone);

  const [checked, tested] = await Promise.all([
    plan.withChecks ? inTurn(checks, runCheck) : [],
    inTurn(early, (group) => runGroup(group, plan)),
  ]);
  const needsPackage = plan.withChecks || late.some((group) => group.needsPackage);
  const packaged = needsPackage ? await runPackaging() : [];
  const isPackaged = packaged.every(({ failed }) => failed.length === 0);
  const rest = await inTurn(late, (group) =>
    group.needsPackage && !isPackaged ? notRun(group) : runGroup(group, plan),
  );

  const parts = [...checked, ...packaged, ...tested, ...rest];
  const results = mustHaveRealNode() ? withRealNodeRequired(parts) : parts;
  for (const line of summary(results)) console.log(line);
  process.exitCode = results.some(({ failed }) => failed.length > 0) ? 1 : 0;
}

async function inTurn<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await run(item));
  return results;
}

function mustHaveRealNode(): boolean {
  const { CI, REQUIRE_REAL_NODE } = process.env;
  if (REQUIRE_REAL_NODE !== undefined && REQUIRE_REAL_NODE !== '') return true;
  return CI !== undefined && CI !== '' && process.platform === 'linux' && process.getuid?.() === 0;
}

async function runCheck({ name, bin, args }: (typeof checks)[number]): Promise<PartResult> {
  const file = path.join(
    path.dirname(require.resolve(`${packageName(bin)}/package.json`)),
    bin.slice(packageName(bin).length),
  );
  return runTool(name, [file, ...args]);
}

function packageName(bin: string): string {
  return bin.split('/')[0] ?? bin;
}

async function runPackaging(): Promise<PartResult[]> {
  return [await runTool('packaging', [...process.execArgv, path.join(repository, 'scripts', 'package', 'index.ts')])];
}

/** Prints the output in one piece at the end, because other parts run at the same time. */
async function runTool(name: string, args: readonly string[]): Promise<PartResult> {
  const child = started(spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] }));
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [out, err, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const output = `${out}${err}`.trim();
  if (output !== '') console.log(`\n${name}:\n${output}\n`);
  return {
    name,
    kind: 'check',
    passed: 0,
    failed: exitCode === 0 ? [] : ['failed, see its output above'],
    skipped: [],
  };
}

function notRun({ name }: Group): Promise<PartResult> {
  return Promise.resolve({ name, kind: 'tests', passed: 0, failed: ['was not run: there is no package'], skipped: [] });
}

/**
 * Runs a group in one mocha process, so that groups cannot disturb each other, or its files in parallel, each in its
 * own process.
 */
async function runGroup(group: Group, plan: Plan): Promise<PartResult> {
  console.log(`\n${group.name}`);
  if (group.lanes === 1 || group.files.length === 1) {
    return partResult(group.name, [await runMocha(group.name, group, group.files, plan, false)]);
  }
  const queue = [...group.files];
  const results: MochaResult[] = [];
  const lane = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const name = `${group.name}/${path.basename(file)}`;
      results.push(await runMocha(name, group, [file], plan, true));
    }
  };
  await Promise.all(Array.from({ length: group.lanes }, lane));
  return partResult(group.name, results);
}

function partResult(name: string, results: readonly MochaResult[]): PartResult {
  return {
    name,
    kind: 'tests',
    passed: results.reduce((sum, { passed }) => sum + passed, 0),
    failed: results.flatMap(({ failed }) => failed),
    skipped: results.flatMap(({ skipped }) => skipped),
  };
}

/** With `isQuiet` the output is printed in one piece at the end, because another process runs at the same time. */
async function runMocha(
  name: string,
  group: Group,
  files: readonly string[],
  plan: Plan,
  isQuiet: boolean,
): Promise<MochaResult> {
  const output = isQuiet ? 'pipe' : 'inherit';
  const child = started(
    spawn(process.execPath, [...process.execArgv, path.join(repository, 'scripts', 'test', 'mochaRun.ts')], {
      cwd: repository,
      stdio: ['ignore', output, output, 'ipc'],
    }),
  );
  const said: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => said.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const closed = once(child, 'close');
  let result: MochaResult | undefined;
  child.once('message', (message) => {
    result = message as MochaResult;
    endAfterGrace(name, child);
  });
  const request: MochaRequest = {
    files: [...files],
    timeoutMilliseconds: group.timeoutMilliseconds,
    grep: plan.grep,
    forbidOnly: plan.withChecks,
  };
  child.send(request);
  const [exitCode, signal] = await ended;
  // A process that a test has started may still hold the pipe open.
  await Promise.race([closed, delay(drainMilliseconds, undefined, { ref: false })]);
  process.stdout.write(Buffer.concat(said));
  const ending = signal === null ? `exit code ${String(exitCode)}` : signal;
  return result ?? { passed: 0, failed: [`${name} ended without a result (${ending})`], skipped: [] };
}

function endAfterGrace(name: string, child: ChildProcess): void {
  const timer = setTimeout(() => {
    console.log(`${name}: a test has left something open; its process is ended now.`);
    child.kill('SIGKILL');
  }, graceMilliseconds);
  child.once('exit', () => {
    clearTimeout(timer);
  });
}

function started<T extends ChildProcess>(child: T): T {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const child of children) child.kill(signal);
    process.exitCode = 1;
  });
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
