import { isRecord } from '../kubernetes/json';

/**
 * An approval that was proven in this step. The agent keeps it for the step's post-job phase; it is never read from the
 * cluster, where others may write.
 */
export interface ProvenApproval {
  /** Of the plan that was approved. */
  digest: string;
  /** The sentence for the report, Helm's record and the Event. */
  sentence: string;
  /** See `shownApprovers`. */
  approvedBy: string;
  /** ISO time; empty where it is not known. */
  approvedAt: string;
}

export function provenApprovalText(proven: ProvenApproval): string {
  return JSON.stringify(proven);
}

/** Undefined where the text is not ours. */
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
