import Mocha from 'mocha';

/** The work for one mocha process. */
export interface MochaRequest {
  files: readonly string[];
  timeoutMilliseconds: number;
  grep: string | undefined;
  /** A forgotten `.only` hides tests. Developers who name files may use it. */
  forbidOnly: boolean;
}

export interface MochaResult {
  passed: number;
  /** Full titles, each with the first line of the error. */
  failed: string[];
  skipped: string[];
}

async function run({ files, timeoutMilliseconds, grep, forbidOnly }: MochaRequest): Promise<MochaResult> {
  const mocha = new Mocha({
    ui: 'bdd',
    reporter: 'spec',
    timeout: timeoutMilliseconds,
    slow: timeoutMilliseconds / 4,
    color: process.stdout.isTTY,
    forbidOnly,
    ...(grep === undefined ? {} : { grep }),
  });
  for (const file of files) mocha.addFile(file);
  await mocha.loadFilesAsync();
  const result: MochaResult = { passed: 0, failed: [], skipped: [] };
  return new Promise((resolve) => {
    const runner = mocha.run(() => {
      resolve(result);
    });
    runner.on('pass', () => (result.passed += 1));
    runner.on('pending', (test) => result.skipped.push(test.fullTitle()));
    // A failed hook is reported here too, with the title of the hook.
    runner.on('fail', (test, error: unknown) => result.failed.push(`${test.fullTitle()}: ${firstLine(error)}`));
  });
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0] ?? '';
}

process.once('message', (request: MochaRequest) => {
  void run(request).then((result) => {
    // From now on only handles that a test left open keep this process alive.
    process.send?.(result, () => {
      process.disconnect();
    });
    process.exitCode = result.failed.length > 0 ? 1 : 0;
  });
});
