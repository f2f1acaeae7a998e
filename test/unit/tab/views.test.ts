import assert from 'node:assert/strict';
import { chartOf } from '../../../tab/model/chart';
import { incidentMarkdown } from '../../../tab/model/incident';
import { addressOf, placeText, readPlace } from '../../../tab/model/link';
import { readName, toneOfOutcome } from '../../../tab/model/names';
import { openedAtFirst, overviewSentence, ranked, type Item } from '../../../tab/model/overview';
import { readPlan } from '../../../tab/model/plan';
import { planView } from '../../../tab/model/planView';
import { readReport } from '../../../tab/model/report';
import type { RunRecord } from '../../../tab/model/run';
import { stepView, type StepView } from '../../../tab/model/step';
import { themeOf } from '../../../tab/model/theme';
import { treeOf, treeWords } from '../../../tab/model/tree';
import { recordId } from '../../support/tab/recordedRun';

const failing = {
  kind: 'Deployment',
  apiVersion: 'apps/v1',
  name: 'cart',
  namespace: 'prod',
  health: 'failed',
  status: 'InProgress',
  reason: 'CrashLoop',
  message: 'Container app has ended 4 times with exit code 3.',
  since: '2026-03-01T12:00:30.000Z',
  brokenBefore: '',
  isPreexisting: false,
};
const good = { ...failing, name: 'front', health: 'healthy', message: '', since: '' };
const settings = { ...good, apiVersion: 'v1', kind: 'ConfigMap', name: 'settings' };

const deployed = {
  schemaVersion: 1,
  task: 'HelmSafeDeploy',
  release: 'shop',
  namespace: 'prod',
  outcome: 'deployed',
  revisionBefore: 12,
  revision: 13,
  verifiedRevision: 13,
  servingRevision: 13,
  servingHealth: 'healthy',
  startedAt: '2026-03-01T12:00:00.000Z',
  finishedAt: '2026-03-01T12:01:00.000Z',
  objects: [good, settings],
};
const rolledBack = {
  ...deployed,
  outcome: 'rolledBack',
  reason: 'CrashLoop',
  message: failing.message,
  advice: 'Set DB_URL.',
  failedWorkload: 'Deployment/cart',
  revision: 14,
  verifiedRevision: 14,
  servingRevision: 14,
  objects: [good, failing, settings],
  evidence: [
    { object: 'Pod/cart-7d9-x2x4z', kind: 'containerState', title: 'CrashLoop', lines: ['exit code 3'] },
    {
      object: 'Pod/cart-7d9-x2x4z',
      kind: 'log',
      title: 'last lines of container app',
      lines: ['starts', 'FATAL: no DB_URL'],
    },
  ],
};
const health = { ...deployed, task: 'RolloutHealthCheck', health: 'healthy', revision: 13, rollbackRevision: 12 };
const planned = {
  ...deployed,
  task: 'ApproveAndRollback',
  action: 'plan',
  outcome: 'planned',
  risk: 'low',
  planDigest: 'sha256:ab',
  targetRevision: 12,
  revision: 13,
  healthBefore: 'unhealthy',
  health: '',
};
const executed = {
  ...planned,
  action: 'rollback',
  outcome: 'rolledBack',
  revision: 14,
  health: 'healthy',
  approvedBy: 'Ada',
  approvedAt: '2026-03-01T12:00:20.000Z',
  approval: 'Approved by Ada through the gate.',
  finishedAt: '2026-03-01T12:09:00.000Z',
};

function viewOf(report: object): StepView {
  const read = readReport(JSON.stringify(report));
  assert.ok('report' in read);
  return stepView(read.report);
}

