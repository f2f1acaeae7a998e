import { objectName } from '../../kubernetes/manifest';
import { isRefusal, type FindingCode, type PlanFinding } from '../model/findings';
import type { RollbackPlan } from '../model/types';

/**
 * Findings that forbid the automatic rollback of a failed deploy: it must do nothing irreversible, delete no object of
 * the target and delete no data. Findings about an incomplete rehearsal do not forbid it: the proof afterwards checks
 * the result, and a release that does not serve is the greater harm.
 */
const refusing: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'IrreversibleStep',
  'DeletesTargetObject',
  'UnforeseenDeletion',
  'DeletesPersistentVolumeClaim',
  'DeletesPersistentVolume',
  'DeletesNamespace',
  'DeletesCustomResourceDefinition',
  'DeletesCustomResource',
]);

/** The findings that forbid an automatic rollback. Empty if it may be done. */
export function automaticRefusals({ findings }: Pick<RollbackPlan, 'findings'>): PlanFinding[] {
  return findings.filter((one) => isRefusal(one) && refusing.has(one.code) && !takesItsOwnClaims(one));
}

/** A StatefulSet of the failed revision may declare that its claims are deleted with it. */
function takesItsOwnClaims({ code, object }: PlanFinding): boolean {
  return code === 'DeletesPersistentVolumeClaim' && object.startsWith('StatefulSet/');
}

/** The refusals that do not forbid an automatic rollback. */
export function unforeseeable({ findings }: Pick<RollbackPlan, 'findings'>): PlanFinding[] {
  return findings.filter((one) => isRefusal(one) && !refusing.has(one.code));
}

const mostLines = 20;

/** The objects that are written, one line each. Deletions are not listed here; the code that decides them logs them. */
export function automaticLines({ objects }: Pick<RollbackPlan, 'objects'>): string[] {
  const lines = objects
    .filter(({ fate }) => fate === 'patched' || fate === 'created')
    .map((object) => `${objectName(object)} is to be ${object.fate}.`);
  const more = lines.length - mostLines;
  return more > 0 ? [...lines.slice(0, mostLines), `And ${more} more.`] : lines;
}
