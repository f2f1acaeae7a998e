import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { isNamedByOne, isPodOf } from '../../tasks/common/core/rollbackPlan/objects/statefulSets';

const set = (name: string, uid = ''): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name, ...(uid === '' ? {} : { uid }) },
});
const claim = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name } });

describe('of the claims and pods of a namespace, only those of the StatefulSets are kept', () => {
  for (const [name, isKept] of [
    ['data-db-0', true],
    ['data-db-12', true],
    ['logs-db-0', true],
    ['data-other-0', false],
    ['data-db', false],
    ['db-0', false],
  ] as const) {
    it(`claim ${name}: ${isKept ? 'kept' : 'dropped'}`, () => {
      assert.equal(isNamedByOne([set('db')])(claim(name)), isKept);
    });
  }

  for (const [title, uid, isKept] of [
    ['of the set', 'u1', true],
    ['of another set', 'u2', false],
  ] as const) {
    it(`a pod ${title}: ${isKept ? 'kept' : 'dropped'}`, () => {
      const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'db-0', ownerReferences: [owner] } };
      assert.equal(isPodOf([set('db', 'u1'), set('new')])(pod), isKept);
    });
  }
});
