import { kindNames } from '../../helm/chartCrds';
import { withoutObjects } from '../../helm/helmFailure';
import { objectName } from '../../kubernetes/manifest';
import type { Revision } from '../../release/release';
import { sentence } from '../../text/sentence';
import { someNames } from '../../text/someNames';
import { finding, type PlanFinding } from '../model/findings';
import type { ManifestReader } from '../model/places';
import { shortened } from '../model/target';
import type { DeployFacts, PlannedHook } from '../model/types';
import { irreversibleMarks } from './irreversible';
import { immutable, type Judged } from './judge';
import { quotaFindings } from './quota';

interface Planned {
  judged: readonly Judged[];
  hooks: readonly PlannedHook[];
  target: Revision;
}

/** The findings that only a deploy has. */
export function deployFindings(
  { judged, hooks, target }: Planned,
  facts: DeployFacts,
  read: ManifestReader,
): PlanFinding[] {
  return [
    ...notForeseen(facts),
    ...generatedFindings([...judged.map(({ object }) => object), ...hooks]),
    ...quotaFindings(judged, facts.quotas),
    ...irreversible(target, read),
    ...facts.fixed.map(({ object, message }) => {
      const answer = sentence(shortened(withoutObjects(message)));
      return finding('WriteRefused', `The API server refuses to change ${object}: ${answer}${immutable(answer)}`, {
        object,
      });
    }),
  ];
}

function notForeseen({ definitions, unforeseen }: DeployFacts): PlanFinding[] {
  return [
    ...(unforeseen === ''
      ? []
      : [finding('NotForeseen', `What becomes of the objects cannot be foreseen: ${unforeseen}.`)]),
    ...(definitions.length === 0
      ? []
      : [
          finding(
            'NotForeseen',
            `Helm installs the definitions of ${kindNames(definitions)} first (crds/). Objects of these kinds cannot be foreseen.`,
          ),
        ]),
  ];
}

/** A digest must not depend on a name that is made up, so such a finding names no object. */
function generatedFindings(made: readonly Pick<PlannedHook, 'kind' | 'name' | 'generated'>[]): PlanFinding[] {
  return made
    .filter(({ generated }) => generated.length > 0)
    .map((one) => {
      const isNamed = !one.generated.includes('metadata.name');
      const message = `New at each deploy: ${someNames(one.generated, fieldsNamed)} of ${objectName(one)}. Two renderings of the chart differ there, and the digest of the plan does not cover what they hold.`;
      return finding('NewAtEachDeploy', message, isNamed ? { object: objectName(one) } : {});
    });
}

const fieldsNamed = 5;

function irreversible(target: Revision, read: ManifestReader): PlanFinding[] {
  const marks = irreversibleMarks(target, read);
  if (marks.length === 0) return [];
  const reasons = [...new Set(marks.map(({ where, reason }) => `${where}: ${reason || 'no reason given'}`))];
  const message = `The chart is marked as an irreversible step (${shortened(reasons.join('; '), 600)}), so a failed deploy is not rolled back.`;
  return [finding('IrreversibleStep', message, { allowed: true })];
}
