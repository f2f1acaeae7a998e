import { inputContext } from '../common/adapters/agent/inputFiles';
import { processMark } from '../common/adapters/system/processes';
import { publishDeploy, publishDeployPlan } from '../common/adapters/agent/publishReport';
import { withDeploy, withUninstall } from '../common/adapters/wiring/releaseTask';
import { runTask } from '../common/adapters/agent/runTask';
import { announceWork, endWork } from '../common/flows/release/change';
import { deploy } from '../common/flows/deploy/deploy';
import { planDeploy, type PlannedDeploy } from '../common/flows/deploy/planDeploy';
import { uninstallRelease } from '../common/flows/removal/uninstallRelease';
import { readAction, readDeployRequest, readUninstallRequest } from './inputs';

runTask(
  async (run) => {
    const { agent } = run;
    announceWork(agent, { release: '', namespace: '', revision: 0, process: processMark(process.pid) ?? '' });
    let ended: PlannedDeploy;
    let isPlan: boolean;
    try {
      const context = inputContext(agent);
      const action = readAction(agent.input, context);
      isPlan = action === 'plan';
      if (action === 'uninstall') {
        const request = readUninstallRequest(agent.input, context);
        ended = { report: await withUninstall(run, request, uninstallRelease), plan: undefined };
      } else {
        ended = await withDeploy(run, readDeployRequest(agent.input, context), async (start) =>
          isPlan ? planDeploy(start) : { report: await deploy(start), plan: undefined },
        );
      }
    } catch (thrown) {
      endWork(agent);
      throw thrown;
    }
    return isPlan ? publishDeployPlan(agent, ended.report, ended.plan) : publishDeploy(agent, ended.report);
  },
  ({ reason }) => ({ outcome: reason === 'Cancelled' ? 'cancelled' : 'failed', reason }),
);
