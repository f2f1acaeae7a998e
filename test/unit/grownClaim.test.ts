import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { grownWords } from '../../tasks/common/core/release/grownClaim';

const claimOf = (storage?: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data' },
  spec: { resources: { requests: storage === undefined ? {} : { storage } } },
});

describe('a claim that has grown keeps its size', () => {
  const rows: readonly [string, string | undefined, string | undefined, boolean][] = [
    ['the same size', '1Gi', '1Gi', false],
    ['the same size in another spelling', '1Gi', '1024Mi', false],
    ['larger', '1Gi', '2Gi', true],
    ['smaller', '2Gi', '1Gi', false],
    ['without a declared size', undefined, '1Gi', false],
    ['of a size that is no quantity', 'much', '1Gi', false],
  ];
  for (const [title, declared, live, isGrown] of rows) {
    it(title, () => {
      const words = grownWords(claimOf(declared), claimOf(live));
      assert.equal(
        words,
        isGrown ? 'PersistentVolumeClaim/data keeps its 2Gi, because a claim cannot shrink to 1Gi.' : undefined,
      );
    });
  }
});
