import { irreversibleMarks, type Carrier, type IrreversibleMark } from '../../core/rollbackPlan/judging/irreversible';

/** The first mark of an irreversible step. A manifest that cannot be read has no known marks. */
export function firstMark(passed: readonly Carrier[]): IrreversibleMark | undefined {
  return passed.flatMap((revision) => {
    try {
      return irreversibleMarks(revision);
    } catch {
      return [];
    }
  })[0];
}

/** Part of a sentence: «revision 8 is an irreversible step (Job/migrate: drops a column)». */
export function irreversibleWords({ revision, where, reason }: IrreversibleMark): string {
  return `revision ${revision} is an irreversible step (${where}: ${reason || 'no reason given'})`;
}
