import assert from 'node:assert/strict';
import { countRequests } from '../../scripts/bench/apiRequests';
import { benchmarksPage, missedTargets, stepTimeTarget, type Results } from '../../scripts/bench/document';
import { benchOptions, UsageError } from '../../scripts/bench/options';
import { largeChartSection } from '../../scripts/bench/largeChartDocument';
import { withSections } from '../../scripts/bench/markdown';
import { planTargets } from '../../scripts/bench/planDocument';
import { countPlanRequests, type PlanTime } from '../../scripts/bench/planTime';
import { followingSection, verdictTargets } from '../../scripts/bench/rolloutDocument';
import type { FollowingCost } from '../../scripts/bench/followingCost';
import type { VerdictTime } from '../../scripts/bench/verdictTime';
import { inPairs, median, pairedSpread } from '../../scripts/bench/statistics';
import type { StepTime } from '../../scripts/bench/stepTime';
import type { AuditEvent } from '../support/cluster';

describe('the figures of the benchmark', () => {
  it('the median of an even number of values lies between the two in the middle', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2.5);
  });

  it('a slow moment that affects both runs of a pair does not change the ratio', () => {
    const pairs = [
      { ours: 1, theirs: 2 },
      { ours: 10, theirs: 20 },
      { ours: 3, theirs: 4 },
    ];
    const { ratio, difference, ours } = pairedSpread(pairs);
    assert.deepEqual(ratio, { median: 0.5, lowest: 0.5, highest: 0.75 });
    assert.deepEqual(difference, { median: -1, lowest: -10, highest: -1 });
    assert.equal(ours.median, 3);
  });

  it('neither side always runs second', async () => {
    const order: string[] = [];
    const measure = (side: string) => (run: number) => {
      order.push(`${side}${run}`);
      return Promise.resolve(run);
    };
    const pairs = await inPairs(3, measure('ours'), measure('theirs'));
    assert.equal(order.join(' '), 'ours1 theirs1 theirs2 ours2 ours3 theirs3');
    assert.deepEqual(pairs.at(-1), { ours: 3, theirs: 3 });
  });

  it('requests are distinguished by their client', () => {
    const event = (userAgent: string, verb: string) => ({ userAgent, verb }) as AuditEvent;
    const counts = countRequests([
      event('Helm/4.1.4', 'list'),
      event('Helm/4.1.4', 'patch'),
      event('helm-safe-deploy', 'watch'),
      event('helm-safe-deploy', 'list'),
      event('helm-safe-deploy', 'get'),
    ]);
    assert.deepEqual(counts, { helm: 2, task: 3, lists: 2, watches: 1, changes: 1, total: 5 });
  });
});

describe('the requests of planning a rollback', () => {
  const event = (userAgent: string, verb: string, requestURI = '/x') => ({ userAgent, verb, requestURI }) as AuditEvent;

  it('a dry run is not counted as a change, and a further page not as a list', () => {
    const counts = countPlanRequests([
      event('helm-safe-deploy', 'list'),
      event('helm-safe-deploy', 'list', '/x?limit=500&continue=abc'),
      event('helm-safe-deploy', 'get'),
      event('helm-safe-deploy', 'create'),
      event('Helm/3.17.3', 'get'),
      event('Helm/3.17.3', 'patch', '/x?fieldManager=helm&dryRun=All'),
      event('Helm/3.17.3', 'delete'),
    ]);
    assert.deepEqual(counts, { lists: 1, gets: 1, changes: 1, helmReads: 1, dryRuns: 1, helmChanges: 1 });
  });

  const requests = { lists: 3, gets: 1, changes: 1, helmReads: 9, dryRuns: 9, helmChanges: 0 };
  const time = (objects: number, seconds: number, more = {}): PlanTime => ({
    helmVersion: '4.1.4',
    objects,
    seconds: [seconds],
    requests: { ...requests, ...more },
  });
  const rows: [string, PlanTime[], boolean[]][] = [
    ['all is well', [time(50, 1), time(500, 9)], [true, true, true]],
    ['too slow', [time(50, 1), time(500, 11)], [false, true, true]],
    ['reads that grow with the objects', [time(50, 1), time(500, 9, { gets: 500 })], [true, false, true]],
    ['a Helm that changes something', [time(50, 1, { helmChanges: 1 }), time(500, 9)], [true, true, false]],
  ];
  for (const [title, times, wanted] of rows) {
    it(title, () => {
      assert.deepEqual(
        planTargets(times).map(({ isMet }) => isMet),
        wanted,
      );
    });
  }
});

