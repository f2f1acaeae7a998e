import { isOfRollback } from '../release/history';
import type { Revision } from '../release/release';
import { testsToRun, type TestFilter } from '../release/tests';
import { durationExpected, parseDuration } from './duration';
import type { InputReader } from './inputs';

export interface SmokeTestRequest {
  /** The timeout of all tests together. */
  timeoutSeconds: number;
  filter: TestFilter;
}

/** Returns true if a revision needs more than health to be verified. The tests do not run after a rollback. */
export function mustPassTests(asked: SmokeTestRequest | undefined, revision: Revision): boolean {
  if (asked === undefined || isOfRollback(revision)) return false;
  return testsToRun(revision.hooks, asked.filter).length > 0;
}

export const smokeTestInputDefaults = { smokeTest: 'false', smokeTestTimeout: '5m', smokeTestFilter: '' } as const;

const fallbackSeconds = 300;

/** Returns undefined if the step runs no tests. The other inputs are checked all the same. */
export function readSmokeTestRequest(read: InputReader): SmokeTestRequest | undefined {
  const timeoutSeconds = read.parsed('smokeTestTimeout', durationExpected, parseDuration, fallbackSeconds);
  const filter = read.entries('smokeTestFilter').map(({ text, number }) => {
    // Helm splits its flag at commas and at the first equals sign.
    if (!/^!?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) {
      const problem = `line ${number}: expected the name of a test, or ! and the name of a test to leave out`;
      read.mistake({ input: 'smokeTestFilter', holds: text, problem });
    }
    return text;
  });
  return read.boolean('smokeTest') ? { timeoutSeconds, filter } : undefined;
}
