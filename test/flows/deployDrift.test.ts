import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import type { DriftRequest } from '../../tasks/common/core/inputs/driftRequest';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { parseDriftRule } from '../../tasks/common/core/release/driftRules';
import { verifiedLabel } from '../../tasks/common/core/release/history';
import { outputsOf, summaryOf } from '../../tasks/common/core/report/report';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import {
  chart,
  configMap,
  deployment,
  liveObject,
  namespace,
  owned,
  revision,
  scene,
  type Scene,
  type Setting,
} from '../support/fakes/scene';

const v1 = chart('1.0.0', [configMap('settings', { a: '1' }), deployment('web', 'good')]);
const v2 = chart('2.0.0', [configMap('settings', { a: '2' }), deployment('web', 'better')]);
const verified = { labels: { [verifiedLabel]: '1' } };
const installed = { history: [revision(1, 'deployed', v1, verified)], live: v1.objects };

const asked = (mode: DriftRequest['mode'], ...rules: string[]): { drift: DriftRequest } => ({
  drift: { mode, rules: rules.map((rule) => parseDriftRule(rule) ?? assert.fail(rule)) },
});

/** Somebody scales with kubectl, and changes a value. */
function changeByHand({ cluster }: Pick<Scene, 'cluster'>, replicas = 3): void {
  const web = liveObject(cluster, deployment('web', 'good')) ?? assert.fail();
  cluster.put({ ...web, spec: { ...(web['spec'] as object), replicas } }, 'kubectl');
  editSettings({ cluster });
}

function editSettings({ cluster }: Pick<Scene, 'cluster'>): void {
  const settings = liveObject(cluster, configMap('settings')) ?? assert.fail();
  cluster.put({ ...settings, data: { a: 'by hand' } }, 'kubectl-edit');
}

type Disturbing = (on: Scene) => void;

async function play(setting: Partial<Setting>, disturb: Disturbing = changeByHand) {
  const on = await scene({ ...installed, chart: v2, ...setting });
  disturb(on);
  await on.time.sleep(5000, new AbortController().signal);
  const { cluster } = on.context;
  on.context.cluster = { ...cluster, get: async (ref, options) => withOwners(await cluster.get(ref, options)) };
  const report = await deploy(on.context);
  return { on, report, log: on.agent.lines.join('\n') };
}

/** The fake API server notes who writes, but not which fields. */
function withOwners(live: KubeObject | undefined): KubeObject | undefined {
  const last = live?.metadata.managedFields?.at(-1);
  if (live === undefined || last === undefined) return live;
  const fieldsV1 = { 'f:data': { 'f:a': {} }, 'f:spec': { 'f:replicas': {} } };
  const managedFields = [{ ...last, operation: 'Update', fieldsV1 }];
  return { ...live, metadata: { ...live.metadata, managedFields } };
}

const noDryRuns: Disturbing = (on) => {
  on.context.cluster.dryRunApply = () => Promise.reject(new TaskError('PermissionDenied', 'You may not patch.'));
};

