import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface TimedRun {
  readonly seconds: number;
  readonly exitCode: number | null;
  readonly output: string;
}

/** Measures from the start of a process to its end. Its output is read at the same time, as an agent does. */
export async function timed(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<TimedRun> {
  const startedAt = performance.now();
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const [exitCode, seconds] = await new Promise<[number | null, number]>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      resolve([code, (performance.now() - startedAt) / 1000]);
    });
  });
  return { seconds, exitCode, output: (await output).join('') };
}

/** Like `timed`, but throws for a failed run, because its time has no meaning. */
export async function timedSuccess(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; isSuccess?: (output: string) => boolean } = {},
): Promise<number> {
  const { isSuccess = () => true, ...rest } = options;
  const { seconds, exitCode, output } = await timed(program, args, rest);
  if (exitCode === 0 && isSuccess(output)) return seconds;
  throw new Error(`A measured run failed (exit code ${exitCode ?? 'none'}):\n${output.slice(-4000)}`);
}
