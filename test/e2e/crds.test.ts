import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { assertOutcome, helms, scenes, toyDefinition, type Scene } from './scenes';

/** A chart with a definition of its own, one of a subchart that is switched off, and an object of the first. */
function chartOf(s: Scene, version: string, definition: object): string {
  const folder = path.join(path.dirname(s.file('marker', '')), `chart-${version}`);
  const write = (name: string, content: unknown): void => {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, JSON.stringify(content));
  };
  const dependencies = [{ name: 'extra', version: '1.0.0', condition: 'extra.enabled' }];
  write('Chart.yaml', { apiVersion: 'v2', name: 'toys', version, dependencies });
  write('values.yaml', { extra: { enabled: false } });
  write('crds/toys.yaml', definition);
  write('charts/extra/Chart.yaml', { apiVersion: 'v2', name: 'extra', version: '1.0.0' });
  write('charts/extra/crds/toys.yaml', toyDefinition(`off.${s.namespace}.example.com`));
  write('templates/toy.yaml', {
    apiVersion: `${s.namespace}.example.com/v1`,
    kind: 'Toy',
    metadata: { name: 'one' },
    spec: { of: version },
  });
  return folder;
}

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

describe('definitions and namespaces that a deploy brings', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: crds are made on an upgrade, replaced, and keep versions with objects`, async (s) => {
      const helm = helms(s.cluster)[major];
      const group = `${s.namespace}.example.com`;
      const plain = toyDefinition(group);
      const own = `${definitions}/toys.${group}`;
      const first = chartOf(s, '1.0.0', plain);
      await s.helm(helm, 'install', 'web', first, '--skip-crds', '--set', 'none=x').catch(() => undefined);
      const chart = { chart: first, set: [] };
      assertOutcome(await s.deploy({ helm, ...chart, inputs: { crds: 'skip' } }), 'failed', 'KindNotServed');
      assertOutcome(await s.deploy({ helm, ...chart, inputs: { crds: 'create' } }), 'deployed');
      assert.equal(await s.live(`${definitions}/toys.off.${group}`), undefined);

      const [version] = plain.spec.versions;
      const versions = [version, { ...version, name: 'v2', storage: false }];
      const second = chartOf(s, '2.0.0', { ...plain, spec: { ...plain.spec, versions } });
      const end = await s.deploy({ helm, chart: second, inputs: { crds: 'createReplace' } });
      assertOutcome(end, 'deployed');
      assert.deepEqual(end.report?.definitions, [{ name: `toys.${group}`, change: 'replaced' }]);
      assert.equal(((await s.field(own, 'spec.versions')) as unknown[]).length, 2);

      const refused = await s.deploy({ helm, chart: first, inputs: { crds: 'createReplace' } });
      assertOutcome(refused, 'refused', 'DefinitionRefused');
      assert.equal(((await s.field(own, 'spec.versions')) as unknown[]).length, 2);
      await s.cluster.runKubectl('delete', 'customresourcedefinition', `toys.${group}`, '--wait=false');
    });

    scene(`Helm ${major}: a namespace is made with labels, and changed later only if asked`, async (s) => {
      const helm = helms(s.cluster)[major];
      const namespace = `${s.namespace}-made`;
      const labels = (enforce: string): string => `pod-security.kubernetes.io/enforce=${enforce}`;
      const inputs = { namespace, createNamespace: 'true', namespaceAnnotations: 'example.org/team=shop' };
      const deploy = (more: Record<string, string>) =>
        s.deploy({ helm, set: ['web=false'], inputs: { ...inputs, ...more } });
      const enforced = async (): Promise<string | undefined> =>
        (await s.live(`/api/v1/namespaces/${namespace}`))?.metadata.labels?.['pod-security.kubernetes.io/enforce'];
      try {
        assertOutcome(await deploy({ namespaceLabels: labels('baseline') }), 'deployed');
        assert.equal(await enforced(), 'baseline');
        assertOutcome(await deploy({ namespaceLabels: labels('restricted') }), 'unchanged');
        assert.equal(await enforced(), 'baseline');
        const updated = await deploy({ namespaceLabels: labels('restricted'), updateNamespace: 'true' });
        assertOutcome(updated, 'unchanged');
        assert.equal(await enforced(), 'restricted');
      } finally {
        await s.cluster.runKubectl('delete', 'namespace', namespace, '--wait=false', '--ignore-not-found');
      }
    });
  }
});
