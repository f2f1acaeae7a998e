import { rulesOf } from '../../../tasks/common/core/provenance';
import type { RollbackHelm } from '../../../tasks/common/core/ports';
import type { Rehearsal, RehearsedWrite } from '../../../tasks/common/core/rehearsal';
import { rehearsal } from '../rollbackScene';

/** What a rehearsal shows: the writes of one that ran to its end, or how it ended; never where it hangs. */
export type Rehearsed = readonly RehearsedWrite[] | Partial<Rehearsal> | 'hangs';

/** The Helm of a deploy, asked what its way back would do. It carries nothing out: that is the other port's. */
export function fakeRollbackHelm(rehearsed: Rehearsed = []): RollbackHelm {
  const version = 'v3.17.3';
  return {
    provenance: () => Promise.resolve({ from: 'release', version, rules: rulesOf(version) }),
    rehearse: () => {
      if (rehearsed === 'hangs') return new Promise(() => undefined);
      return Promise.resolve('length' in rehearsed ? rehearsal(rehearsed) : rehearsal([], rehearsed));
    },
    rollback: () => Promise.reject(new Error('The way back of a deploy is not fenced.')),
  };
}
