import assert from 'node:assert/strict';
import { filterFlags, testPhases, testsToRun, unknownTests } from '../../tasks/common/core/release/tests';

const hooks = [
  { name: 'migrate', events: ['pre-upgrade'] },
  { name: 'api', events: ['test'] },
  { name: 'shop', events: ['test', 'post-upgrade'] },
  { name: 'old', events: ['test-success'] },
];

describe('the tests of a chart', () => {
  for (const [filter, names, unknown] of [
    [[], ['api', 'shop', 'old'], []],
    [['api'], ['api'], []],
    [['!api'], ['shop', 'old'], []],
    [['api', '!api'], [], []],
    [['api', 'migrate', '!gone'], ['api'], ['migrate', 'gone']],
  ] as const) {
    it(`the filter ${JSON.stringify(filter)} chooses ${names.join(', ') || 'none'}`, () => {
      assert.deepEqual(
        testsToRun(hooks, filter).map(({ name }) => name),
        names,
      );
      assert.deepEqual(unknownTests(hooks, filter), unknown);
    });
  }

  it('the filter reaches Helm as flags', () => {
    assert.deepEqual(filterFlags(['api', '!shop']), ['--filter', 'name=api', '--filter', '!name=shop']);
  });

  it('the phases are read from what Helm 3.14 and 4.3 print', () => {
    const printed = [
      'NAME: web',
      'LAST DEPLOYED: Mon Nov 30 23:05:42 2026',
      'STATUS: deployed',
      'TEST SUITE:     api',
      'Last Started:   Mon Nov 30 23:05:43 2026',
      'Last Completed: Mon Nov 30 23:05:47 2026',
      'Phase:          Succeeded',
      'TEST SUITE:     shop',
      'Phase:          Failed',
      'TEST SUITE: None',
    ];
    assert.deepEqual(
      [...testPhases(printed.join('\r\n'))],
      [
        ['api', 'Succeeded'],
        ['shop', 'Failed'],
      ],
    );
    assert.equal(testPhases('Phase: Succeeded\nTEST SUITE: a b\n').size, 0);
  });
});
