import assert from 'node:assert/strict';
import type { DeclaredKind } from '../../tasks/common/core/helm/chartCrds';
import { verifiedLabel } from '../../tasks/common/core/release/history';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { Hook } from '../../tasks/common/core/release/release';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { chart, configMap, deployment, hook, live, namespace, revision, scene, told } from '../support/fakes/scene';

const toys: DeclaredKind = {
  apiVersion: 'example.org/v1',
  kind: 'Toy',
  plural: 'toys',
  singular: 'toy',
  namespaced: true,
};
const toy: KubeObject = {
  apiVersion: 'example.org/v1',
  kind: 'Toy',
  metadata: { name: 'bear' },
  status: { conditions: [{ type: 'Ready', status: 'True' }] },
};
const house: KubeObject = { apiVersion: 'example.org/v1', kind: 'House', metadata: { name: 'doll' } };

describe('charts that bring their own kinds', () => {
  const withCrds = { ...chart('1.0.0', [deployment('web', 'good'), toy]), crds: [toys] };
  const before = chart('0.9.0', [deployment('web', 'good')]);

  it('a first install goes on when the chart declares kinds that the API server does not serve yet', async () => {
    const on = await scene({ chart: withCrds });
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.deepEqual(live(on.cluster), ['Deployment/web', 'Toy/bear']);
    assert.doesNotMatch(on.agent.lines.join('\n'), /Error/);
    assert.equal(told(on.storage.records), '1 deployed+verified');
    assert.ok(report.objects.some(({ kind, status }) => kind === 'Toy' && status === 'Current'));
  });

  it('an install over a kept history goes on too', async () => {
    const on = await scene({ chart: withCrds, history: [revision(1, 'uninstalled', before)] });
    assert.equal((await deploy(on.context)).outcome, 'deployed');
  });

  const refusals = [
    [
      'a kind that it does not declare',
      { chart: { ...withCrds, objects: [house] } },
      /^The chart declares a kind that the API server does not serve: .*"House"/s,
    ],
    ['one kind of its own and one that is not', { chart: { ...withCrds, objects: [toy, house] } }, /"House"/],
    ['--skip-crds', { chart: withCrds, request: { extraArguments: ['--skip-crds'] } }, /Toy in its crds.*--skip-crds/s],
    [
      'an upgrade, of which Helm reads no crds/',
      { chart: withCrds, history: [revision(1, 'deployed', before)], live: before.objects },
      /declares Toy in its crds\/ folder, which Helm reads at the first install of a release only/,
    ],
  ] as const;
  for (const [what, setting, said] of refusals) {
    it(`refused, with nothing changed: ${what}`, async () => {
      const on = await scene(setting);
      const history = structuredClone(on.storage.records);
      const report = await deploy(on.context);
      assert.deepEqual([report.outcome, report.reason], ['failed', 'KindNotServed']);
      assert.match(report.message, said);
      assert.deepEqual(on.helm.runs, []);
      assert.deepEqual(
        on.storage.records.map(({ revision: number, status }) => [number, status]),
        history.map(({ revision: number, status }) => [number, status]),
      );
    });
  }

  it('without the right to define the kinds, or to create their objects, nothing is begun', async () => {
    const on = await scene({ chart: { ...withCrds, objects: [configMap('a'), toy] } });
    const rule = (resources: string[], apiGroups: string[]) => ({
      verbs: ['*'],
      apiGroups,
      resources,
      resourceNames: [],
    });
    on.cluster.accessRules = () => Promise.resolve([rule(['*'], [''])]);
    const report = await deploy(on.context);
    assert.deepEqual([report.outcome, report.reason], ['failed', 'PermissionDenied']);
    assert.match(report.message, /create customresourcedefinitions\.apiextensions\.k8s\.io in the whole cluster/);
    assert.match(report.message, /get, create toys\.example\.org in namespace prod/);
    assert.deepEqual(on.helm.runs, []);
  });
});

