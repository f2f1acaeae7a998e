import { isRecord } from '../kubernetes/json';

/** The approval of this step for its post-job phase. It is never read from the cluster, where others may write. */
export interface ProvenApproval {
  digest: string;
  /** For the report, Helm's record and the Event. */
  sentence: string;
  approvedBy: string;
  /** An ISO time, or empty. */
  approvedAt: string;
}

export function provenApprovalText(proven: ProvenApproval): string {
  return JSON.stringify(proven);
}

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
