import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  closingOf,
  historyLines,
  issueOf,
  outputsOf,
  notJudgedLines,
  summaryOf,
  taskResults,
  type DeployReport,
  type ReportedEvidence,
  type Outcome,
  type ReportedObject,
} from '../../tasks/common/core/report/report';
import { cell, codeBlock } from '../../tasks/common/core/text/markdown';

function report(changes: Partial<DeployReport> = {}): DeployReport {
  return {
    schemaVersion: 1,
    task: 'HelmSafeDeploy',
    release: 'web',
    namespace: 'shop',
    outcome: 'rolledBack',
    reason: 'ReadinessProbeFailed',
    reasonGroup: 'readiness',
    timedOut: false,
    message: 'The readiness probe fails: HTTP probe failed with statuscode: 503.',
    advice: 'Look at the log of the container.',
    failedWorkload: 'Deployment/web',
    revisionBefore: 3,
    revision: 5,
    verifiedRevision: 5,
    servingRevision: 5,
    servingHealth: 'healthy',
    chart: 'web 1.2.3',
    appVersion: '7',
    helmVersion: 'v4.1.4',
    startedAt: '2026-01-01T00:00:00.000Z',
    finishedAt: '2026-01-01T00:01:00.000Z',
    objects: [],
    evidence: [],
    leftovers: [],
    ...changes,
  };
}

const history = [
  {
    revision: 4,
    status: 'superseded',
    verdict: 'verified',
    chart: 'web 1.2.2',
    deployedAt: '2026-01-01T00:00:00.5Z',
    run: 'run 20260101.4 (4711) of pipeline web',
    description: 'Upgrade complete',
    irreversible: 'Job/migrate: drops | a column',
  },
  {
    revision: 5,
    status: 'deployed',
    verdict: '',
    chart: 'web 1.2.3',
    deployedAt: 'soon',
    run: '',
    description: 'Rollback to 3',
    irreversible: '',
  },
] as const;

describe('the history of a release', () => {
  it('has a line for each revision in the log', () => {
    assert.deepEqual(historyLines(history), [
      '4 superseded, verified | web 1.2.2 | 2026-01-01 00:00:00 UTC | run 20260101.4 (4711) of pipeline web | Upgrade complete | irreversible (Job/migrate: drops | a column)',
      '5 deployed | web 1.2.3 | Rollback to 3',
    ]);
  });

  it('does not repeat the whole error of a failed revision in the log', () => {
    const description = `Upgrade "web" failed: ${'x'.repeat(300)}`;
    const [failed] = historyLines([{ ...history[1], status: 'failed', description }]);
    assert.equal(failed, `5 failed | web 1.2.3 | Upgrade "web" failed: ${'x'.repeat(38)} ...`);
    const link = `Upgrade complete (https://dev.azure.com/${'x'.repeat(100)})`;
    assert.equal(historyLines([{ ...history[1], description: link }])[0], `5 deployed | web 1.2.3 | ${link}`);
  });

  it('is a folded table in the summary, newest first, that no text breaks', () => {
    const summary = summaryOf(report({ history }));
    assert.match(summary, /<summary>History of the release \(2\)<\/summary>/);
    assert.ok(summary.indexOf('Rollback to 3') < summary.indexOf('Upgrade complete'));
    assert.match(summary, /drops \\\| a column/);
  });

  it('the results of tests are a table in the summary', () => {
    const tests = [
      { kind: 'Job', name: 'smoke', result: 'Failed' },
      { kind: 'Pod', name: 'last', result: '' },
    ];
    const summary = summaryOf(report({ tests }));
    assert.match(summary, /\| Job\/smoke \| Failed \|\n\| Pod\/last \| not ended \|/);
  });
});

const reported = (changes: Partial<ReportedObject> = {}): ReportedObject => ({
  kind: 'Deployment',
  apiVersion: 'apps/v1',
  name: 'web',
  namespace: 'shop',
  health: 'failed',
  status: 'Failed',
  reason: 'X',
  message: 'no',
  since: '2026-01-01T00:00:05.123Z',
  brokenBefore: '',
  isPreexisting: false,
  ...changes,
});

const outcomes = Object.keys(taskResults) as Outcome[];

