import type { ApprovalPolicy } from '../approval/judgeApproval';
import type { ReleaseRequest } from './deployRequest';
import type { WorkloadName } from './healthRequest';
import type { RollbackRequest } from '../rollbackPlan/model/types';

/** The release of the request, or workloads as with `kubectl rollout undo`. */
export type RollbackSubject = { kind: 'release' } | { kind: 'workloads'; workloads: readonly WorkloadName[] };

export interface RollbackTaskRequest extends ReleaseRequest {
  action: 'plan' | 'rollback';
  subject: RollbackSubject;
  rollback: RollbackRequest;
  /** 64 hexadecimal digits. */
  planDigest?: string;
  requirePlan: boolean;
  maxPlanAgeSeconds: number;
  approval: ApprovalPolicy;
  /** Markdown that says why the pipeline plans a rollback, or empty. */
  cause: string;
  /** In hexadecimal. */
  helmSha256?: string;
}

/** The plain workloads of a namespace share one lock, because two lists of them may overlap. */
export const plainWorkloadsLock = 'plain-workloads';
