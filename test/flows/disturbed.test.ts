import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TaskError } from '../../tasks/common/core/failure';
import { sinceUninstall, unhealthyLabel, verifiedLabel } from '../../tasks/common/core/release/history';
import type { Revision, RevisionStatus } from '../../tasks/common/core/release/release';
import type { DeployReport } from '../../tasks/common/core/report/report';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import type { Disturbance } from '../support/fakes/disturbance';
import {
  chart,
  configMap,
  deployment,
  hook,
  liveObject,
  revision,
  scene,
  told,
  type Scene,
  type Setting,
} from '../support/fakes/scene';

const v1 = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const v2 = chart('2.0.0', [configMap('settings', { a: '2' }), deployment('web', 'better')]);
const broken = chart('2.0.0', [
  configMap('extra'),
  configMap('settings'),
  deployment('web', 'broken', { nodeSelector: { none: 'z' } }),
]);
const installed = { history: [revision(1, 'deployed', v1)], live: v1.objects };
const verified = { labels: { [verifiedLabel]: '1' } };
const bothMarks = { labels: { [verifiedLabel]: '1', [unhealthyLabel]: '2' } };
const afterFailure = {
  history: [revision(1, 'deployed', v1, verified), revision(2, 'failed', broken, bothMarks)],
  live: broken.objects,
};

/** Each story ends as its name says when nothing disturbs it. */
const stories: readonly (readonly [name: string, setting: Setting])[] = [
  ['a first install', { chart: v1 }],
  ['a good upgrade', { ...installed, chart: v2 }],
  ['a broken upgrade', { ...installed, chart: broken }],
  ['a broken upgrade that is kept', { ...installed, chart: broken, request: { onFailure: 'keep' } }],
  ['a broken first install', { chart: broken }],
  ['a good upgrade after a failed one', { ...afterFailure, chart: v2 }],
  ['a broken upgrade after a failed one', { ...afterFailure, chart: broken }],
  [
    'a refusing hook after a failed one',
    {
      ...afterFailure,
      chart: { ...v2, hooks: [hook('migrate', 'pre-upgrade')] },
      helm: { upgradeTrouble: 'pre hook' },
    },
  ],
  ['an upgrade killed half way', { ...installed, chart: v2, helm: { upgradeTrouble: 'killed half way' } }],
  ['a good upgrade with hooks at its end', { ...installed, chart: { ...v2, hooks: [hook('test', 'post-upgrade')] } }],
  [
    'a broken upgrade with hooks at its end',
    { ...installed, chart: { ...broken, hooks: [hook('test', 'post-upgrade')] } },
  ],
  ['a rollback that fails', { ...installed, chart: broken, helm: { rollbackTrouble: 'half way' } }],
];

const errors = {
  ClusterUnreachable: () => new TaskError('ClusterUnreachable', 'The server did not answer (injected).'),
  Conflict: () => new TaskError('Conflict', 'Somebody was faster (injected).'),
  PermissionDenied: () => new TaskError('PermissionDenied', 'You may not (injected).'),
  'a fault of ours': () => new TypeError('x is not a function (injected)'),
};

interface Told {
  on: Scene;
  report: DeployReport;
}

async function run(setting: Setting, disturbance?: Disturbance): Promise<Told> {
  const on = await scene({ ...setting, disturbance });
  return { on, report: await deploy(on.context) };
}

/** Runs the story once for each port call that it makes undisturbed. */
async function atEveryCall(
  setting: Setting,
  how: Omit<Disturbance, 'at'>,
  check: (one: Told, undisturbed: Told, where: string) => void,
): Promise<void> {
  const undisturbed = await run(setting);
  const wrong: string[] = [];
  for (let at = 1; at <= undisturbed.on.calls.length; at++) {
    const one = await run(setting, { ...how, at });
    const where = `call ${at}, ${undisturbed.on.calls[at - 1] ?? ''}: ${one.report.outcome}, ${one.report.reason}, ${one.report.message} [${told(one.on.storage.records)}]`;
    try {
      check(one, undisturbed, where);
    } catch (error) {
      wrong.push(String(error));
    }
  }
  assert.equal(wrong.length, 0, wrong.join('\n'));
}

