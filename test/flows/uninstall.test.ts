import assert from 'node:assert/strict';
import { editedLabel, verifiedLabel } from '../../tasks/common/core/release/history';
import type { UninstallRequest } from '../../tasks/common/core/inputs/uninstallRequest';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { resumeUninstall, uninstallRelease } from '../../tasks/common/flows/removal/uninstallRelease';
import { manifestOf } from '../support/fakes/fakeHelm';
import { assertReport } from '../support/reportSchema';
import {
  chart,
  claim,
  configMap,
  deployment,
  inNamespace,
  live,
  namespace,
  owned,
  plainRequest,
  release,
  revision,
  scene,
  told,
  type Setting,
} from '../support/fakes/scene';

const asked: UninstallRequest = {
  ...plainRequest,
  timeoutSeconds: 60,
  keepHistory: false,
  deleteNamespace: false,
  deleteData: false,
};

const kept: KubeObject = {
  ...configMap('kept'),
  metadata: { name: 'kept', annotations: { 'helm.sh/resource-policy': 'keep' } },
};
const set: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'db' },
  spec: {
    replicas: 1,
    volumeClaimTemplates: [{ metadata: { name: 'data' } }],
    template: deployment('db', 'good')['spec'],
  },
};
const plain = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const verified = { labels: { [verifiedLabel]: '1' } };
const installed = { chart: plain, history: [revision(1, 'deployed', plain, verified)], live: plain.objects };

const play = async (setting: Setting, request: Partial<UninstallRequest> = {}) => {
  const on = await scene(setting);
  const run = async (more: Partial<UninstallRequest> = {}) => {
    const report = await uninstallRelease({ ...on.context, request: { ...asked, ...request, ...more } });
    assertReport(report);
    return report;
  };
  const report = await run();
  return { on, report, run, log: on.agent.lines.join('\n'), told: () => told(on.storage.records) };
};

const fates = (report: Awaited<ReturnType<typeof uninstallRelease>>) =>
  (report.removals ?? []).map(({ kind, name, fate }) => `${fate} ${kind}/${name}`);

