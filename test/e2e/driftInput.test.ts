import assert from 'node:assert/strict';
import path from 'node:path';
import { repository } from '../../scripts/build';
import { rolesFolder } from '../../scripts/docs/rightsPage';
import { runCheck, type CheckEnd, type DeployEnd } from '../support/product';
import { serviceAccountConnection, serviceAccountToken } from './identities';
import { assertOutcome, defineToys, fake, helms, scenes, type Scene } from './scenes';

const web = '/apis/apps/v1/namespaces/$ns/deployments/web';
const readOnly = path.join(rolesFolder(repository), 'read-only.yaml');
const settings = [...fake, 'replicas=2', 'env.COLOUR=green'];

/** Somebody scales and changes a variable with kubectl. */
async function changeByHand(s: Scene): Promise<void> {
  const kubectl = (...args: string[]): Promise<string> => s.cluster.runKubectl('--namespace', s.namespace, ...args);
  await kubectl('scale', 'deployment/web', '--replicas=3');
  await kubectl('set', 'env', 'deployment/web', 'COLOUR=red');
}

function assertBothSeen({ report, log }: Pick<DeployEnd | CheckEnd, 'report' | 'log'>): void {
  const [drift = assert.fail('no drift'), ...others] = report?.drift ?? [];
  assert.deepEqual([drift.kind, drift.name, drift.drift, others.length], ['Deployment', 'web', 'changed', 0]);
  const colour = 'spec.template.spec.containers[name=web].env[name=COLOUR].value';
  assert.deepEqual(
    drift.diff.filter((line) => !line.startsWith(' ')),
    ['-spec.replicas: 2', `-${colour}: green`, '+spec.replicas: 3', `+${colour}: red`],
  );
  assert.deepEqual(
    drift.setBy.map(({ path, manager, subresource }) => [path, manager, subresource]),
    [
      ['spec.replicas', 'kubectl', 'scale'],
      [colour, 'kubectl-set', ''],
    ],
  );
  assert.match(log, /COLOUR\]\.value was set by kubectl-set at 20\S+ \S+ UTC/);
}

describe('drift before a deploy', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: somebody scaled and changed a variable by hand, and the next deploy sees both`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: settings }), 'deployed');
      await changeByHand(s);

      const stopped = await s.deploy({ helm, set: [...settings, 'text=two'], inputs: { drift: 'fail' } });
      assertOutcome(stopped, 'refused', 'DriftFound');
      assertBothSeen(stopped);
      assert.equal(stopped.outputs['driftCount'], '1');
      assert.equal(await s.history(), '1 deployed');
      assert.equal(await s.field(web, 'spec.replicas'), 3);

      const ignore = 'Deployment/web /spec/replicas\n/spec/template/spec/containers/0/env';
      const inputs = { drift: 'fail', driftIgnore: ignore };
      const left = await s.deploy({ helm, set: settings, inputs });
      assertOutcome(left, 'unchanged');
      assert.equal(left.outputs['driftCount'], '0');
    });

    scene(`Helm ${major}: drift of every kind is restored, although the chart is the same`, async (s) => {
      const helm = helms(s.cluster)[major];
      const group = await defineToys(s);
      const toy = `/apis/${group}/v1/namespaces/$ns/toys/web`;
      const set = [...settings, `custom=${group}/v1`, 'configMaps={gone,other}'];
      assertOutcome(await s.deploy({ helm, set }), 'deployed');
      await changeByHand(s);
      const kubectl = (...args: string[]): Promise<string> => s.cluster.runKubectl('--namespace', s.namespace, ...args);
      await kubectl('delete', 'configmap', 'gone');
      await kubectl('annotate', 'configmap', 'other', 'meta.helm.sh/release-name-');
      await kubectl('patch', `toys.${group}`, 'web', '--type=merge', '--patch', '{"spec":{"text":"by hand"}}');

      const inputs = { drift: 'correct' };
      const restored = await s.deploy({ helm, set, inputs });
      assertOutcome(restored, 'deployed');
      const states = (restored.report?.drift ?? []).map(
        ({ kind, name, drift, state }) => `${kind}/${name} ${drift} ${state}`,
      );
      assert.deepEqual(states.sort(), [
        'ConfigMap/gone missing restored',
        'ConfigMap/other foreign restored',
        'Deployment/web changed restored',
        'Toy/web changed restored',
      ]);
      assert.equal(await s.field(web, 'spec.replicas'), 2);
      assert.match(JSON.stringify(await s.field(web, 'spec.template.spec.containers')), /"COLOUR","value":"green"/);
      assert.equal(await s.field(toy, 'spec.text'), 'one');
      assert.equal(await s.history(), '1 superseded, 2 deployed');

      const again = await s.deploy({ helm, set, inputs });
      assertOutcome(again, 'unchanged');
      assert.equal(again.outputs['driftCount'], '0');
    });

    scene(`Helm ${major}: a check that may only read sees by field managers who has changed the release`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: settings }), 'deployed');
      await s.cluster.runKubectl('--namespace', s.namespace, 'apply', '--filename', readOnly);
      const connection = serviceAccountConnection(s, await serviceAccountToken(s, 'read-only'));
      const { cluster, namespace } = s;
      const check = { cluster, namespace, connection };
      const inputs = { releaseName: 'web', timeout: '60s', stableFor: '0', drift: 'fail' };
      const clean = await runCheck({ ...check, inputs });
      assert.deepEqual([clean.outputs['health'], clean.outputs['driftCount']], ['healthy', '0'], clean.log);

      await changeByHand(s);
      const found = await runCheck({ ...check, inputs });
      assert.deepEqual([found.outputs['health'], found.outputs['reason']], ['unhealthy', 'DriftFound'], found.log);
      assertBothSeen(found);
      assert.match(found.log, /compared without a dry run.*cannot patch/);
      assert.equal(found.result, 'Failed');
      const reported = await runCheck({ ...check, inputs: { ...inputs, drift: 'report' } });
      assert.deepEqual([reported.outputs['health'], reported.outputs['driftCount']], ['healthy', '1'], reported.log);
    });
  }
});
