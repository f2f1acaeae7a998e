import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { demoOptions, usage, UsageError } from './options';
import { createScreen } from './screen';
import { runDemo } from './story';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) return;
    process.stderr.write(`\n${signal}: stopping and tidying up\n`);
    process.exitCode = 128 + constants.signals[signal];
    interruption.abort();
  });
}

async function main(): Promise<void> {
  const options = demoOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(usage);
    return;
  }
  const { NO_COLOR, FORCE_COLOR } = process.env;
  const colour = !NO_COLOR && (process.stdout.isTTY || (FORCE_COLOR !== undefined && FORCE_COLOR !== '0'));
  const screen = createScreen((text) => process.stdout.write(text), colour, 5);
  const folder = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-demo-'));
  try {
    const namespace = `helm-safe-deploy-demo-${randomBytes(3).toString('hex')}`;
    const writeVsix = async (name: string, content: Uint8Array): Promise<string> => {
      await writeFile(path.join(folder, name), content);
      return path.join(folder, name);
    };
    const succeeded = await runDemo(options, { screen, namespace, writeVsix, signal: interruption.signal });
    if (!succeeded) process.exitCode ??= 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  if (!interruption.signal.aborted) {
    process.exitCode = error instanceof UsageError ? 2 : 1;
    process.stderr.write(`\n${(error as Error).message}\n`);
    if (error instanceof UsageError) process.stderr.write('npm run demo -- --help lists the options.\n');
  } else if ((error as Error).name !== 'AbortError') {
    process.stderr.write(`${(error as Error).message}\n`);
  }
}
