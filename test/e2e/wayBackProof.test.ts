import assert from 'node:assert/strict';
import path from 'node:path';
import { otherHelm } from '../support/otherHelm';
import { assertOutcome, charts, fake, helms, scenes } from './scenes';

const broken = [...fake, 'text=two', 'nodeSelector.none=z', 'progressDeadlineSeconds=2'];
const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';

describe('the automatic rollback of a failed deploy', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: objects that a tampered Helm deletes after its rollback are restored, whatever its exit code`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: [...fake, 'text=one'] }), 'deployed');
        const { kubectl, kubeconfig } = s.cluster;
        const deletes = `"${kubectl}" --kubeconfig "${kubeconfig}" --namespace "${s.namespace}" delete service/web configmap/web`;
        const script = [
          '#!/bin/sh',
          `"${helm}" "$@"`,
          'code=$?',
          `case "$*" in rollback*) ${deletes}; echo "Error: no" >&2; code=1;; esac`,
          'exit $code',
        ];
        const wrapper = s.file('tampered-helm', `${script.join('\n')}\n`);
        const end = await s.deploy({ helm: wrapper, set: broken, inputs: { timeout: '5m' } });
        assertOutcome(end, 'rolledBack');
        assert.ok(await s.live('/api/v1/namespaces/$ns/services/web'), end.log);
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
        assert.match(end.log, /applied again: .*Service\/web/);
        assertOutcome(await s.deploy({ helm, set: [...fake, 'text=three'] }), 'deployed');
      },
    );
  }

  scene('Helm 4: a field that Helm was refused in the upgrade is not forced in the rollback', async (s) => {
    const helm = helms(s.cluster)['4'];
    const { kubectl, kubeconfig } = s.cluster;
    assertOutcome(await s.deploy({ helm, set: [...fake, 'text=one', 'configMaps={other}'] }), 'deployed');
    const hand = `"${kubectl}" --kubeconfig "${kubeconfig}" --namespace "${s.namespace}"`;
    const script = [
      '#!/bin/sh',
      'case "$*" in',
      '*--dry-run*|*--help*) ;;',
      `upgrade*) ${hand} scale deployment/web --replicas=2 >&2; ${hand} patch configmap/web --patch '{"data":{"text":"by hand"}}' >&2;;`,
      'esac',
      `exec "${helm}" "$@"`,
    ];
    const meanwhile = s.file('meanwhile-helm', `${script.join('\n')}\n`);
    const inputs = { timeout: '5m', rollbackTimeout: '5m' };
    const end = await s.deploy({ helm: meanwhile, set: [...fake, 'text=two', 'configMaps={other,only-two}'], inputs });
    assertOutcome(end, 'rolledBack', 'FieldConflict');
    assert.match(end.report?.message ?? '', /they are not changed: .*ConfigMap\/web: data\.text \(set by /);
    assert.match(end.report?.message ?? '', /Deployment\/web: spec\.replicas \(set by kubectl through scale\)/);
    assert.equal(await s.field(deployment, 'spec.replicas'), 2);
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'by hand');
    assert.equal(await s.live('/api/v1/namespaces/$ns/configmaps/only-two'), undefined);
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    assert.deepEqual([end.report?.servingRevision, end.report?.servingHealth], [3, 'healthy']);
  });

  scene('Helm 3: a manual change to an object that Helm was refused in the upgrade is kept', async (s) => {
    const helm = helms(s.cluster)['3'];
    const { kubectl, kubeconfig } = s.cluster;
    const ingress = '/apis/networking.k8s.io/v1/namespaces/$ns/ingresses/web';
    const values = [...fake, 'text=one', 'ingressHost=a.example.com'];
    assertOutcome(await s.deploy({ helm, set: values }), 'deployed');
    const hand = `"${kubectl}" --kubeconfig "${kubeconfig}" --namespace "${s.namespace}"`;
    const edit = '[{"op":"replace","path":"/spec/rules/0/host","value":"by-hand.example.com"}]';
    const script = [
      '#!/bin/sh',
      `case "$*" in *--dry-run*|*--help*) ;; upgrade*) ${hand} patch ingress/web --type=json --patch '${edit}' >&2;; esac`,
      `exec "${helm}" "$@"`,
    ];
    const meanwhile = s.file('meanwhile-helm', `${script.join('\n')}\n`);
    const end = await s.deploy({ helm: meanwhile, set: [...fake, 'text=two', 'invalid=true'] });
    assertOutcome(end, 'rolledBack', 'ApplyRejected');
    assert.match(
      end.report?.message ?? '',
      /they are not changed: Ingress\/web: spec\.rules\S* \(set by kubectl-patch\)/,
    );
    assert.equal(await s.field(ingress, 'spec.rules.0.host'), 'by-hand.example.com', end.log);
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    assert.deepEqual([end.report?.servingRevision, end.report?.servingHealth], [3, 'healthy']);
  });

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a tampered Helm is recognised in the rehearsal and never runs the rollback`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: [...fake, 'text=one'] }), 'deployed');
      const uids = async (): Promise<unknown[]> =>
        Promise.all(
          [deployment, '/api/v1/namespaces/$ns/services/web', '/api/v1/namespaces/$ns/configmaps/web'].map((path) =>
            s.field(path, 'metadata.uid'),
          ),
        );
      const before = await uids();
      const deletes = `"${s.cluster.kubectl}" --namespace "${s.namespace}" delete deployment/web service/web configmap/web --wait=false`;
      const script = [
        '#!/bin/sh',
        `"${helm}" "$@"`,
        'code=$?',
        `case "$*" in rollback*) ${deletes} >&2;; esac`,
        'exit $code',
      ];
      const wrapper = s.file('tampered-helm', `${script.join('\n')}\n`);
      const end = await s.deploy({ helm: wrapper, set: broken, inputs: { timeout: '5m' } });
      assertOutcome(end, 'failed');
      assert.match(end.report?.message ?? '', /There is no automatic rollback to revision 1, .*DeletesTargetObject: /);
      assert.match(end.report?.message ?? '', /ApproveAndRollback@1 and toRevision: 1/);
      assert.deepEqual(await uids(), before);
      assert.equal(await s.history(), '1 superseded, 2 failed');
      assertOutcome(await s.deploy({ helm, set: [...fake, 'text=three'] }), 'deployed');
      assert.equal(await s.field(deployment, 'spec.template.spec.nodeSelector.none'), undefined);
    });
  }

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: a wrapper with its own kubeconfig is not rehearsed and rolls back with the merge base`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const wrapper = s.file('own-way', `#!/bin/sh\nexec "${helm}" --kubeconfig "${s.cluster.kubeconfig}" "$@"\n`);
        const claim = '/api/v1/namespaces/$ns/persistentvolumeclaims/web';
        assertOutcome(await s.deploy({ helm: wrapper, set: [...fake, 'text=one'] }), 'deployed');
        const end = await s.deploy({ helm: wrapper, set: [...broken, 'claim=true'], inputs: { timeout: '5m' } });
        assertOutcome(end, 'rolledBack');
        assert.match(end.log, /could not be foreseen; .* does not use the kubeconfig in KUBECONFIG/);
        assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
        assert.ok(await s.live(claim), end.log);
      },
    );
  }

  scene('objects removed by a Helm that makes no revision are restored and reported', async (s) => {
    const helm = helms(s.cluster)['4'];
    assertOutcome(await s.deploy({ helm, set: [...fake, 'text=one'] }), 'deployed');
    const { kubectl, kubeconfig } = s.cluster;
    const takes = `"${kubectl}" --kubeconfig "${kubeconfig}" --namespace "${s.namespace}" delete service/web deployment/web >&2; echo "Error: no" >&2; exit 1`;
    const script = ['#!/bin/sh', `case "$*" in *--no-hooks*) ;; rollback*) ${takes};; esac`, `exec "${helm}" "$@"`];
    const end = await s.deploy({
      helm: s.file('taking-helm', `${script.join('\n')}\n`),
      set: broken,
      inputs: { timeout: '5m' },
    });
    assertOutcome(end, 'failed', 'Unschedulable');
    assert.match(end.report?.message ?? '', /failed too: no\. Missing after it, and made again: .*Service\/web/);
    assert.ok(await s.live('/api/v1/namespaces/$ns/services/web'), end.log);
    assert.ok(await s.live(deployment), end.log);
    assertOutcome(await s.deploy({ helm, set: [...fake, 'text=three'] }), 'deployed');
  });

  scene(
    'Helm 4.1.0, which deletes an object whose version changed, gets a merge base with which it keeps the object',
    async (s) => {
      const [good, bad] = [helms(s.cluster)['4'], await otherHelm('4.1.0')];
      // The upgrade of Helm 4.1.0 would already have deleted the object.
      const helm = s.file(
        'two-helms',
        `#!/bin/sh\ncase "$*" in rollback*) exec "${bad}" "$@";; *) exec "${good}" "$@";; esac\n`,
      );
      const autoscaler = '/apis/autoscaling/v2/namespaces/$ns/horizontalpodautoscalers/web';
      assertOutcome(await s.deploy({ helm, set: [...fake, 'autoscaler=v2'] }), 'deployed');
      const uid = await s.field(autoscaler, 'metadata.uid');
      const end = await s.deploy({ helm, set: [...broken, 'autoscaler=v1'], inputs: { timeout: '5m' } });
      assertOutcome(end, 'rolledBack');
      assert.equal(await s.field(autoscaler, 'metadata.uid'), uid);
    },
  );

  scene('an irreversible step is logged before the first change, and no rollback crosses it', async (s) => {
    const chart = path.join(charts, 'objects');
    const configMap = (annotations: object): object => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'web', annotations },
    });
    const pod = { nodeSelector: { none: 'z' }, containers: [{ name: 'web', image: 'none' }] };
    const spec = {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: pod },
    };
    const stuck = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec };
    const values = (name: string, ...objects: object[]): Record<string, string> => ({
      valueFiles: s.file(name, JSON.stringify({ objects })),
      timeout: '10s',
    });
    assertOutcome(await s.deploy({ chart, inputs: values('one.json', configMap({})) }), 'deployed');
    const marked = configMap({ 'helm-safe-deploy/irreversible': 'drops the column' });
    const end = await s.deploy({ chart, inputs: values('two.json', marked, stuck) });
    assertOutcome(end, 'failed');
    assert.match(end.log, /there is no automatic rollback of a failed deploy: revision 2 is an irreversible step/);
    assert.match(end.log, /because revision 2 is an irreversible step \(ConfigMap\/web: drops the column\)/);
    assert.equal(await s.history(), '1 superseded, 2 failed');
    assert.ok(await s.live(deployment));
  });
});
