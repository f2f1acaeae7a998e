import { rulesOf } from '../../../tasks/common/core/helm/provenance';
import type { RollbackHelm } from '../../../tasks/common/core/ports';
import type { Rehearsal, RehearsedWrite } from '../../../tasks/common/core/helm/rehearsal';
import type { Revision } from '../../../tasks/common/core/release/release';
import { rehearsal } from '../rollbackScene';
import type { FakeCluster } from './fakeCluster';
import type { FakeHelm } from './fakeHelm';
import { fakeRehearsal } from './fakeRehearsal';
import type { FakeStorage } from './fakeStorage';

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
      return Promise.resolve(fakeRehearsal(cluster, { base, wanted, fields: kept }, true));
    },
    async rollback(options) {
      const result = await rollback(options);
      return { result, fence: { forwarded: [], heldBack: [], refused: [], requests: { reads: 0, writes: 0 } } };
    },
  };
}
