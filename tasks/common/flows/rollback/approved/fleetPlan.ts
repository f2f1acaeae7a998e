import type { RunAttachments } from '../../../core/approval/judgeApproval';
import { TaskError } from '../../../core/failure';
import type { RollbackTaskRequest } from '../../../core/inputs/rollbackRequest';
import type { Clock } from '../../../core/ports';
import { fleetAttachmentType, fleetDigest, parseFleetList, type FleetList } from '../../../core/report/fleet';
import type { Sha256 } from '../../../core/rollbackPlan/model/types';
import { plainDigest } from '../../../core/rollbackPlan/document/document';
import { valueOf } from '../../rollout/checkFleet';

interface Context {
  azure: RunAttachments;
  clock: Clock;
  sha256: Sha256;
  signal: AbortSignal;
  /** From 0 up to 1. */
  random: () => number;
}

/**
 * Finds the plan of a cluster in the list that one gate has approved. The list is an attachment of this run, and its digest is
 * computed again. Throws `PlanMissing` or `PlanChanged`.
 */
export async function fromFleet(
  { azure, clock, sha256, signal, random }: Context,
  request: RollbackTaskRequest,
): Promise<RollbackTaskRequest> {
  const { cluster, planDigest, startWithinSeconds } = request;
  if (cluster === undefined) return request;
  if (planDigest === undefined) throw new TaskError('PlanMissing', 'No planDigest of a list of plans was given.');
  // Many jobs that start at once would be limited by Azure DevOps.
  if (startWithinSeconds > 0) await clock.sleep(random() * startWithinSeconds * 1000, signal);
  const list = await approvedList(azure, planDigest, sha256);
  const own = list.plans.find((plan) => plan.cluster === cluster);
  if (own === undefined) throw new TaskError('PlanMissing', `The approved list has no plan of cluster ${cluster}.`);
  return { ...request, planDigest: plainDigest(own.planDigest), approvedSince: new Date(list.createdAt) };
}

async function approvedList(azure: RunAttachments, planDigest: string, sha256: Sha256): Promise<FleetList> {
  const attachments = valueOf(await azure.attachments(fleetAttachmentType));
  for (const attachment of attachments) {
    const list = parseFleetList(valueOf(await azure.attachment(fleetAttachmentType, attachment)));
    if (list !== undefined && fleetDigest(list, sha256) === `sha256:${planDigest}`) return list;
  }
  const message = `This run has no list of plans with the digest sha256:${planDigest}: ${attachments.length} lists were compared.`;
  throw new TaskError('PlanChanged', message);
}
