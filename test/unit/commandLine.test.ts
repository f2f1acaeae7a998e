import assert from 'node:assert/strict';
import {
  chartReference,
  commandLine,
  inputArguments,
  made,
  type PreparedInputs,
} from '../../tasks/common/core/inputs/commandLine';
import type { DeployRequest } from '../../tasks/common/core/inputs/deployRequest';
import { TaskError } from '../../tasks/common/core/failure';
import { secretFinder } from '../../tasks/common/core/text/secrets';

const request = {
  chart: { kind: 'repository', reference: 'shop', repository: 'https://example.org' },
  chartVersion: '1.2.3',
  valueFiles: [
    '/agent/work/1/s/values/a,b.yaml',
    { kind: 'path', reference: '/agent/work/1/s/x.yaml', input: 'valueFiles, line 2' },
  ],
  values: {
    argv: ['--set', 'a=1', '--set-string', 'b=2'],
    privateValues: { p: 1 },
    privateTexts: [{ key: 'l[0]', text: 't' }],
  },
  extraArguments: ['--skip-crds', '--qps=5'],
} satisfies Partial<DeployRequest>;

const prepared: PreparedInputs = {
  valueFiles: [undefined, '/tmp/hunter22/values-1.yaml'],
  values: { values: '/tmp/hunter22/values.yaml', texts: ['/tmp/hunter22/value-0'] },
};

const folder = '/agent/work/1/s';

function line(change: Partial<typeof request>, ...secrets: string[]): string[] {
  const given = { ...request, ...change };
  const words = [
    made('--timeout'),
    ...chartReference(given, prepared, folder),
    ...inputArguments(given, prepared, folder),
  ];
  return commandLine(words, secretFinder(secrets));
}

describe("the arguments of Helm's command line", () => {
  it('values files come first, then the lines, then private texts, then the flags of the user', () => {
    assert.deepEqual(line({}), [
      '--timeout', 'shop', '--repo', 'https://example.org', '--version', '1.2.3',
      '--values', '"/agent/work/1/s/values/a,b.yaml"', '--values', '/tmp/hunter22/values-1.yaml', '--values', '/tmp/hunter22/values.yaml',
      '--set', 'a=1', '--set-string', 'b=2', '--set-file', 'l[0]=/tmp/hunter22/value-0', '--skip-crds', '--qps=5',
    ]); // prettier-ignore
  });

  it('an argument that the task adds is never a secret', () => {
    assert.equal(line({}, 'set', 'timeout', 'hunter22', 'work', '/agent', 'version', 'repo', '1', '5').length, 20);
  });

  for (const [secret, input] of [
    ['shop', 'chart'],
    ['example', 'chartRepository'],
    ['1.2.3', 'chartVersion'],
    ['a,b', 'valueFiles'],
    ['values', 'valueFiles'],
    ['a=1', 'set'],
    ['crds', 'arguments'],
    ['--qps=5', 'arguments'],
  ] as const) {
    it(`an argument from an input is checked for secrets: ${input}, ${secret}`, () => {
      assert.throws(
        () => line({}, secret),
        (error) => error instanceof TaskError && error.reason === 'InputInvalid' && error.message.startsWith(`Input ${input}: `) && !error.message.includes(secret),
      ); // prettier-ignore
    });
  }

  it('a short secret counts only as a whole word, and a number of one or two digits not at all', () => {
    assert.throws(() => line({ chartVersion: 'ab' }, 'ab'), /chartVersion/);
    assert.ok(line({ chartVersion: '12', extraArguments: ['--cab'] }, 'ab', '12').includes('12'));
  });

  it('the path of a chart with a private link is not checked', () => {
    const chart = { kind: 'path', reference: '/agent/work/1/s/shop', isSecret: true } as const;
    const words = chartReference({ chart }, { ...prepared, chart: '/tmp/hunter22/chart' }, folder);
    assert.deepEqual(commandLine(words, secretFinder(['shop', 'hunter22'])), ['/tmp/hunter22/chart']);
  });
});
