import assert from 'node:assert/strict';
import { otherHelm } from '../support/otherHelm';
import { assertEnd, codes, configMap, deployment, plan, release, rollBack } from './rollbackScenes';
import { helms, scenes, type Scene } from './scenes';

/** A Helm that deletes the release's objects after its rollback, as in the incident. */
function sabotaged(s: Scene, helm: string, { when, kubeconfig }: { when: string; kubeconfig: string }): string {
  const script = [
    '#!/bin/sh',
    `"${helm}" "$@"`,
    'code=$?',
    `case "$*" in ${when}) "${s.cluster.kubectl}" --kubeconfig "${kubeconfig}" --namespace "${s.namespace}" --request-timeout 10s delete deployment/web service/web configmap/web --wait=false >&2;; esac`,
    'exit $code',
  ];
  return s.file('sabotaged-helm', `${script.join('\n')}\n`);
}

const owner = '/metadata/annotations/meta.helm.sh~1release-name';
const always = '*rollback*';
const forRealOnly = '*rollback*--no-hooks*) ;; *rollback*';

describe('a Helm that deletes what it has just rolled back', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: its deletions are seen in the rehearsal, and the plan is refused`, async (s) => {
      const helm = helms(s.cluster)[major];
      for (const text of ['one', 'two']) await release(s, helm, `text=${text}`);
      const wrapper = sabotaged(s, helm, { when: always, kubeconfig: '$KUBECONFIG' });
      const uid = await s.field(deployment, 'metadata.uid');
      const planned = await plan(s, { helm: wrapper });
      assertEnd(planned, 'refused', 'PlanRefused');
      assert.equal(planned.outputs['risk'], 'refused');
      assert.ok(codes(planned).includes('DeletesTargetObject'), planned.log);
      assert.equal(await s.field(deployment, 'metadata.uid'), uid);
      assert.equal(await s.history(), '1 superseded, 2 deployed');
    });
  }

  scene('a Helm with its own kubeconfig cannot be rehearsed: refused, and nothing is changed', async (s) => {
    const helm = helms(s.cluster)['4'];
    for (const text of ['one', 'two']) await release(s, helm, `text=${text}`);
    const wrapper = s.file('own-way', `#!/bin/sh\nexec "${helm}" --kubeconfig "${s.cluster.kubeconfig}" "$@"\n`);
    const planned = await plan(s, { helm: wrapper });
    assertEnd(planned, 'failed', 'InputInvalid');
    assert.match(planned.log, /does not use the kubeconfig in KUBECONFIG.*Nothing was changed/);
    assert.equal(await s.history(), '1 superseded, 2 deployed');
  });

  scene('deletions only in the real rollback: the fence keeps the objects, and they are reported', async (s) => {
    const helm = helms(s.cluster)['4'];
    for (const text of ['one', 'two']) await release(s, helm, `text=${text}`);
    const wrapper = sabotaged(s, helm, { when: forRealOnly, kubeconfig: '$KUBECONFIG' });
    const uid = await s.field(deployment, 'metadata.uid');
    const planned = await plan(s, { helm: wrapper });
    assertEnd(planned, 'planned');
    const done = await rollBack(s, planned, { helm: wrapper });
    assertEnd(done, 'rolledBack');
    assert.deepEqual(done.report?.heldBackDeletions.toSorted(), ['ConfigMap/web', 'Deployment/web', 'Service/web']);
    assert.equal(await s.field(deployment, 'metadata.uid'), uid, 'The Deployment was never deleted.');
    assert.equal(await s.field(configMap('web'), 'data.text'), 'one');
  });

  scene('writes through the fence that were not rehearsed are refused, and none of them is done', async (s) => {
    const helm = helms(s.cluster)['4'];
    for (const text of ['one', 'two', 'three']) await release(s, helm, `text=${text}`);
    const planned = await plan(s, { helm, inputs: { toRevision: '2', allowUnverifiedTarget: 'true' } });
    assertEnd(planned, 'planned');
    const inputs = { toRevision: '2', allowUnverifiedTarget: 'true' };
    const tampered = (name: string, ...lines: string[]): string => {
      const cases = `*rollback*--no-hooks*) helm "$@";; *rollback*) ${lines.join('\n')};; *) helm "$@";;`;
      const head = `#!/bin/sh\nhelm() { "${helm}" "$@"; }\nkubectl() { "${s.cluster.kubectl}" --namespace "${s.namespace}" "$@"; }\n`;
      return s.file(name, `${head}case "$*" in ${cases} esac\n`);
    };
    const elsewhere = await rollBack(s, planned, {
      helm: tampered('elsewhere', `helm rollback web 1 -n ${s.namespace}`),
      inputs,
    });
    assertEnd(elsewhere, 'failed', 'ApplyRejected');
    assert.match(elsewhere.log, /its result would differ from the rehearsal \(data/);
    assert.equal(await s.field(configMap('web'), 'data.text'), 'three');

    const again = await plan(s, { helm, inputs });
    const patches = tampered(
      'patches',
      `kubectl patch deployment/web --type merge --patch '{"spec":{"template":{"spec":{"hostNetwork":true}}}}'`,
      'kubectl scale deployment/web --replicas 0',
      'kubectl create token default',
      `kubectl create configmap extra`,
      'find "$(dirname "$KUBECONFIG")" "$HOME" -type f | sort -u',
      'helm "$@"',
      `kubectl patch deployment/web --type merge --patch '{"spec":{"template":{"spec":{"hostNetwork":true}}}}'`,
      'kubectl delete secret "$(kubectl get secret --selector owner=helm --output name | sort -V | tail -n 1 | cut -d / -f 2)"',
      'exit 0',
    );
    const done = await rollBack(s, again, { helm: patches, inputs });
    assertEnd(done, 'rolledBack');
    for (const refused of [
      /deployments\/web in namespace .*hostNetwork/,
      /deployments\/web\/scale .*not in the plan/,
      /serviceaccounts\/default\/token .*not in the plan/,
      /configmaps .*not in the plan/,
    ]) {
      assert.match(done.log, refused);
    }
    assert.doesNotMatch(done.log, /^eyJ/m, 'No token was made.');
    assert.equal(await s.field(deployment, 'spec.template.spec.hostNetwork'), undefined);
    assert.notEqual(await s.field(deployment, 'spec.replicas'), 0);
    assert.equal(await s.live(configMap('extra')), undefined);
    assert.equal(await s.field(configMap('web'), 'data.text'), 'two');
    assert.match(await s.history(), /5 deployed$/);
  });

  scene('its exit code proves nothing: the live objects decide, and removed objects are restored', async (s) => {
    const helm = helms(s.cluster)['4'];
    await release(s, helm, 'text=one', 'configMaps={old}');
    await release(s, helm, 'text=two', 'configMaps={new}');
    const doing = (name: string, ...lines: string[]): string => {
      const kubectl = `"${s.cluster.kubectl}" --kubeconfig "${s.cluster.kubeconfig}" --namespace "${s.namespace}"`;
      const head = `#!/bin/sh\nhelm() { "${helm}" "$@"; }\nkubectl() { ${kubectl} "$@" >&2; }\n`;
      const cases = `*rollback*--no-hooks*) helm "$@";; *rollback*) ${lines.join('\n')};; *) helm "$@";;`;
      return s.file(name, `${head}case "$*" in ${cases} esac\n`);
    };
    const planned = await plan(s);
    assertEnd(planned, 'planned');

    const nothing = await rollBack(s, planned, { helm: doing('does-nothing', 'exit 0') });
    assertEnd(nothing, 'failed', 'ProofFailed');
    assert.match(nothing.log, /made no revision that is deployed.*revision 2 is the last one still/);
    assert.equal(nothing.outputs['health'], 'healthy');

    const takes = doing(
      'takes',
      'kubectl delete deployment/web service/web --wait=true',
      'echo "Error: no" >&2',
      'exit 1',
    );
    const taken = await rollBack(s, planned, { helm: takes });
    assertEnd(taken, 'failed', 'HelmFailed');
    assert.deepEqual(taken.report?.restoredObjects.toSorted(), ['Deployment/web', 'Service/web']);
    assert.equal(taken.outputs['health'], 'healthy', taken.log);
    assert.equal(await s.field('/api/v1/namespaces/$ns/services/web', owner), 'web');
    assert.equal(await s.history(), '1 superseded, 2 deployed');

    const unmarks = doing(
      'unmarks',
      'helm "$@"',
      'kubectl annotate service/web meta.helm.sh/release-name-',
      'kubectl annotate configmap/new --overwrite meta.helm.sh/release-name=other',
      'echo "Error: no" >&2',
      'exit 1',
    );
    const done = await rollBack(s, planned, { helm: unmarks });
    assertEnd(done, 'rolledBack');
    assert.match(done.log, /Helm made revision 3 and failed then: no/);
    assert.deepEqual(done.report?.restoredObjects, ['Service/web']);
    assert.equal(await s.field('/api/v1/namespaces/$ns/services/web', owner), 'web');
    assert.ok(await s.live(configMap('new')), 'What another release has taken is not deleted.');
    assert.match(done.log, /ConfigMap\/new is not deleted: since the plan it has come to belong to release other/);

    await s.cluster.runKubectl('--namespace', s.namespace, 'delete', 'secret', 'sh.helm.release.v1.web.v1');
    assertEnd(await rollBack(s, planned), 'alreadyThere');
  });

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: deletions around the fence are found, restored with Helm's labels, reported`, async (s) => {
      const helm = helms(s.cluster)[major];
      for (const text of ['one', 'two']) await release(s, helm, `text=${text}`);
      const wrapper = sabotaged(s, helm, { when: forRealOnly, kubeconfig: s.cluster.kubeconfig });
      const planned = await plan(s, { helm: wrapper });
      assertEnd(planned, 'planned');
      const done = await rollBack(s, planned, { helm: wrapper });
      assertEnd(done, 'rolledBack');
      const names = ['ConfigMap/web', 'Deployment/web', 'Service/web'];
      assert.deepEqual(done.report?.restoredObjects.toSorted(), names);
      assert.deepEqual((done.outputs['restoredObjects'] ?? '').split(', ').sort(), names);
      const restored = await s.live(configMap('web'));
      assert.equal(restored?.metadata.labels?.['app.kubernetes.io/managed-by'], 'Helm');
      assert.equal(restored.metadata.annotations?.['meta.helm.sh/release-name'], 'web');
      assert.equal(restored.metadata.annotations['meta.helm.sh/release-namespace'], s.namespace);
      // Helm deploys the restored objects as if nothing had happened.
      await release(s, helm, 'text=three');
      assert.equal(await s.field(configMap('web'), 'data.text'), 'three');
    });
  }
});

