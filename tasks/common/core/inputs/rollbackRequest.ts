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
  /** The cluster of this job in a fleet; `planDigest` is then the digest of the list of its plans. */
  cluster?: string;
  /** The time over which the jobs of a fleet spread their first request. */
  startWithinSeconds: number;
  /** No approval before this time counts, although the plan may be older. */
  approvedSince?: Date;
  /** In hexadecimal. */
  helmSha256?: string;
}

/** The plain workloads of a namespace share one lock, because two lists of them may overlap. */
export const plainWorkloadsLock = 'plain-workloads';
