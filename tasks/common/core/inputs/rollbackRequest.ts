import type { ApprovalPolicy } from '../approval/judgeApproval';
import type { ReleaseRequest } from './deployRequest';
import type { WorkloadName } from './healthRequest';
import type { RollbackRequest } from '../rollbackPlan/model/types';

/** What is rolled back: the release of the request, or workloads as `kubectl rollout undo` does it. */
export type RollbackSubject = { kind: 'release' } | { kind: 'workloads'; workloads: readonly WorkloadName[] };

/** What the pipeline's author asked for, checked as far as it can be without a cluster. */
export interface RollbackTaskRequest extends ReleaseRequest {
  action: 'plan' | 'rollback';
  subject: RollbackSubject;
  /** Where to, and what it may do. */
  rollback: RollbackRequest;
  /** 64 hexadecimal digits; absent where none was given. */
  planDigest?: string;
  /** Nothing is rolled back that was not planned before. */
  requirePlan: boolean;
  maxPlanAgeSeconds: number;
  approval: ApprovalPolicy;
  /** Of the Helm binary, in hexadecimal. */
  helmSha256?: string;
}

/** Plain workloads of a namespace share one lock: two lists of them may overlap. */
export const plainWorkloadsLock = 'plain-workloads';
