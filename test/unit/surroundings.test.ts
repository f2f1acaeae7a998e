import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { surroundingsOf } from '../../tasks/common/core/rollout/surroundings';

function workload(
  kind: string,
  name: string,
  labels: object,
  more: { pod?: object; spec?: object; namespace?: string } = {},
) {
  const apiVersion = kind === 'Job' ? 'batch/v1' : 'apps/v1';
  const spec = { template: { metadata: { labels }, spec: more.pod ?? {} }, ...more.spec };
  const declared: KubeObject = { apiVersion, kind, metadata: { name }, spec };
  return { ref: { apiVersion, kind, namespace: more.namespace ?? 'prod', name }, declared };
}

function plain(kind: string, name: string, more: Partial<KubeObject> = {}) {
  const declared: KubeObject = { apiVersion: 'v1', kind, metadata: { name }, ...more };
  return { ref: { apiVersion: 'v1', kind, namespace: 'prod', name }, declared };
}

const nothing = { namespace: 'prod', owned: false, replicaSets: false, pods: false, claims: [] };

describe('the objects read around the followed objects', () => {
  it('are none without followed objects', () => {
    assert.deepEqual(surroundingsOf([]), []);
  });

  it('include no pods and ReplicaSets for objects without pods', () => {
    assert.deepEqual(surroundingsOf([plain('ConfigMap', 'a'), plain('Service', 'b')]), [nothing]);
  });

  it('are none for cluster-scoped objects', () => {
    const declared: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } };
    assert.deepEqual(surroundingsOf([{ ref: { apiVersion: 'v1', kind: 'Namespace', name: 'a' }, declared }]), []);
  });

  it('a Deployment needs pods and ReplicaSets by its labels', () => {
    assert.deepEqual(surroundingsOf([workload('Deployment', 'web', { app: 'web', tier: 'front' })]), [
      { ...nothing, replicaSets: true, pods: true, labelSelector: 'app=web,tier=front' },
    ]);
  });

  it('a Job and a StatefulSet need pods, but no ReplicaSets', () => {
    const [around] = surroundingsOf([
      workload('Job', 'migrate', { a: 'b' }),
      workload('StatefulSet', 'db', { a: 'b' }),
    ]);
    assert.deepEqual([around?.replicaSets, around?.pods], [false, true]);
  });

  it('several workloads use only the labels that all share with the same value', () => {
    const [around] = surroundingsOf([
      workload('Deployment', 'web', { app: 'web', release: 'shop', tier: 'x' }),
      workload('Deployment', 'api', { app: 'api', release: 'shop' }),
    ]);
    assert.equal(around?.labelSelector, 'release=shop');
  });

  it('one workload without common labels makes all pods be read, so none is missed', () => {
    const [around] = surroundingsOf([workload('Deployment', 'web', { app: 'web' }), workload('Deployment', 'api', {})]);
    assert.equal(around !== undefined && 'labelSelector' in around, false);
  });

  it('an object without pods does not remove the selector', () => {
    const [around] = surroundingsOf([plain('ConfigMap', 'settings'), workload('Deployment', 'web', { app: 'web' })]);
    assert.equal(around?.labelSelector, 'app=web');
  });

  it('a value that is not valid in a selector is left out', () => {
    const [around] = surroundingsOf([workload('Deployment', 'web', { a: '', b: 'x y', c: '-', d: 'v1.2_3', e: 7 })]);
    assert.equal(around?.labelSelector, 'd=v1.2_3');
  });

  it('a template without labels reads all pods', () => {
    const declared: KubeObject = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' } };
    const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'prod', name: 'x' };
    assert.deepEqual(surroundingsOf([{ ref, declared }]), [{ ...nothing, replicaSets: true, pods: true }]);
  });

  it('a bare Pod uses its own labels', () => {
    const pod = plain('Pod', 'one', { metadata: { name: 'one', labels: { app: 'one' } } });
    assert.equal(surroundingsOf([pod])[0]?.labelSelector, 'app=one');
  });

  const custom = (apiVersion: string, kind: string) => ({
    ref: { apiVersion, kind, namespace: 'prod', name: 'x' },
    declared: { apiVersion, kind, metadata: { name: 'x' } },
  });

  it('a custom resource may own workloads of any label', () => {
    assert.deepEqual(surroundingsOf([custom('example.io/v1', 'Deployment'), workload('Job', 'migrate', { a: 'b' })]), [
      { ...nothing, owned: true, replicaSets: true, pods: true },
    ]);
  });

  for (const [apiVersion, kind] of [
    ['cert-manager.io/v1', 'Certificate'],
    ['networking.istio.io/v1', 'VirtualService'],
    ['monitoring.coreos.com/v1', 'ServiceMonitor'],
  ] as const) {
    it(`a ${kind} runs no pods, so nothing is listed for it`, () => {
      assert.deepEqual(surroundingsOf([custom(apiVersion, kind)]), [nothing]);
    });
  }

  it('claims are those that pods mount and those that a StatefulSet makes', () => {
    const volumes = [
      { name: 'a', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'b', emptyDir: {} },
    ];
    const [around] = surroundingsOf([
      workload('Deployment', 'web', {}, { pod: { volumes } }),
      workload('StatefulSet', 'db', {}, { spec: { volumeClaimTemplates: [{ metadata: { name: 'disk' } }] } }),
    ]);
    assert.deepEqual(around?.claims, ['data', 'disk-db-']);
  });

  it('each namespace is read by itself, in the order of the objects', () => {
    const around = surroundingsOf([
      workload('Deployment', 'web', { app: 'web' }),
      workload('DaemonSet', 'log', { app: 'log' }, { namespace: 'system' }),
      workload('Deployment', 'api', { app: 'web' }),
    ]);
    assert.deepEqual(
      around.map(({ namespace, labelSelector, replicaSets }) => [namespace, labelSelector, replicaSets]),
      [
        ['prod', 'app=web', true],
        ['system', 'app=log', false],
      ],
    );
  });
});
