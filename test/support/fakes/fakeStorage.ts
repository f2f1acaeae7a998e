import { TaskError } from '../../../tasks/common/core/failure';
import type { ReleaseStorage } from '../../../tasks/common/core/ports';
import type { Revision } from '../../../tasks/common/core/release';

/** Helm's storage of one release, in memory. Tests and the fake Helm look at `records` itself. */
export interface FakeStorage extends ReleaseStorage {
  records: Revision[];
}

export function fakeStorage(records: readonly Revision[]): FakeStorage {
  const storage: FakeStorage = {
    kind: 'Secret',
    records: structuredClone([...records]),
    history: () => Promise.resolve(structuredClone(storage.records)),
    async update(revision, change) {
      await Promise.resolve();
      const at = storage.records.findIndex((record) => record.revision === revision);
      const record = storage.records[at];
      if (record === undefined) throw new TaskError('Conflict', `The record of revision ${revision} is gone.`);
      const { labels, ...fields } = change;
      const merged = Object.entries({ ...record.labels, ...labels });
      const kept = merged.filter((pair): pair is [string, string] => pair[1] !== undefined);
      storage.records[at] = { ...record, ...fields, labels: Object.fromEntries(kept) };
    },
    async remove(revision) {
      await Promise.resolve();
      storage.records = storage.records.filter((record) => record.revision !== revision);
    },
  };
  return storage;
}
