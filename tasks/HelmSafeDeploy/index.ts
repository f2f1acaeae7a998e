import { inputContext } from '../common/adapters/inputFiles';
import { processMark } from '../common/adapters/processes';
import { publishDeploy } from '../common/adapters/publishReport';
import { withDeploy } from '../common/adapters/releaseTask';
import { runTask } from '../common/adapters/runTask';
import { announceWork, endWork } from '../common/flows/change';
import { deploy } from '../common/flows/deploy';
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
      // The deploy itself throws nothing: it had not come to that yet.
      endWork(agent);
      throw thrown;
    }
    return publishDeploy(agent, report);
  },
  ({ reason }) => ({ outcome: reason === 'Cancelled' ? 'cancelled' : 'failed', reason }),
);
