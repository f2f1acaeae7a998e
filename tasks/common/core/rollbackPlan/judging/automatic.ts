import { objectName } from '../../kubernetes/manifest';
import { isRefusal, type FindingCode, type PlanFinding } from '../model/findings';
import type { ChangePlan } from '../model/types';

/** Gaps in the rehearsal forbid nothing: the proof checks the result, and an outage is the greater harm. */
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

export function automaticRefusals({ findings }: Pick<ChangePlan, 'findings'>): PlanFinding[] {
  return findings.filter((one) => isRefusal(one) && refusing.has(one.code) && !takesItsOwnClaims(one));
}

/** A StatefulSet of the failed revision may declare that its claims are deleted with it. */
function takesItsOwnClaims({ code, object }: PlanFinding): boolean {
  return code === 'DeletesPersistentVolumeClaim' && object.startsWith('StatefulSet/');
}

export function unforeseeable({ findings }: Pick<ChangePlan, 'findings'>): PlanFinding[] {
  return findings.filter((one) => isRefusal(one) && !refusing.has(one.code));
}

const mostLines = 20;

/** One line for each object that is written; `ownDeletions` are logged where they are done. */
export function automaticLines({ objects }: Pick<ChangePlan, 'objects'>): string[] {
  const lines = objects
    .filter(({ fate }) => fate === 'patched' || fate === 'created')
    .map((object) => `${objectName(object)} is to be ${object.fate}.`);
  const more = lines.length - mostLines;
  return more > 0 ? [...lines.slice(0, mostLines), `And ${more} more.`] : lines;
}
