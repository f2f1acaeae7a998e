import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey } from '../../tasks/common/core/kubernetes/manifest';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import type { FakeChart } from '../support/fakes/fakeHelm';
import { chart, configMap, inNamespace, revision, scene, type Setting } from '../support/fakes/scene';

function definition(versions: readonly string[], more: Record<string, unknown> = {}): KubeObject {
  const [storage] = versions;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'toys.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { kind: 'Toy', listKind: 'ToyList', plural: 'toys', singular: 'toy' },
      conversion: { strategy: 'None' },
      versions: versions.map((name) => ({ name, served: true, storage: name === storage, ...more })),
    },
  };
}

const toy = { apiVersion: 'example.com/v1', kind: 'Toy', metadata: { name: 'one' } };
const kind = { apiVersion: 'example.com/v1', kind: 'Toy', plural: 'toys', singular: 'toy', namespaced: true };
const v1 = chart('1.0.0', [configMap('settings')]);
const v2: FakeChart = {
  ...chart('2.0.0', [configMap('settings'), toy]),
  crds: [kind],
  definitions: [definition(['v1'])],
};
const installed: Setting = { chart: v2, history: [revision(1, 'deployed', v1)], live: v1.objects };
const key = objectKey({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  name: 'toys.example.com',
});

const play = async (
  setting: Setting,
  crds?: 'skip' | 'create' | 'createReplace',
  found: readonly KubeObject[] = [],
) => {
  const on = await scene({ ...setting, ...(crds === undefined ? {} : { request: { crds } }) });
  for (const object of found) on.cluster.put(object);
  const writes: string[] = [];
  for (const verb of ['create', 'update'] as const) {
    const act = on.context.cluster[verb].bind(on.context.cluster);
    on.context.cluster[verb] = (object: KubeObject) => {
      if (object.kind === 'CustomResourceDefinition') writes.push(verb);
      return act(object);
    };
  }
  const report = await deploy(on.context);
  return { on, report, writes, log: on.agent.lines.join('\n') };
};

describe('the definitions of a chart (crds/)', () => {
  it('an upgrade that needs a missing one names the input that makes it', async () => {
    const { report, writes } = await play(installed);
    assert.deepEqual([report.outcome, report.reason], ['failed', 'KindNotServed']);
    assert.match(report.message, /set the input crds to create/);
    assert.deepEqual(writes, []);
  });

  for (const crds of ['create', 'createReplace'] as const) {
    it(`${crds} makes a missing one before the upgrade`, async () => {
      const { report, writes, log } = await play(installed, crds);
      assert.equal(report.outcome, 'deployed', report.message);
      assert.deepEqual(writes, ['create']);
      assert.deepEqual(report.definitions, [{ name: 'toys.example.com', change: 'created' }]);
      assert.match(log, /created CustomResourceDefinition\/toys\.example\.com[^]*A rollback leaves these definitions/);
    });
  }

  it('skip leaves even a first install without them', async () => {
    const { report, writes } = await play({ chart: v2 }, 'skip');
    assert.deepEqual([report.outcome, report.reason], ['failed', 'KindNotServed']);
    assert.match(report.message, /crds: skip/);
    assert.deepEqual(writes, []);
  });

  const more = definition(['v1'], { subresources: { status: {} } });
  const replaced = { ...installed, chart: { ...v2, definitions: [more] } };
  it('create leaves one that differs, createReplace replaces it and keeps what others added', async () => {
    const live = { ...definition(['v1']), metadata: { name: 'toys.example.com', annotations: { theirs: 'x' } } };
    assert.deepEqual((await play(replaced, 'create', [live])).writes, []);
    const { on, report, writes } = await play(replaced, 'createReplace', [live]);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.deepEqual(writes, ['update']);
    assert.deepEqual(on.cluster.objects.get(key)?.['spec'], more['spec']);
    assert.equal(on.cluster.objects.get(key)?.metadata.annotations?.['theirs'], 'x');
  });

  it('createReplace writes nothing when the definition is as declared, and works for an unchanged chart too', async () => {
    assert.deepEqual((await play(installed, 'createReplace', [definition(['v1'])])).writes, []);
    const same: Setting = { ...replaced, history: [revision(1, 'deployed', v2)], live: v2.objects };
    const { report, writes } = await play(same, 'createReplace', [definition(['v1'])]);
    assert.deepEqual([report.outcome, writes], ['unchanged', ['update']], report.message);
  });

  describe('a version that the chart drops', () => {
    const both = definition(['v1', 'v0']);
    const old = inNamespace({ ...toy, apiVersion: 'example.com/v1' });
    const settled = { ...both, status: { storedVersions: ['v1'] } };
    for (const [what, found, outcome] of [
      ['in which objects may be stored is kept', [both], 'refused'],
      ['that is served and has objects is kept', [settled, old], 'refused'],
      ['that nothing uses may go', [settled], 'deployed'],
    ] as const) {
      it(what, async () => {
        const { report, writes } = await play(installed, 'createReplace', found);
        assert.equal(report.outcome, outcome, report.message);
        assert.deepEqual(writes, outcome === 'refused' ? [] : ['update']);
        if (outcome !== 'refused') return;
        assert.equal(report.reason, 'DefinitionRefused');
        assert.match(report.message, /toys\.example\.com: .* no longer serves v0/);
      });
    }
  });
});