describe('a namespace that is created when it is missing', () => {
  const v1 = chart('1.0.0', [configMap('a')]);
  const key = `/Namespace//${namespace}`;
  const cases = [
    ['it is there', { isThere: true }, 'upgrade'],
    ['it is there, and nobody may look at it', { isThere: true, isHidden: true }, 'upgrade'],
    ['it is not there', { isThere: false }, 'upgrade --create-namespace'],
    ['it is not there, and nobody may look for it', { isThere: false, isHidden: true }, 'upgrade --create-namespace'],
  ] as const;
  for (const [what, { isThere, ...how }, run] of cases) {
    it(`${what}: Helm is ${isThere ? 'not ' : ''}started with --create-namespace`, async () => {
      const on = await scene({ chart: v1, request: { createNamespace: true } });
      if (!isThere) on.cluster.objects.delete(key);
      if ('isHidden' in how) on.cluster.unreadable.add('Namespace');
      const report = await deploy(on.context);
      assert.equal(report.outcome, 'deployed', report.message);
      assert.deepEqual(on.helm.runs, [run]);
    });
  }

  it('with a lock the task creates the namespace before Helm runs', async () => {
    const on = await scene({ chart: v1, request: { createNamespace: true, lock: 'preferred' } });
    on.cluster.objects.delete(key);
    assert.equal((await deploy(on.context)).outcome, 'deployed');
    assert.deepEqual(on.helm.runs, ['upgrade']);
  });

  const metadata = { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' }, annotations: { team: 'shop' } };
  for (const [what, isThere, update, expected] of [
    ['a namespace that the step makes gets its labels and annotations', false, false, true],
    ['a namespace that exists keeps its own', true, false, false],
    ['with updateNamespace it gets them too, and keeps its others', true, true, true],
  ] as const) {
    it(what, async () => {
      const on = await scene({
        chart: v1,
        request: { createNamespace: true, namespaceMetadata: { ...metadata, update } },
      });
      const found = on.cluster.objects.get(key) ?? assert.fail();
      if (isThere) on.cluster.put({ ...found, metadata: { ...found.metadata, labels: { mine: 'yes' } } });
      else on.cluster.objects.delete(key);
      for (const outcome of ['deployed', 'unchanged']) assert.equal((await deploy(on.context)).outcome, outcome);
      const { labels = {}, annotations = {} } = on.cluster.objects.get(key)?.metadata ?? {};
      assert.equal(labels['pod-security.kubernetes.io/enforce'], expected ? 'baseline' : undefined);
      assert.equal(annotations['team'], expected ? 'shop' : undefined);
      assert.equal(labels['mine'], isThere ? 'yes' : undefined);
      assert.deepEqual(on.helm.runs, ['upgrade']);
    });
  }

  it('the right to create objects in the namespace is checked only where needed, and the check leaves nothing behind', async () => {
    for (const createNamespace of [true, false]) {
      const on = await scene({ chart: v1, request: { createNamespace } });
      on.cluster.unreadable.add('Namespace');
      await deploy(on.context);
      assert.equal(on.calls.includes('cluster.create'), createNamespace);
      assert.deepEqual(live(on.cluster), ['ConfigMap/a']);
    }
  });

  const nothingAllowed = () => Promise.resolve([]);
  for (const [what, isThere, outcome] of [
    ['rights are checked where it is there', true, 'failed'],
    ['nobody has rights in it yet where it is not', false, 'deployed'],
  ] as const) {
    it(what, async () => {
      const on = await scene({ chart: v1, request: { createNamespace: true } });
      if (!isThere) on.cluster.objects.delete(key);
      on.cluster.accessRules = nothingAllowed;
      const report = await deploy(on.context);
      assert.equal(report.outcome, outcome);
      if (isThere) assert.equal(report.reason, 'PermissionDenied');
    });
  }
});

describe('an unchanged deploy of a chart with tests', () => {
  const objects = [configMap('settings')];
  const metadata = { name: 'settings', labels: { 'app.kubernetes.io/managed-by': 'Helm' } };
  const marked = objects.map((object) => ({ ...object, metadata }));
  const test = (name: string, image = 'a'): Hook => ({
    ...hook(name, 'test'),
    kind: 'Pod',
    manifest: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { image } }),
  });
  const deployed = chart('1.0.0', objects, [test('test-abcde')]);
  let random = 0;
  for (const [what, next, outcome] of [
    ['of the same name', () => test('test-abcde'), 'unchanged'],
    ['with a name that is random', () => test(`test-${String(random++)}`), 'unchanged'],
    ['with a content that is random', () => test('test-abcde', String(random++)), 'unchanged'],
    ['of another content', () => test('test-abcde', 'b'), 'deployed'],
  ] as const) {
    it(`${what}: ${outcome}`, async () => {
      const now = { ...deployed, get hooks() { return [next()]; } }; // prettier-ignore
      const history = [revision(1, 'deployed', deployed, { labels: { [verifiedLabel]: '1' } })];
      const on = await scene({ chart: now, history, live: marked });
      const report = await deploy(on.context);
      assert.equal(report.outcome, outcome, on.agent.lines.join('\n'));
    });
  }
});