describe('a deploy that looks for drift', () => {
  it('report: the log, the report and the summary show what was changed by hand, and the deploy goes on', async () => {
    const { on, report, log } = await play({ request: asked('report') });
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(on.helm.runs, ['upgrade']);
    assert.deepEqual(
      report.drift?.map(({ kind, drift, state, diff }) => [kind, drift, state, ...diff]),
      [
        ['ConfigMap', 'changed', 'found', '-data.a: "1"', '+data.a: by hand'],
        ['Deployment', 'changed', 'found', '-spec.replicas: 1', '+spec.replicas: 3'],
      ],
    );
    assert.equal(outputsOf(report)['driftCount'], '2');
    assert.match(
      log,
      /\[Look for drift\][^]*\+data\.a: by hand[^]*data\.a was set by kubectl-edit at 20[^]*\[Run helm/,
    );
    assert.match(summaryOf(report), /### Drift[^]*\+spec\.replicas: 3/);
  });

  it('without the input nothing is compared', async () => {
    const { report, log } = await play({});
    assert.equal(report.drift, undefined);
    assert.equal(outputsOf(report)['driftCount'], '');
    assert.doesNotMatch(log, /drift/i);
  });

  for (const [what, of] of [
    ['a changed chart', v2],
    ['an unchanged chart', v1],
  ] as const) {
    it(`fail: ${what} is refused before Helm runs, and the next step is named`, async () => {
      const { on, report } = await play({ chart: of, request: asked('fail') });
      assert.deepEqual(
        [report.outcome, report.reason, report.failedWorkload],
        ['refused', 'DriftFound', 'ConfigMap/settings'],
      );
      assert.match(report.message, /not as revision 1 declares them\..*data\.a differs.*Helm was not started/);
      assert.match(report.advice, /drift: correct|driftIgnore/);
      assert.deepEqual(on.helm.runs, []);
      assert.equal(report.drift?.length, 2);
      assert.equal(report.servingRevision, 1);
    });
  }

  it('fail: without drift the deploy goes on', async () => {
    const { report, log } = await play({ request: asked('fail') }, () => undefined);
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(report.drift, []);
    assert.equal(outputsOf(report)['driftCount'], '0');
    assert.match(log, /The live objects are as revision 1 declares them/);
  });

  it('fail: what the rules leave out stops nothing, and leaves an unchanged chart unchanged', async () => {
    const request = asked('fail', 'ConfigMap/settings /data');
    const { on, report } = await play({ chart: v1, request }, editSettings);
    assert.deepEqual([report.outcome, report.reason], ['unchanged', '']);
    assert.deepEqual(on.helm.runs, []);
  });

  it('report: an unchanged chart is deployed again, because the cluster is not as it says', async () => {
    const { on, report, log } = await play({ chart: v1, request: asked('report') });
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(on.helm.runs, ['upgrade']);
    assert.equal(log.match(/data\.a differs/g)?.length, 1);
  });

  it('replicas are left to the autoscaler, whoever has set them last', async () => {
    const autoscaler: KubeObject = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web', namespace },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } },
    };
    const { report } = await play({ foreign: [autoscaler], request: asked('fail', 'ConfigMap') });
    assert.equal(report.outcome, 'deployed', report.message);
  });

  it('an object that was deleted by hand, and one that lost its marks', async () => {
    const { report } = await play({ request: asked('fail') }, ({ cluster }) => {
      cluster.take(`apps/Deployment/${namespace}/web`);
      const { metadata, ...settings } = owned(configMap('settings', { a: '1' }));
      cluster.put({ ...settings, metadata: { name: metadata.name, namespace } }, 'kubectl');
    });
    assert.deepEqual(
      report.drift?.map(({ kind, drift }) => [kind, drift]),
      [
        ['ConfigMap', 'foreign'],
        ['Deployment', 'missing'],
      ],
    );
  });

  it('a first install has no drift, and a failed revision is not compared', async () => {
    const first = await play({ history: [], live: [], request: asked('fail') }, () => undefined);
    assert.deepEqual([first.report.outcome, first.report.drift], ['deployed', []]);
    const history = [revision(1, 'superseded', v1, verified), revision(2, 'failed', v1)];
    const failed = await play({ history, request: asked('fail') });
    assert.deepEqual([failed.report.outcome, failed.report.drift], ['deployed', undefined]);
    assert.match(failed.log, /Drift is not looked for, because revision 2 was not deployed to its end/);
  });

  it('an identity without dry runs compares by field managers, and says so', async () => {
    const { report } = await play({ request: asked('report') }, (on) => {
      changeByHand(on);
      noDryRuns(on);
    });
    const why = '(compared without a dry run, so this may be another spelling of the same value: You may not patch.)';
    assert.deepEqual(
      report.drift?.map(({ message }) => message),
      [
        `ConfigMap/settings in namespace prod: data.a differs (set by kubectl-edit) ${why}.`,
        `Deployment/web in namespace prod: spec.replicas is 3, not 1 (set by kubectl) ${why}.`,
      ],
    );
  });

  it('a text that the API server spells in another way is no drift without dry runs, because Helm wrote it', async () => {
    const { report } = await play({ request: asked('report') }, (on) => {
      const settings = liveObject(on.cluster, configMap('settings')) ?? assert.fail();
      on.cluster.put({ ...settings, data: { a: 'one' } }, 'helm');
      noDryRuns(on);
    });
    assert.deepEqual(report.drift, []);
  });

  it('a value of a Secret of the release is hidden wherever somebody has put it', async () => {
    const secret: KubeObject = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'login' },
      stringData: { key: 'correct horse battery' },
    };
    const of = chart('1.0.0', [...v1.objects, secret]);
    const history = [revision(1, 'deployed', of, verified)];
    const { report, log } = await play({ history, live: v1.objects, request: asked('report') }, ({ cluster }) => {
      const settings = liveObject(cluster, configMap('settings')) ?? assert.fail();
      cluster.put({ ...settings, data: { a: 'it is correct horse battery' } }, 'kubectl-edit');
    });
    assert.doesNotMatch(JSON.stringify(report) + log, /correct horse/);
    assert.deepEqual(report.drift?.[0]?.diff, ['-data.a: "1"', '+data.a: it is ***']);
  });
});

