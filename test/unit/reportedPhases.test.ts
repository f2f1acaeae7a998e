import assert from 'node:assert/strict';
import type { Hook, Revision } from '../../tasks/common/core/release/release';
import { hookRuns } from '../../tasks/common/flows/release/reportedPhases';

const since = new Date('2026-01-01T10:00:00.500Z');
const migrate: Hook = { name: 'migrate', kind: 'Job', events: ['pre-upgrade'], lastPhase: 'Succeeded' };

const cases: readonly [title: string, hook: Partial<Hook>, expected: readonly [string, string][]][] = [
  ['a hook that ran in this step', { startedAt: '2026-01-01T12:00:01+02:00', completedAt: '2026-01-01T10:00:09Z' }, [['10:00:01', '10:00:09']]], // prettier-ignore
  ['a hook of an earlier run', { startedAt: '2026-01-01T09:00:00Z', completedAt: '2026-01-01T09:00:09Z' }, []],
  ['a start that Helm has cut to whole seconds', { startedAt: '2026-01-01T10:00:00Z' }, [['10:00:00', '10:00:00']]],
  ['a hook that never ran', {}, []],
];

describe('the runs of hooks that a report tells', () => {
  for (const [title, hook, expected] of cases) {
    it(title, () => {
      const record = { hooks: [{ ...migrate, ...hook }] } as unknown as Revision;
      // The record of a rollback is a copy.
      const runs = hookRuns([record, record], since);
      assert.deepEqual(
        runs.map(({ startedAt, finishedAt }) => [startedAt.slice(11, 19), finishedAt.slice(11, 19)]),
        expected,
      );
      for (const { name, result } of runs) assert.deepEqual([name, result], ['Job/migrate (pre-upgrade)', 'Succeeded']);
    });
  }
});
