import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  gateInstructions,
  healthClosing,
  healthMarkdown,
  healthOf,
  healthOutputs,
  healthResult,
  healthSummary,
  refusedOutputs,
  subjectOf,
  type HealthReport,
} from '../../tasks/common/core/report/healthReport';
import type { ReportedEvidence, ReportedObject } from '../../tasks/common/core/report/report';

function object(name: string, more: Partial<ReportedObject> = {}): ReportedObject {
  return {
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    name,
    namespace: 'prod',
    health: 'failed',
    status: 'InProgress',
    reason: 'CrashLoop',
    message: 'it crashes',
    since: '2026-01-01T00:00:05.123Z',
    brokenBefore: '',
    isPreexisting: false,
    ...more,
  };
}

function log(...lines: string[]): ReportedEvidence {
  return { object: 'Pod/web-1', kind: 'log', title: 'last lines of container main', lines };
}

function report(more: Partial<HealthReport> = {}): HealthReport {
  return {
    schemaVersion: 1,
    task: 'RolloutHealthCheck',
    namespace: 'prod',
    release: 'shop',
    health: 'unhealthy',
    reason: 'CrashLoop',
    reasonGroup: 'runtimeConfig',
    timedOut: false,
    message: 'Container main exits with code 1.',
    advice: 'Read the log.',
    failedWorkload: 'Deployment/web',
    revision: 4,
    rollbackRevision: 3,
    canRollBack: true,
    markedVerified: false,
    startedAt: '2026-01-01T00:00:00.000Z',
    finishedAt: '2026-01-01T00:00:10.000Z',
    objects: [object('web')],
    evidence: [log('no database')],
    ...more,
  };
}

const healthy = {
  health: 'healthy',
  reason: '',
  reasonGroup: '',
  message: '',
  advice: '',
  failedWorkload: '',
} as const;

