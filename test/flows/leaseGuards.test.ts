import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { Lease } from '../../tasks/common/core/releaseContext';
import type { ReleaseStorage } from '../../tasks/common/core/ports';
import { fenced } from '../../tasks/common/flows/release/change';
import { deletingTrappedPods } from '../../tasks/common/flows/rollback/engine/trappedPods';
import { inTurns } from '../../tasks/common/flows/steps/inTurns';
import { fakeStorage } from '../support/fakes/fakeStorage';
import { chart, configMap, inNamespace, revision, scene } from '../support/fakes/scene';

const never = new AbortController().signal;

/** A lease that another run has taken, or that is ours. */
function lease(isLost: boolean): Lease {
  return {
    state: 'held',
    previous: undefined,
    lost: never,
    confirm: () => (isLost ? Promise.reject(new TaskError('LeaseLost', 'Taken.')) : Promise.resolve()),
    begin: () => Promise.resolve(),
    settled: () => Promise.resolve(),
    acquireNow: () => Promise.resolve(),
  };
}

describe("changes of Helm's records without the lease", () => {
  const of = chart('1', [configMap('settings')]);
  const changes: readonly [string, (storage: ReleaseStorage) => Promise<unknown>][] = [
    ['update', (storage) => storage.update(1, { status: 'failed' })],
    ['remove', (storage) => storage.remove(1)],
    ['keepCopy', (storage) => storage.keepCopy(1)],
    ['dropCopy', (storage) => storage.dropCopy(2)],
    ['keepObjects', (storage) => storage.keepObjects([{ object: configMap('settings'), purpose: 'object' }])],
    ['dropObjects', (storage) => storage.dropObjects()],
  ];
  for (const [name, change] of changes) {
    it(`${name} changes nothing`, async () => {
      const storage = fakeStorage([revision(1, 'deployed', of), revision(2, 'failed', of)]);
      await storage.keepCopy(2);
      const before = JSON.stringify([storage.records, [...storage.copies]]);
      await assert.rejects(change(fenced(storage, lease(true))), { reason: 'LeaseLost' });
      assert.equal(JSON.stringify([storage.records, [...storage.copies]]), before);
      await change(fenced(storage, lease(false)));
    });
  }
});

describe('a trapped pod of a StatefulSet', () => {
  const set: KubeObject = inNamespace({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db' },
    spec: {},
    status: { currentRevision: 'db-1', updateRevision: 'db-2', observedGeneration: 1 },
  });

  for (const [what, isLost, left] of [
    ['is deleted while the lease is ours', false, []],
    ['is not deleted when the lease is lost', true, ['db-0']],
  ] as const) {
    it(what, async () => {
      const on = await scene({ chart: chart('1', []) });
      const { uid = '' } = on.cluster.put(set).metadata;
      const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid };
      const labels = { 'controller-revision-hash': 'db-1' };
      on.cluster.put(
        inNamespace({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'db-0', labels, ownerReferences: [owner] } }),
      );
      const live = on.cluster.objects.get(objectKey(refOf(set)));
      assert.equal(live?.metadata.generation, 1);
      await deletingTrappedPods({ ...on.context, lease: lease(isLost) }, [refOf(set)], () =>
        on.time.sleep(5000, never),
      );
      const pods = [...on.cluster.objects.values()].filter(({ kind }) => kind === 'Pod');
      assert.deepEqual(
        pods.map(({ metadata }) => metadata.name),
        left,
      );
    });
  }
});

describe('requests that are sent a few at a time', () => {
  it('after the first error no further one is begun', async () => {
    let begun = 0;
    const items = Array.from({ length: 100 }, (_, index) => index);
    const work = async (index: number): Promise<number> => {
      begun++;
      await Promise.resolve();
      if (index === 0) throw new TaskError('ClusterUnreachable', 'Away.');
      return index;
    };
    await assert.rejects(inTurns(items, never, work), { reason: 'ClusterUnreachable' });
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(begun < 20, `${begun} were begun`);
  });

  it('the results have the order of the items', async () => {
    const pauses = [3, 1, 2];
    const after = async (turns: number): Promise<number> => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      return turns;
    };
    assert.deepEqual(await inTurns(pauses, never, after), pauses);
  });
});
