import { TaskError } from '../../../tasks/common/core/failure';
import type { ReleaseStorage } from '../../../tasks/common/core/ports';
import { objectKey, refOf } from '../../../tasks/common/core/kubernetes/manifest';
import type { KeptObject } from '../../../tasks/common/core/release/preexisting';
import type { Revision } from '../../../tasks/common/core/release/release';

/** Helm's storage of one release, in memory. Tests and the fake Helm use `records` directly. */
export interface FakeStorage extends ReleaseStorage {
  records: Revision[];
  /** Copies of records from before they were edited. */
  readonly copies: Map<number, Revision>;
  /** Objects from before a deploy, by their key. */
  readonly kept: Map<string, KeptObject>;
  /** The files of crds/ in each chart. */
  crds: readonly string[];
  /** The space of a record for a manifest, in characters. */
  room: number;
}

/** `now` is the API server's clock. Without it no change has a time. */
export function fakeStorage(records: readonly Revision[], now?: () => Date): FakeStorage {
  const storage: FakeStorage = {
    kind: 'Secret',
    records: structuredClone([...records]),
    copies: new Map(),
    crds: [],
    room: Infinity,
    history: () => Promise.resolve(structuredClone(storage.records)),
    async update(revision, change, beforeWrite = () => Promise.resolve()) {
      await beforeWrite();
      const at = storage.records.findIndex((record) => record.revision === revision);
      const record = storage.records[at];
      if (record === undefined) throw new TaskError('Conflict', `The record of revision ${revision} is gone.`);
      const { labels, bulk, ...fields } = change;
      // Like the real storage, it writes records without secrets.
      const { describesSecret: _, ...clean } = record;
      const merged = Object.entries({ ...record.labels, ...labels });
      const kept = merged.filter((pair): pair is [string, string] => pair[1] !== undefined);
      const writtenAt = now?.() ?? record.writtenAt;
      const notes = bulk === 'from copy' ? (storage.copies.get(revision)?.notes ?? record.notes) : record.notes;
      const bulky = bulk === 'left out' ? { notes: '' } : { notes };
      storage.records[at] = { ...clean, ...bulky, ...fields, labels: Object.fromEntries(kept), writtenAt };
    },
    changed: (revision, { manifest = '' }) =>
      Promise.resolve({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: `sh.helm.release.v1.v${revision}` },
        manifest,
      }),
    fits: (_revision, { manifest = '' }) => Promise.resolve(manifest.length <= storage.room),
    async remove(revision) {
      await Promise.resolve();
      storage.records = storage.records.filter((record) => record.revision !== revision);
      storage.copies.delete(revision);
    },
    crdFiles: () => Promise.resolve(storage.crds),
    async keepCopy(revision) {
      await Promise.resolve();
      const record = storage.records.find((one) => one.revision === revision);
      if (record !== undefined && !storage.copies.has(revision)) storage.copies.set(revision, structuredClone(record));
    },
    copyOf: (revision) => Promise.resolve(structuredClone(storage.copies.get(revision))),
    async dropCopy(revision) {
      await Promise.resolve();
      storage.copies.delete(revision);
    },
    kept: new Map(),
    async keepObjects(objects) {
      await Promise.resolve();
      for (const one of objects) {
        const key = objectKey(refOf(one.object));
        if (!storage.kept.has(key)) storage.kept.set(key, structuredClone(one));
      }
      return [];
    },
    keptObjects: () => Promise.resolve(structuredClone([...storage.kept.values()])),
    async dropObjects() {
      await Promise.resolve();
      storage.kept.clear();
    },
  };
  return storage;
}
