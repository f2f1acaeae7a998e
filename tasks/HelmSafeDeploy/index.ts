import { inputContext } from '../common/adapters/agent/inputFiles';
import { processMark } from '../common/adapters/system/processes';
import { publishDeploy } from '../common/adapters/agent/publishReport';
import { withDeploy } from '../common/adapters/wiring/releaseTask';
import { runTask } from '../common/adapters/agent/runTask';
import { announceWork, endWork } from '../common/flows/release/change';
import { deploy } from '../common/flows/deploy/deploy';
import { readDeployRequest } from './inputs';

runTask(
  async (run) => {
    const { agent } = run;
    announceWork(agent, { release: '', namespace: '', revision: 0, process: processMark(process.pid) ?? '' });
    let report;
    try {
      const request = readDeployRequest(agent.input, inputContext(agent));
      report = await withDeploy(run, request, deploy);
    } catch (thrown) {
      endWork(agent);
      throw thrown;
    }
    return publishDeploy(agent, report);
  },
  ({ reason }) => ({ outcome: reason === 'Cancelled' ? 'cancelled' : 'failed', reason }),
);