describe('the uninstall of a release', () => {
  it('everything is shown first, goes, and is followed until its pods are gone', async () => {
    const { on, report, log, told } = await play(installed);
    assert.equal(report.outcome, 'uninstalled', report.message);
    assert.deepEqual(fates(report), ['deleted ConfigMap/settings', 'deleted Deployment/web']);
    assert.match(log, /deletes Deployment\/web[^]*Helm succeeded[^]*is uninstalled: 2 objects are gone/);
    assert.deepEqual(live(on.cluster), []);
    assert.equal(
      [...on.cluster.objects.values()].some(({ kind }) => kind === 'Pod'),
      false,
    );
    assert.equal(told(), '');
    assert.deepEqual([report.servingRevision, report.revision, report.reason], [null, null, '']);
  });

  it('a release that does not exist is no failure, and the log says so', async () => {
    const { report, log } = await play({ chart: plain });
    assert.deepEqual([report.outcome, report.reason], ['unchanged', '']);
    assert.match(log, /There is no release shop in namespace prod/);
  });

  for (const deleteData of [false, true]) {
    it(`deleteData ${String(deleteData)}: data is ${deleteData ? 'deleted' : 'kept and named'}`, async () => {
      const data = chart('1.0.0', [claim('uploads'), set, kept, configMap('settings')]);
      const setting = { chart: data, history: [revision(1, 'deployed', data, verified)], live: data.objects };
      const foreign = [claim('data-db-0'), claim('data-other-0')];
      const { on, report, log, told } = await play({ ...setting, foreign }, { deleteData });
      assert.equal(report.outcome, 'uninstalled', report.message);
      const left = ['ConfigMap/kept', 'PersistentVolumeClaim/data-other-0'];
      const dataLeft = ['PersistentVolumeClaim/data-db-0', 'PersistentVolumeClaim/uploads'];
      assert.deepEqual(live(on.cluster), [...left, ...(deleteData ? [] : dataLeft)].sort());
      assert.match(log, /keeps {3}ConfigMap\/kept: its resource policy is keep/);
      if (!deleteData) assert.match(log, /keeps {3}PersistentVolumeClaim\/data-db-0: .*deleteData: true deletes it/);
      assert.equal(told(), '');
      assert.deepEqual([...on.storage.copies], []);
    });
  }

  it('objects of another release, and a live keep policy that Helm would not see, stay', async () => {
    const setting: Setting = { ...installed, live: [deployment('web', 'good')] };
    const foreign = owned(configMap('settings'), 'other');
    const { on, log } = await play({ ...setting, foreign: [foreign] });
    assert.deepEqual(live(on.cluster), ['ConfigMap/settings']);
    assert.match(log, /keeps {3}ConfigMap\/settings: it belongs to release other/);
  });

  it('keepHistory leaves the record as it was but for its status, and the next run finds nothing to do', async () => {
    const data = chart('1.0.0', [claim('uploads'), configMap('settings')]);
    const setting = { chart: data, history: [revision(1, 'deployed', data, verified)], live: data.objects };
    const { on, report, run, told } = await play(setting, { keepHistory: true });
    assert.equal(report.outcome, 'uninstalled');
    assert.equal(told(), '1 uninstalled+verified');
    assert.equal(on.storage.records[0]?.manifest, manifestOf(data.objects));
    assert.equal(on.storage.records[0].labels[editedLabel], undefined);
    assert.equal((await run()).outcome, 'unchanged');
    assert.equal((await run({ keepHistory: false })).outcome, 'uninstalled');
    assert.equal(told(), '');
  });

  it('objects that only a failed revision made go too', async () => {
    const v2 = chart('2.0.0', [configMap('settings'), configMap('new')]);
    const history = [revision(1, 'deployed', plain, verified), revision(2, 'failed', v2)];
    const { on, told } = await play({ chart: v2, history, live: [...plain.objects, configMap('new')] });
    assert.deepEqual(live(on.cluster), []);
    assert.equal(told(), '');
  });

  it('an object that hangs is named with its finalizer, and the next run goes on', async () => {
    const on = await scene(installed);
    const key = objectKey(refOf(inNamespace(configMap('settings'))));
    const take = on.cluster.take.bind(on.cluster);
    // The API server keeps an object with a finalizer.
    on.cluster.take = (taken) => {
      const object = on.cluster.objects.get(taken);
      if (taken !== key || object === undefined) {
        take(taken);
        return;
      }
      const metadata = {
        ...object.metadata,
        deletionTimestamp: '2026-01-01T00:00:09Z',
        finalizers: ['example.org/never'],
      };
      on.cluster.objects.set(taken, { ...object, metadata });
    };
    const report = await uninstallRelease({ ...on.context, request: asked });
    assert.deepEqual(
      [report.outcome, report.reason, report.failedWorkload],
      ['failed', 'TimedOut', 'ConfigMap/settings'],
    );
    assert.match(
      report.message,
      /ConfigMap\/settings \(being deleted since 00:00:09 UTC; finalizer example\.org\/never\)/,
    );
    assert.match(report.advice, /finalizer/);
    assert.equal(told(on.storage.records), '1 uninstalled+verified');
    on.cluster.objects.delete(key);
    const next = await uninstallRelease({ ...on.context, request: asked });
    assert.equal(next.outcome, 'uninstalled', next.message);
    assert.equal(told(on.storage.records), '');
    assert.deepEqual(on.helm.runs, ['uninstall']);
  });

  it('a pre-delete hook that fails leaves everything, marked failed, and a deploy restores it', async () => {
    const { on, report, told } = await play({ ...installed, helm: { uninstallTrouble: 'at the start' } });
    assert.deepEqual([report.outcome, report.reason], ['failed', 'HookFailed']);
    assert.equal(told(), '1 failed+verified');
    assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web']);
    assert.equal((await deploy(on.context)).outcome, 'deployed');
  });

  for (const onInterrupted of ['rollback', 'keep'] as const) {
    it(`killed half way, onInterrupted ${onInterrupted}: ${onInterrupted === 'keep' ? 'the next run' : 'the post-job phase'} ends it`, async () => {
      const history = [revision(1, 'uninstalling', plain, verified)];
      const on = await scene({ chart: plain, history, live: [deployment('web', 'good')] });
      const left = { release, namespace, revision: 1, action: 'uninstall', process: 'x' } as const;
      const context = { ...on.context, request: { ...asked, onInterrupted } };
      const ended = { isHelmStopped: true, isProcessGone: () => true };
      const resumed = await resumeUninstall({ ...context, ...ended }, left);
      assert.equal(resumed.outcome, onInterrupted === 'keep' ? 'cancelled' : 'uninstalled', resumed.message);
      const next = await uninstallRelease(context);
      assert.equal(next.outcome, onInterrupted === 'keep' ? 'uninstalled' : 'unchanged', next.message);
      assert.deepEqual(live(on.cluster), []);
      assert.equal(told(on.storage.records), '');
    });
  }

  it('a release that another program is uninstalling is refused, and one that it left long ago is not', async () => {
    for (const [ageMinutes, outcome] of [
      [1, 'refused'],
      [30, 'uninstalled'],
    ] as const) {
      const on = await scene(installed);
      const writtenAt = new Date(on.time.now().getTime() - ageMinutes * 60_000);
      on.storage.records = [revision(1, 'uninstalling', plain, { writtenAt })];
      assert.equal((await uninstallRelease({ ...on.context, request: asked })).outcome, outcome);
    }
  });

  describe('deleteNamespace', () => {
    const place = objectKey({ apiVersion: 'v1', kind: 'Namespace', name: namespace });

    it('the namespace goes when nothing else is in it, also that of a release that is gone', async () => {
      const usual = [configMap('kube-root-ca.crt')];
      for (const setting of [installed, { chart: plain }]) {
        const { on, report } = await play({ ...setting, foreign: usual }, { deleteNamespace: true });
        assert.equal(report.outcome, 'uninstalled', report.message);
        assert.match(report.message, /Namespace prod is gone\.$/);
        assert.equal(on.cluster.objects.has(place), false);
      }
    });

    it('it stays, and what it holds is named, when something of others or data is in it', async () => {
      for (const other of [configMap('others'), claim('data')]) {
        const { on, report } = await play({ ...installed, foreign: [other] }, { deleteNamespace: true });
        assert.equal(report.outcome, 'uninstalled');
        assert.match(
          report.message,
          new RegExp(`Namespace prod stays: it also holds ${other.kind}/${other.metadata.name}\\.`),
        );
        assert.equal(on.cluster.objects.has(place), true);
        assert.equal(told(on.storage.records), '');
      }
    });

    it('it stays when a kind cannot be read', async () => {
      const on = await scene(installed);
      on.context.cluster.namespacedKinds = () => Promise.resolve(undefined);
      const report = await uninstallRelease({ ...on.context, request: { ...asked, deleteNamespace: true } });
      assert.match(report.message, /Namespace prod stays: not all kinds/);
    });
  });
});