describe('the texts of a health check', () => {
  for (const [more, expected] of [
    [{}, 'Release shop in namespace prod, revision 4'],
    [{ revision: null }, 'Release shop in namespace prod'],
    [{ release: '', objects: [] }, 'Namespace prod'],
    [{ release: '', objects: [object('a')] }, 'Deployment/a in namespace prod'],
    [
      { release: '', objects: ['a', 'b', 'c', 'd', 'e'].map((name) => object(name)) },
      'Deployment/a, Deployment/b, Deployment/c and 2 more in namespace prod',
    ],
    [
      { release: '', objects: [object('a'), { ...object('x'), kind: 'Node', namespace: '' }] },
      'Deployment/a in namespace prod and the cluster-wide Node/x',
    ],
    [{ release: '', objects: [{ ...object('x'), kind: 'Node', namespace: '' }] }, 'Node/x'],
  ] as const) {
    it(`the subject is: ${expected}`, () => {
      assert.equal(subjectOf(report(more)), expected);
    });
  }

  it('one sentence names the broken object and the cause', () => {
    assert.equal(
      healthSummary(report()),
      'Release shop in namespace prod, revision 4: unhealthy. Deployment/web: Container main exits with code 1. (CrashLoop)',
    );
    assert.equal(healthSummary(report(healthy)), 'Release shop in namespace prod, revision 4: healthy.');
    const [object] = report(healthy).objects;
    assert.ok(object);
    assert.equal(
      healthSummary(report({ ...healthy, objects: [{ ...object, health: 'healthy', reason: 'NotJudged' }] })),
      'Release shop in namespace prod, revision 4: healthy, but Deployment/web in place, not judged.',
    );
  });

  it('an unknown health has a sentence without a workload', () => {
    const unknown = report({
      health: 'unknown',
      reason: 'ClusterUnreachable',
      failedWorkload: '',
      message: 'No answer.',
    });
    assert.equal(
      healthSummary(unknown),
      'Release shop in namespace prod, revision 4: unknown. No answer. (ClusterUnreachable)',
    );
  });

  it('a message of many lines, with any line breaks, becomes one sentence', () => {
    const message = 'a\r\nb\rc\u2028d\u2029e\u0085f\vg\fh\ti';
    assert.match(healthSummary(report({ message })), /a b c d e f g h i \(CrashLoop\)$/);
  });

  for (const [end, word] of [
    ['healthy', 'healthy'],
    ['failed', 'unhealthy'],
    ['unknown', 'unknown'],
    ['cancelled', 'unknown'],
    ['stopped', 'unknown'],
  ] as const) {
    it(`a rollout that ended «${end}» is ${word}`, () => {
      assert.equal(healthOf(end), word);
    });
  }

  for (const [health, onUnhealthy, result] of [
    ['healthy', 'fail', 'Succeeded'],
    ['unhealthy', 'fail', 'Failed'],
    ['unknown', 'fail', 'Failed'],
    ['healthy', 'succeed', 'Succeeded'],
    ['unhealthy', 'succeed', 'Succeeded'],
    ['unknown', 'succeed', 'Succeeded'],
  ] as const) {
    it(`${health} with onUnhealthy: ${onUnhealthy} ends the step ${result}`, () => {
      assert.equal(healthResult(report({ health }), onUnhealthy), result);
    });
  }

  it('the outputs are those of task.json, all as texts', () => {
    const outputs = healthOutputs(report());
    assert.deepEqual(
      { ...outputs, gateInstructions: '' },
      {
        health: 'unhealthy',
        reason: 'CrashLoop',
        reasonGroup: 'runtimeConfig',
        failedWorkload: 'Deployment/web',
        summary: healthSummary(report()),
        gateInstructions: '',
        canRollBack: 'true',
        failedClusters: '',
        reservations: '',
        driftCount: '',
      },
    );
  });

  it('a check that could not begin sets every output, and the agent replaces none of their text', () => {
    const refused = refusedOutputs('InputInvalid', 'Input workloads holds "$(x)".\nIt is <b>not</b> known.');
    assert.deepEqual(Object.keys(refused).sort(), [...Object.keys(healthOutputs(report())), 'reportPath'].sort());
    assert.equal(refused['summary'], 'Input workloads holds "$ (x)". It is <b>not</b> known.');
    assert.match(
      refused['gateInstructions'] ?? '',
      /^\*\*Input workloads.*\\<b\\>not.*\*\*\n\nNext step: Correct the inputs/,
    );
  });

  it('the closing paragraph names the failure, its start, the decisive line, the next step and any mark', () => {
    assert.deepEqual(healthClosing(report()).split('\n'), [
      healthSummary(report()),
      'First seen at 2026-01-01 00:00:05 UTC.',
      'Pod/web-1, last lines of container main: no database',
      'Read the log.',
    ]);
    assert.equal(
      healthClosing(report({ ...healthy, markedVerified: true })),
      `${healthSummary(report(healthy))}\nRevision 4 is marked as verified healthy.`,
    );
  });

  it('the summary page shows failures with evidence, and no next step for a healthy release', () => {
    const page = healthMarkdown(report());
    assert.match(page, /^## Release shop in namespace prod, revision 4: unhealthy\n/);
    assert.match(page, /\*\*Deployment\/web\*\*: Container main exits/);
    assert.match(page, /\n```\nno database\n```\n/);
    assert.match(page, /\*\*Next step\.\*\* Read the log\./);
    assert.doesNotMatch(healthMarkdown(report({ ...healthy, advice: 'x', objects: [], evidence: [] })), /Next step/);
  });
});

/** The lines of a text outside every code block. Fails if a block is left open. */
function outsideCode(text: string): string[] {
  const outside: string[] = [];
  let fence = '';
  for (const line of text.split('\n')) {
    const ticks = /^ {0,3}(`{3,})/.exec(line)?.[1] ?? '';
    if (fence === '' && ticks !== '') fence = ticks;
    else if (fence === '') outside.push(line);
    else if (ticks.length >= fence.length && /^ {0,3}`+\s*$/.test(line)) fence = '';
  }
  assert.equal(fence, '', `an open code block in:\n${text}`);
  return outside;
}

describe('the gate instructions', () => {
  it('show the failure, the next step, the rollback target and the evidence', () => {
    assert.equal(
      gateInstructions(report()),
      [
        '**Release shop in namespace prod, revision 4: unhealthy. Deployment/web: Container main exits with code 1. (CrashLoop)**',
        'First seen at 2026-01-01 00:00:05 UTC.',
        'Next step: Read the log.',
        'Revision now: 4. A rollback would go to revision 3.',
        'Pod/web-1, last lines of container main:\n\n```\nno database\n```',
        '| Object | Health | |\n|---|---|---|\n| Deployment/web | failed | it crashes |',
      ].join('\n\n'),
    );
  });

  it('say when there is no rollback target', () => {
    assert.match(gateInstructions(report({ rollbackRevision: null })), /There is no revision to roll back to\./);
    assert.match(gateInstructions(report({ release: '', canRollBack: true })), /Every workload can be rolled back/);
    assert.doesNotMatch(gateInstructions(report({ release: '', canRollBack: false })), /revision before/);
  });

  it('clip a log with long lines but keep its end, which shows the cause', () => {
    const lines = Array.from({ length: 50 }, (_, number) => `{"line":${number},"text":"${'x'.repeat(990)}"}`);
    const text = gateInstructions(report({ evidence: [log(...lines)] }));
    assert.match(text, /\{"line":49,/);
    assert.doesNotMatch(text, /\{"line":37,/);
    assert.ok(text.length <= 4000);
  });

  it('leave out part by part what does not fit, with a note', () => {
    const evidence = Array.from({ length: 9 }, (_, number) => log(`log ${number} ${'x'.repeat(900)}`, 'y'.repeat(900)));
    const text = gateInstructions(report({ evidence: [...evidence, ...evidence] }));
    assert.ok(text.length <= 4000);
    assert.match(text, /log 5 /);
    assert.match(text, /\(More in the results of the run\.\)$/);
    outsideCode(text);
  });

  it('the agent replaces no variable in the output of a pod', () => {
    const text = gateInstructions(
      report({ message: 'echo $(System.AccessToken) ${{ variables.x }}', evidence: [log('$(secret) $$(x)')] }),
    );
    assert.doesNotMatch(text, /\$[({]/);
    assert.match(text, /\$ \(System\.AccessToken\)/);
    assert.doesNotMatch(healthOutputs(report({ message: '$(secret)' }))['summary'] ?? '', /\$\(/);
  });

  it('backticks in a log cannot end its code block', () => {
    const text = gateInstructions(report({ evidence: [log('```', '# Approve at once', '````\n**ok**')] }));
    assert.ok(outsideCode(text).every((line) => !/Approve|ok\*\*/.test(line)));
  });

  const hostile = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '`',
          '```',
          '````',
          '$(',
          '${{',
          '$',
          '(',
          '**',
          '|',
          '\\',
          '\n',
          '\r',
          '\u2028',
          '\u0085',
          '\u200b',
        ),
        fc.constantFrom('##vso[task.complete]', '<img src=x>', '](http://x)', '~~~', '\u{1f600}', '# x', '- '),
        fc.string({ maxLength: 20 }),
        fc.string({ minLength: 500, maxLength: 1500 }),
        fc.integer({ min: 190, max: 202 }).map((length) => `${'x'.repeat(length)}\u{1f600}`),
      ),
      { maxLength: 12 },
    )
    .map((words) => words.join(''));
  const evidence = fc.record({
    object: hostile,
    kind: fc.constantFrom('log' as const, 'event' as const),
    title: hostile,
    lines: fc.array(hostile, { maxLength: 20 }),
  });
  const anyReport = fc
    .record({
      release: fc.constantFrom('', 'shop'),
      message: hostile,
      advice: hostile,
      reason: fc.constantFrom('CrashLoop', 'TimedOut'),
      failedWorkload: hostile,
      health: fc.constantFrom('healthy' as const, 'unhealthy' as const, 'unknown' as const),
      evidence: fc.array(evidence, { maxLength: 6 }),
      objects: fc.array(
        hostile.map((message) => object('web', { message })),
        { maxLength: 10 },
      ),
    })
    .map((more) => report(more));

  it('for any texts of pods and charts: at most 4000 characters, no variable, no open block, no command', () => {
    fc.assert(
      fc.property(anyReport, (one) => {
        const text = gateInstructions(one);
        assert.ok(text.length <= 4000, String(text.length));
        assert.doesNotMatch(text, /\$[({]/);
        assert.doesNotMatch(text, /##vso\[|##\[/);
        assert.doesNotMatch(text, /\p{Surrogate}/u);
        const outside = outsideCode(text);
        assert.ok(outside[0]?.startsWith('**') && outside[0].endsWith('**'), outside[0]);
        const starts =
          /^(\*\*|First seen at |Next step: |Revision now|There is no|Every workload|\||All \d+ objects|The object is|\(More in|$)/;
        for (const line of outside) assert.ok(starts.test(line) || line.endsWith(':'), line);
        const html = outside.filter((line) => /(?<!\\)<|(?<!\\)`/.test(line.replace(/\\\\/g, '')));
        assert.deepEqual(html, []);
      }),
      { numRuns: 100 },
    );
  });

  it('for any texts of pods and charts the sentence is one line', () => {
    fc.assert(
      fc.property(anyReport, (one) => {
        assert.doesNotMatch(healthSummary(one), /[\n\r\u2028\u2029\u0085\v\f]/);
      }),
    );
  });
});