describe('a report as four answers', () => {
  for (const [title, report, tone, sentence, answers] of [
    [
      'a good deploy',
      deployed,
      'good',
      /^Release shop in namespace prod is deployed$/,
      {
        Broken: /^Nothing$/,
        'Serves now': /^Revision 13 serves now, verified healthy\.$/,
        'Next step': /Nothing to do/,
      },
    ],
    [
      'a deploy that was rolled back',
      rolledBack,
      'warning',
      /was rolled back$/,
      {
        Broken: /^Deployment\/cart$/,
        Why: /ended 4 times.*CrashLoop.*First seen at.*FATAL: no DB_URL/s,
        'Serves now': /Revision 14 serves now, verified healthy/,
        'Next step': /Set DB_URL/,
      },
    ],
    [
      'a deploy after which nothing serves well',
      { ...rolledBack, outcome: 'failed', servingHealth: 'unhealthy' },
      'bad',
      /failed to deploy$/,
      { 'Serves now': /not healthy/ },
    ],
    [
      'a deploy after which no pod is ready',
      {
        ...rolledBack,
        outcome: 'failed',
        services: [{ name: 'cart', ingresses: [], pods: 2, ready: 0, readyBefore: 0 }],
      },
      'bad',
      /failed to deploy/,
      { 'Serves now': /no pod of it is ready.*No ready pod stands behind Service\/cart/s },
    ],
    [
      'a refused deploy without an object to blame',
      { ...rolledBack, outcome: 'refused', failedWorkload: '', objects: [], message: 'The chart is not there.' },
      'warning',
      /was refused/,
      { Broken: /No single object/, Why: /The chart is not there\./ },
    ],
    [
      'a deploy that leaves an older failure alone',
      { ...deployed, objects: [good, { ...failing, isPreexisting: true }] },
      'good',
      /is deployed/,
      { Broken: /^Nothing.*Deployment\/cart was broken before, and still is\./s },
    ],
    [
      'an unhealthy release',
      {
        ...health,
        health: 'unhealthy',
        reason: 'CrashLoop',
        message: failing.message,
        failedWorkload: 'Deployment/cart',
        objects: [failing],
      },
      'bad',
      /is not healthy$/,
      { Broken: /Deployment\/cart/, 'Serves now': /Revision 13, not healthy.*would go to revision 12/s },
    ],
    ['a healthy release', health, 'good', /is healthy$/, { Broken: /Nothing/ }],
    [
      'a plan',
      planned,
      'neutral',
      /to revision 12: planned/,
      { 'Serves now': /Revision 13 serves now, and is not healthy/ },
    ],
    ['a plan of high risk', { ...planned, risk: 'high' }, 'warning', /planned/, {}],
    [
      'a rollback',
      executed,
      'good',
      /done and proven/,
      { 'Serves now': /Revision 14 serves now, and is healthy/, 'Approved by': /^Ada, 2026-03-01 12:00:20 UTC/ },
    ],
    [
      'a refused rollback',
      {
        ...executed,
        outcome: 'refused',
        reason: 'PlanChanged',
        message: 'The cluster has changed.',
        differences: ['Deployment/cart was patched.'],
      },
      'warning',
      /refused/,
      { Broken: /The rollback/, Why: /The cluster has changed.*cart was patched/s },
    ],
  ] as const) {
    it(title, () => {
      const view = viewOf(report);
      assert.equal(view.tone, tone);
      assert.match(view.sentence, sentence);
      for (const [question, pattern] of Object.entries(answers)) {
        const answer = view.answers.find((each) => each.question === question);
        assert.ok(answer !== undefined, `no answer to ${question}`);
        assert.match(
          [answer.text, answer.code, ...answer.lines, answer.quote].filter((part) => part !== '').join('\n'),
          pattern,
        );
      }
    });
  }
});

describe('drift in a report', () => {
  const setBy = [{ path: 'spec.replicas', manager: 'kubectl', subresource: 'scale', time: '' }];
  const message = 'Deployment/front: spec.replicas is 5, not 2.';
  const diff = ['-spec.replicas: 2', '+spec.replicas: 5'];
  const found = { kind: 'Deployment', name: 'front', namespace: 'prod', drift: 'changed', state: 'restored' };
  const drift = [{ ...found, message, diff, setBy }];

  for (const [task, report] of [
    ['a deploy', deployed],
    ['a health check', { ...deployed, task: 'RolloutHealthCheck', health: 'healthy' }],
  ] as const) {
    it(`stands beside the object, with who has set the field: ${task}`, () => {
      const view = viewOf({ ...report, drift });
      assert.deepEqual(Object.fromEntries(view.facts)['Drift'], 'Deployment/front');
      const [front] = view.tree.workloads;
      assert.deepEqual(
        front?.evidence.map(({ title, lines }) => [title, ...lines]),
        [
          [
            'Drift',
            `${message} It was restored.`,
            '  -spec.replicas: 2',
            '  +spec.replicas: 5',
            '  spec.replicas was set by kubectl through scale.',
          ],
        ],
      );
    });
  }
});

