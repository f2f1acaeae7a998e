import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { cutReplicasWords, keptField, withGrownSize, withKept } from '../../tasks/common/core/release/keptFields';

const claimOf = (storage?: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data' },
  spec: { resources: { requests: storage === undefined ? {} : { storage } } },
});

const scale = (subresource: string, manager: string): object => ({
  manager,
  operation: 'Update',
  subresource,
  fieldsV1: { 'f:spec': { 'f:replicas': {} } },
});

const scaledBy = (subresource: string, replicas: number, manager = 'kube-controller-manager'): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'web',
    managedFields: [scale(subresource, manager)],
  },
  spec: { replicas },
});

describe('fields that Helm must leave', () => {
  const claims: readonly [string, string | undefined, string | undefined, boolean][] = [
    ['the same size', '1Gi', '1Gi', false],
    ['the same size in another spelling', '1Gi', '1024Mi', false],
    ['larger', '1Gi', '2Gi', true],
    ['smaller', '2Gi', '1Gi', false],
    ['without a declared size', undefined, '1Gi', false],
    ['of a size that is no quantity', 'much', '1Gi', false],
  ];
  for (const [title, declared, live, isGrown] of claims) {
    it(`a claim of ${title} ${isGrown ? 'keeps its size' : 'becomes as declared'}`, () => {
      const [wanted, found] = [claimOf(declared), claimOf(live)];
      const words = isGrown
        ? 'PersistentVolumeClaim/data keeps its size of 2Gi, because a claim cannot shrink to 1Gi.'
        : undefined;
      assert.equal(keptField(wanted, found, false)?.words, words);
      assert.deepEqual(withGrownSize(wanted, found).declared, isGrown ? found : wanted);
    });
  }

  const workloads: readonly [string, { declared: number; live: KubeObject; isAutoscaled: boolean; is: string }][] = [
    ['more, set by the autoscaler', { declared: 1, live: scaledBy('scale', 4), isAutoscaled: true, is: 'kept' }],
    ['more, set by no autoscaler', { declared: 1, live: scaledBy('', 4), isAutoscaled: true, is: 'cut' }],
    ['more, and no autoscaler', { declared: 1, live: scaledBy('scale', 4), isAutoscaled: false, is: 'as declared' }],
    ['more, scaled by hand', { declared: 1, live: scaledBy('scale', 4, 'kubectl'), isAutoscaled: true, is: 'cut' }],
    ['fewer', { declared: 5, live: scaledBy('scale', 4), isAutoscaled: true, is: 'as declared' }],
    ['more, and zero declared', { declared: 0, live: scaledBy('scale', 4), isAutoscaled: true, is: 'cut' }],
  ];
  for (const [title, { declared, live, isAutoscaled, is }] of workloads) {
    it(`replicas: ${title}: ${is}`, () => {
      const wanted = scaledBy('', declared);
      const kept = keptField(wanted, live, isAutoscaled)?.value;
      const cut = isAutoscaled && cutReplicasWords(wanted, live) !== undefined;
      assert.deepEqual([kept, cut], [is === 'kept' ? 4 : undefined, is === 'cut']);
    });
  }

  const size = keptField(claimOf('1Gi'), claimOf('2Gi'), false);
  const replicas = keptField(scaledBy('', 1), scaledBy('scale', 4), true);
  const sent: readonly [string, Parameters<typeof withKept>, unknown][] = [
    ['a patch of a claim', [claimOf('1Gi'), 'patch', size ? [size] : []], claimOf(undefined)],
    ['an apply of a claim', [claimOf('1Gi'), 'apply', size ? [size] : []], claimOf('2Gi')],
    ['a patch of replicas', [{ spec: { replicas: 1, a: 1 } }, 'patch', replicas ? [replicas] : []], { spec: { a: 1 } }],
    ['an apply of replicas', [{ spec: { replicas: 1 } }, 'apply', replicas ? [replicas] : []], { spec: {} }],
    ['a replacement', [{ spec: { replicas: 1 } }, 'update', replicas ? [replicas] : []], { spec: { replicas: 4 } }],
    ['a patch of something else', [{ spec: { a: 1 } }, 'patch', replicas ? [replicas] : []], { spec: { a: 1 } }],
    ['a list of operations', [[{ op: 'add' }], 'patch', replicas ? [replicas] : []], [{ op: 'add' }]],
  ];
  for (const [title, given, expected] of sent) {
    it(`${title} is sent without them`, () => {
      assert.deepEqual(withKept(...given), expected);
    });
  }
});
