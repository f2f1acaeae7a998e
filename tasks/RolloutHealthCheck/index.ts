import { systemClock } from '../common/adapters/system/clock';
import { inputContext } from '../common/adapters/agent/inputFiles';
import { publishHealth } from '../common/adapters/agent/publishReport';
import { withCluster, withMetrics } from '../common/adapters/wiring/clusterTask';
import { runTask, type TaskRun } from '../common/adapters/agent/runTask';
import { azureRun, ownPlace } from '../common/adapters/azureDevOps/runRecords';
import type { HealthRequest } from '../common/core/inputs/healthRequest';
import { ringVariable } from '../common/core/report/fleet';
import { checkFleet } from '../common/flows/rollout/checkFleet';
import { refusedOutputs, type HealthReport } from '../common/core/report/healthReport';
import { checkHealth } from '../common/flows/rollout/checkHealth';
import { readHealthRequest } from './inputs';

async function ringHealth(
  { agent, signal }: TaskRun,
  fleet: NonNullable<HealthRequest['fleet']>,
): Promise<HealthReport> {
  const { environment } = agent;
  const azure = azureRun(environment, { signal });
  const ring = environment.variable(ringVariable) ?? '';
  try {
    return await checkFleet(
      { agent, azure, clock: systemClock },
      { ring, ...fleet },
      ownPlace(environment).stage ?? '',
    );
  } finally {
    azure.close();
  }
}

runTask(
  async (run) => {
    const { agent, signal } = run;
    const request = readHealthRequest(agent.input, inputContext(agent));
    const { fleet, onUnhealthy } = request;
    if (fleet !== undefined) return publishHealth(agent, await ringHealth(run, fleet), onUnhealthy);
    const report = await withCluster(run, request, ({ cluster, transport, namespace, storageOf }) =>
      withMetrics(run, request, transport, (metrics) =>
        checkHealth({
          agent,
          cluster,
          clock: systemClock,
          phases: [],
          request,
          namespace,
          signal,
          storage: request.releaseName === undefined ? undefined : storageOf(request.releaseName),
          ...(metrics === undefined ? {} : { metrics }),
        }),
      ),
    );
    return publishHealth(agent, report, onUnhealthy);
  },
  ({ reason, message }) => refusedOutputs(reason, message),
);