describe('a deploy that restores what drifts', () => {
  it('an unchanged chart is deployed, and what was restored is reported', async () => {
    const { on, report, log } = await play({ chart: v1, request: asked('correct') });
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(on.helm.runs, ['upgrade']);
    assert.deepEqual(
      report.drift?.map(({ kind, state }) => [kind, state]),
      [
        ['ConfigMap', 'restored'],
        ['Deployment', 'restored'],
      ],
    );
    assert.deepEqual(liveObject(on.cluster, configMap('settings'))?.['data'], { a: '1' });
    assert.match(log, /\[Look for drift once more\]\nThe live objects are as revision 2 declares them\./);
    assert.deepEqual(on.agent.warnings, []);
  });

  it('without drift an unchanged chart stays unchanged', async () => {
    const { on, report } = await play({ chart: v1, request: asked('correct') }, () => undefined);
    assert.deepEqual([report.outcome, report.drift], ['unchanged', []]);
    assert.deepEqual(on.helm.runs, []);
  });

  it('what could not be restored is a warning, and the deploy is good', async () => {
    const pace = (word: string): Promise<void> => {
      if (word.includes('is deployed')) stage.on?.cluster.put(owned(configMap('settings', { a: 'again' })), 'operator');
      return Promise.resolve();
    };
    const stage: { on?: Scene } = {};
    const { report, on } = await play({ request: asked('correct'), helm: { pace } }, (scene) => {
      stage.on = scene;
      changeByHand(scene);
    });
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(
      report.drift?.map(({ kind, state }) => [kind, state]),
      [
        ['Deployment', 'restored'],
        ['ConfigMap', 'remains'],
      ],
    );
    assert.match(on.agent.warnings.join('\n'), /could not restore all drift.*revision 2.*data\.a differs/);
  });

  it('a comparison that fails after the deploy is a warning', async () => {
    const { report, on } = await play({ request: asked('correct') }, (scene) => {
      const { cluster } = scene.context;
      let isDeployed = false;
      scene.context.helm = {
        ...scene.context.helm,
        upgrade: async (...given) => scene.helm.upgrade(...given).finally(() => { isDeployed = true; }), // prettier-ignore
      };
      scene.context.cluster = {
        ...cluster,
        get: (ref, options) =>
          isDeployed && ref.kind === 'ConfigMap'
            ? Promise.reject(new TaskError('ClusterUnreachable', 'No route to host.'))
            : cluster.get(ref, options),
      };
      changeByHand(scene);
    });
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(
      report.drift?.map(({ state }) => state),
      ['found', 'found'],
    );
    assert.match(on.agent.warnings.join('\n'), /not known whether all drift was restored: No route to host/);
  });

  describe('with server-side apply', () => {
    const history = [revision(1, 'deployed', v1, { ...verified, applyMethod: 'ssa' })];
    const key = `apps/Deployment/${namespace}/web`;
    const byHelm4: Partial<Setting> = { history, chart: v1, helm: { major: 4 } };

    it('conflicts about fields that drift are forced', async () => {
      const { on, report } = await play({ ...byHelm4, request: asked('correct') }, (scene) => {
        changeByHand(scene);
        scene.cluster.taken.set(key, { field: 'spec.replicas', manager: 'kubectl' });
      });
      assert.equal(report.outcome, 'deployed', report.message);
      assert.deepEqual(on.helm.runs, ['upgrade --force-conflicts']);
      assert.equal((liveObject(on.cluster, deployment('web', ''))?.['spec'] as { replicas: number }).replicas, 1);
    });

    for (const [what, request, field] of [
      ['a field that does not drift', asked('correct'), 'spec.paused'],
      ['a field that the rules leave out', asked('correct', 'Deployment /spec/replicas'), 'spec.replicas'],
      ['a deploy that only reports', asked('report'), 'spec.replicas'],
    ] as const) {
      it(`a conflict is refused as before: ${what}`, async () => {
        const { on, report } = await play({ ...byHelm4, request }, (scene) => {
          changeByHand(scene);
          scene.cluster.taken.set(key, { field, manager: 'kubectl' });
        });
        assert.deepEqual([report.outcome, report.reason], ['refused', 'FieldConflict']);
        assert.deepEqual(on.helm.runs, []);
      });
    }

    it('without conflicts nothing is forced', async () => {
      const { on } = await play({ ...byHelm4, request: asked('correct') });
      assert.deepEqual(on.helm.runs, ['upgrade']);
    });
  });
});
