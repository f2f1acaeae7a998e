import assert from 'node:assert/strict';
import { verifiedLabel } from '../../tasks/common/core/release/history';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { chart, claim, configMap, deployment, live, revision, scene, told } from '../support/fakes/scene';
import { stage } from '../support/fakes/stage';

const web = deployment('web', 'good');
const withData = chart('1.0.0', [claim('data'), web]);
const without = chart('2.0.0', [configMap('settings'), web]);
const broken = chart('3.0.0', [deployment('web', 'broken')]);
const verified = { [verifiedLabel]: '1' };
const setting = { history: [revision(1, 'deployed', withData, { labels: verified })], live: withData.objects };
const major = (of: 3 | 4) => ({ helm: { major: of } });

for (const of of [3, 4] as const) {
  describe(`data that the chart no longer declares, with Helm ${of}`, () => {
    it('a failed deploy deletes none of it', async () => {
      const on = await scene({ ...setting, ...major(of), chart: broken });
      const before = live(on.cluster);
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'rolledBack', report.message);
      assert.deepEqual(live(on.cluster), before);
      assert.match(on.agent.lines.join('\n'), /no longer declares PersistentVolumeClaim\/data\. Helm is kept from/);
    });

    it('a good deploy keeps it and names it, and the record of the earlier revision is as before', async () => {
      const on = await scene({ ...setting, ...major(of), chart: without });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'deployed', report.message);
      assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web', 'PersistentVolumeClaim/data']);
      assert.deepEqual(report.leftovers, [
        { kind: 'PersistentVolumeClaim', name: 'data', keptBecause: 'it may hold data; deleteData: true deletes it' },
      ]);
      assert.equal(on.storage.records[0]?.manifest, setting.history[0]?.manifest);
      assert.equal(told(on.storage.records), '1 superseded+verified, 2 deployed+verified');
    });

    it('a good deploy with deleteData deletes it after the new revision is verified', async () => {
      const on = await scene({ ...setting, ...major(of), chart: without, request: { deleteData: true } });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'deployed', report.message);
      assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web']);
      assert.deepEqual(report.leftovers, [{ kind: 'PersistentVolumeClaim', name: 'data', keptBecause: '' }]);
    });
  });
}

describe('data that an earlier deploy has kept', () => {
  it('is found and deleted by a later deploy with deleteData, even if nothing else changes', async () => {
    const on = await stage(setting);
    for (const job of ['1', '2']) await on.deploy({ job, chart: without });
    assert.ok(live(on.cluster).includes('PersistentVolumeClaim/data'));
    const last = await on.deploy({ job: '3', chart: without, request: { deleteData: true } });
    assert.equal(last.report?.outcome, 'unchanged');
    assert.deepEqual(
      live(on.cluster).filter((name) => !name.startsWith('Lease/')),
      ['ConfigMap/settings', 'Deployment/web'],
    );
  });

  it('a deploy that fails with deleteData deletes none of it', async () => {
    const on = await stage(setting);
    await on.deploy({ job: '1', chart: without });
    const failed = await on.deploy({ job: '2', chart: broken, request: { deleteData: true } });
    assert.equal(failed.report?.outcome, 'rolledBack');
    assert.ok(live(on.cluster).includes('PersistentVolumeClaim/data'));
  });
});