describe('the tree of a release', () => {
  const { tree } = viewOf(rolledBack);

  it('has what is broken first, pods below their workloads, and evidence below the pods', () => {
    assert.deepEqual(
      tree.workloads.map(({ name, word, children }) => [name, word, children.map((pod) => pod.name)]),
      [
        ['Deployment/cart', 'failed', ['Pod/cart-7d9-x2x4z']],
        ['Deployment/front', 'healthy', []],
      ],
    );
    assert.deepEqual(
      tree.workloads[0]?.children[0]?.evidence.map(({ kind }) => kind),
      ['containerState', 'log'],
    );
    assert.deepEqual(
      tree.others.map(({ name }) => name),
      ['ConfigMap/settings'],
    );
    assert.equal(treeWords(tree), '1 failed, 2 healthy');
  });

  it('gives a pod to the workload with the longest name that fits', () => {
    const read = readReport(
      JSON.stringify({
        ...rolledBack,
        objects: [failing, { ...failing, name: 'cart-db' }],
        evidence: [{ object: 'Pod/cart-db-0', kind: 'log', title: 't', lines: [] }],
      }),
    );
    assert.ok('report' in read);
    const { workloads } = treeOf(read.report.objects, read.report.evidence);
    assert.deepEqual(
      workloads.map(({ name, children }) => [name, children.length]),
      [
        ['Deployment/cart', 0],
        ['Deployment/cart-db', 1],
      ],
    );
  });

  it('keeps evidence that belongs to nothing', () => {
    const read = readReport(
      JSON.stringify({
        ...rolledBack,
        objects: [],
        evidence: [{ object: 'Node/n1', kind: 'event', title: 't', lines: [] }],
      }),
    );
    assert.ok('report' in read);
    assert.equal(treeOf(read.report.objects, read.report.evidence).loose.length, 1);
  });
});

describe('the timeline of a step', () => {
  const start = Date.parse(deployed.startedAt);
  const row = (name: string, from: number, to: number | undefined, result = 'succeeded'): RunRecord => ({
    id: recordId(1),
    parentId: '',
    type: 'Deployment',
    name,
    taskId: '',
    state: to === undefined ? 'running' : 'done',
    result: to === undefined ? '' : result,
    startedAt: start + from,
    finishedAt: to === undefined ? undefined : start + to,
    attempt: 1,
    order: 1,
    percent: undefined,
    operation: '',
    rowsId: '',
  });
  const view = viewOf(rolledBack);

  it('has a lane for each row, by phase, with a mark where the failure was first seen', () => {
    const rows = [row('Deployment/cart', 3000, 33_000, 'failed'), row('Deployment/cart (rollback)', 36_000, 60_000)];
    const chart = chartOf({ ...view, rows, now: 0 });
    assert.ok(chart !== undefined);
    assert.deepEqual(
      chart.groups.map(({ title, lanes }) => [
        title,
        lanes.map(({ label, words, from, to }) => [label, words, from, to]),
      ]),
      [
        ['', [['Deployment/cart', 'failed after 30 s', 0.05, 0.55]]],
        ['rollback', [['Deployment/cart', 'ready after 24 s', 0.6, 1]]],
      ],
    );
    assert.equal(chart.groups[0]?.lanes[0]?.marks[0]?.at, 0.5);
    assert.deepEqual(
      chart.ticks.map(({ text }) => text),
      ['0', '10 s', '20 s', '30 s', '40 s', '50 s', '1 min'],
    );
  });

  it('has the parts of the step and its hooks above the objects, and a mark for the last event of an object', () => {
    const time = (seconds: number): string => new Date(start + seconds * 1000).toISOString();
    const part = { kind: 'phase', name: 'Run helm upgrade', result: '', startedAt: time(3), finishedAt: time(33) };
    const hook = { kind: 'hook', name: 'Job/migrate (pre-upgrade)', result: 'Failed', startedAt: time(6) };
    const event = { object: 'Deployment/cart', kind: 'event', title: 'CrashLoop', at: time(45), lines: ['BackOff: x'] };
    const read = readReport(
      JSON.stringify({
        ...rolledBack,
        phases: [part, { ...hook, finishedAt: time(12) }, { ...part, startedAt: 'rubbish' }],
        evidence: [...rolledBack.evidence, event],
      }),
    );
    assert.ok('report' in read);
    const rows = [row('Deployment/cart', 3000, 33_000, 'failed')];
    const chart = chartOf({ ...stepView(read.report), rows, now: 0 });
    assert.deepEqual(
      chart?.groups.map(({ title, lanes }) => [
        title,
        lanes.map(({ label, words, tone, from, to }) => [label, words, tone, from, to]),
      ]),
      [
        ['parts of the step', [['Run helm upgrade', 'took 30 s', 'neutral', 0.05, 0.55]]],
        ['hooks and tests', [['Job/migrate (pre-upgrade)', 'failed after 6 s', 'bad', 0.1, 0.2]]],
        ['', [['Deployment/cart', 'failed after 30 s', 'bad', 0.05, 0.55]]],
      ],
    );
    assert.deepEqual(
      chart.groups[2]?.lanes[0]?.marks.map(({ at, text }) => [at, text.split(':')[0]]),
      [
        [0.5, 'first seen'],
        [0.75, 'event'],
      ],
    );
  });

  it('goes on until now for a row that has not ended', () => {
    const chart = chartOf({
      ...view,
      finishedAt: undefined,
      rows: [row('Job/migrate', 0, undefined)],
      now: start + 10_000,
    });
    assert.deepEqual(
      chart?.groups[0]?.lanes.map(({ words, to }) => [words, to]),
      [['in progress for 10 s', 1]],
    );
  });

  it('has a lane for a failure without a row', () => {
    assert.deepEqual(
      chartOf({ ...view, rows: [], now: 0 })?.groups.flatMap(({ lanes }) => lanes.map(({ label }) => label)),
      ['Deployment/cart'],
    );
  });

  it('is not there if the step does not say when it began', () => {
    assert.equal(chartOf({ ...view, startedAt: undefined, rows: [], now: 0 }), undefined);
  });
});