describe('the page of the benchmark shows if a target was met', () => {
  const requests = { ours: countRequests([]), theirs: countRequests([]) };
  const time = (helmVersion: string, workloads: number, ours: number, theirs: number): StepTime => ({
    helmVersion,
    workloads,
    nodeKind: workloads === 1 ? 'real' : 'kwok',
    pairs: [{ ours, theirs }],
    requests,
  });
  const cases: readonly [string, number, number, number, boolean][] = [
    ['3.17.3', 1, 1.99, 2, true],
    ['3.17.3', 1, 2, 2, false],
    ['3.17.3', 50, 2.1, 2, false],
    ['4.1.4', 1, 2.4, 2, true],
    ['4.1.4', 1, 2.6, 2, false],
    ['4.2.3', 50, 2.3, 2, true],
    ['4.2.3', 50, 2.32, 2, false],
  ];
  for (const [helmVersion, workloads, ours, theirs, isMet] of cases) {
    it(`Helm ${helmVersion}, ${workloads} workloads, ${ours} s against ${theirs} s: ${isMet ? 'met' : 'missed'}`, () => {
      assert.equal(stepTimeTarget(time(helmVersion, workloads, ours, theirs)).isMet, isMet);
    });
  }

  const spread = (value: number) => ({ median: value, lowest: value, highest: value });
  const results = (firstRequest: number, size: number, load: number): Results => ({
    date: '2026-01-31',
    commandLine: 'npm run bench',
    runs: 9,
    versions: { extension: '1.2.3', node: 'v20.0.0', kubernetes: '1.35.4' },
    machine: { cores: 2, processor: 'processor', memoryGiB: 8, system: 'Linux x64', load: [0.1, load] },
    stepTimes: [time('3.17.3', 1, 1, 2)],
    startUps: [
      {
        nodeVersion: 'v20.0.0',
        firstRequest: spread(firstRequest),
        bareNode: spread(50),
        azure: [{ ours: firstRequest, theirs: 200 }],
      },
    ],
    size: { package: size, bundle: 1000 },
    skipped: [],
  });

  it('says that all targets were met', () => {
    const page = benchmarksPage(results(200, 999_999, 1), true);
    assert.deepEqual(missedTargets(page), []);
    assert.match(page, /\| 3\.17\.3 \| 1, real node \| 1\.00 \(1\.00 to 1\.00\) \| 2\.00 .* \| 0\.50 /);
    assert.doesNotMatch(page, /Other programs used the machine/);
  });

  it('names a slow start, a large package and a busy machine', () => {
    const page = benchmarksPage(results(201, 1_000_000, 5), true);
    const missed = missedTargets(page);
    assert.equal(missed.length, 2);
    assert.match(missed[0] ?? '', /at most 200 ms: \*\*not met\*\* \(201 ms\)/);
    assert.match(page, /Other programs used the machine/);
  });
});

describe('the page of the benchmark about a large chart', () => {
  const rows = [
    ['as fast as Helm', { upgrades: 1, rollbacks: 1, plans: 1, unchanged: 0.3 }, []],
    ['a slow upgrade', { upgrades: 1.01, rollbacks: 1, plans: 1, unchanged: 0.3 }, ['upgrade']],
    ['a slow rollback', { upgrades: 1, rollbacks: 1.2, plans: 1, unchanged: 0.3 }, ['rollback']],
    ['a plan slower than its rollback', { upgrades: 1, rollbacks: 1, plans: 1.1, unchanged: 0.3 }, ['plan']],
    ['a slow deploy that changes nothing', { upgrades: 1, rollbacks: 1, plans: 1, unchanged: 0.31 }, ['deploy']],
  ] as const;
  for (const [title, ratios, missed] of rows) {
    it(`${title} is ${missed.length === 0 ? 'met' : 'missed'}`, () => {
      const pairs = (ours: number) => [{ ours, theirs: 1 }];
      const time = {
        helmVersion: '4.1.4',
        upgrades: pairs(ratios.upgrades),
        rollbacks: pairs(ratios.rollbacks),
        plans: pairs(ratios.plans),
        unchanged: pairs(ratios.unchanged),
      };
      const found = missedTargets(largeChartSection([time]).join('\n'));
      assert.deepEqual(
        found.map((line) => /4\.1\.4, (\w+)/.exec(line)?.[1]),
        missed,
      );
    });
  }
});

