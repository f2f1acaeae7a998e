import assert from 'node:assert/strict';
import { repository } from '../../scripts/build';
import { presentTasks, readFrozenTasks } from '../../scripts/package/freeze';
import { brokenPromises, frozenTask, unfrozen } from '../../scripts/package/frozen';
import type { TaskInput } from '../../scripts/package/packageUnderCheck';

const advice =
  'Pipelines that were written for this version would break. Take the change back: give a new input a new name, and keep the old one. ' +
  'A change that cannot be avoided needs a new major version of the task, in a folder of its own. ' +
  '«npm run freeze» adds new inputs and outputs to tasks/frozen.json.';

describe('the inputs and outputs of a published major version', () => {
  it('are all there and as they were', async () => {
    const broken = brokenPromises(await readFrozenTasks(repository), await presentTasks(repository));
    assert.deepEqual(broken, [], `${broken.join('; ')}. ${advice}`);
  });

  it('are frozen for all tasks', async () => {
    assert.deepEqual(Object.keys(await readFrozenTasks(repository)), Object.keys(await presentTasks(repository)));
  });
});

describe('a change of a frozen task', () => {
  const input: TaskInput = { name: 'mode', type: 'pickList', defaultValue: 'a', options: { a: 'A', b: 'B' } };
  const tasks = (inputs: readonly TaskInput[], outputs: readonly string[] = ['outcome']) => ({
    'Task@1': frozenTask({ inputs, outputVariables: outputs.map((name) => ({ name })) }),
  });
  const frozen = tasks([input]);

  const rows: [string, ReturnType<typeof tasks> | object, string[]][] = [
    ['the same', tasks([input]), []],
    ['a task that is gone', {}, ['Task@1 is gone']],
    ['an input that is gone', tasks([]), ['Task@1: input mode is gone']],
    ['an output that is gone', tasks([input], []), ['Task@1: output outcome is gone']],
    [
      'another type',
      tasks([{ ...input, type: 'radio' }]),
      ['Task@1: input mode has the type radio instead of pickList'],
    ],
    [
      'another default',
      tasks([{ ...input, defaultValue: 'b' }]),
      ['Task@1: input mode has the default «b» instead of «a»'],
    ],
    ['an input that is required now', tasks([{ ...input, required: true }]), ['Task@1: input mode is required now']],
    [
      'an option that is gone',
      tasks([{ ...input, options: { a: 'A' } }]),
      ['Task@1: input mode has lost the option b'],
    ],
    ['a new option', tasks([{ ...input, options: { a: 'A', b: 'B', c: 'C' } }]), []],
    ['a new input and a new output', tasks([input, { name: 'more', type: 'string' }], ['outcome', 'new']), []],
  ];

  for (const [title, now, expected] of rows) {
    it(`${title}: ${expected.length === 0 ? 'is allowed' : 'is refused'}`, () => {
      assert.deepEqual(brokenPromises(frozen, now as typeof frozen), expected);
    });
  }

  it('is not frozen before the next release', () => {
    const now = tasks([input, { name: 'more', type: 'string' }], ['outcome', 'new']);
    assert.deepEqual(unfrozen(frozen, now), ['Task@1: input more', 'Task@1: output new']);
    assert.deepEqual(unfrozen(now, now), []);
  });
});
