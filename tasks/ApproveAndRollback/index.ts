import { inputContext } from '../common/adapters/agent/inputFiles';
import { processMark } from '../common/adapters/system/processes';
import { publishRollback } from '../common/adapters/agent/publishReport';
import { withRollback } from '../common/adapters/wiring/rollbackTask';
import { runTask } from '../common/adapters/agent/runTask';
import { announceWork, endWork } from '../common/flows/release/change';
import { planForRelease, planForWorkloads } from '../common/flows/rollback/plan/makePlan';
import { rollBackRelease } from '../common/flows/rollback/approved/rollBackRelease';
import { rollBackWorkloads } from '../common/flows/rollback/approved/rollBackWorkloads';
import { readRollbackRequest } from './inputs';

const flows = {
  plan: { release: planForRelease, workloads: planForWorkloads },
  rollback: { release: rollBackRelease, workloads: rollBackWorkloads },
};

runTask(
  async (run) => {
    const { agent } = run;
    announceWork(agent, { release: '', namespace: '', revision: 0, process: processMark(process.pid) ?? '' });
    let ended;
    let request;
    try {
      request = readRollbackRequest(agent.input, inputContext(agent));
      ended = await withRollback(run, request, flows[request.action]);
    } catch (thrown) {
      endWork(agent);
      throw thrown;
    }
    return publishRollback(agent, ended.report, ended.plan, request.cause);
  },
  ({ reason }) => ({ outcome: reason === 'Cancelled' ? 'cancelled' : 'failed', reason }),
);
