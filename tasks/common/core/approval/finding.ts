import type { Identity } from './identity';

/** One person's approval. A fact that Azure DevOps does not give is absent. */
export interface Approver {
  identity?: Identity;
  /** Milliseconds since 1970. */
  at?: number;
  comment?: string;
}

/** Why a rollback is not approved, as a code. */
export type ApprovalRefusal =
  /** There is no approval, or this job did not wait for it. */
  | 'NoApproval'
  /** The approval was given before this plan was made, so it was for another plan. */
  | 'ApprovedBeforePlan'
  | 'Rejected'
  | 'Undecided'
  /** The gate or the check was skipped. */
  | 'Skipped'
  /** The gate timed out and resumed the run without a decision. */
  | 'NobodyApproved'
  /** Azure DevOps gives no proof, and the pipeline demands proof. */
  | 'Unproven'
  /** The approver queued the run, or is unknown. */
  | 'FourEyes';

/** The result of looking for an approval of this plan in the run. */
export type ApprovalFinding =
  | {
      finding: 'approved';
      /** For example `the gate "Approve" (job Gate of stage Approval)`. */
      through: string;
      /** The time of the last approval. */
      at: number;
      approvers: readonly Approver[];
      /** Facts that a reader of the report should know. */
      notes: readonly string[];
    }
  | { finding: 'refused'; code: Exclude<ApprovalRefusal, 'Unproven' | 'FourEyes'>; reason: string }
  /** Nothing can be concluded; `reason` is a sentence. */
  | { finding: 'unknown'; reason: string };
