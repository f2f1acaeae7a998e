import assert from 'node:assert/strict';
import {
  assertEnd,
  configMap,
  deployment,
  kubectl,
  plan,
  release,
  releaseOf,
  rollBack,
  type Step,
} from './rollbackScenes';
import { helms, scenes, type Live, type Scene } from './scenes';

/** A change between plan and execution, the text of the refusal, and how the change is undone. */
interface Change {
  what: string;
  says: RegExp;
  does: (s: Scene) => Promise<void>;
  undo: (s: Scene) => Promise<void>;
}

function patched(what: string, object: string, change: object, back: object, says: RegExp): Change {
  const patch = (s: Scene, value: object): Promise<void> =>
    kubectl(s, 'patch', object, '--type=merge', '--patch', JSON.stringify(value));
  return { what, says, does: (s) => patch(s, change), undo: (s) => patch(s, back) };
}

async function edited(s: Scene, revision: number, edit: (record: Live) => void): Promise<void> {
  const path = `/api/v1/namespaces/$ns/secrets/sh.helm.release.v1.web.v${revision}`;
  const record = (await s.live(path)) ?? assert.fail(`there is no revision ${revision}`);
  edit(record);
  await s.put(path, record);
}

function labelled(
  what: string,
  label: string,
  value: string | undefined,
  back: string | undefined,
  says: RegExp,
): Change {
  const set = (s: Scene, to: string | undefined): Promise<void> =>
    edited(s, 1, ({ metadata }) => {
      const { [label]: _, ...labels } = metadata.labels ?? {};
      metadata.labels = to === undefined ? labels : { ...labels, [label]: to };
    });
  return { what, says, does: (s) => set(s, value), undo: (s) => set(s, back) };
}

const changes: readonly Change[] = [
  patched(
    'a value of a ConfigMap by hand',
    'configmap/web',
    { data: { text: 'hand' } },
    { data: { text: 'two' } },
    /ConfigMap\/web was changed since the plan: data\.text is "hand" \(was "two"\), by kubectl-patch at/,
  ),
  patched(
    'a label that the target declares not',
    'service/web',
    { spec: { ports: [{ name: 'http', port: 81, targetPort: 'http' }] } },
    { spec: { ports: [{ name: 'http', port: 80, targetPort: 'http' }] } },
    /Service\/web/,
  ),
  patched(
    'the number of replicas by hand',
    'deployment/web',
    { spec: { replicas: 3 } },
    { spec: { replicas: 1 } },
    /Deployment\/web was changed since the plan: spec\.replicas is 3 \(was 1\), by kubectl-patch at 20\S+Z/,
  ),
  patched(
    'an annotation of the pods',
    'deployment/web',
    { spec: { template: { metadata: { annotations: { hand: 'x' } } } } },
    { spec: { template: { metadata: { annotations: { hand: null } } } } },
    /Deployment\/web was changed since the plan: spec\.template\.metadata\.annotations\.hand is "x" \(was absent\), by kubectl-patch at/,
  ),
  patched(
    'a pause',
    'deployment/web',
    { spec: { paused: true } },
    { spec: { paused: null } },
    /Deployment\/web was changed since the plan: spec\.paused is true \(was absent\), by kubectl-patch at/,
  ),
  patched(
    'the time to terminate',
    'deployment/web',
    { spec: { template: { spec: { terminationGracePeriodSeconds: 5 } } } },
    { spec: { template: { spec: { terminationGracePeriodSeconds: 1 } } } },
    /Deployment\/web was changed since the plan/,
  ),
  patched(
    'another priority of pods',
    'deployment/web',
    { spec: { template: { spec: { dnsPolicy: 'Default' } } } },
    { spec: { template: { spec: { dnsPolicy: 'ClusterFirst' } } } },
    /Deployment\/web/,
  ),
  patched(
    'the deadline',
    'deployment/web',
    { spec: { progressDeadlineSeconds: 100 } },
    { spec: { progressDeadlineSeconds: 600 } },
    /Deployment\/web was changed since the plan/,
  ),
  patched(
    'the owner of an object',
    'configmap/web',
    { metadata: { annotations: { 'meta.helm.sh/release-name': 'other' } } },
    { metadata: { annotations: { 'meta.helm.sh/release-name': 'web' } } },
    /OwnedByAnother|belongs to release other/,
  ),
  patched(
    'an object that goes is to be kept',
    'configmap/new',
    { metadata: { annotations: { 'helm.sh/resource-policy': 'keep' } } },
    { metadata: { annotations: { 'helm.sh/resource-policy': null } } },
    /ConfigMap\/new was to be deleted, and would be kept by its policy now/,
  ),
  {
    what: 'an object of the target is there already, and nobody’s',
    says: /ConfigMap\/old/,
    does: (s) => kubectl(s, 'create', 'configmap', 'old'),
    undo: (s) => kubectl(s, 'delete', 'configmap', 'old'),
  },
  labelled(
    'the target was found unhealthy',
    'helm-safe-deploy/unhealthy',
    '1',
    undefined,
    /was unproven and is unhealthy now|RevisionUnhealthy|The target was revision 1/,
  ),
  labelled(
    'the target was seen healthy',
    'helm-safe-deploy/verified',
    '1',
    undefined,
    /was unproven and is verified now|UnverifiedTarget/,
  ),
];

