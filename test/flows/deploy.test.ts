import assert from 'node:assert/strict';
import { brokenLabel, runOf, unhealthyLabel, verifiedLabel } from '../../tasks/common/core/release/history';
import { TaskError } from '../../tasks/common/core/failure';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import { at } from '../../tasks/common/core/kubernetes/read';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { Hook } from '../../tasks/common/core/release/release';
import type { DeployStart } from '../../tasks/common/core/releaseContext';
import { closingOf, outputsOf, summaryOf } from '../../tasks/common/core/report/report';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import {
  chart,
  claim,
  configMap,
  deployment,
  hook,
  inNamespace,
  live,
  liveObject,
  plainRequest,
  revision,
  scene,
  told,
  type Scene,
  type Setting,
} from '../support/fakes/scene';
import { write } from '../support/rollbackScene';

const v1 = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const v2 = chart('2.0.0', [configMap('settings', { a: '2' }), deployment('web', 'better')]);
const broken = chart('2.0.0', [
  configMap('extra'),
  configMap('settings'),
  deployment('web', 'broken', { nodeSelector: { none: 'z' } }),
]);
const verified = { labels: { [verifiedLabel]: '1' } };
const installed = { history: [revision(1, 'deployed', v1)], live: v1.objects };
/** Revision 1 was seen healthy. Revision 2 failed and was left in place. */
const afterFailure = {
  history: [
    revision(1, 'deployed', v1, verified),
    revision(2, 'failed', broken, { labels: { [verifiedLabel]: '1', [unhealthyLabel]: '2' } }),
  ],
  live: broken.objects,
};

const autoscaler = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'web' },
  spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } },
};

const autoscalers = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  namespaced: true,
};

function replicated(object: KubeObject, replicas: number): KubeObject {
  return { ...object, spec: { ...(object['spec'] as object), replicas } };
}

/** As the controller of the autoscaler does it. */
function scale(on: Scene, object: KubeObject, replicas: number): void {
  const fieldsV1 = { 'f:spec': { 'f:replicas': {} } };
  const field = { manager: 'kube-controller-manager', operation: 'Update', subresource: 'scale', fieldsV1 };
  const { metadata, ...rest } = on.cluster.put(replicated(object, replicas));
  const scaled = { ...rest, metadata: { ...metadata, managedFields: [field] } };
  on.cluster.objects.set(objectKey(refOf(scaled)), scaled);
}

