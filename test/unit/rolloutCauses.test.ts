import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { causeCodes, causes, rankOf, steps } from '../../tasks/common/core/rollout/causes';
import { brokenWorkloads, healingCodes } from '../support/brokenWorkloads';

describe('docs/causes.md', () => {
  const text = readFileSync(new URL('../../docs/causes.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` +\| (.*?) +\| (.*?) +\| (.*?) +\|$/gm)].map(([, ...cells]) => cells);
  const labels = ['Why so long', 'Recognised by', 'Next step', 'Proven'];
  const entries = text
    .replace(/\n {2}(?=\S)/g, ' ')
    .split(/^### /m)
    .slice(1)
    .map((section) => ({
      code: /^\w+/.exec(section)?.[0] ?? '',
      fields: labels.map((label) => new RegExp(`^- ${label}: (.*)$`, 'm').exec(section)?.[1] ?? ''),
      kinds: [...section.matchAll(/^- Kind `(\w+)`, (.*?): (.*)$/gm)].map(([, ...words]) => words),
    }));

  it('has the causes in the order of the code, each with its text from the code', () => {
    const expected = causeCodes.map((code) => {
      const { why, recognisedBy, nextStep } = causes[code];
      return [code, why, recognisedBy, nextStep];
    });
    assert.deepEqual(
      entries.map(({ code, fields }) => [code, ...fields.slice(0, -1)]),
      expected,
    );
  });

  it('has a table with the group, the grace and who acts for each cause', () => {
    const expected = causeCodes.map((code) => {
      const { group, grace, whoActs } = causes[code];
      return [code, group, grace === 'timeout' ? grace : `${grace} s`, whoActs];
    });
    assert.deepEqual(rows, expected);
  });

  it('has the kinds with another next step, each with its text from the code', () => {
    const expected = causeCodes.flatMap((code) =>
      Object.entries(steps[code] ?? {}).map(([kind, step]) => [code, kind, step.whoActs, step.nextStep]),
    );
    assert.deepEqual(
      entries.flatMap(({ code, kinds }) => kinds.map((words) => [code, ...words])),
      expected,
    );
  });

  const proven = entries.map(({ code, fields }) => ({ code, how: fields.at(-1) ?? '' }));

  it('has «real node» only for causes that the test on the real node provokes', () => {
    const provoked = new Set<string>([...brokenWorkloads('').map(({ code }) => code), ...healingCodes]);
    const told = proven.filter(({ how }) => how.startsWith('real node') && !how.startsWith('real node: `'));
    assert.deepEqual(
      told.map(({ code }) => code),
      causeCodes.filter((code) => provoked.has(code)),
    );
  });

  it('names tests that contain the cause', () => {
    for (const { code, how } of proven) {
      for (const [, file = ''] of how.matchAll(/`([^`]+)`/g)) {
        const test = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
        assert.ok(test.includes(`'${code}'`), `${file} has nothing of ${code}`);
      }
    }
  });

  it('says how every cause was proven, even if it was not', () => {
    for (const { code, how } of proven) assert.match(how, /^(real node|kwok|recorded|only in tables)/, code);
  });
});

describe('the list of causes', () => {
  it('has the six groups that pipelines know, and the rest', () => {
    const groups = new Set(causeCodes.map((code) => causes[code].group));
    const known = ['quota', 'readiness', 'image', 'permissions', 'limitRange', 'runtimeConfig', 'other'];
    assert.deepEqual([...groups].sort(), known.sort());
  });

  it('gives no grace to a cause that needs another deploy', () => {
    const certain = [
      'ImageInvalidName',
      'ImageNotFound',
      'LimitRangeViolated',
      'PodSecurityDenied',
      'HookFailed',
    ] as const;
    for (const code of certain) assert.equal(causes[code].grace, 0, code);
  });

  it("prefers a container's message to a counter", () => {
    assert.ok(rankOf('CrashLoop') < rankOf('ProgressDeadlineExceeded'));
    assert.ok(rankOf('ProgressDeadlineExceeded') < rankOf('TimedOut'));
  });
});