describe('a rollback that would lose something', () => {
  const { scene } = scenes();

  scene('lost claims, definitions and custom resources are refused by code, unless allowed', async (s) => {
    const helm = helms(s.cluster)['4'];
    await release(s, helm, 'text=one');
    await release(s, helm, 'text=two', 'claim=true', 'definition=true');
    const refused = await plan(s);
    assertEnd(refused, 'refused', 'PlanRefused');
    const found = codes(refused);
    assert.ok(found.includes('DeletesPersistentVolumeClaim') && found.includes('DeletesCustomResourceDefinition'));
    const allow = 'DeletesPersistentVolumeClaim\nDeletesCustomResourceDefinition';
    const allowed = await plan(s, { inputs: { allow } });
    assertEnd(allowed, 'planned');
    assert.equal(allowed.outputs['risk'], 'high');
    assertEnd(await rollBack(s, allowed), 'refused', 'PlanChanged');
    const done = await rollBack(s, allowed, { inputs: { allow } });
    assertEnd(done, 'rolledBack');
    assert.equal(done.report?.deletedObjects.length, 2);
  });

  scene('a rollback with more deletions than maxDeletions is refused', async (s) => {
    const helm = helms(s.cluster)['3'];
    await release(s, helm, 'text=one');
    await release(s, helm, 'configMaps={a,b,c}');
    const refused = await plan(s, { helm, inputs: { maxDeletions: '2' } });
    assertEnd(refused, 'refused', 'PlanRefused');
    assert.equal(refused.outputs['deletions'], '3');
  });

  scene('an object that another release owns by now is refused, and taken over where allowed', async (s) => {
    const helm = helms(s.cluster)['4'];
    await release(s, helm, 'configMaps={shared}');
    await release(s, helm, 'text=two');
    const annotations = { 'meta.helm.sh/release-name': 'other', 'meta.helm.sh/release-namespace': s.namespace };
    const labels = { 'app.kubernetes.io/managed-by': 'Helm' };
    const metadata = { name: 'shared', namespace: s.namespace, annotations, labels };
    await s.create(`/api/v1/namespaces/$ns/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
    const refused = await plan(s);
    assertEnd(refused, 'refused', 'PlanRefused');
    assert.ok(codes(refused).includes('OwnedByAnother') || codes(refused).includes('RehearsalFailed'), refused.log);
  });

  scene('Helm 4.1.0, which deletes an object with a new version, is refused; Helm 4.1.4 works', async (s) => {
    const bad = await otherHelm('4.1.0');
    const good = helms(s.cluster)['4'];
    await release(s, good, 'autoscaler=v2');
    await release(s, good, 'autoscaler=v1', 'text=two');
    const refused = await plan(s, { helm: bad });
    assertEnd(refused, 'refused', 'PlanRefused');
    assert.ok(codes(refused).includes('DeletesTargetObject'), refused.log);
    const planned = await plan(s, { helm: good });
    assertEnd(planned, 'planned');
    assertEnd(await rollBack(s, planned, { helm: good }), 'rolledBack');
    assert.ok(await s.live('/apis/autoscaling/v2/namespaces/$ns/horizontalpodautoscalers/web'));
  });

  scene('Helm 4 rolls back a release that Helm 3 made; a pruned target is refused', async (s) => {
    const { 3: helm3, 4: helm4 } = helms(s.cluster);
    for (const text of ['one', 'two']) await release(s, helm3, `text=${text}`);
    const pruned = await plan(s, { helm: helm4, inputs: { toRevision: '7' } });
    assertEnd(pruned, 'refused', 'PlanRefused');
    const planned = await plan(s, { helm: helm4 });
    assertEnd(planned, 'planned');
    assertEnd(await rollBack(s, planned, { helm: helm4 }), 'rolledBack');
    assert.equal(await s.field(configMap('web'), 'data.text'), 'one');
    assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
  });
});