describe('a deploy', () => {
  it('a first install that becomes ready is deployed and marked', async () => {
    const on = await scene({ chart: v1 });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed');
    assert.equal(told(on.storage.records), '1 deployed+verified');
    assert.deepEqual(
      [report.revisionBefore, report.revision, report.verifiedRevision, report.servingRevision],
      [null, 1, 1, 1],
    );
    assert.equal(on.agent.depth(), 0);
  });

  it('ambiguous inputs are logged once, and reused values are named outside the groups', async () => {
    const request = { warnings: ['set, line 1: quotes.'], extraArguments: ['--reuse-values'], givenPaths: [['a']] };
    const on = await scene({ ...installed, chart: { ...v2, config: { a: 1, old: { b: 2 } } }, request });
    let depth: number | undefined;
    const log = on.agent.log.bind(on.agent);
    on.context.agent.log = (text) => {
      if (text.startsWith('Helm takes 1 value')) depth = on.agent.depth();
      log(text);
    };
    await deploy(on.context);
    assert.deepEqual(on.agent.warnings, ['set, line 1: quotes.']);
    assert.match(on.agent.lines.join('\n'), /Helm takes 1 value .* \(--reuse-values\): old\.b\./);
    assert.equal(depth, 0);
  });

  it('the report and the log end with the history of the release', async () => {
    const first = revision(1, 'deployed', v1, {
      labels: { [verifiedLabel]: '1', 'helm-safe-deploy/run': '1_4711_20260101.4_web' },
      chartAnnotations: { 'helm-safe-deploy/irreversible': 'drops a column' },
    });
    const on = await scene({ ...installed, history: [first], chart: v2 });
    const { history } = await deploy(on.context);
    assert.deepEqual(
      history?.map(({ revision, verdict, run, irreversible }) => [revision, verdict, run, irreversible]),
      [
        [1, 'verified', 'run 20260101.4 (4711) of pipeline web', 'the chart: drops a column'],
        [2, 'verified', '', ''],
      ],
    );
    assert.equal(on.storage.records.at(-1)?.description, 'upgrade complete (https://dev.example/1)');
    assert.match(
      on.agent.lines.join('\n'),
      /\[History of the release\]\n1 superseded, verified[^]*\n2 deployed, verified/,
    );
  });

  for (const [replicas, warned] of [
    [4, 1],
    [1, 0],
  ] as const) {
    it(`${replicas} replicas that nobody scaled, where the chart declares 1 and has an autoscaler, are ${warned === 1 ? '' : 'not '}warned of`, async () => {
      const scaled = replicated(deployment('web', 'good'), replicas);
      const next = chart('2.0.0', [replicated(deployment('web', 'better'), 1), autoscaler]);
      const on = await scene({ ...installed, live: [configMap('settings'), scaled, autoscaler], chart: next });
      on.cluster.served.set('autoscaling/v2/HorizontalPodAutoscaler', autoscalers);
      await deploy(on.context);
      const words = on.agent.warnings.filter((each) =>
        each.includes('Deployment/web has an autoscaler and 4 replicas'),
      );
      assert.equal(words.length, warned);
    });
  }

  it('an upgrade first marks the serving revision, so that a rollback is possible, and then itself', async () => {
    const on = await scene({ ...installed, chart: v2 });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed');
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 deployed+verified');
  });

  it('a description in which Helm quoted a secret is rewritten, on any revision', async () => {
    const history = [
      revision(1, 'deployed', v1, { ...verified, describesSecret: true }),
      revision(2, 'failed', broken, { describesSecret: true }),
    ];
    const on = await scene({ history, live: broken.objects, chart: v2 });
    await deploy(on.context);
    assert.deepEqual(
      on.storage.records.filter(({ describesSecret }) => describesSecret === true),
      [],
    );
  });

  for (const [word, writes, code] of [
    ['what the target has', [write('deleted', inNamespace(deployment('web', 'good')))], 'DeletesTargetObject'],
    ['what is nobody of the release', [write('deleted', inNamespace(configMap('other')))], 'UnforeseenDeletion'],
    ['data of the failed revision', [write('deleted', inNamespace(claim('data')))], 'DeletesPersistentVolumeClaim'],
  ] as const) {
    it(`a Helm that deletes ${word} in the rehearsal of the rollback never runs the rollback`, async () => {
      const objects = [...broken.objects, claim('data')];
      const on = await scene({ ...installed, chart: chart('2.0.0', objects), rehearsed: writes });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'failed');
      assert.deepEqual(on.helm.runs, ['upgrade']);
      assert.match(report.message, new RegExp(`There is no automatic rollback to revision 1, .*${code}: `));
      assert.deepEqual([report.servingRevision, report.servingHealth], [2, 'unhealthy']);
      assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy');
    });
  }

  for (const [word, rehearsed, said] of [
    ['fails', { outcome: 'failed', message: 'no such thing' }, /could not be foreseen; .*no such thing/],
    ['hangs', 'hangs', /could not be foreseen; .*did not end within 75 s/],
  ] as const) {
    it(`a rollback whose rehearsal ${word} is tried and proven`, async () => {
      const on = await scene({ ...installed, chart: broken, rehearsed });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'rolledBack');
      assert.match(on.agent.lines.join('\n'), said);
    });
  }

  for (const fails of [false, true]) {
    it(`the replicas that an autoscaler has set stay in ${fails ? 'an automatic rollback' : 'a deploy'}`, async () => {
      const declares = (version: string, image: string) =>
        chart(version, [replicated(deployment('web', image), 1), { ...autoscaler }]);
      const before = declares('1.0.0', 'good');
      const on = await scene({
        history: [revision(1, 'deployed', before, verified)],
        live: before.objects,
        chart: declares('2.0.0', fails ? 'broken' : 'better'),
      });
      on.cluster.served.set('autoscaling/v2/HorizontalPodAutoscaler', autoscalers);
      scale(on, inNamespace(deployment('web', 'good')), 4);
      const report = await deploy(on.context);
      assert.equal(report.outcome, fails ? 'rolledBack' : 'deployed', report.message);
      assert.equal(at(liveObject(on.cluster, deployment('web', '')), 'spec', 'replicas'), 4);
      assert.match(
        on.agent.lines.join('\n'),
        /keeps the 4 replicas that its autoscaler has set; the manifest declares 1/,
      );
    });
  }

  it('a claim that has grown keeps its size, and that is told', async () => {
    const sized = (storage: string): KubeObject => ({
      ...claim('data'),
      spec: { resources: { requests: { storage } } },
    });
    const before = chart('1.0.0', [sized('1Gi'), deployment('web', 'good')]);
    const on = await scene({
      history: [revision(1, 'deployed', before)],
      live: before.objects,
      chart: chart('2.0.0', [sized('2Gi'), deployment('web', 'broken')]),
    });
    const report = await deploy(on.context);
    const lines = on.agent.lines.join('\n');
    assert.equal(report.outcome, 'rolledBack');
    assert.match(report.message, /PersistentVolumeClaim\/data keeps its size of 2Gi, because a claim cannot shrink/);
    assert.equal(at(liveObject(on.cluster, claim('data')), 'spec', 'resources', 'requests', 'storage'), '2Gi');
    assert.doesNotMatch(lines, /could not be foreseen/);
  });

  it('each revision has the label of its own run, even where a later revision copied the labels', async () => {
    const on = await scene({ ...installed, chart: broken });
    await deploy({ ...on.context, holder: { ...on.context.holder, run: '4711_20260101.4_web' } });
    assert.deepEqual(on.storage.records.map(runOf), ['', '4711_20260101.4_web', '4711_20260101.4_web']);
    const later = revision(4, 'deployed', v1, { labels: { ...on.storage.records[2]?.labels } });
    assert.equal(runOf(later), '');
  });

  it('a broken upgrade is rolled back to the serving revision, and nothing of it is left', async () => {
    const on = await scene({ ...installed, chart: broken });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack');
    assert.equal(report.reason, 'ImageInvalidName');
    assert.equal(report.failedWorkload, 'Deployment/web');
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
    assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web']);
    assert.doesNotMatch(JSON.stringify(liveObject(on.cluster, deployment('web', ''))), /nodeSelector/);
    assert.deepEqual([report.revision, report.servingRevision], [3, 3]);
    assert.equal(on.storage.records[1]?.manifest, revision(2, 'failed', broken).manifest);
  });

  it('onFailure keep leaves a broken upgrade in place, but its record is marked failed', async () => {
    const on = await scene({ ...installed, chart: broken, request: { onFailure: 'keep' } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy');
    assert.deepEqual(on.helm.runs, ['upgrade']);
  });

  it('an upgrade that never gets ready fails at the timeout', async () => {
    const slow = chart('2.0.0', [deployment('web', 'slow')]);
    const on = await scene({ ...installed, chart: slow, request: { timeoutSeconds: 60 } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack');
    assert.equal(report.timedOut, true);
    assert.ok(Date.parse(report.finishedAt) - Date.parse(report.startedAt) < 75_000);
  });

  it('a broken first install is uninstalled, and objects that may hold data are kept and named', async () => {
    const on = await scene({
      chart: chart('1.0.0', [claim('data'), configMap('settings'), deployment('web', 'broken')]),
    });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.match(report.message, /the release was uninstalled/);
    assert.deepEqual(on.storage.records, []);
    assert.deepEqual(live(on.cluster), ['PersistentVolumeClaim/data']);
    assert.deepEqual(
      report.leftovers.filter(({ keptBecause }) => keptBecause !== '').map(({ name }) => name),
      ['data'],
    );
    assert.equal(report.servingRevision, null);
  });

  it('a failed deploy does not uninstall a release that has an older revision', async () => {
    const on = await scene({
      history: [revision(1, 'superseded', v1), revision(2, 'failed', broken)],
      live: broken.objects,
      chart: broken,
    });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.deepEqual(on.helm.runs, ['upgrade']);
    assert.match(report.message, /no earlier revision to roll back to/);
  });

  it('after a failed revision a good deploy leaves no field and no object of it', async () => {
    const on = await scene({ ...afterFailure, chart: v2 });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web']);
    assert.doesNotMatch(JSON.stringify(liveObject(on.cluster, deployment('web', ''))), /nodeSelector/);
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
    assert.equal(on.storage.records[1]?.manifest, revision(2, 'failed', broken).manifest);
  });

  it('a record without room for a merge base does not stop the deploy, and possible leftovers are logged', async () => {
    const bad = chart('2.0.0', [...v1.objects, configMap('extra')]);
    const history = [afterFailure.history[0] ?? assert.fail(), revision(2, 'failed', bad)];
    const on = await scene({ history, live: bad.objects, chart: v2 });
    on.storage.room = 10;
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.match(on.agent.warnings.join('\n'), /has no room for it .*may stay/);
    const extra = report.leftovers.find(({ name }) => name === 'extra');
    assert.match(extra?.keptBecause ?? '', /has no room/);
    assert.deepEqual(on.storage.records[1], history[1]);
  });

  it('after a failed revision, an object of another release with the same name is not taken over', async () => {
    const wants = chart('3.0.0', [...v1.objects, configMap('extra')]);
    const on = await scene({
      ...afterFailure,
      live: v1.objects,
      foreign: [configMap('extra', { its: 'own' })],
      chart: wants,
    });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack', report.message);
    assert.deepEqual(liveObject(on.cluster, configMap('extra'))?.['data'], { its: 'own' });
  });

  it('a chart that Helm cannot load changes nothing', async () => {
    const on = await scene({ ...afterFailure, chart: v2, helm: { upgradeTrouble: 'before the revision' } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.equal(report.reason, 'ChartInvalid');
    assert.deepEqual(on.storage.records, afterFailure.history);
  });

  const unrendered = (context: DeployStart): DeployStart => {
    const answer = { ok: false, exitCode: 1, signal: undefined, cancelled: false, timedOut: false };
    const failure = { reason: 'ChartInvalid', message: 'parse error at x' } as const;
    const render = () => Promise.resolve({ ...answer, stdout: '', durationMs: 1, said: [], failure });
    return { ...context, helm: { ...context.helm, render } };
  };
  const gone = v1.objects.filter(({ kind }) => kind !== 'Deployment');

  const stopped: readonly (readonly [string, Pick<Setting, 'history' | 'live'>, unknown])[] = [
    ['what is healthy', installed, [1, 'healthy', 1]],
    [
      'a verified revision whose Deployment is gone',
      { history: [revision(1, 'deployed', v1, verified)], live: gone },
      [1, 'unhealthy', 1],
    ],
    ['a broken revision that was kept', afterFailure, [2, 'unhealthy', 1]],
    [
      'a kept revision that got healthy later',
      {
        ...afterFailure,
        history: [revision(1, 'deployed', v1, verified), revision(2, 'failed', v2)],
        live: v2.objects,
      },
      [2, 'healthy', 1],
    ],
  ];
  for (const [what, setting, expected] of stopped) {
    it(`a deploy that stops before it begins reports the serving revision unchanged: ${what}`, async () => {
      const on = await scene({ ...setting, chart: v2 });
      const report = await deploy(unrendered(on.context));
      assert.equal(report.reason, 'ChartInvalid');
      assert.deepEqual([report.servingRevision, report.servingHealth, report.verifiedRevision], expected);
      assert.equal(report.revisionBefore, report.servingRevision);
    });
  }

  it('a pre-upgrade hook that fails changes nothing, and the serving revision is still deployed', async () => {
    const refusing = { ...v2, hooks: [hook('migrate', 'pre-upgrade')] };
    const on = await scene({ ...installed, chart: refusing, helm: { upgradeTrouble: 'pre hook' } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.equal(report.reason, 'HookFailed');
    assert.equal(report.failedWorkload, 'Job/migrate');
    assert.equal(told(on.storage.records), '1 deployed+verified, 2 failed');
    assert.equal(report.servingRevision, 1);
    assert.deepEqual(on.helm.runs, ['upgrade']);
  });

  const job = (image: string, policy = ''): Hook => {
    const metadata = { name: 'migrate', annotations: { 'helm.sh/hook-delete-policy': policy } };
    const template = { spec: { containers: [{ name: 'main', image }], restartPolicy: 'Never' } };
    const manifest = JSON.stringify({ apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { template } });
    return { ...hook('migrate', 'pre-upgrade'), manifest };
  };

  it('when the Job of a pre-upgrade hook fails, the waiting Helm is ended, and the Job is kept for inspection', async () => {
    const on = await scene({ ...installed, chart: { ...v2, hooks: [job('registry.example/migrate:broken')] } });
    const report = await deploy(on.context);
    assert.deepEqual([report.outcome, report.reason, report.failedWorkload], ['failed', 'HookFailed', 'Job/migrate']);
    assert.ok(Date.parse(report.finishedAt) - Date.parse(report.startedAt) < 10_000);
    assert.equal(told(on.storage.records), '1 deployed+verified, 2 failed');
    assert.equal(on.storage.records[1]?.description, 'Not healthy: Job/migrate HookFailed');
    assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web', 'Job/migrate']);
    assert.equal(report.servingRevision, 1);
  });

  it('the failed Job is deleted where Helm would have deleted it', async () => {
    const hooks = [job('registry.example/migrate:broken', 'before-hook-creation, hook-failed')];
    const on = await scene({ ...installed, chart: { ...v2, hooks } });
    await deploy(on.context);
    assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web']);
  });

  it('a hook whose pod cannot start fails the deploy with its cause, and does not start afterwards', async () => {
    const on = await scene({ ...installed, chart: { ...v2, hooks: [job('registry.example/migrate:unnamed')] } });
    const report = await deploy(on.context);
    assert.deepEqual([report.reason, report.reasonGroup, report.timedOut], ['ImageInvalidName', 'image', false]);
    assert.equal(report.failedWorkload, 'Job/migrate');
    assert.deepEqual(live(on.cluster), ['ConfigMap/settings', 'Deployment/web']);
    assert.ok(Date.parse(report.finishedAt) - Date.parse(report.startedAt) < 10_000);
  });

  it('a hook that cannot start in a first install leaves nothing of the install', async () => {
    const install = { ...job('registry.example/migrate:unnamed'), events: ['pre-install'] };
    const on = await scene({ chart: { ...v2, hooks: [install] } });
    const report = await deploy(on.context);
    assert.equal(report.reason, 'ImageInvalidName');
    assert.deepEqual(live(on.cluster), []);
    assert.deepEqual(on.storage.records, []);
  });

  it('with failFast off, a hook that cannot start ends the deploy at the timeout, with its cause', async () => {
    const rollout = { ...plainRequest.rollout, failFast: false };
    const hooks = [job('registry.example/migrate:unnamed')];
    const on = await scene({ ...installed, chart: { ...v2, hooks }, request: { rollout, timeoutSeconds: 60 } });
    const report = await deploy(on.context);
    assert.deepEqual(
      [report.reason, report.failedWorkload, report.timedOut],
      ['ImageInvalidName', 'Job/migrate', true],
    );
    assert.ok(Date.parse(report.finishedAt) - Date.parse(report.startedAt) >= 60_000);
  });

  it('a hook that hangs without a visible cause ends the deploy at the timeout and is named', async () => {
    const hooks = [job('registry.example/migrate:slow')];
    const on = await scene({ ...installed, chart: { ...v2, hooks }, request: { timeoutSeconds: 60 } });
    const report = await deploy(on.context);
    assert.deepEqual([report.reason, report.failedWorkload, report.timedOut], ['TimedOut', 'Job/migrate', true]);
  });

  it('a hook that fails after a failed revision leaves the earlier records unchanged', async () => {
    const refusing = { ...v2, hooks: [hook('migrate', 'pre-upgrade')] };
    const on = await scene({ ...afterFailure, chart: refusing, helm: { upgradeTrouble: 'pre hook' } });
    await deploy(on.context);
    assert.deepEqual(on.storage.records.slice(0, 2), afterFailure.history);
  });

  const v1ByHelm4 = revision(1, 'deployed', v1, { applyMethod: 'ssa' });
  const scaled = { field: 'spec.replicas', manager: 'kubectl' };
  const keyOfWeb = objectKey(refOf(inNamespace(deployment('web', ''))));

  it('fields that somebody else has set are found before Helm starts, and the message names the solution', async () => {
    const on = await scene({ ...installed, history: [v1ByHelm4], chart: v2, helm: { major: 4 } });
    on.cluster.taken.set(keyOfWeb, scaled);
    const report = await deploy(on.context);
    assert.deepEqual([report.outcome, report.reason], ['refused', 'FieldConflict']);
    assert.equal(report.failedWorkload, 'Deployment/web');
    assert.match(
      report.message,
      /to other values than the chart: spec\.replicas \(set by kubectl\)\. Helm was not started/,
    );
    assert.match(report.advice, /--force-conflicts/);
    assert.deepEqual(on.helm.runs, []);
    assert.equal(told(on.storage.records), '1 deployed+verified');
    assert.equal(report.servingRevision, 1);
  });

  for (const [what, helm, more, request] of [
    ['a Helm that asks nobody', { major: 3 }, {}, {}],
    ['force in the arguments', { major: 4 }, { applyMethod: 'ssa' }, { extraArguments: ['--force-conflicts'] }],
  ] as const) {
    it(`${what} meets no conflict`, async () => {
      const history = [revision(1, 'deployed', v1, more)];
      const on = await scene({ ...installed, history, chart: v2, helm, request });
      on.cluster.taken.set(keyOfWeb, scaled);
      assert.notEqual((await deploy(on.context)).outcome, 'refused');
      assert.equal(on.helm.runs[0], 'upgrade');
    });
  }

  it("fields of Helm's own earlier writes are no conflict where Helm takes them over first", async () => {
    const request = { extraArguments: ['--server-side=true'] };
    const on = await scene({ ...installed, chart: v2, helm: { major: 4 }, request });
    on.cluster.taken.set(keyOfWeb, { ...scaled, manager: 'helm' });
    assert.notEqual((await deploy(on.context)).outcome, 'refused');
  });

  /** A person sets a field when Helm reaches a certain step. */
  const takenAt = async (step: RegExp, setting: Pick<Setting, 'chart'>): Promise<Scene> => {
    const stage: { on?: Scene } = {};
    const pace = (word: string): Promise<void> => {
      if (step.test(word)) stage.on?.cluster.taken.set(keyOfWeb, scaled);
      return Promise.resolve();
    };
    stage.on = await scene({ ...installed, history: [v1ByHelm4], ...setting, helm: { major: 4, pace } });
    return stage.on;
  };

  it('a field that Helm was refused in the upgrade is not forced in the rollback, and fields that Helm wrote are restored', async () => {
    const on = await takenAt(/^begin$/, { chart: v2 });
    const before = liveObject(on.cluster, deployment('web', ''))?.metadata.resourceVersion;
    const report = await deploy(on.context);
    assert.deepEqual([report.outcome, report.reason], ['rolledBack', 'FieldConflict'], on.agent.lines.join('\n'));
    assert.equal(report.failedWorkload, 'Deployment/web');
    assert.match(report.message, /they are not changed: Deployment\/web: spec\.replicas \(set by kubectl\)\.$/);
    assert.equal(liveObject(on.cluster, deployment('web', ''))?.metadata.resourceVersion, before);
    assert.deepEqual(liveObject(on.cluster, configMap('settings'))?.['data'], {});
    assert.deepEqual(on.helm.runs, ['upgrade', 'rollback 1 --force-conflicts']);
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
  });

  it('a rollback that cannot be rehearsed may pass the fence and does not force conflicts', async () => {
    const stage: { on?: Scene } = {};
    const pace = (word: string): Promise<void> => {
      if (word === 'begin') stage.on?.cluster.taken.set(keyOfWeb, scaled);
      return Promise.resolve();
    };
    const rehearsed = 'hangs' as const;
    const on = await scene({ ...installed, history: [v1ByHelm4], chart: v2, rehearsed, helm: { major: 4, pace } });
    stage.on = on;
    const before = liveObject(on.cluster, deployment('web', ''))?.metadata.resourceVersion;
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack', report.message);
    assert.equal(liveObject(on.cluster, deployment('web', ''))?.metadata.resourceVersion, before);
    assert.deepEqual(liveObject(on.cluster, configMap('settings'))?.['data'], {});
    assert.deepEqual(on.helm.runs, ['upgrade', 'rollback 1']);
  });

  /** A person edits the Deployment when Helm reaches a certain step, and the API server refuses Helm's write. */
  const editedAt = async (step: string): Promise<Scene> => {
    const stage: { on?: Scene } = {};
    const pace = (word: string): Promise<void> => {
      const live = stage.on && liveObject(stage.on.cluster, deployment('web', ''));
      if (word === step && live !== undefined) {
        const labels = { ...live.metadata.labels, tier: 'by hand' };
        stage.on?.cluster.put({ ...live, metadata: { ...live.metadata, labels } }, 'kubectl-edit');
      }
      return Promise.resolve();
    };
    const labelled = (tag: string): KubeObject => {
      const object = deployment('web', tag);
      return { ...object, metadata: { ...object.metadata, labels: { tier: 'front' } } };
    };
    const [first, second] = [chart('1.0.0', [configMap('settings'), labelled('good')]), chart('2.0.0', [configMap('settings', { a: '2' }), labelled('better')])]; // prettier-ignore
    const history = [revision(1, 'deployed', first)];
    const helm = { upgradeTrouble: 'half way', pace } as const;
    stage.on = await scene({ ...installed, history, chart: second, helm });
    return stage.on;
  };

  it('a manual change to an object that Helm 3 did not reach is kept by the rollback', async () => {
    const on = await editedAt('begin');
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack', on.agent.lines.join('\n'));
    assert.match(report.message, /they are not changed: Deployment\/web: metadata\.labels\.tier \(set by /);
    assert.equal(liveObject(on.cluster, deployment('web', ''))?.metadata.labels?.['tier'], 'by hand');
    assert.deepEqual(liveObject(on.cluster, configMap('settings'))?.['data'], {});
  });

  it('a manual change to an object that the failed revision wrote does not stop the rollback', async () => {
    const on = await takenAt(/^wait$/, { chart: broken });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack', report.message);
    assert.deepEqual(on.helm.runs, ['upgrade', 'rollback 1 --force-conflicts']);
    assert.doesNotMatch(report.message, /they are not changed/);
    assert.doesNotMatch(JSON.stringify(liveObject(on.cluster, deployment('web', ''))), /broken/);
  });

  it('an upgrade that the API server refuses half-way is rolled back', async () => {
    const on = await scene({ ...installed, chart: v2, helm: { upgradeTrouble: 'half way' } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack');
    assert.equal(report.reason, 'ApplyRejected');
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
    assert.deepEqual(liveObject(on.cluster, configMap('settings'))?.['data'], {});
  });

  it('the log has no group twice, however often the cluster is read', async () => {
    const on = await scene({ chart: v1, request: { createNamespace: true } });
    on.cluster.take('/Namespace//prod');
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
    const groups = on.agent.lines.filter((line) => line.startsWith('['));
    assert.deepEqual(groups, [...new Set(groups)]);
  });

  it('a first install that the API server refuses half-way reports the refusal, not the missing objects', async () => {
    const refused = configMap('refused');
    const never = deployment('web', 'good');
    const on = await scene({
      chart: chart('1.0.0', [configMap('settings'), refused, never]),
      helm: { upgradeTrouble: 'half way' },
      request: { onFailure: 'keep' },
    });
    const report = await deploy(on.context);
    assert.equal(report.failedWorkload, 'ConfigMap/refused');
    const words = 'cannot patch "refused" with kind ConfigMap: no';
    assert.deepEqual(report.evidence, [
      { object: 'ConfigMap/refused', kind: 'object', title: 'ApplyRejected', lines: [words] },
    ]);
    assert.deepEqual(
      report.objects.slice(1).map(({ name, health, reason, message }) => [name, health, reason, message]),
      [
        ['refused', 'failed', 'ApplyRejected', `${words}.`],
        ['web', 'progressing', 'NotApplied', 'Helm ended before it created this object.'],
      ],
    );
  });

  it('a Helm that was killed half-way leaves no pending revision', async () => {
    const on = await scene({ ...installed, chart: v2, helm: { upgradeTrouble: 'killed half way' } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack');
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
  });

  for (const rollbackTrouble of ['half way', 'killed half way'] as const) {
    it(`a rollback that fails too (${rollbackTrouble}): the message gives the first cause, then the next step, and nothing is pending`, async () => {
      const on = await scene({ ...installed, chart: broken, helm: { rollbackTrouble } });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'failed');
      assert.equal(report.reason, 'ImageInvalidName');
      assert.match(report.message, /rollback to revision 1 failed too/);
      assert.match(report.message, /helm rollback shop 1 --namespace prod/);
      assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 failed');
      assert.equal(report.servingRevision, null);
      assert.equal(on.storage.records[1]?.manifest, revision(2, 'failed', broken).manifest);
    });
  }

  it('a first install that cannot be uninstalled either: the message names the command to run, and the record is restored', async () => {
    const on = await scene({ chart: broken, helm: { uninstallTrouble: 'at the start' } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.match(report.message, /helm uninstall shop --namespace prod/);
    assert.equal(told(on.storage.records), '1 failed+unhealthy');
    assert.equal(on.storage.records[0]?.manifest, revision(1, 'failed', broken).manifest);
    assert.equal(report.servingRevision, null);
  });

  for (const status of ['pending-install', 'pending-upgrade', 'pending-rollback', 'uninstalling', 'unknown'] as const) {
    it(`a release that is ${status} is refused and not changed`, async () => {
      const history = [revision(1, status, v1, { writtenAt: new Date('2025-12-31T23:50:00Z') })];
      const on = await scene({ history, live: v1.objects, chart: v2 });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'refused');
      assert.deepEqual(on.storage.records, history);
      assert.deepEqual(on.helm.runs, []);
    });
  }

  it('a namespace that does not exist is named before anything is changed', async () => {
    const on = await scene({ chart: v1 });
    on.cluster.take('/Namespace//prod');
    const report = await deploy(on.context);
    assert.equal(report.reason, 'NamespaceMissing');
    assert.deepEqual(on.helm.runs, []);
  });

  it('hooks that run after readiness: a broken workload ends the wait of Helm at once', async () => {
    const hooks = [hook('test', 'post-upgrade')];
    const on = await scene({ ...installed, chart: { ...broken, hooks } });
    const report = await deploy(on.context);
    assert.equal(report.reason, 'ImageInvalidName', report.message);
    assert.equal(report.outcome, 'rolledBack');
    assert.ok(Date.parse(report.finishedAt) - Date.parse(report.startedAt) < 20_000);
  });

  it('hooks that run after readiness: Helm goes on when all objects are ready, and the deploy succeeds', async () => {
    const on = await scene({ ...installed, chart: { ...v2, hooks: [hook('test', 'post-upgrade')] } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.equal(on.storage.records[1]?.hooks[0]?.lastPhase, 'Succeeded');
  });

  it('hooks at both ends over a broken failed revision: the pre-existing failure does not end Helm', async () => {
    const migrate = { ...configMap('migrate'), apiVersion: 'batch/v1', kind: 'Job', spec: {} };
    const hooks = [
      { ...hook('migrate', 'pre-upgrade'), manifest: JSON.stringify(migrate) },
      hook('test', 'post-upgrade'),
    ];
    const on = await scene({ ...afterFailure, chart: { ...v2, hooks } });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
  });

  it('repeated failures remove neither the verified revision nor the one that first declared an object', async () => {
    const failures = [2, 3, 4].map((number) =>
      revision(number, 'failed', broken, { labels: { [unhealthyLabel]: String(number) } }),
    );
    const on = await scene({
      history: [revision(1, 'deployed', v1, verified), ...failures],
      live: broken.objects,
      chart: broken,
      request: { historyMax: 2, onFailure: 'keep' },
    });
    await deploy(on.context);
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 5 failed+unhealthy');
  });

  it('objects that Helm has not yet removed stay known when the history is cut', async () => {
    const on = await scene({
      ...afterFailure,
      chart: v2,
      helm: { upgradeTrouble: 'half way' },
      request: { historyMax: 2, onFailure: 'keep' },
    });
    await deploy(on.context);
    assert.equal(told(on.storage.records), '1 deployed+verified, 2 failed+unhealthy, 3 failed+unhealthy');
  });

  it('a revision that was judged unhealthy is marked failed again after an upgrade replaced it', async () => {
    const unhealthy = revision(1, 'deployed', v1, { labels: { [unhealthyLabel]: '1' } });
    const on = await scene({ history: [unhealthy], live: broken.objects, chart: v2 });
    await deploy(on.context);
    assert.match(told(on.storage.records), /^1 failed\+unhealthy, 2 /);
  });

  it('a rollback that ends unhealthy is a failed rollback', async () => {
    const sick = chart('1.0.0', [deployment('web', 'broken')]);
    const on = await scene({
      history: [revision(1, 'deployed', sick)],
      live: [deployment('web', 'good')],
      chart: broken,
    });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.match(report.message, /rollback to revision 1 failed too: Deployment\/web for the same reason\. /);
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 failed+unhealthy, 3 failed+unhealthy');
  });

  describe('a serving revision that is broken before the deploy begins', () => {
    const sick = chart('2.0.0', [deployment('web', 'broken')]);
    const worse = chart('3.0.0', [deployment('web', 'broken', { priority: 1 })]);

    it('is not the target, although it is marked: an older verified one is', async () => {
      const history = [
        revision(1, 'superseded', v1, verified),
        revision(2, 'deployed', sick, { labels: { [verifiedLabel]: '2' } }),
      ];
      const on = await scene({ history, live: sick.objects, chart: worse });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'rolledBack', report.message);
      assert.match(
        on.agent.lines.join('\n'),
        /lies in revision 2 itself \(ImageInvalidName\), so it is no target of a rollback/,
      );
      assert.equal(
        told(on.storage.records),
        '1 superseded+verified, 2 superseded+verified+broken, 3 failed+unhealthy, 4 deployed+verified',
      );
      assert.equal(on.storage.records.at(-1)?.manifest, on.storage.records[0]?.manifest);
    });

    it('is no target where there is no other: nothing of it serves', async () => {
      const on = await scene({ history: [revision(1, 'deployed', sick)], live: sick.objects, chart: worse });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'failed');
      assert.match(report.message, /Revision 1 is no target of a rollback, because it was judged unhealthy .*\(Image/);
      assert.deepEqual(on.helm.runs, ['upgrade']);
    });

    it('gets its mark back when it is seen healthy', async () => {
      const labels = { [verifiedLabel]: '1', [brokenLabel]: '1_CrashLoop_Deployment.web' };
      const on = await scene({ history: [revision(1, 'deployed', v1, { labels })], live: v1.objects, chart: v1 });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'unchanged');
      assert.equal(told(on.storage.records), '1 deployed+verified');
    });
  });

  describe('a revision of which no pod has run a part', () => {
    const paused = (tag: string): KubeObject => {
      const web = deployment('web', tag);
      return { ...web, spec: { ...(web['spec'] as object), paused: true } };
    };
    const held = chart('2.0.0', [configMap('settings'), paused('better')]);
    const message = 'No pod of Deployment/web has its new template, because it is paused.';

    it('is deployed with a reservation, and has a mark of its own', async () => {
      const on = await scene({ ...installed, chart: held });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'deployed');
      assert.equal(told(on.storage.records), '1 superseded+verified, 2 deployed+reserved');
      assert.deepEqual(report.reservations, [{ kind: 'Deployment', name: 'web', reason: 'PodsHeldBack', message }]);
      assert.equal(report.verifiedRevision, 1);
      assert.equal(outputsOf(report)['reservations'], message);
      assert.match(on.agent.lines.join('\n'), /Not verified: No pod of Deployment\/web/);
      for (const text of [closingOf(report), summaryOf(report)]) {
        assert.match(text, /Revision 2 is deployed with a reservation: it is as declared, and not verified\./);
        assert.match(text, /Not verified: No pod of Deployment\/web has its new template/);
      }
    });

    const reserved = { labels: { 'helm-safe-deploy/reserved': '1' } };

    it('is unchanged by the same chart, which repeats the reservation', async () => {
      const on = await scene({ history: [revision(1, 'deployed', held, reserved)], live: held.objects, chart: held });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'unchanged');
      assert.deepEqual(
        report.reservations?.map(({ reason }) => reason),
        ['PodsHeldBack'],
      );
      assert.equal(told(on.storage.records), '1 deployed+reserved');
    });

    it('is verified when a later run sees its pods', async () => {
      const on = await scene({ history: [revision(1, 'deployed', v1, reserved)], live: v1.objects, chart: v1 });
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'unchanged');
      assert.equal(report.reservations, undefined);
      assert.equal(told(on.storage.records), '1 deployed+verified');
    });

    it('is the target of a rollback only if no revision is verified', async () => {
      const on = await scene({ history: [revision(1, 'deployed', held)], live: held.objects, chart: broken });
      const report = await deploy(on.context);
      assert.match(on.agent.lines.join('\n'), /rolled back to revision 1 \(deployed with a reservation\)/);
      assert.equal(report.outcome, 'rolledBack', report.message);
      assert.equal(told(on.storage.records), '1 superseded+reserved, 2 failed+unhealthy, 3 deployed+reserved');
      const history = [revision(1, 'superseded', v1, verified), revision(2, 'deployed', held)];
      const other = await scene({ history, live: held.objects, chart: broken });
      await deploy(other.context);
      assert.match(other.agent.lines.join('\n'), /rolled back to revision 1 \(verified healthy\)/);
    });
  });

  it('a Service that selects no pod is a warning', async () => {
    const service = (name: string, label: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app: label } },
    });
    const on = await scene({ chart: chart('1.0.0', [...v1.objects, service('web', 'web'), service('typo', 'wbe')]) });
    assert.equal((await deploy(on.context)).outcome, 'deployed');
    assert.deepEqual(on.agent.warnings, ['Service/typo serves nothing: its selector matches no pod.']);
  });

  it('a manifest that has just failed is not rolled back to under an older number', async () => {
    const again = chart('1.0.0', [deployment('web', 'broken')]);
    const history = [revision(1, 'deployed', again, verified)];
    const on = await scene({ history, live: [deployment('web', 'good')], chart: again });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.match(
      report.message,
      /Revision 1 is no target .* because revision 2, which has the same manifest, was judged/,
    );
    assert.deepEqual(on.helm.runs, ['upgrade']);
  });

  it('a revision that cannot be read at the end is not reported as deployed', async () => {
    const on = await scene({ ...installed, chart: v2, request: { timeoutSeconds: 30, rollbackTimeoutSeconds: 30 } });
    on.cluster.unreadable.add('ConfigMap');
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'failed');
    assert.doesNotMatch(told(on.storage.records), /\+verified/);
  });

  it('a pre-existing failure that the deploy does not touch is logged and does not count', async () => {
    const both = chart('1.0.0', [deployment('old', 'broken'), deployment('web', 'good')]);
    const next = chart('2.0.0', [deployment('old', 'broken'), deployment('web', 'better')]);
    const on = await scene({ history: [revision(1, 'deployed', both)], live: both.objects, chart: next });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.deepEqual(
      report.objects.filter(({ isPreexisting }) => isPreexisting).map(({ name }) => name),
      ['old'],
    );
  });

  it('a rollback that restores a pre-existing failure succeeds when all other objects are healthy again', async () => {
    const both = chart('1.0.0', [deployment('old', 'broken'), deployment('web', 'good')]);
    const next = chart('2.0.0', [deployment('old', 'broken', { priority: 1 }), deployment('web', 'broken')]);
    const on = await scene({ history: [revision(1, 'deployed', both)], live: both.objects, chart: next });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack', report.message);
    assert.equal(told(on.storage.records), '1 superseded+broken, 2 failed+unhealthy, 3 deployed+verified');
    assert.match(on.agent.lines.join('\n'), /Deployment\/old was broken before the deploy and is so again: /);
  });

  it('a pre-existing failure is not the reported cause when the API server refuses the upgrade', async () => {
    const both = chart('1.0.0', [deployment('old', 'broken'), deployment('web', 'good')]);
    const next = chart('2.0.0', [configMap('new'), deployment('web', 'better'), deployment('old', 'broken')]);
    const on = await scene({
      history: [revision(1, 'deployed', both)],
      live: both.objects,
      chart: next,
      helm: { upgradeTrouble: 'half way' },
    });
    const report = await deploy(on.context);
    assert.equal(report.reason, 'ApplyRejected');
    const old = report.objects.find(({ name }) => name === 'old');
    assert.equal(old?.isPreexisting, true);
    assert.notEqual(old.brokenBefore, '');
    assert.deepEqual(
      report.evidence.filter(({ object }) => object.includes('old')),
      [],
    );
  });
});

describe('the Events on workloads after a deploy', () => {
  const notes = (cluster: Awaited<ReturnType<typeof scene>>['cluster']) =>
    [...cluster.objects.values()]
      .filter(
        ({ kind, source }) => kind === 'Event' && (source as { component?: string }).component === 'helm-safe-deploy',
      )
      .map(({ type, reason, message }) => [type, reason, message].join(' '));

  it('a deploy, its rollback and a kept failure are told, and an unchanged deploy is not', async () => {
    for (const [image, onFailure, expected] of [
      ['good', 'rollback', []],
      [
        'better',
        'rollback',
        [/^Normal Deployed Revision 2 .* after revision 1, by pipeline 1 https:\/\/dev\.example\/1/],
      ],
      ['broken', 'rollback', [/^Warning RolledBack .* revision 3 serves now, by pipeline 1/]],
      ['broken', 'keep', [/^Warning DeployFailed Revision 2 .* was kept, by pipeline 1/]],
    ] as const) {
      const v1 = chart('1.0.0', [deployment('web', 'good')]);
      const on = await scene({
        history: [revision(1, 'deployed', v1)],
        live: v1.objects,
        chart: chart(image === 'good' ? '1.0.0' : '2.0.0', [deployment('web', image)]),
        request: { onFailure },
      });
      await deploy(on.context);
      const found = notes(on.cluster);
      assert.equal(found.length, expected.length, found.join('\n'));
      expected.forEach((pattern, index) => { assert.match(found[index] ?? '', pattern); }); // prettier-ignore
    }
  });

  it('without the right to write Events nothing is said, and the deploy is good', async () => {
    const on = await scene({ chart: chart('1.0.0', [deployment('web', 'good')]) });
    const create = on.context.cluster.create.bind(on.context.cluster);
    on.context.cluster.create = (object, how) =>
      object.kind === 'Event' ? Promise.reject(new TaskError('PermissionDenied', 'no')) : create(object, how);
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed');
    assert.doesNotMatch(on.agent.lines.join('\n'), /Event could be written/);
  });
});