/** Checks that «deployed» means that the live objects are those of the chart. */
function checkTruth({ on, report }: Told, setting: Setting, where: string): void {
  const last = on.storage.records.at(-1);
  if (report.outcome === 'rolledBack' && last !== undefined) {
    assert.equal(last.status, 'deployed', where);
  }
  if (report.outcome !== 'deployed') return;
  assert.equal(last?.status, 'deployed', where);
  for (const object of setting.chart.objects) {
    const live = liveObject(on.cluster, object);
    assert.ok(live !== undefined, where);
    assert.deepEqual(live['spec'], object['spec'], where);
  }
}

/** No record looks like another revision, and none is superseded unless a later revision replaced it. */
function checkRecords({ on }: Told, setting: Setting, where: string): void {
  const { records } = on.storage;
  for (const before of setting.history ?? []) {
    const now = records.find((one) => one.revision === before.revision);
    if (now === undefined) continue;
    assert.equal(now.manifest, before.manifest, `the manifest of revision ${before.revision} at ${where}`);
    assert.deepEqual(now.config, before.config, where);
    if (before.status === 'failed') assert.equal(now.status, 'failed', where);
  }
  const before = setting.history?.find(({ status }) => status === 'deployed');
  const now = records.find((one) => one.revision === before?.revision);
  if (now?.status === 'superseded') assert.ok(on.helm.hasDeployed(), `superseded by nothing at ${where}`);
  assert.ok(records.filter(({ status }) => status === 'deployed').length <= 1, where);
}

/** Counts the runs of Helm that change something, up to that call. */
function startedBefore(on: Scene, calls: number): number {
  return on.calls.slice(0, calls).filter((name) => /^helm\.(upgrade|rollback|uninstall)$/.test(name)).length;
}

function isPending({ status }: Revision): boolean {
  return status.startsWith('pending') || status === 'uninstalling';
}

/** The error of this run is reported, and the earlier error is reported with it. */
function checkMessage({ on, report }: Told, undisturbed: Told, where: string): void {
  if (report.outcome === undisturbed.report.outcome && report.reason === undisturbed.report.reason) return;
  assert.match(report.message, /injected/, where);
  const said = on.agent.lines.find((line) => !line.startsWith(' ') && line.includes(`(${undisturbed.report.reason})`));
  if (undisturbed.report.reason === '' || said === undefined) return;
  assert.equal(report.reason, undisturbed.report.reason, `the first reason at ${where}`);
}

const alsoWithOtherErrors = new Set(['a broken upgrade', 'a good upgrade after a failed one']);