describe('the chart of a metric', () => {
  const sample = (value: number | string | null, verdict: string) => ({
    at: '2026-03-01T12:00:30.000Z',
    value,
    verdict,
    note: value === null ? 'there is no data' : '',
  });
  const metric = {
    name: 'errors',
    query: 'up',
    condition: 'result <= before * 2 && result < 8',
    verdict: 'fail',
    message: 'Metric errors failed.',
    before: 1,
    samples: [sample(0, 'pass'), sample(null, 'inconclusive'), sample(10, 'fail')],
  };
  const chartsOf = (metrics: unknown) => viewOf({ ...deployed, metrics }).metrics;

  it('has a point for each sample, the limits of the condition, and words for both', () => {
    const [chart] = chartsOf([metric]);
    assert.deepEqual(
      chart?.points.map(({ x, y, tone }) => [x, y, tone]),
      [
        [0, 0, 'good'],
        [0.5, undefined, 'unknown'],
        [1, 1, 'bad'],
      ],
    );
    assert.deepEqual(chart.limits, [
      { y: 0.2, text: '2' },
      { y: 0.8, text: '8' },
    ]);
    assert.equal(chart.points[1]?.text, '12:00:30 UTC: no value (inconclusive: there is no data)');
    assert.deepEqual([chart.tone, chart.low, chart.high], ['bad', '0', '10']);
  });

  it('stays inside of the drawing, whatever a report says', () => {
    const odd = [
      { ...metric, samples: [sample(5, 'pass')], condition: 'x' },
      { ...metric, samples: [sample(-1e308, 'fail'), sample(1e308, 'fail')] },
      { ...metric, samples: [] },
      {},
      7,
    ];
    for (const { points, limits } of chartsOf(odd)) {
      for (const { y = 0 } of [...points, ...limits]) assert.ok(y >= 0 && y <= 1, String(y));
    }
  });
});

