import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { repository } from '../../scripts/build';
import type { TaskJson } from '../../scripts/package/packageUnderCheck';

/** The rows of the table below a heading, by the name in the first column. */
function table(markdown: string, heading: string): Map<string, string[]> {
  const section = markdown.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = [...section.matchAll(/^\| `(\w+)` *\|(.*)\|$/gm)];
  return new Map(rows.map(([, name = '', rest = '']) => [name, rest.split('|').map((cell) => cell.trim())]));
}

describe('the Marketplace page describes HelmSafeDeploy with', () => {
  let page: string;
  let task: TaskJson;

  before(async () => {
    page = await readFile(path.join(repository, 'overview.md'), 'utf8');
    task = JSON.parse(
      await readFile(path.join(repository, 'tasks', 'HelmSafeDeploy', 'task.json'), 'utf8'),
    ) as TaskJson;
  });

  it('every input and its default, and no other input', () => {
    const told = [...table(page, 'HelmSafeDeploy@1: inputs')].map(([name, [fallback = '']]) => [name, fallback]);
    const code = (text: string) => (text === '' ? '' : `\`${text}\``);
    const declared = (task.inputs ?? []).map(({ name, defaultValue = '' }) => [name, code(String(defaultValue))]);
    assert.deepEqual(told.sort(), declared.sort());
  });

  it('every output variable, and no other', () => {
    const told = [...table(page, 'HelmSafeDeploy@1: output variables').keys()];
    assert.deepEqual(told.sort(), (task.outputVariables ?? []).map(({ name }) => name).sort());
  });

  it('an example with existing inputs and outputs', () => {
    const yaml = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
    const { steps } = parse(yaml) as { steps: { task?: string; inputs?: Record<string, string> }[] };
    const example = steps.find((step) => step.task === `HelmSafeDeploy@${String(task.version?.Major)}`);
    const names = Object.keys(example?.inputs ?? {});
    assert.ok(names.length > 3);
    assert.deepEqual(
      names.filter((name) => !task.inputs?.some((input) => input.name === name)),
      [],
    );
    const outputs = [...yaml.matchAll(/\$\(deploy\.(\w+)\)/g)].map(([, name]) => name);
    assert.ok(
      outputs.length > 0 && outputs.every((output) => task.outputVariables?.some(({ name }) => name === output)),
    );
  });
});

describe('the figures of the Marketplace page', () => {
  it('are those of the page about reliability', async () => {
    const [page, reliability] = await Promise.all(
      ['overview.md', 'docs/reliability.md'].map((file) => readFile(path.join(repository, file), 'utf8')),
    );
    const rows = [...(reliability ?? '').matchAll(/^\| (.+?) +\| (\d+) +\| (\d+) +\| (\d+) +\|/gm)].slice(0, 6);
    const sums = (isOurs: boolean) =>
      rows
        .filter(([, changedBy = '']) => changedBy.endsWith('@1') === isOurs)
        .map((row) => row.slice(2, 5).map(Number))
        .reduce((sum, row) => sum.map((value, index) => value + (row[index] ?? 0)), [0, 0, 0]);
    const [interruptions, stuck, nextFailed] = sums(true);
    const [ofHelm, stuckOfHelm] = sums(false);
    assert.deepEqual([stuck, nextFailed], [0, 0]);
    assert.match(page ?? '', new RegExp(`Interrupted ${String(interruptions)} times, never stuck`));
    assert.match(page ?? '', new RegExp(`left ${String(stuckOfHelm)} of ${String(ofHelm)} releases stuck`));
  });
});
