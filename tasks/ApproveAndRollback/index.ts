import { inputContext } from '../common/adapters/agent/inputFiles';
import { processMark } from '../common/adapters/system/processes';
import { publishFleetPlans, publishRollback } from '../common/adapters/agent/publishReport';
import { azureRun } from '../common/adapters/azureDevOps/runRecords';
import { sha256 } from '../common/adapters/helm/planStore';
import { systemClock } from '../common/adapters/system/clock';
import { withRollback } from '../common/adapters/wiring/rollbackTask';
import { runTask, type TaskEnd, type TaskRun } from '../common/adapters/agent/runTask';
import type { RollbackTaskRequest } from '../common/core/inputs/rollbackRequest';
import { fromFleet } from '../common/flows/rollback/approved/fleetPlan';
import { collectPlans } from '../common/flows/rollout/checkFleet';
import { announceWork, endWork } from '../common/flows/release/change';
import { planForRelease, planForWorkloads } from '../common/flows/rollback/plan/makePlan';
import { rollBackRelease } from '../common/flows/rollback/approved/rollBackRelease';
import { rollBackWorkloads } from '../common/flows/rollback/approved/rollBackWorkloads';
import { isFleetPlan, readRollbackRequest } from './inputs';

const flows = {
  plan: { release: planForRelease, workloads: planForWorkloads },
  rollback: { release: rollBackRelease, workloads: rollBackWorkloads },
};

async function planFleet({ agent, signal }: TaskRun): Promise<TaskEnd> {
  const azure = azureRun(agent.environment, { signal });
  try {
    return await publishFleetPlans(agent, await collectPlans({ agent, azure, clock: systemClock }), sha256);
  } finally {
    azure.close();
  }
}

/** In a fleet, the request names the list of all plans, and this job carries out one of them. */
async function ofOwnCluster({ agent, signal }: TaskRun, request: RollbackTaskRequest): Promise<RollbackTaskRequest> {
  if (request.cluster === undefined || request.action === 'plan') return request;
  const azure = azureRun(agent.environment, { signal });
  try {
    return await fromFleet({ azure, clock: systemClock, sha256, signal, random: Math.random }, request);
  } finally {
    azure.close();
  }
}

runTask(
  async (run) => {
    const { agent } = run;
    if (isFleetPlan(agent.input)) return planFleet(run);
    announceWork(agent, { release: '', namespace: '', revision: 0, process: processMark(process.pid) ?? '' });
    let ended;
    let request;
    try {
      request = await ofOwnCluster(run, readRollbackRequest(agent.input, inputContext(agent)));
      ended = await withRollback(run, request, flows[request.action]);
    } catch (thrown) {
      endWork(agent);
      throw thrown;
    }
    return publishRollback(agent, ended.report, ended.plan, request.cause);
  },
  ({ reason }) => ({ outcome: reason === 'Cancelled' ? 'cancelled' : 'failed', reason }),
);
