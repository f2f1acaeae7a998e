import assert from 'node:assert/strict';
import { nextPause, retryAfterSeconds } from '../../../tab/model/pace';
import { openSteps, placeWords, readRows, readRun } from '../../../tab/model/run';

const task = '542de01c-97b3-434e-8f16-90928e39bc45';
const ours: ReadonlySet<string> = new Set([task]);

function record(id: string, type: string, more: object = {}): object {
  return { id, type, name: id, state: 'completed', result: 'succeeded', order: 1, attempt: 1, parentId: null, ...more };
}

const step = (id: string, more: object = {}): object =>
  record(id, 'Task', { task: { id: task.toUpperCase() }, ...more });

function runOf(...records: object[]) {
  const run = readRun(JSON.stringify({ records }), ours);
  assert.ok(run !== undefined);
  return run;
}

describe('the timeline of a run', () => {
  it('has our steps in the order of stages, jobs and steps', () => {
    const run = runOf(
      record('late', 'Stage', { order: 2 }),
      record('early', 'Stage', { order: 1 }),
      record('job', 'Job', { parentId: 'late' }),
      record('first', 'Job', { parentId: 'early' }),
      step('b', { parentId: 'job', order: 2 }),
      step('a', { parentId: 'job', order: 1 }),
      step('c', { parentId: 'first', order: 9 }),
      record('other', 'Task', { task: { id: 'x' }, parentId: 'first' }),
    );
    assert.deepEqual(
      run.steps.map(({ id }) => id),
      ['c', 'a', 'b'],
    );
  });

  for (const [title, records, isOver] of [
    ['everything has ended', [step('a')], true],
    ['one record waits', [step('a'), record('b', 'Stage', { state: 'pending' })], false],
    ['one record runs, given as a number', [step('a', { state: 1 })], false],
    ['nothing is there yet', [], false],
    ['a state is not known', [step('a', { state: 'sleeping' })], false],
  ] as const) {
    it(`${isOver ? 'is' : 'is not'} over when ${title}`, () => {
      assert.equal(runOf(...records).isOver, isOver);
    });
  }

  it('has steps that wait and run', () => {
    const run = runOf(step('a'), step('b', { state: 'inProgress' }), step('c', { state: 'pending' }));
    assert.deepEqual(
      openSteps(run).map(({ id, state }) => `${id} ${state}`),
      ['b running', 'c waiting'],
    );
  });

  for (const [title, more, words] of [
    ['a stage, a job and a step', { parentId: 'job' }, 'Production › Deploy shop › a'],
    ['a second attempt', { parentId: 'job', attempt: 2 }, 'Production › Deploy shop › a, attempt 2'],
    ['no parent', {}, 'a'],
    ['itself as parent', { parentId: 'a' }, 'a'],
  ] as const) {
    it(`says where a step is that has ${title}`, () => {
      const run = runOf(
        record('stage', 'Stage', { name: 'Production' }),
        record('phase', 'Phase', { parentId: 'stage' }),
        record('job', 'Job', { parentId: 'phase', name: 'Deploy shop' }),
        step('a', more),
      );
      assert.equal(placeWords('a', run), words);
    });
  }

  it('has rows in their order, with numbers cut to their range', () => {
    const rows = readRows(
      JSON.stringify({ records: [record('b', 'Job', { order: 2, percentComplete: 400 }), record('a', 'Job')] }),
    );
    assert.deepEqual(
      rows.map(({ id, percent }) => [id, percent]),
      [
        ['a', undefined],
        ['b', 100],
      ],
    );
  });

  for (const text of ['', '[]', '{"records":{}}', '<html>']) {
    it(`is not read from ${JSON.stringify(text)}`, () => {
      assert.equal(readRun(text, ours), undefined);
    });
  }

  it('does not hang on records that are each other’s parents', () => {
    const run = runOf(step('a', { parentId: 'b' }), record('b', 'Job', { parentId: 'a' }));
    assert.match(placeWords('a', run), /a/);
  });
});

describe('the pace of the polls', () => {
  it('grows from 5 s to 30 s, and begins again after news', () => {
    const pauses = [undefined, 5, 8, 12, 18, 27, 30].map((pause) => nextPause(pause, false));
    assert.deepEqual(pauses, [5, 8, 12, 18, 27, 30, 30]);
    assert.equal(nextPause(27, true), 5);
  });

  const now = Date.parse('2026-03-01T12:00:00Z');
  for (const [header, seconds] of [
    ['7', 7],
    ['0', 1],
    ['Sun, 01 Mar 2026 12:00:20 GMT', 20],
    ['Sun, 01 Mar 2026 11:00:00 GMT', 1],
    ['soon', 5],
    [null, 5],
  ] as const) {
    it(`obeys Retry-After: ${String(header)}`, () => {
      assert.equal(retryAfterSeconds(header, now), seconds);
    });
  }
});
