import type { Hook } from './release';

type NamedHook = Pick<Hook, 'name' | 'events'>;

/** Helm writes `test` into its record for the older names too (measured, 3.14.0 and 4.3.2). */
const testEvents: ReadonlySet<string> = new Set(['test', 'test-success', 'test-failure']);

export function isTestEvent(event: string): boolean {
  return testEvents.has(event);
}

/** The names of tests as `smokeTestFilter` has them, one for each line. With a `!`, the test is left out. */
export type TestFilter = readonly string[];

/** Returns the tests that `helm test` runs. Helm takes out the excluded ones before it chooses the others. */
export function testsToRun<T extends NamedHook>(hooks: readonly T[], filter: TestFilter): T[] {
  const chosen = filter.filter((line) => !line.startsWith('!'));
  return hooks.filter(
    ({ name, events }) =>
      events.some(isTestEvent) && !filter.includes(`!${name}`) && (chosen.length === 0 || chosen.includes(name)),
  );
}

/** Returns the names in the filter that no test has. Helm runs no test for such a name, and succeeds (measured). */
export function unknownTests(hooks: readonly NamedHook[], filter: TestFilter): string[] {
  const known = new Set(testsToRun(hooks, []).map(({ name }) => name));
  return filter.map((line) => line.replace(/^!/, '')).filter((name) => !known.has(name));
}

/** Returns the flags of `helm test`. */
export function filterFlags(filter: TestFilter): string[] {
  return filter.flatMap((line) => ['--filter', line.startsWith('!') ? `!name=${line.slice(1)}` : `name=${line}`]);
}

/** Helm's word for each test that it has begun, by the name of the test: Succeeded, Failed, Running or Unknown. */
export type TestPhases = ReadonlyMap<string, string>;

/** Reads what `helm test` prints at its end, whether the tests passed or not. Helm has no JSON for it. */
export function testPhases(stdout: string): TestPhases {
  const phases = new Map<string, string>();
  let name: string | undefined;
  for (const line of stdout.split(/\r?\n/)) {
    const [, label, value = ''] = /^(TEST SUITE|Phase):\s+(\S{1,253})$/.exec(line) ?? [];
    if (label === 'TEST SUITE') name = value;
    else if (label === 'Phase' && name !== undefined) phases.set(name, value);
  }
  return phases;
}