/** Text with all characters that Markdown, HTML, the agent or a terminal could interpret. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '|',
        '`',
        '```',
        '~~~',
        '<script>',
        '<!--',
        '[x](http://e.example)',
        '![x](y)',
        '\n',
        '\r\n',
        '\r',
        '\\',
        '**',
        '__',
        '# ',
        '- ',
        '1. ',
        '> ',
        '---',
        '===',
        '\t',
        '    ',
        '&lt;',
        '##vso[task.complete]',
        '##[error]',
        '#\u200b#vso[x]',
        '\u001b[31m',
        '\u2028',
        'www.e.example',
        '</details>',
        '| | |\n|---|---|',
      ),
      fc.string({ maxLength: 6 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

/** The line with only its unescaped characters. */
const unescaped = (line: string): string => line.replace(/\\[\\`*_~|<>[\]&#+=:.)-]/g, '');

describe('the issue of a step that did not deploy', () => {
  it('names release, workload, reason and the serving revision', () => {
    assert.equal(
      issueOf(report()),
      'Release web in namespace shop rolled back (ReadinessProbeFailed): Deployment/web: The readiness probe fails: HTTP probe failed with statuscode: 503. Revision 5 serves now, verified healthy.',
    );
  });

  it('ends with a full stop where Helm has none, and joins several lines', () => {
    const helm = report({
      outcome: 'failed',
      reason: 'ChartInvalid',
      failedWorkload: '',
      message: 'web/a.yaml:1:3\n  executing "a" at <.x>:\n    nil pointer',
    });
    assert.equal(
      issueOf(helm),
      'Release web in namespace shop failed (ChartInvalid): web/a.yaml:1:3 executing "a" at <.x>: nil pointer. Revision 5 serves now, verified healthy.',
    );
  });

  it('has no gaps for unknown facts', () => {
    const bare = report({
      namespace: '',
      reason: '',
      message: '',
      failedWorkload: '',
      servingRevision: null,
      outcome: 'cancelled',
    });
    assert.equal(issueOf(bare), 'Release web in namespace (unknown) cancelled: No revision is known to serve.');
  });

  for (const [servingHealth, servingRevision, expected] of [
    ['healthy', 5, 'Revision 5 serves now, verified healthy.'],
    ['healthy', 6, 'Revision 6 serves now, and is healthy.'],
    ['unhealthy', 5, 'Revision 5 serves now; it was verified, and is not healthy now.'],
    ['unhealthy', 6, 'Revision 6 serves now, and is not healthy.'],
    ['unknown', 5, 'Revision 5 serves now; it was verified, and whether it is healthy now is not known.'],
    ['unknown', 6, 'Revision 6 serves now; whether it is healthy is not known.'],
  ] as const) {
    const mark = servingRevision === 5 ? 'verified once' : 'never verified';
    it(`describes the serving revision as this run saw it: ${mark}, ${servingHealth}`, () => {
      assert.ok(issueOf(report({ servingRevision, servingHealth })).endsWith(` ${expected}`));
    });
  }
});

describe('the outputs', () => {
  it('are texts, empty for unknown values', () => {
    assert.deepEqual(outputsOf(report({ revisionBefore: null, verifiedRevision: null })), {
      outcome: 'rolledBack',
      reason: 'ReadinessProbeFailed',
      reasonGroup: 'readiness',
      driftCount: '',
      reservations: '',
      failedWorkload: 'Deployment/web',
      revisionBefore: '',
      revision: '5',
      verifiedRevision: '',
    });
  });

  it('only a plan, or the desired and running revision, is a success', () => {
    const good = outcomes.filter((outcome) => taskResults[outcome] === 'Succeeded');
    assert.deepEqual(good, ['planned', 'deployed', 'unchanged', 'recovered', 'uninstalled']);
  });
});

describe('the closing paragraph', () => {
  it('names the outcome, the serving revision, what was kept and the next step', () => {
    const leftovers = [
      { kind: 'PersistentVolumeClaim', name: 'data', keptBecause: 'it may hold data' },
      { kind: 'ConfigMap', name: 'gone', keptBecause: '' },
    ];
    assert.deepEqual(closingOf(report({ leftovers })).split('\n'), [
      'Release web in namespace shop: rolled back.',
      'Deployment/web: The readiness probe fails: HTTP probe failed with statuscode: 503. (ReadinessProbeFailed)',
      'Revision 5 serves now, verified healthy.',
      'PersistentVolumeClaim/data was kept: it may hold data.',
      'Look at the log of the container.',
    ]);
  });

  it('does not repeat the issue just above it', () => {
    const said = closingOf(report({ objects: [reported()] }), { afterIssue: true });
    assert.deepEqual(said.split('\n'), ['First seen at 2026-01-01 00:00:05 UTC.', 'Look at the log of the container.']);
  });

  it('gives the start, and only the most useful line of the failed object', () => {
    const statement = (title: string, text: string): ReportedEvidence => ({
      object: 'Pod/web-1',
      kind: 'containerState',
      title,
      lines: [text],
    });
    const log = (...lines: string[]): ReportedEvidence => ({
      object: 'Pod/web-1',
      kind: 'log',
      title: 'log of web',
      lines,
    });
    const lines = (evidence: ReportedEvidence[]): string[] =>
      closingOf(report({ objects: [reported()], evidence }))
        .split('\n')
        .slice(2, 4);
    const since = 'First seen at 2026-01-01 00:00:05 UTC.';
    const serves = 'Revision 5 serves now, verified healthy.';
    const other = [statement('Other', 'is other'), log('not this one')];
    assert.deepEqual(lines([statement('Crash', 'exit code 1'), log('one', 'two\rFATAL', ' '), ...other]), [
      since,
      'Pod/web-1, log of web: FATAL',
    ]);
    assert.deepEqual(lines([statement('Crash', 'exit code 1'), ...other]), [since, 'Pod/web-1, Crash: exit code 1']);
    assert.deepEqual(lines([statement('Probe', 'statuscode: 503'), ...other]), [since, serves]);
    assert.deepEqual(lines([statement('Probe', 'Ready is False, Unhealthy: statuscode: 503')]), [since, serves]);
    assert.equal(lines([log('x'.repeat(1000))])[1]?.length, 'Pod/web-1, log of web: '.length + 504);
  });

  it('does not repeat the message that an event gives for another pod', () => {
    const message = 'pods "web-76b7cf9497-kjfxh" is forbidden: exceeded quota: small';
    const event =
      'FailedCreate: (combined from similar events): Error creating: pods "web-76b7cf9497-h4m7v" is forbidden: exceeded quota: small (4 times)';
    const evidence: ReportedEvidence[] = [
      { object: 'Deployment/web', kind: 'event', title: 'QuotaExceeded', lines: [event] },
    ];
    assert.doesNotMatch(closingOf(report({ message, evidence, objects: [] }), { afterIssue: true }), /h4m7v/);
  });

  it('does not name an object twice if the message names it', () => {
    const message = 'Deployment/web was not healthy in time.';
    assert.match(
      closingOf(report({ message, reason: 'TimedOut' })),
      /^Deployment\/web was not healthy in time\. \(TimedOut\)$/m,
    );
    assert.match(issueOf(report({ message })), /: Deployment\/web was not healthy in time\. Revision 5/);
  });

  it('is short after a success', () => {
    const good = report({ outcome: 'deployed', reason: '', message: '', advice: '', failedWorkload: '' });
    assert.equal(closingOf(good), 'Release web in namespace shop: deployed.\nRevision 5 serves now, verified healthy.');
  });
});

describe('the summary page', () => {
  it('shows the failure with its evidence', () => {
    const text = summaryOf(
      report({
        objects: [
          reported(),
          reported({ kind: 'Service', health: 'healthy' }),
          reported({ name: 'old', isPreexisting: true }),
        ],
        evidence: [{ object: 'Pod/web-1', kind: 'log', title: 'last lines of container web', lines: ['one', 'two'] }],
        leftovers: [{ kind: 'ConfigMap', name: 'gone', keptBecause: '' }],
      }),
    );
    for (const part of [
      '## Release web in namespace shop: rolled back\n',
      '**Deployment/web**: The readiness probe fails: HTTP probe failed with statuscode: 503.\n',
      '| Outcome | rolled back (ReadinessProbeFailed) |',
      '| Release | web in namespace shop |',
      '| Chart | web 1.2.3, application 7 |',
      '| Serving now | Revision 5 serves now, verified healthy. |',
      '| Deployment/web | failed | no |',
      '| Deployment/old | failed, as before | no |',
      '**Pod/web-1** last lines of container web\n\n```\none\ntwo\n```',
      '- ConfigMap/gone was removed',
      '**Next step.** Look at the log of the container.',
    ]) {
      assert.ok(text.includes(part), `${part} in:\n${text}`);
    }
    assert.doesNotMatch(text, /Service/);
    assert.ok(text.endsWith('.\n'));
  });

  it('has one line if all objects exist', () => {
    assert.match(summaryOf(report({ objects: [reported({ health: 'healthy' })] })), /The object exists and is ready\./);
  });

  it('never calls an object ready that was not judged', () => {
    const blind = reported({ kind: 'Toy', health: 'healthy', reason: 'NotJudged', message: 'In place, not judged.' });
    const alone = summaryOf(report({ objects: [blind] }));
    assert.match(alone, /\| Toy\/web \| not judged \| In place, not judged\. \|/);
    assert.doesNotMatch(alone, /ready/);
    const good = reported({ health: 'healthy', reason: 'DeploymentAvailable' });
    assert.match(
      summaryOf(report({ objects: [blind, good, good] })),
      /All 2 objects exist and are ready\.\n\n\| Object/,
    );
    assert.deepEqual(notJudgedLines([good, { ...blind, reason: 'NotWaitedFor' }]), [
      '  Toy/web  In place, not judged.',
    ]);
    assert.deepEqual(notJudgedLines([{ ...blind, health: 'failed' }]), []);
  });

  it('leaves out the rows of unknown values', () => {
    const text = summaryOf(report({ chart: '', appVersion: '', helmVersion: '', namespace: '', revisionBefore: null }));
    assert.doesNotMatch(text, /\| (Chart|Helm) \|/);
    assert.match(text, /\| Release \| web in namespace \(unknown\) \|/);
    assert.match(text, /\| Revision before \| none \|/);
  });

  it('names a workload with unusual characters once, and escapes them once', () => {
    assert.match(summaryOf(report({ failedWorkload: 'ClusterRole/a[b]' })), /\*\*ClusterRole\/a\\\[b\\\]\*\*: /);
  });

  for (const [incident, text, expected] of [
    ['a table', 'a | b', 'a \\| b'],
    ['a code span', '`x`', '\\`x\\`'],
    ['HTML', '<img src=x onerror=y>', '\\<img src=x onerror=y\\>'],
    ['an entity', '&lt;b&gt;', '\\&lt;b\\&gt;'],
    ['a link', '[click](http://e.example)', '\\[click\\](http\\://e.example)'],
    ['a link without brackets', 'see https://e.example or www.e.example', 'see https\\://e.example or www\\.e.example'],
    ['emphasis', '**x** _y_ __init__', '\\*\\*x\\*\\* \\_y\\_ \\_\\_init\\_\\_'],
    ['a strike-through', '~~x~~', '\\~\\~x\\~\\~'],
    ['a name with underscores', 'DATABASE_URL is missing', 'DATABASE_URL is missing'],
    ['an escape that is there already', 'a\\|b', 'a\\\\\\|b'],
    ['several lines', 'a\nb\r\nc\rd', 'a b c d'],
    ['a heading', '# big', '\\# big'],
    ['a list', '- one', '\\- one'],
    ['a numbered list', '1. one', '1\\. one'],
    ['a version', '1.2.3 of it', '1.2.3 of it'],
    ['an underline of a heading', '===', '\\==='],
    ['code by indentation', '     x', 'x'],
    ['an agent command', '##vso[task.complete result=Failed]', '\\# #vso\\[task.complete result=Failed\\]'],
    ['colours of a terminal', '\u001b[31mred\u001b[0m', 'red'],
    ['letters that cannot be seen', 'a\u200b\u202eb', 'ab'],
  ] as const) {
    it(`foreign text of a pod or chart stays text: ${incident}`, () => {
      assert.equal(cell(text), expected);
    });
  }

  it('no text is more than one line of text, wherever it stands', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const shown = cell(text);
        assert.doesNotMatch(shown, /[\n\r]/);
        assert.doesNotMatch(unescaped(shown), /[`*~|<>[\]&\\]|:\/\/|\bwww\.|##\[|##vso\[/i);
        assert.doesNotMatch(shown, /^(\s|[#+=>-]|\d+[.)](\s|$))/);
      }),
    );
  });

  it('a log that tries to close its code block stays in it', () => {
    const block = codeBlock(['a', '```', '# not a heading', '````', 'b\n`````\nc']);
    assert.equal(block, '``````\na\n```\n# not a heading\n````\nb\n`````\nc\n``````');
  });

  it('no log leaves its code block, and no line of it is a command of the agent', () => {
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 5 }), (lines) => {
        const shown = codeBlock(lines).split('\n');
        const fence = shown[0] ?? '';
        assert.match(fence, /^`{3,}$/);
        assert.equal(shown.at(-1), fence);
        for (const line of shown.slice(1, -1)) {
          assert.ok(!line.includes(fence));
          assert.doesNotMatch(line, /##\[|##vso\[|[^\P{Cc}\t]/iu);
        }
      }),
    );
  });

  it('a line of one megabyte is cut', () => {
    assert.ok(codeBlock(['x'.repeat(1_000_000)]).length < 1100);
  });

  it('each row of its table has the same number of columns, whatever its text', () => {
    fc.assert(
      fc.property(hostile, hostile, (message, name) => {
        const text = summaryOf(
          report({ message, chart: name, objects: [reported({ message, name })], advice: message }),
        );
        const rows = text.split('\n').filter((line) => line.startsWith('|'));
        for (const row of rows) {
          const columns = unescaped(row).split('|').length;
          assert.ok(columns === 4 || columns === 5, row);
        }
      }),
    );
  });
});
