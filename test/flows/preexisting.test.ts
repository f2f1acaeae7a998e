import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import { verifiedLabel } from '../../tasks/common/core/release/history';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { assertAsBefore, broken, byHand, good, helm, served, settings, works } from '../support/fakes/adoption';
import { manifestOf } from '../support/fakes/fakeHelm';
import { a, bad } from '../support/fakes/plays';
import { chart, configMap, deployment, liveObject, owned, revision, scene, told } from '../support/fakes/scene';
import { stage } from '../support/fakes/stage';

describe('a deploy and pre-existing objects', () => {
  it('an object that a failing first install adopts stays, is restored and is named', async () => {
    const on = await scene({ chart: broken, foreign: byHand, helm });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assertAsBefore(on.cluster);
    assert.equal(liveObject(on.cluster, configMap('extra')), undefined);
    assert.equal(on.storage.records.length, 0);
    assert.equal(on.storage.kept.size, 0);
    const log = on.agent.lines.join('\n');
    assert.match(log, /2 objects of the chart exist already/);
    assert.match(log, /Secret\/password in namespace prod: it belongs to no Helm release/);
    assert.match(log, /Secret\/password in namespace prod was restored to its state before the deploy/);
    assert.doesNotMatch(log, /b25jZQ|Y2hhcnQ/);
  });

  it('an object labelled by hand, so that Helm adopts it unasked, is restored and keeps its labels', async () => {
    const marked = byHand.map((object) => owned(object));
    const on = await scene({ chart: broken, foreign: marked });
    assert.equal((await deploy(on.context)).outcome, 'failed');
    assertAsBefore(on.cluster, marked);
  });

  it('an object that an upgrade adopts is restored when the upgrade is rolled back', async () => {
    const on = await scene({ ...served, chart: broken, foreign: byHand, helm });
    assert.equal((await deploy(on.context)).outcome, 'rolledBack');
    assertAsBefore(on.cluster);
    assert.equal(liveObject(on.cluster, configMap('extra')), undefined);
    assert.equal(on.storage.kept.size, 0);
  });

  it('an object that a deploy adopts belongs to the release once the deploy is healthy', async () => {
    const on = await scene({ ...served, chart: works, foreign: byHand, helm });
    assert.equal((await deploy(on.context)).outcome, 'deployed');
    assert.deepEqual(liveObject(on.cluster, settings)?.['data'], { text: 'chart', mine: '1' });
    assert.equal(on.storage.kept.size, 0);
  });

  it('a deploy that adopts no object keeps no copy', async () => {
    const on = await scene({ ...served, chart: chart('2.0.0', [configMap('own'), deployment('web', 'better')]) });
    assert.equal((await deploy(on.context)).outcome, 'deployed');
    assert.ok(!on.calls.includes('storage.keepObjects'));
    assert.ok(!on.calls.includes('storage.dropObjects'));
  });

  it('an adopted object is restored when Helm ends in the middle of its objects', async () => {
    const on = await scene({ chart: broken, foreign: byHand, helm: { ...helm, upgradeTrouble: 'half way' } });
    assert.equal((await deploy(on.context)).outcome, 'failed');
    assertAsBefore(on.cluster);
  });

  it('onFailure: keep leaves an adopted object as Helm made it, and no later removal deletes it', async () => {
    const on = await stage({ ...served, foreign: byHand });
    const kept = await on.deploy({ job: '1', chart: broken, helm, request: { onFailure: 'keep' } });
    assert.equal(kept.report?.outcome, 'failed');
    assert.equal(on.storage.kept.size, 0);
    assert.deepEqual(liveObject(on.cluster, settings)?.['data'], { text: 'chart', mine: '1' });
    const next = await on.deploy({ job: '2', chart: good, helm });
    assert.equal(next.report?.outcome, 'deployed');
    assert.equal(liveObject(on.cluster, configMap('extra')), undefined);
    for (const object of byHand) assert.ok(liveObject(on.cluster, object));
    assert.match(
      next.agent.lines.join('\n'),
      /ConfigMap\/settings is no longer declared, but stays: it existed before revision 2/,
    );
  });

  it('a failed revision that made an object is not pruned while later failed ones declare it, so the object goes', async () => {
    const history = [revision(1, 'deployed', a, { labels: { [verifiedLabel]: '1' } })];
    const on = await stage({ history, live: a.objects });
    const request = { historyMax: 2, onFailure: 'keep' } as const;
    for (const job of ['1', '2', '3']) {
      const failed = await on.deploy({ job, chart: bad, request });
      assert.equal(failed.report?.outcome, 'failed');
    }
    assert.ok(liveObject(on.cluster, configMap('extra')));
    const next = await on.deploy({ job: '4', chart: a, request });
    assert.equal(next.report?.outcome, 'deployed');
    assert.equal(liveObject(on.cluster, configMap('extra')), undefined, told(on.storage.records));
  });

  it('an object that a failed install of plain Helm adopted is not removed when the task removes that install', async () => {
    const setting = { history: [revision(1, 'failed', broken, { createdAt: new Date('2026-01-01T00:00:03Z') })] };
    const on = await scene({ ...setting, chart: broken, foreign: byHand.map((object) => owned(object)), helm });
    assert.equal((await deploy(on.context)).outcome, 'failed');
    for (const object of byHand) assert.ok(liveObject(on.cluster, object));
  });

  it('a Job with the name of a hook that Helm did not reach is not ended', async () => {
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'migrate' }, spec: { template: {} } };
    const hook = { name: 'migrate', kind: 'Job', events: ['pre-install'], lastPhase: '', manifest: manifestOf([job]) };
    const dead = revision(
      1,
      'pending-install',
      { ...broken, hooks: [hook] },
      { createdAt: new Date('2026-01-01T00:00:03Z') },
    );
    const running = { ...job, spec: { template: { spec: { containers: [{ image: 'x:slow' }] } } } };
    const on = await scene({
      history: [dead],
      foreign: [running],
      chart: good,
      request: { assumeAbandonedAfterSeconds: 0, recreateFailedInstall: false },
    });
    const live = liveObject(on.cluster, job);
    assert.ok(live);
    await deploy(on.context);
    assert.equal(liveObject(on.cluster, job)?.metadata.uid, live.metadata.uid);
  });

  it('without the right to keep a copy in a Secret, the deploy goes on, logs this and restores from memory', async () => {
    const on = await scene({ chart: broken, foreign: byHand, helm });
    const refused = () => Promise.reject(new TaskError('PermissionDenied', 'You may not write Secrets.'));
    on.context.storage.keepObjects = refused;
    on.context.storage.keptObjects = refused;
    on.context.storage.dropObjects = refused;
    assert.equal((await deploy(on.context)).outcome, 'failed');
    assertAsBefore(on.cluster);
    assert.match(
      on.agent.lines.join('\n'),
      /Not kept in the cluster: Secret\/password in namespace prod, ConfigMap\/settings in namespace prod \(You may not write Secrets\)/,
    );
  });

  it('an object that may not be read is named, and the deploy goes on', async () => {
    const on = await scene({ ...served, chart: works });
    on.cluster.unreadable.add('Secret');
    await deploy(on.context);
    assert.match(on.agent.lines.join('\n'), /not known whether Secret\/password exists already/);
  });

  it('an object that cannot be restored is named, its copy is kept, and the next run tries again', async () => {
    const on = await stage({ ...served, foreign: byHand });
    const patch = on.cluster.patch.bind(on.cluster);
    on.cluster.patch = (ref, ...more) =>
      ref.name === 'settings'
        ? Promise.reject(new TaskError('ApplyRejected', 'A webhook says no.'))
        : patch(ref, ...more);
    const first = await on.deploy({ job: '1', chart: broken, helm });
    assert.equal(first.report?.outcome, 'rolledBack');
    assert.match(
      first.agent.warnings.join('\n'),
      /ConfigMap\/settings in namespace prod could not be restored .*A webhook says no\..*Secret\/helm-safe-deploy\.preexisting\.shop/,
    );
    assert.equal(on.storage.kept.size, 2);
    on.cluster.patch = patch;
    const next = await on.deploy({ job: '2', chart: good, helm });
    assert.equal(next.report?.outcome, 'unchanged');
    assertAsBefore(on.cluster);
    assert.equal(on.storage.kept.size, 0);
  });
});