describe('a plan as the answer to what the button does', () => {
  const facts = {
    revision: 12,
    status: 'superseded',
    proof: 'verified',
    chart: 'shop-1',
    appVersion: '',
    deployedAt: '',
    description: '',
    deployedBy: '',
  };
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: 'promo',
    namespace: 'prod',
    fate: 'deleted',
    diff: ['@@ -1 +1 @@', '-a', '+b', ' c'],
    isRehearsed: true,
  };
  const plan = {
    schemaVersion: 1,
    digest: 'sha256:ab',
    subject: { kind: 'release', namespace: 'prod', release: 'shop' },
    risk: 'low',
    present: { ...facts, revision: 13 },
    target: facts,
    objects: [{ ...object, kind: 'Deployment', name: 'cart', fate: 'patched', restartsPods: true }, object],
    hooks: [{ kind: 'Job', name: 'migrate', event: 'pre-rollback', willRun: true, revision: 12, reason: '' }],
    findings: [
      { code: 'UnverifiedTarget', severity: 'note', object: '', message: 'A note.', allowedBy: '' },
      { code: 'DriftUndone', severity: 'warning', object: '', message: 'A warning.', allowedBy: '' },
      { code: 'Newer', severity: 'refusal', object: '', message: 'A refusal.', allowedBy: '' },
    ],
  };
  const viewOfPlan = (more: object = {}) => {
    const read = readPlan(JSON.stringify({ ...plan, ...more }));
    assert.ok('plan' in read);
    return planView(read.plan);
  };

  for (const [title, more, pattern] of [
    [
      'a plan',
      {},
      /^It rolls release shop back from revision 13 to revision 12, seen healthy\.\nObjects: 1 deleted, 1 patched\.\nDeletes ConfigMap\/promo\.\nRestarts the pods of Deployment\/cart\.\nRuns the hooks Job\/migrate\.$/,
    ],
    ['a plan that deletes nothing', { objects: [], hooks: [] }, /Nothing is deleted\.\nNo pods restart\.$/],
    ['a refused plan', { risk: 'refused' }, /^Nothing: the task refuses this rollback\./],
    ['a plan without changes', { risk: 'none' }, /^Nothing would change\.$/],
    [
      'the plan of an upgrade',
      { change: 'deploy', target: { ...plan.target, chart: 'shop 2.0.0' } },
      /^It upgrades release shop to chart shop 2\.0\.0\.\nObjects: /,
    ],
    [
      'the plan of an install',
      { change: 'deploy', present: null, target: { ...plan.target, chart: 'shop 2.0.0' } },
      /^It installs release shop, chart shop 2\.0\.0\.\n/,
    ],
    ['the refused plan of a deploy', { change: 'deploy', risk: 'refused' }, /^Nothing: the task refuses this deploy\./],
  ] as const) {
    it(title, () => {
      const { button } = viewOfPlan(more);
      assert.match([button.text, ...button.lines].join('\n'), pattern);
    });
  }

  it('has the worst findings first, deletions first, and lines of a diff by their sign', () => {
    const view = viewOfPlan();
    assert.deepEqual(
      view.findings.map(({ code }) => code),
      ['Newer', 'DriftUndone', 'UnverifiedTarget'],
    );
    assert.deepEqual(
      view.groups.map(({ title }) => title),
      ['Deleted', 'Patched'],
    );
    assert.deepEqual(
      view.groups[0]?.objects[0]?.diff.map(({ kind }) => kind),
      ['place', 'removed', 'added', 'same'],
    );
  });
});

describe('the overview of a run', () => {
  const item = (key: string, report?: object, name = 'HelmSafeDeploy-shop.json'): Item => ({
    key,
    facts: readName(name),
    ...(report === undefined ? {} : { view: viewOf(report) }),
  });

  it('has what is broken first, and a failure that was mended later last', () => {
    const all = ranked([
      item('good', { ...deployed, release: 'other' }),
      item('kept', { ...rolledBack, outcome: 'failed', servingHealth: 'unhealthy' }),
      item('broken', { ...rolledBack, release: 'third', outcome: 'failed', servingHealth: 'unhealthy' }),
      item('unread'),
      item('executed', executed),
    ]);
    assert.deepEqual(
      all.map(({ key, later }) => [key, later]),
      [
        ['broken', ''],
        ['unread', ''],
        ['good', ''],
        ['executed', ''],
        ['kept', 'rolled back'],
      ],
    );
    assert.equal(overviewSentence(all), '5 reports: 1 failed, 1 not known, 2 well, 1 followed by a better one.');
    assert.deepEqual(openedAtFirst(all), ['broken']);
  });

  it('has the plan that waits right after the failure, and does not open a second report of the same failure', () => {
    const broken = { ...rolledBack, outcome: 'failed', servingHealth: 'unhealthy' };
    const check = { ...health, health: 'unhealthy', finishedAt: '2026-03-01T12:02:00.000Z' };
    const all = ranked([item('deploy', broken), item('check', check), item('plan', planned)]);
    assert.deepEqual(
      all.map(({ key }) => key),
      ['deploy', 'plan', 'check'],
    );
    assert.deepEqual(openedAtFirst(all), ['deploy', 'plan']);
  });

  it('is not mended by what came before, or by another release', () => {
    const broken = { ...rolledBack, outcome: 'failed', servingHealth: 'unhealthy' };
    const before = { ...deployed, finishedAt: '2026-03-01T11:00:00.000Z' };
    const other = { ...executed, release: 'other' };
    assert.deepEqual(
      ranked([item('a', broken), item('b', before), item('c', other)]).map(({ later }) => later),
      ['', '', ''],
    );
  });
});