describe('the page of the benchmark about following', () => {
  const verdictOf = (incident: string, graceSeconds: number, shown: number, ended: number): VerdictTime => ({
    scenario: { incident, code: 'CrashLoop', kind: 'Deployment', graceSeconds, surroundings: '', shownBy: /x/ },
    runs: [{ shown, ended }],
    helm3: { seconds: 45, end: 'silent' },
    helm4: { seconds: 45, end: 'silent' },
  });

  it('measures a verdict from apply, from the first sign and from the end of the grace', () => {
    const met = verdictTargets([verdictOf('image', 0, 0.5, 1), verdictOf('crash', 45, 2, 48)]);
    assert.deepEqual(
      met.map(({ isMet }) => isMet),
      [true, true, true],
    );
    const missed = verdictTargets([verdictOf('image', 0, 0.5, 3.1), verdictOf('crash', 45, 2, 49.5)]);
    assert.deepEqual(
      missed.map(({ isMet, got }) => [isMet, got]),
      [
        [false, 'image, Deployment 3.10 s'],
        [false, 'image, Deployment 2.60 s'],
        [false, 'crash, Deployment 2.50 s'],
      ],
    );
  });

  const cost = (workloads: number, podsEach: number, lists: number, peakMiB: number): FollowingCost => ({
    size: { workloads, podsEach },
    who: 'RolloutHealthCheck',
    seconds: 1,
    lists,
    pages: 0,
    watches: 4,
    gets: 0,
    bytes: 2 ** 20,
    usage: { peakMiB, cpuSeconds: 1 },
    byKind: {},
    isCapped: false,
  });
  const missedOf = (...costs: FollowingCost[]): string[] =>
    missedTargets(followingSection({ costs, bareNodeMiB: 40 }).join('\n'));

  it('counts requests that grow with the workloads, and too much memory, as misses', () => {
    assert.deepEqual(missedOf(cost(1, 1, 4, 60), cost(50, 1, 5, 70), cost(500, 10, 5, 230)), []);
    assert.match(missedOf(cost(50, 1, 5, 70), cost(500, 10, 55, 80))[0] ?? '', /5 lists, .*; 55 lists/);
    assert.match(missedOf(cost(50, 1, 5, 70), cost(500, 10, 5, 231))[0] ?? '', /5000 pods.*\(200 MB\)/);
  });

  it('replaces sections that were measured anew and keeps the others', () => {
    const page = '# Page\n\nBy all.\n\n## A\n\nold a\n\n## B\n\nold b\n';
    const fresh = '# Page\n\nBy some.\n\n## B\n\nnew b\n\n## C\n\nnew c\n';
    assert.equal(
      withSections(page, fresh, 'Noted.'),
      '# Page\n\nBy all.\n\n## A\n\nold a\n\n## B\n\nNoted.\n\nnew b\n\n## C\n\nNoted.\n\nnew c\n',
    );
  });
});

describe('the command line of the benchmark', () => {
  it('runs all parts unless some are named', () => {
    assert.deepEqual(benchOptions([])?.parts, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']);
    assert.deepEqual(benchOptions(['--only', 'b, d'])?.parts, ['b', 'd']);
    assert.equal(benchOptions(['--only', 'b', '--runs', '3'])?.commandLine, 'npm run bench -- --only b --runs 3');
    assert.equal(benchOptions(['--help']), undefined);
  });

  it('names mistakes', () => {
    for (const [args, message] of [
      [['--only', 'a,x'], /"x" is none of a, b, c, d, e, f, g/],
      [['--runs', '0'], /--runs is "0"/],
      [['--workloads', '7'], /--workloads is "7"/],
      [['--nope'], /--nope/],
    ] as const) {
      assert.throws(
        () => benchOptions(args),
        (error) => error instanceof UsageError && message.test(error.message),
      );
    }
  });
});
