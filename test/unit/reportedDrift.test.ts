import assert from 'node:assert/strict';
import type { Drift, DriftedField } from '../../tasks/common/core/release/drift';
import { hiddenValue } from '../../tasks/common/core/release/drift';
import { driftCount, driftLines, driftMarkdown, driftRefusal } from '../../tasks/common/core/report/drift';
import { reportedDrift } from '../../tasks/common/core/report/reportedDrift';

const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'prod', name: 'web' };
const kubectl = { manager: 'kubectl', operation: 'Update', subresource: 'scale', time: '' };
const set = { manager: 'kubectl-set', operation: 'Update', subresource: '', time: '2026-01-02T03:04:05Z' };

function field(path: string, declared: unknown, live: unknown, ...owners: DriftedField['owners']): DriftedField {
  return { path, message: 'differs', declared, live, owners };
}

function drift(fields: readonly DriftedField[], kind: Drift['drift'] = 'changed'): Drift {
  return { ref, drift: kind, fields, message: 'Deployment/web: it differs.' };
}

const plain = (text: string): string => text;
const lines = (...fields: DriftedField[]): string[] => driftLines(reportedDrift(drift(fields), 'found', plain));

describe('drift as it is reported', () => {
  it('a diff from declared to live, with who set each field and when', () => {
    assert.deepEqual(lines(field('spec.replicas', 2, 5, kubectl), field('env[name=A].value', 'a', 'b', set)), [
      'Deployment/web: it differs.',
      '  -env[name=A].value: a',
      '  -spec.replicas: 2',
      '  +env[name=A].value: b',
      '  +spec.replicas: 5',
      '  spec.replicas was set by kubectl through scale.',
      '  env[name=A].value was set by kubectl-set at 2026-01-02 03:04:05 UTC.',
    ]);
  });

  it('a field that is gone, and one that was added', () => {
    assert.deepEqual(lines(field('data.a', 'x', undefined), field('data.b', undefined, { c: 1 })).slice(1), [
      '  -data.a: x',
      '  +data.b:',
      '  +  c: 1',
    ]);
  });

  it('of a long text only the lines that differ and their neighbours', () => {
    const text = (line: string): string => ['1', '2', '3', '4', line, '6', '7', '8', '9'].join('\n');
    const shown = lines(field('data.conf', text('5'), text('five')));
    assert.ok(shown.includes('  -  5') && shown.includes('  +  five') && !shown.includes('     9'), shown.join('\n'));
  });

  for (const [what, declared, live, path] of [
    ['a Secret', hiddenValue, hiddenValue, 'data.key'],
    ['a variable with the name of a secret', 'hunter2', 'hunter3', 'env[name=DB_PASSWORD].value'],
    ['a field with the name of a secret', 'hunter2', 'hunter3', 'spec.apiToken'],
    ['a variable that was added', undefined, { name: 'DB_PASSWORD', value: 'hunter3' }, 'env[name=X]'],
    ['a map', { clientSecret: 'hunter2' }, { clientSecret: 'hunter3' }, 'spec.login'],
  ] as const) {
    it(`the value of ${what} is not shown, but that it differs`, () => {
      const shown = lines(field(path, declared, live)).join('\n');
      assert.doesNotMatch(shown, /hunter/);
      assert.match(shown, /\+.*\(live value, not shown\)/s);
    });
  }

  it('secrets are redacted before a diff is made of them', () => {
    const secret = 'line one of it\nline two of it';
    const redact = (text: string): string => text.replaceAll(secret, '***');
    const { diff, message } = reportedDrift(
      { ...drift([field('data.a', 'x', `say ${secret}`)]), message: `It is ${secret}.` },
      'found',
      redact,
    );
    assert.deepEqual(diff, ['-data.a: x', '+data.a: say ***']);
    assert.equal(message, 'It is ***.');
  });

  it('markup of a value stays inside its block', () => {
    const reported = reportedDrift(drift([field('data.a', '```', '</details>', set)]), 'remains', plain);
    assert.equal(
      driftMarkdown([reported]),
      [
        '### Drift',
        '',
        'Deployment/web: it differs. It was not restored.',
        '',
        '````',
        '-data.a: "```"',
        '+data.a: </details>',
        'data.a was set by kubectl-set at 2026-01-02 03:04:05 UTC.',
        '````',
      ].join('\n'),
    );
    assert.equal(driftMarkdown([]), '');
  });

  it('what could not be compared does not count', () => {
    const reported = [drift([]), drift([], 'unknown'), drift([], 'missing')].map((each) =>
      reportedDrift(each, 'found', plain),
    );
    assert.deepEqual([driftCount(reported), driftCount([]), driftCount(undefined)], ['2', '0', '']);
    const message = 'It is not known.';
    assert.doesNotMatch(driftRefusal([drift([]), { ...drift([], 'unknown'), message }], 3), /not known/);
  });

  it('a refusal names five objects and counts the others', () => {
    const many = Array.from({ length: 7 }, () => drift([]));
    assert.match(
      driftRefusal(many, 3),
      /^The live objects are not as revision 3 declares them\. (.* ){5}And 2 more\.$/,
    );
  });
});
