import { irreversibleMarks, type Carrier, type IrreversibleMark } from '../../core/rollbackPlan/judging/irreversible';

/** The first mark of a step that nobody comes back from. A manifest that cannot be read carries none that is known. */
export function firstMark(passed: readonly Carrier[]): IrreversibleMark | undefined {
  return passed.flatMap((revision) => {
    try {
      return irreversibleMarks(revision);
    } catch {
      return [];
    }
  })[0];
}

/** As part of a sentence: «revision 8 is an irreversible step (Job/migrate: drops a column)». */
export function irreversibleWords({ revision, where, reason }: IrreversibleMark): string {
  return `revision ${revision} is an irreversible step (${where}: ${reason || 'no reason given'})`;
}
