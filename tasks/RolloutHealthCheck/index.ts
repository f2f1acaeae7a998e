import { systemClock } from '../common/adapters/system/clock';
import { inputContext } from '../common/adapters/agent/inputFiles';
import { publishHealth } from '../common/adapters/agent/publishReport';
import { withCluster } from '../common/adapters/wiring/clusterTask';
import { runTask } from '../common/adapters/agent/runTask';
import { refusedOutputs } from '../common/core/report/healthReport';
import { checkHealth } from '../common/flows/rollout/checkHealth';
import { readHealthRequest } from './inputs';

runTask(
  async (run) => {
    const { agent, signal } = run;
    const request = readHealthRequest(agent.input, inputContext(agent));
    const report = await withCluster(run, request, ({ cluster, namespace, storageOf }) =>
      checkHealth({
        agent,
        cluster,
        clock: systemClock,
        request,
        namespace,
        signal,
        storage: request.releaseName === undefined ? undefined : storageOf(request.releaseName),
      }),
    );
    return publishHealth(agent, report, request.onUnhealthy);
  },
  ({ reason, message }) => refusedOutputs(reason, message),
);
