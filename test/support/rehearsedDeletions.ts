import { lastWrites, type Rehearsal, type RehearsedWrite } from '../../tasks/common/core/helm/rehearsal';

/** One write for each object that would be gone at the end. */
export function rehearsedDeletions(rehearsal: Rehearsal): RehearsedWrite[] {
  return [...lastWrites(rehearsal).values()].filter(({ effect }) => effect === 'deleted');
}
