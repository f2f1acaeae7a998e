import { inputContext } from '../common/adapters/inputFiles';
import { publishReport } from '../common/adapters/publishReport';
import { withRelease } from '../common/adapters/releaseTask';
import { runTask } from '../common/adapters/runTask';
import { deploy } from '../common/flows/deploy';
import { readDeployRequest } from './inputs';

runTask(async (run) => {
  const request = readDeployRequest(run.agent.input, inputContext(run.agent));
  return publishReport(run.agent, await withRelease(run, request, deploy));
});