describe('a report for a chat', () => {
  it('has the answers first, the last log lines, and the link, and nothing of it is markup', () => {
    const hostile = { ...rolledBack, message: '##vso[task.complete] <b>|x|</b> [a](http://b)' };
    const text = incidentMarkdown(viewOf(hostile), undefined, 'https://dev.example/x');
    assert.match(
      text,
      /^\*\*Release shop in namespace prod was rolled back\*\* \(rolled back, 2026-03-01 12:01:00 UTC\)\n\n- \*\*Broken:\*\*/,
    );
    assert.match(text, /FATAL: no DB\\?_URL/);
    assert.match(text, /\nhttps:\/\/dev\.example\/x\n$/);
    assert.doesNotMatch(text, /##vso\[/);
    assert.doesNotMatch(text, /<b>/);
  });
});

describe('a link to a place', () => {
  for (const place of [
    { report: 'a/b.json', object: '' },
    { report: 'a/b.json', object: 'Deployment/cart' },
  ]) {
    it(`is read as it was written: ${placeText(place)}`, () => {
      assert.deepEqual(readPlace(placeText(place)), place);
    });
  }

  for (const [title, text] of [
    ['missing', undefined],
    ['empty', ''],
    ['far too long', 'x'.repeat(2000)],
  ] as const) {
    it(`is nothing if it is ${title}`, () => {
      assert.equal(readPlace(text), undefined);
    });
  }

  const page = {
    base: 'https://dev.azure.com/fabrikam/',
    project: 'Fab rikam',
    buildId: 42,
    contributionId: 'p.e.tab',
  };
  it('leads to the run, the tab and the place', () => {
    const address = addressOf(page, { report: 'a/b.json', object: 'Deployment/cart' });
    assert.equal(
      address,
      'https://dev.azure.com/fabrikam/Fab%20rikam/_build/results?buildId=42&view=p.e.tab&rollout=a%2Fb.json%7EDeployment%2Fcart',
    );
    assert.equal(addressOf({ ...page, base: 'javascript:alert(1)//' }, undefined), '');
  });
});

describe('the name of an attachment', () => {
  for (const [name, task, action, release, isAfterJob] of [
    ['HelmSafeDeploy-shop.json', 'HelmSafeDeploy', '', 'shop', false],
    ['HelmSafeDeploy-my-shop-after-the-job.json', 'HelmSafeDeploy', '', 'my-shop', true],
    ['RolloutHealthCheck-prod.json', 'RolloutHealthCheck', '', 'prod', false],
    ['ApproveAndRollback-plan-shop.json', 'ApproveAndRollback', 'plan', 'shop', false],
    ['ApproveAndRollback-rollback-shop.json', 'ApproveAndRollback', 'rollback', 'shop', false],
    ['deploy,,canary,west-1,prod,shop,1.json', 'HelmSafeDeploy', '', 'shop', false],
    ['repair,,,,prod,shop,1.json', 'HelmSafeDeploy', '', 'shop', true],
    ['plan,,,,prod,shop,1.json', 'ApproveAndRollback', 'plan', 'shop', false],
    ['<script>.json', '', '', '', false],
  ] as const) {
    it(name, () => {
      const facts = readName(name);
      assert.deepEqual(
        [facts.task, facts.action, facts.release, facts.isAfterJob],
        [task, action, release, isAfterJob],
      );
      assert.equal(toneOfOutcome(facts), 'unknown');
    });
  }
});

describe('the theme of the host', () => {
  for (const [title, background, text, isDark, isHighContrast] of [
    ['light', 'rgb(255, 255, 255)', 'rgba(0, 0, 0, 0.9)', false, false],
    ['dark', 'rgb(32, 31, 30)', 'rgba(255, 255, 255, 0.9)', true, false],
    ['high contrast', 'rgb(0, 0, 0)', 'rgb(255, 255, 255)', true, true],
    ['high contrast on white', 'rgb(255, 255, 255)', 'rgb(0, 0, 0)', false, true],
    ['none', 'rgba(0, 0, 0, 0)', 'rgb(0, 0, 0)', false, true],
  ] as const) {
    it(title, () => {
      assert.deepEqual(themeOf(background, text), { isDark, isHighContrast });
    });
  }
});
