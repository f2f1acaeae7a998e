import { objectName } from '../../kubernetes/manifest';
import { isRefusal, type FindingCode, type PlanFinding } from '../model/findings';
import type { RollbackPlan } from '../model/types';

/**
 * What keeps a failed deploy from going back by itself: nothing irreversible, nothing deleted that the target has, no
 * data. Where a rehearsal could not say what Helm would do, the proof afterwards guards the way back, and what does not
 * serve is the worse of the two.
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

/** Why an automatic rollback must not be done. Empty where it may. */
export function automaticRefusals({ findings }: Pick<RollbackPlan, 'findings'>): PlanFinding[] {
  return findings.filter((one) => isRefusal(one) && refusing.has(one.code) && !takesItsOwnClaims(one));
}

/** A StatefulSet of the failed revision that says itself that its claims go with it. */
function takesItsOwnClaims({ code, object }: PlanFinding): boolean {
  return code === 'DeletesPersistentVolumeClaim' && object.startsWith('StatefulSet/');
}

/** What a rehearsal could not say. */
export function unforeseeable({ findings }: Pick<RollbackPlan, 'findings'>): PlanFinding[] {
  return findings.filter((one) => isRefusal(one) && !refusing.has(one.code));
}

const mostLines = 20;

/** What is written, one line for each object. What is to go is told by whoever decides that. */
export function automaticLines({ objects }: Pick<RollbackPlan, 'objects'>): string[] {
  const lines = objects
    .filter(({ fate }) => fate === 'patched' || fate === 'created')
    .map((object) => `${objectName(object)} is to be ${object.fate}.`);
  const more = lines.length - mostLines;
  return more > 0 ? [...lines.slice(0, mostLines), `And ${more} more.`] : lines;
}