/** The same step with other inputs asks for another rollback than the approved one. */
const otherInputs: readonly { what: string; step: Step; says: RegExp }[] = [
  { what: 'maxDeletions', step: { inputs: { maxDeletions: '0' } }, says: /TooManyDeletions/ },
  { what: 'toRevision', step: { inputs: { toRevision: '2' } }, says: /The target was revision 1/ },
];

describe('the cluster changes between plan and execution', () => {
  const { scene } = scenes();

  scene('each change by a person is refused with a message, a change that happens by itself is not', async (s) => {
    const helm = helms(s.cluster)['4'];
    await release(s, helm, 'text=one', 'configMaps={old}');
    await release(s, helm, 'text=two', 'configMaps={new}');
    const planned = await plan(s);
    assertEnd(planned, 'planned');

    for (const { what, says, does, undo } of changes) {
      await does(s);
      const refused = await rollBack(s, planned);
      assert.equal(refused.outputs['outcome'], 'refused', `${what}:\n${refused.log}`);
      assert.match(refused.log, says, what);
      await undo(s);
    }
    for (const { what, step, says } of otherInputs) {
      const refused = await rollBack(s, planned, step);
      assert.equal(refused.outputs['outcome'], 'refused', `${what}:\n${refused.log}`);
      assert.match(refused.log, says, what);
    }
    const otherHelm = await rollBack(s, planned, { helm: helms(s.cluster)['3'] });
    assertEnd(otherHelm, 'refused', 'PlanChanged');
    assert.match(otherHelm.log, /The plan was made with Helm v4\.\S+, this step has v3\./);
    assert.equal(await s.history(), '1 superseded, 2 deployed');

    // Changes that happen by themselves: pods come and go, statuses and bookkeeping change, and others have objects of
    // their own.
    await kubectl(s, 'delete', 'pods', '--all', '--wait=false');
    await kubectl(s, 'annotate', 'deployment/web', 'kubectl.kubernetes.io/last-applied-configuration={}');
    await kubectl(s, 'create', 'configmap', 'of-somebody-else');
    await s.until('the Deployment serves', async () => (await s.field(deployment, 'status.readyReplicas')) === 1);
    const done = await rollBack(s, planned);
    assertEnd(done, 'rolledBack');
    assert.equal(await s.field(configMap('web'), 'data.text'), 'one');
  });

  scene('a missing record of the present revision and a recreated object that goes are refused', async (s) => {
    const helm = helms(s.cluster)['3'];
    await release(s, helm, 'text=one');
    await release(s, helm, 'text=two');
    await release(s, helm, 'text=three', 'configMaps={new}');
    const planned = await plan(s, { helm, inputs: { toRevision: '1' } });
    assertEnd(planned, 'planned');
    const labels = 'app.kubernetes.io/managed-by=Helm';
    await kubectl(s, 'delete', 'configmap', 'new');
    await kubectl(s, 'create', 'configmap', 'new');
    await kubectl(s, 'label', 'configmap', 'new', labels);
    await kubectl(
      s,
      'annotate',
      'configmap',
      'new',
      'meta.helm.sh/release-name=web',
      `meta.helm.sh/release-namespace=${s.namespace}`,
    );
    const anew = await rollBack(s, planned, { helm, inputs: { toRevision: '1' } });
    assertEnd(anew, 'refused', 'PlanChanged');
    assert.match(anew.log, /ConfigMap\/new was deleted and created again since/);
    await kubectl(s, 'delete', 'secret', 'sh.helm.release.v1.web.v1');
    const pruned = await rollBack(s, planned, { helm, inputs: { toRevision: '1' } });
    assertEnd(pruned, 'refused', 'PlanChanged');
    assert.match(pruned.log, /The target was revision 1 and is none now/);
    await kubectl(s, 'delete', 'secret', 'sh.helm.release.v1.web.v3');
    const gone = await rollBack(s, planned, { helm, inputs: { toRevision: '1' } });
    assert.equal(gone.outputs['outcome'], 'refused');
    assert.match(gone.log, /Revision 3, where the plan starts, is gone/);
    assert.equal(await s.history(), '2 superseded');
  });

  scene('an irreversible step is refused unless an input names it, and the plan mentions it', async (s) => {
    const helm = helms(s.cluster)['4'];
    const object = (name: string, annotations: object): object => {
      return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, annotations } };
    };
    await releaseOf(s, helm, object('web', {}));
    await releaseOf(s, helm, object('web', { 'helm-safe-deploy/irreversible': 'drops the column' }));
    const refused = await plan(s);
    assertEnd(refused, 'refused', 'PlanRefused');
    assert.match(refused.log, /IrreversibleStep: .*drops the column/);
    const allowed = await plan(s, { inputs: { allowIrreversible: '2' } });
    assertEnd(allowed, 'planned');
    assertEnd(await rollBack(s, allowed, { inputs: { allowIrreversible: '2' } }), 'rolledBack');
  });
});
