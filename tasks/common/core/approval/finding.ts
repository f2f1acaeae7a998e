import type { Identity } from './identity';

/** A fact that Azure DevOps does not give is absent. */
export interface Approver {
  identity?: Identity;
  /** Milliseconds since 1970. */
  at?: number;
  comment?: string;
}

export type ApprovalRefusal =
  /** There is no approval, or this job did not wait for it. */
  | 'NoApproval'
  /** The approval is older than the plan, so it was for another plan. */
  | 'ApprovedBeforePlan'
  | 'Rejected'
  | 'Undecided'
  | 'Skipped'
  /** The gate timed out and resumed the run. */
  | 'NobodyApproved'
  /** Azure DevOps gives no proof, and the pipeline demands proof. */
  | 'Unproven'
  /** The approver queued the run, or is unknown. */
  | 'FourEyes';

export type ApprovalFinding =
  | {
      finding: 'approved';
      /** For example `the gate "Approve" (job Gate of stage Approval)`. */
      through: string;
      at: number;
      approvers: readonly Approver[];
      notes: readonly string[];
    }
  | { finding: 'refused'; code: Exclude<ApprovalRefusal, 'Unproven' | 'FourEyes'>; reason: string }
  /** Nothing can be concluded; `reason` is a sentence. */
  | { finding: 'unknown'; reason: string };
