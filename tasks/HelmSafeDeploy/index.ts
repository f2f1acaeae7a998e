import { inputContext } from '../common/adapters/inputFiles';
import { publishDeploy } from '../common/adapters/publishReport';
import { withDeploy } from '../common/adapters/releaseTask';
import { runTask } from '../common/adapters/runTask';
import { deploy } from '../common/flows/deploy';
import { readDeployRequest } from './inputs';

runTask(
  async (run) => {
    const request = readDeployRequest(run.agent.input, inputContext(run.agent));
    return publishDeploy(run.agent, await withDeploy(run, request, deploy));
  },
  ({ reason }) => ({ outcome: reason === 'Cancelled' ? 'cancelled' : 'failed', reason }),
);