describe('a recorded API version that the cluster no longer serves', () => {
  const scaler = (version: string): KubeObject => ({
    apiVersion: `autoscaling/${version}`,
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web' },
    spec: { maxReplicas: 3 },
    status: { conditions: [{ type: 'AbleToScale', status: 'True' }] },
  });
  const served = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    plural: 'horizontalpodautoscalers',
    namespaced: true,
  };
  const old = chart('1.0.0', [configMap('a'), scaler('v2beta2')]);
  const live = [configMap('a'), scaler('v2')];
  const onNewCluster = async (objects: readonly KubeObject[], of = old, image = 'good') => {
    const next = chart('2.0.0', [...objects, deployment('web', image)]);
    const on = await scene({ chart: next, history: [revision(1, 'deployed', of)], live });
    on.cluster.served.set('autoscaling/v2/HorizontalPodAutoscaler', served);
    return on;
  };

  it('the record is converted, and the chart with the new version is deployed', async () => {
    const on = await onNewCluster([configMap('a'), scaler('v2')]);
    const before = on.cluster.objects.get('autoscaling/HorizontalPodAutoscaler/prod/web');
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 deployed+verified');
    assert.match(
      on.agent.lines.join('\n'),
      /record of revision 1 names HorizontalPodAutoscaler of autoscaling\/v2beta2/,
    );
    const after = on.cluster.objects.get('autoscaling/HorizontalPodAutoscaler/prod/web');
    assert.equal(after?.metadata.uid, before?.metadata.uid);
  });

  it('the record is converted, so a rollback to its revision is possible', async () => {
    const on = await onNewCluster([configMap('a'), scaler('v2')], old, 'broken');
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'rolledBack', report.message);
    assert.match(on.storage.records.at(-1)?.manifest ?? '', /autoscaling\/v2(?!beta)/);
  });

  it('an object that the new chart no longer has is removed, whatever its version was', async () => {
    const on = await onNewCluster([configMap('a')]);
    assert.equal((await deploy(on.context)).outcome, 'deployed');
    assert.equal(on.cluster.objects.has('autoscaling/HorizontalPodAutoscaler/prod/web'), false);
  });

  it("a chart that still uses the old version gets Helm's own error", async () => {
    const on = await onNewCluster([configMap('a'), scaler('v2beta2')]);
    const report = await deploy(on.context);
    assert.deepEqual([report.outcome, report.reason], ['failed', 'KindNotServed']);
    assert.match(report.message, /^The chart declares a kind that the API server does not serve/);
    assert.deepEqual(on.helm.runs, []);
  });

  it('a custom kind that is no longer served at all: the record is named and stays unchanged', async () => {
    const on = await onNewCluster([configMap('a')], chart('1.0.0', [configMap('a'), toy]));
    const report = await deploy(on.context);
    assert.deepEqual([report.outcome, report.reason], ['failed', 'KindNotServed']);
    assert.match(report.message, /record of the release \(revision 1\) names a kind .* the chart is not the cause/);
    assert.match(on.storage.records[0]?.manifest ?? '', /Toy/);
  });
});
