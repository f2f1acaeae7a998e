import assert from 'node:assert/strict';
import { readAttachments } from '../../../tab/model/attachments';
import { readPlan } from '../../../tab/model/plan';
import { evidenceLineLimit, readReport } from '../../../tab/model/report';
import { stepView } from '../../../tab/model/step';
import { planView } from '../../../tab/model/planView';

const id = (digit: string): string => `${digit.repeat(8)}-${digit.repeat(4)}-4000-8000-${digit.repeat(12)}`;
const builds = `proj/_apis/build/builds/42/${id('a')}/${id('b')}/attachments/t/web.json`;
const attachment = (href: unknown, name: unknown = 'web.json'): object => ({ name, _links: { self: { href } } });
const found = { timelineId: id('a'), recordId: id('b'), name: 'web.json', key: `${id('b')}/web.json` };

describe('the list of attachments', () => {
  for (const [title, json, expected] of [
    ['is bare, as Azure DevOps Services gives it', [attachment(`https://dev.azure.com/org/${builds}`)], [found]],
    ['is wrapped', { count: 1, value: [attachment(`https://dev.azure.com/org/${builds}`)] }, [found]],
    [
      'has addresses of the old host, with another number of parts',
      [attachment(`https://org.visualstudio.com/${builds}`)],
      [found],
    ],
    ['names a project «builds»', [attachment(`https://dev.azure.com/builds/${builds}?x=1`)], [found]],
    ['has one attachment twice', [attachment(`https://h/${builds}`), attachment(`https://h/${builds}`)], [found]],
    ['is empty', [], []],
    [
      'has entries without address, name or ids',
      [attachment(1), attachment('x'), {}, null, attachment('builds/1/2/3')],
      [],
    ],
    ['has an attachment without a name', [attachment(`https://h/${builds}`, { toString: 1 })], []],
    ['is no list', { message: 'no' }, undefined],
  ] as const) {
    it(title, () => {
      assert.deepEqual(readAttachments(JSON.stringify(json)), expected);
    });
  }

  it('is a sign-in page', () => {
    assert.equal(readAttachments('<!DOCTYPE html>'), undefined);
  });
});

const deploy = { schemaVersion: 1, task: 'HelmSafeDeploy' };

describe('a hostile report', () => {
  for (const [title, text, problem] of [
    ['is not JSON', '{', /not JSON/],
    ['is empty', '', /not JSON/],
    ['is a list', '[]', /no task/],
    ['is null', 'null', /no task/],
    ['is of no task', '{"schemaVersion":1,"task":"Other"}', /no task/],
    ['names a task that every object has', '{"schemaVersion":1,"task":"constructor"}', /no task/],
    ['has no form', '{"task":"HelmSafeDeploy"}', /form/],
  ] as const) {
    it(title, () => {
      const read = readReport(text);
      assert.ok('problem' in read);
      assert.match(read.problem, problem);
    });
  }

  const wrong: readonly unknown[] = [null, 1, true, 'x', [], {}, [[]], [null], [{ lines: 7 }], { __proto__: null }];
  for (const task of ['HelmSafeDeploy', 'RolloutHealthCheck', 'ApproveAndRollback']) {
    it(`has fields of wrong types, and is shown anyway (${task})`, () => {
      const read = readReport(JSON.stringify({ schemaVersion: 1, task }));
      assert.ok('report' in read);
      for (const field of Object.keys(read.report)) {
        if (field === 'task' || field === 'schemaVersion') continue;
        for (const value of wrong) {
          const again = readReport(JSON.stringify({ schemaVersion: 1, task, [field]: value }));
          assert.ok('report' in again, field);
          assert.doesNotThrow(() => stepView(again.report), `${field} ${JSON.stringify(value)}`);
        }
      }
    });
  }

  it('was written by a newer task: it is shown, and the form is said', () => {
    const read = readReport(JSON.stringify({ ...deploy, schemaVersion: 2, outcome: 'evaporated', release: 'shop' }));
    assert.ok('report' in read);
    assert.equal(read.newerForm, 2);
    assert.equal(read.report.release, 'shop');
  });

  for (const [title, message, shown] of [
    ['has escape sequences', '\u001b[31mred\u001b[0m', 'red'],
    ['has marks that turn the direction', 'a\u202egnp.exe', 'agnp.exe'],
    ['has line breaks', 'one\r\ntwo', 'one\ntwo'],
    ['ends with half a character', 'x\ud800', 'x'],
    ['has one line of a megabyte', 'x'.repeat(1_000_000), `${'x'.repeat(8192)} … (991808 more characters)`],
  ] as const) {
    it(title, () => {
      const read = readReport(JSON.stringify({ ...deploy, message }));
      assert.ok('report' in read);
      assert.equal(read.report.message, shown);
    });
  }

  it('has more log lines than the tab shows: the last ones stay', () => {
    const lines = Array.from({ length: evidenceLineLimit + 7 }, (_, index) => `line ${index}`);
    const read = readReport(
      JSON.stringify({ ...deploy, evidence: [{ object: 'Pod/a', kind: 'log', title: 't', lines }] }),
    );
    assert.ok('report' in read);
    const shown = read.report.evidence[0]?.lines ?? [];
    assert.deepEqual([shown.length, shown[0], shown.at(-1)], [5001, '(7 earlier lines are not shown)', 'line 5006']);
  });
});

describe('a hostile plan', () => {
  for (const [title, text, problem] of [
    ['is not JSON', '{', /not JSON/],
    ['is another document', '{"schemaVersion":1}', /no task/],
  ] as const) {
    it(title, () => {
      const read = readPlan(text);
      assert.ok('problem' in read);
      assert.match(read.problem, problem);
    });
  }

  it('has fields of wrong types, and is shown anyway', () => {
    const read = readPlan('{"schemaVersion":1,"digest":"x"}');
    assert.ok('plan' in read);
    for (const field of Object.keys(read.plan)) {
      for (const value of [null, 1, 'x', [null], [{}], {}, [[1]]]) {
        const again = readPlan(JSON.stringify({ schemaVersion: 1, digest: 'x', [field]: value }));
        if ('plan' in again) assert.doesNotThrow(() => planView(again.plan), `${field} ${JSON.stringify(value)}`);
      }
    }
  });
});
