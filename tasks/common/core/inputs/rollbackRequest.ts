import type { ApprovalPolicy } from '../approval/judgeApproval';
import type { ReleaseRequest } from './deployRequest';
import type { WorkloadName } from './healthRequest';
import type { RollbackRequest } from '../rollbackPlan/model/types';

/** The object of the rollback: the release of the request, or workloads as with `kubectl rollout undo`. */
export type RollbackSubject = { kind: 'release' } | { kind: 'workloads'; workloads: readonly WorkloadName[] };

/** The request of the pipeline's author, checked as far as possible without a cluster. */
export interface RollbackTaskRequest extends ReleaseRequest {
  action: 'plan' | 'rollback';
  subject: RollbackSubject;
  /** The target of the rollback, and what the rollback may do. */
  rollback: RollbackRequest;
  /** 64 hexadecimal digits; absent if the input is empty. */
  planDigest?: string;
  /** If true, a rollback needs a plan that was made before. */
  requirePlan: boolean;
  maxPlanAgeSeconds: number;
  approval: ApprovalPolicy;
  /** The SHA-256 of the Helm binary, in hexadecimal. */
  helmSha256?: string;
}

/** The plain workloads of a namespace share one lock, because two lists of them may overlap. */
export const plainWorkloadsLock = 'plain-workloads';