describe('a disturbed deploy', function () {
  this.timeout(60_000);
  for (const [name, setting] of stories) {
    for (const [word, error] of Object.entries(errors)) {
      if (word !== 'ClusterUnreachable' && !alsoWithOtherErrors.has(name)) continue;
      it(`${name}: each port call in turn fails once with ${word}`, async () => {
        await atEveryCall(setting, { how: 'fails', error }, (one, undisturbed, where) => {
          checkTruth(one, setting, where);
          checkRecords(one, setting, where);
          checkMessage(one, undisturbed, where);
          assert.equal(one.on.agent.depth(), 0, where);
          assert.ok(!one.on.storage.records.some(isPending), `nothing pending at ${where}`);
        });
      });
    }

    it(`${name}: each answer in turn is lost`, async () => {
      await atEveryCall(setting, { how: 'answer lost' }, (one, undisturbed, where) => {
        checkTruth(one, setting, where);
        checkRecords(one, setting, where);
        checkMessage(one, undisturbed, where);
      });
    });

    it(`${name}: the cluster is away from each call on`, async () => {
      await atEveryCall(setting, { how: 'fails', forEver: true }, (one, undisturbed, where) => {
        checkTruth(one, setting, where);
        checkMessage(one, undisturbed, where);
      });
    });

    it(`${name}: cancelled at each call`, async () => {
      await atEveryCall(setting, { how: 'cancel' }, (one, undisturbed, where) => {
        checkTruth(one, setting, where);
        checkRecords(one, setting, where);
        const { report, on } = one;
        const after = on.cancelledAt ?? assert.fail(where);
        assert.ok(!on.storage.records.some(isPending), `nothing pending at ${where}`);
        assert.ok(on.time.elapsed() - after.elapsed <= 5000, `${on.time.elapsed() - after.elapsed} ms after ${where}`);
        const calls = on.calls.slice(after.calls);
        assert.ok(calls.length <= 15, `${calls.length} calls after ${where}: ${calls.join(' ')}`);
        const begun = on.helm.runs.length;
        assert.ok(startedBefore(on, after.calls) === begun, `Helm was started after ${where}`);
        if (report.outcome !== 'cancelled') assert.equal(report.outcome, undisturbed.report.outcome, where);
      });
    });
  }

  const anyHistory = fc
    .array(
      fc.record({
        status: fc.constantFrom<RevisionStatus>('deployed', 'superseded', 'failed', 'uninstalled'),
        of: fc.constantFrom(v1, v2, broken),
        marks: fc.constantFrom('', 'verified', 'unhealthy', 'inherited'),
      }),
      { maxLength: 4 },
    )
    .map((rows) =>
      rows.map(({ status, of, marks }, index) => {
        const number = String(marks === 'inherited' ? index : index + 1);
        const label = marks === 'unhealthy' ? unhealthyLabel : verifiedLabel;
        // Helm keeps only the newest deployed revision as deployed, and none of an uninstalled release.
        const isOld = rows.slice(index + 1).some((later) => ['deployed', 'uninstalled'].includes(later.status));
        const now = status === 'deployed' && isOld ? 'superseded' : status;
        return revision(index + 1, now, of, marks === '' ? {} : { labels: { [label]: number } });
      }),
    );
  const anySetting = fc.record({
    history: anyHistory,
    isLive: fc.boolean(),
    wanted: fc.constantFrom(v1, v2, broken),
    trouble: fc.constantFrom(undefined, 'pre hook' as const, 'half way' as const, 'killed half way' as const),
    onFailure: fc.constantFrom('rollback' as const, 'keep' as const),
    historyMax: fc.constantFrom(10, 2),
  });
  const anyDisturbance = fc.option(
    fc.record({
      at: fc.integer({ min: 1, max: 45 }),
      how: fc.constantFrom('fails' as const, 'answer lost' as const, 'cancel' as const),
    }),
    { nil: undefined },
  );

  it('with any history, trouble and moment the deploy ends, and its report and the records are true', async () => {
    await fc.assert(
      fc.asyncProperty(anySetting, anyDisturbance, async (any, disturbance) => {
        const last = any.history.at(-1)?.status;
        const isThere = any.isLive && last !== undefined && last !== 'uninstalled';
        const setting: Setting = {
          history: any.history,
          live: isThere ? broken.objects : [],
          chart: {
            ...any.wanted,
            hooks: any.trouble === 'pre hook' ? [hook('migrate', 'pre-install', 'pre-upgrade')] : [],
          },
          helm: { upgradeTrouble: any.trouble },
          request: { onFailure: any.onFailure, historyMax: any.historyMax },
        };
        const one = await run(setting, disturbance);
        const where = `${one.report.outcome}, ${one.report.message} [${told(any.history)}] to [${told(one.on.storage.records)}]`;
        checkTruth(one, setting, where);
        checkRecords(one, setting, where);
        assert.equal(one.on.agent.depth(), 0, where);
        assert.ok(!one.on.storage.records.some(isPending), where);
        const wasEverDeployed = sinceUninstall(any.history).some(({ status }) => status !== 'failed');
        assert.ok(!(wasEverDeployed && one.on.helm.runs.includes('uninstall')), `uninstalled: ${where}`);
        if (one.report.outcome === 'rolledBack')
          assert.ok(
            one.on.helm.runs.some((text) => /^rollback/.test(text)),
            where,
          );
      }),
      { numRuns: 150 },
    );
  });
});
