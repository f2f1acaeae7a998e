import { advice } from '../../tasks/common/core/failure';
import type { FailureReason } from '../../tasks/common/core/failure';
import { findingCodes, findingRules } from '../../tasks/common/core/rollbackPlan/model/findings';
import type { FindingCode } from '../../tasks/common/core/rollbackPlan/model/findings';
import { findingTexts } from './findings';
import { reasonTexts } from './reasons';

/** One section for each failure reason: what happened, why, and the advice that the log ends with. */
export function failureList(): string {
  return (Object.keys(advice) as FailureReason[])
    .map((reason) => {
      const { what, why } = reasonTexts[reason];
      return `### ${reason}\n\n${what}\n\n- Why: ${why}\n- Next step: ${advice[reason]}`;
    })
    .join('\n\n');
}

/** One section for each finding of a plan: its severity, what it means, and what to do. */
export function findingList(): string {
  return findingCodes
    .map((code) => {
      const text: { what: string; next?: string } = findingTexts[code];
      const next = text.next === undefined ? [] : [`- Next step: ${text.next}`];
      return [`### ${code}`, '', text.what, '', `- Severity: ${severityOf(code)}`, ...next].join('\n');
    })
    .join('\n\n');
}

function severityOf(code: FindingCode): string {
  const { severity, switch: by } = findingRules[code];
  if (severity !== 'refusal') return severity;
  if (by === 'never') return 'refusal, nothing switches it off';
  return `refusal, switched off by ${by === 'allow' ? `\`allow: ${code}\`` : `\`${by}\``}`;
}
