import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import { manifestObjects, objectKey, refOf } from '../../../tasks/common/core/kubernetes/manifest';
import { rulesOf } from '../../../tasks/common/core/helm/provenance';
import type { RollbackHelm } from '../../../tasks/common/core/ports';
import type { Rehearsal, RehearsedWrite } from '../../../tasks/common/core/helm/rehearsal';
import type { KeptField } from '../../../tasks/common/core/release/keptFields';
import type { Revision } from '../../../tasks/common/core/release/release';
import { rehearsal, write } from '../rollbackScene';
import type { FakeCluster } from './fakeCluster';
import { merged, patchOf, type FakeHelm } from './fakeHelm';
import type { FakeStorage } from './fakeStorage';
import { inNamespace, owned } from './scene';

/** The result of a rehearsal: the writes of a complete one, or its ending. Never returned if it hangs. */
export type Rehearsed = readonly RehearsedWrite[] | Partial<Rehearsal> | 'hangs';

/** The Helm of a deploy that rehearses its rollback. It executes nothing, which is the task of the other port. */
export function fakeRollbackHelm(rehearsed: Rehearsed = [], helm?: Pick<FakeHelm, 'fencedRollback'>): RollbackHelm {
  const version = 'v3.17.3';
  return {
    provenance: () => Promise.resolve({ from: 'release', version, rules: rulesOf(version) }),
    rehearse: () => {
      if (rehearsed === 'hangs') return new Promise(() => undefined);
      return Promise.resolve('length' in rehearsed ? rehearsal(rehearsed) : rehearsal([], rehearsed));
    },
    rollback: async (options) => {
      if (helm === undefined) throw new Error('This way back is not fenced.');
      const record = { forwarded: [], heldBack: [], refused: [], requests: { reads: 0, writes: 0 } };
      return { result: await helm.fencedRollback(options), fence: record };
    },
  };
}

/**
 * The Helm of ApproveAndRollback, which rehearses and does what `fakeHelm` does. Its fence holds deletions back and
 * leaves objects as they are. Tests with a real Helm cover the rest of the fence.
 */
export function workingRollbackHelm(
  storage: FakeStorage,
  cluster: FakeCluster,
  rollback: FakeHelm['fencedRollback'],
): RollbackHelm {
  return {
    ...fakeRollbackHelm(),
    rehearse(target, { records, kept }) {
      const shown = new Map(records.map((record) => [record.metadata.name, record['manifest']]));
      const manifestOfRecord = (stored: Revision | undefined): string => {
        const manifest = shown.get(`sh.helm.release.v1.v${stored?.revision ?? 0}`);
        return typeof manifest === 'string' ? manifest : (stored?.manifest ?? '');
      };
      const base = manifestOfRecord(storage.records.at(-1));
      const wanted = manifestOfRecord(storage.records.find(({ revision }) => revision === target.revision));
      return Promise.resolve(rehearsedRollback(cluster, { base, wanted, fields: kept }));
    },
    async rollback(options) {
      const result = await rollback(options);
      return { result, fence: { forwarded: [], heldBack: [], refused: [], requests: { reads: 0, writes: 0 } } };
    },
  };
}

/** Helm before 4.2 fails on a live object of the target that its base lacks. */
function rehearsedRollback(
  cluster: FakeCluster,
  { base, wanted, fields }: { base: string; wanted: string; fields: readonly KeptField[] },
): Rehearsal {
  const live = (object: KubeObject) => cluster.objects.get(objectKey(refOf(inNamespace(object))));
  const keys = (objects: readonly KubeObject[]) => new Set(objects.map((object) => objectKey(refOf(object))));
  const [before, after] = [manifestObjects(base), manifestObjects(wanted)];
  const [known, kept] = [keys(before), keys(after)];
  const stranger = after.find((object) => live(object) !== undefined && !known.has(objectKey(refOf(object))));
  if (stranger !== undefined) {
    const message = `no ${stranger.kind} with the name "${stranger.metadata.name}" found`;
    return rehearsal([], { outcome: 'failed', exitCode: 1, message });
  }
  const gone = before.filter((object) => live(object) !== undefined && !kept.has(objectKey(refOf(object))));
  try {
    const written = after.map((object) => {
      const now = live(object);
      if (now === undefined) return write('created', owned(object));
      const earlier = before.find((one) => objectKey(refOf(one)) === objectKey(refOf(object)));
      return write('changed', merged(earlier ?? {}, patchOf(owned(object), now, fields), now) as KubeObject);
    });
    return rehearsal([...written, ...gone.map((object) => write('deleted', live(object) ?? object))]);
  } catch (refused) {
    return rehearsal([], { outcome: 'failed', exitCode: 1, message: (refused as Error).message });
  }
}
