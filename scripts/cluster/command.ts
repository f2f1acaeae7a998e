import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /**
   * Aborting kills the whole process group of the command. Leave it out for commands that must not stop halfway, such
   * as apt-get.
   */
  readonly signal?: AbortSignal;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end in its own process group and collects its output. Rejects only if the command cannot start
 * or is aborted.
 */
export function command(file: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(asError(signal.reason));
      return;
    }
    const child = spawn(file, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...(options.env ?? process.env), PATH: searchPath() },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk));
    // A command that does not read its input closes the pipe early. This is not an error.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const abort = () => {
      if (child.pid !== undefined) killGroup(child.pid);
    };
    signal?.addEventListener('abort', abort, { once: true });
    child.on('error', reject);
    child.on('close', (code) => {
      signal?.removeEventListener('abort', abort);
      if (signal?.aborted) {
        reject(asError(signal.reason));
        return;
      }
      resolve({ code, stdout: text(chunks.stdout), stderr: text(chunks.stderr) });
    });
  });
}

/** Like {@link command}, but an exit code other than 0 is an error that shows the last lines of the output. */
export async function succeed(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await command(file, args, options);
  if (result.code === 0) return result.stdout;
  const output = lastLines(`${result.stdout}${result.stderr}`, 30);
  throw new Error(`${[file, ...args].join(' ')} ended with exit code ${result.code ?? 'none'}:\n${output}`);
}

export function lastLines(content: string, count: number): string {
  return content.trimEnd().split('\n').slice(-count).join('\n');
}

export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/**
 * The search path with root's folders added, because a user who became root may still have the search path of a normal
 * user.
 */
export function searchPath(): string {
  return [process.env.PATH ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'].join(':');
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The process group has already ended.
  }
}
