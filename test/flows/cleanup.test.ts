import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import type { DeployRequest } from '../../tasks/common/core/inputs/deployRequest';
import { verifiedLabel } from '../../tasks/common/core/release/history';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import {
  chart,
  claim,
  configMap,
  deployment,
  live,
  revision,
  scene,
  told,
  type Scene,
  type Setting,
} from '../support/fakes/scene';

const v1 = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const bad = chart('2.0.0', [configMap('settings'), configMap('extra'), claim('data'), deployment('web', 'broken')]);
const verified = { labels: { [verifiedLabel]: '1' } };
const installed: Pick<Setting, 'history' | 'live'> = {
  history: [revision(1, 'deployed', v1, verified)],
  live: v1.objects,
};
const keep: Partial<DeployRequest> = { onFailure: 'keep' };
const cleaning: Partial<DeployRequest> = { cleanupOnFail: true };
const looking: Partial<DeployRequest> = { drift: { mode: 'report', rules: [] } };

async function play(setting: Setting, disturb?: (on: Scene) => void) {
  const on = await scene(setting);
  disturb?.(on);
  const report = await deploy(on.context);
  return { on, report, log: on.agent.lines.join('\n'), live: live(on.cluster) };
}

describe('a failed upgrade that is kept', () => {
  const setting: Setting = { ...installed, chart: bad };

  it('its new objects are removed, but none that may hold data', async () => {
    const { on, report, log, live } = await play({ ...setting, request: { ...keep, ...cleaning } });
    assert.equal(report.outcome, 'failed');
    assert.deepEqual(live, ['ConfigMap/settings', 'Deployment/web', 'PersistentVolumeClaim/data']);
    assert.deepEqual(report.leftovers, [
      { kind: 'ConfigMap', name: 'extra', keptBecause: '' },
      { kind: 'PersistentVolumeClaim', name: 'data', keptBecause: 'it may hold data' },
    ]);
    assert.match(log, /2 objects are in no revision but failed ones:\n {2}ConfigMap\/extra was removed\./);
    assert.deepEqual(on.helm.runs, ['upgrade']);
  });

  it('without the input they stay', async () => {
    const { report, live } = await play({ ...setting, request: keep });
    assert.ok(live.includes('ConfigMap/extra'));
    assert.deepEqual(report.leftovers, []);
  });

  it('an object that was there before stays', async () => {
    const { live } = await play({
      ...setting,
      foreign: [configMap('extra')],
      helm: { takesOwnership: true },
      request: { ...keep, ...cleaning },
    });
    assert.ok(live.includes('ConfigMap/extra'));
  });

  it('a first install that failed is kept as a whole', async () => {
    const { report, live } = await play({ chart: bad, request: { ...keep, ...cleaning } });
    assert.equal(report.outcome, 'failed');
    assert.ok(live.includes('ConfigMap/extra') && live.includes('Deployment/web'));
  });

  it('a removal that is refused is told, and the failure stays the reason', async () => {
    const { report, live } = await play({ ...setting, request: { ...keep, ...cleaning } }, (on) => {
      const { cluster } = on.context;
      const refused = new TaskError('PermissionDenied', 'You may not delete.');
      on.context.cluster = { ...cluster, delete: () => Promise.reject(refused) };
    });
    assert.equal(report.reason, 'ImageInvalidName');
    assert.ok(live.includes('ConfigMap/extra'));
    assert.equal(report.leftovers[0]?.keptBecause, 'it could not be deleted (You may not delete.)');
  });

  it('an error of the cluster while the leftovers are read hides no failure', async () => {
    const { report, log } = await play({ ...setting, request: { ...keep, ...cleaning } }, (on) => {
      const { cluster } = on.context;
      const away = new TaskError('PermissionDenied', 'You may not read.');
      on.context.cluster = {
        ...cluster,
        get: (ref, options) => (ref.name === 'extra' ? Promise.reject(away) : cluster.get(ref, options)),
      };
    });
    assert.deepEqual([report.outcome, report.reason], ['failed', 'ImageInvalidName']);
    assert.match(log, /What failed revisions have left could not be read or removed: You may not read/);
  });
});

describe('what older failed revisions have left', () => {
  /** Plain Helm leaves the objects of a failed revision, and calls the revision superseded later. */
  const left: Setting = {
    history: [
      revision(1, 'superseded', v1, verified),
      revision(2, 'superseded', bad, { description: 'Upgrade "shop" failed: context deadline exceeded' }),
      revision(3, 'deployed', v1, { labels: { [verifiedLabel]: '3' } }),
    ],
    live: [...v1.objects, configMap('extra')],
    chart: v1,
  };
  const changed = chart('3.0.0', [configMap('settings', { a: '3' }), deployment('web', 'better')]);

  for (const [what, of, outcome] of [
    ['an unchanged deploy', v1, 'unchanged'],
    ['a deploy', changed, 'deployed'],
  ] as const) {
    it(`${what} that looks for drift lists it`, async () => {
      const { report, live } = await play({ ...left, chart: of, request: looking });
      assert.equal(report.outcome, outcome);
      assert.ok(live.includes('ConfigMap/extra'));
      const keptBecause = 'revision 2, which failed, made it; cleanupOnFail: true removes it';
      assert.deepEqual(report.leftovers, [{ kind: 'ConfigMap', name: 'extra', keptBecause }]);
    });

    it(`${what} removes it on request`, async () => {
      const { report, live } = await play({ ...left, chart: of, request: cleaning });
      assert.equal(report.outcome, outcome);
      assert.deepEqual(live, ['ConfigMap/settings', 'Deployment/web']);
      assert.deepEqual(report.leftovers, [{ kind: 'ConfigMap', name: 'extra', keptBecause: '' }]);
    });
  }

  it('without the inputs nothing is read', async () => {
    const { report, log } = await play(left);
    assert.deepEqual(report.leftovers, []);
    assert.doesNotMatch(log, /failed ones/);
  });

  it('an object that the new chart declares is no leftover', async () => {
    const of = chart('4.0.0', [...v1.objects, configMap('extra')]);
    const { report, live } = await play({ ...left, chart: of, request: cleaning });
    assert.equal(report.outcome, 'deployed');
    assert.ok(live.includes('ConfigMap/extra'));
    assert.deepEqual(report.leftovers, []);
  });

  it('a good revision that fails later leaves nothing', async () => {
    const { on, report } = await play({ ...installed, chart: bad, request: cleaning });
    assert.equal(report.outcome, 'rolledBack');
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
    assert.ok(!live(on.cluster).includes('ConfigMap/extra'));
  });
});
