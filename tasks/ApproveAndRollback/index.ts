import { inputContext } from '../common/adapters/inputFiles';
import { publishRollback } from '../common/adapters/publishReport';
import { withRollback } from '../common/adapters/rollbackTask';
import { runTask } from '../common/adapters/runTask';
import { planForRelease, planForWorkloads } from '../common/flows/plan';
import { rollBackRelease } from '../common/flows/rollback';
import { rollBackWorkloads } from '../common/flows/rollbackPlain';
import { readRollbackRequest } from './inputs';

const flows = {
  plan: { release: planForRelease, workloads: planForWorkloads },
  rollback: { release: rollBackRelease, workloads: rollBackWorkloads },
};

runTask(
  async (run) => {
    const request = readRollbackRequest(run.agent.input, inputContext(run.agent));
    const { report, plan } = await withRollback(run, request, flows[request.action]);
    return publishRollback(run.agent, report, plan);
  },
  ({ reason }) => ({ outcome: reason === 'Cancelled' ? 'cancelled' : 'failed', reason }),
);
