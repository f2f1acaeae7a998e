import { isRecord } from '../kubernetes/json';

/**
 * An approval that was proven in this step. The agent keeps it for the step's post-job phase. It is never read from the
 * cluster, because others may write there.
 */
export interface ProvenApproval {
  /** The digest of the approved plan. */
  digest: string;
  /** The sentence for the report, Helm's record and the Event. */
  sentence: string;
  /** The text that `shownApprovers` makes. */
  approvedBy: string;
  /** An ISO time; empty if the time is not known. */
  approvedAt: string;
}

export function provenApprovalText(proven: ProvenApproval): string {
  return JSON.stringify(proven);
}

/** Returns undefined if this extension did not write the text. */
export function readProvenApproval(text: string | undefined): ProvenApproval | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { digest, sentence, approvedBy, approvedAt } = value;
  const texts = [digest, sentence, approvedBy, approvedAt];
  const isWhole = texts.every((each): each is string => typeof each === 'string');
  return isWhole ? ({ digest, sentence, approvedBy, approvedAt } as ProvenApproval) : undefined;
}
