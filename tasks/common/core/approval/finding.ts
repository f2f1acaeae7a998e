import type { Identity } from './identity';

/** One person's approval. What Azure DevOps does not tell is absent. */
export interface Approver {
  identity?: Identity;
  /** Milliseconds since 1970. */
  at?: number;
  comment?: string;
}

/** Why a rollback is not approved, for machines. */
export type ApprovalRefusal =
  /** Nothing that approves is there, or it was not waited for. */
  | 'NoApproval'
  /** It was given before the plan was made: for another plan. */
  | 'ApprovedBeforePlan'
  | 'Rejected'
  | 'Undecided'
  /** The gate, or the check, was skipped. */
  | 'Skipped'
  /** Its time ran out and the run was resumed. */
  | 'NobodyApproved'
  /** Azure DevOps does not tell, and proof is asked for. */
  | 'Unproven'
  /** The approver is the one who queued the run, or is not known. */
  | 'FourEyes';

/** What the run shows of an approval of this plan. */
export type ApprovalFinding =
  | {
      finding: 'approved';
      /** `the gate "Approve" (job Gate of stage Approval)`. */
      through: string;
      /** When the last of it was given. */
      at: number;
      approvers: readonly Approver[];
      /** What a reader of the report should know. */
      notes: readonly string[];
    }
  | { finding: 'refused'; code: Exclude<ApprovalRefusal, 'Unproven' | 'FourEyes'>; reason: string }
  /** It cannot be told; `reason` is a sentence. */
  | { finding: 'unknown'; reason: string };
