import { readProvenApproval } from '../../core/approval/proven';
import { holderOf } from '../../core/lock/holder';
import type { RollbackTaskRequest } from '../../core/inputs/rollbackRequest';
import { approvalVariable } from '../../core/inputs/taskVariables';
import { azureRun, ownPlace } from '../azureDevOps/runRecords';
import { systemClock } from '../system/clock';
import { withCluster } from './clusterTask';
import { createReleaseHelm } from '../helm/helm';
import { createPlanStore, sha256 } from '../helm/planStore';
import { isProcessGone, processMark } from '../system/processes';
import { newSalt, withRelease } from './releaseTask';
import type { TaskRun } from '../agent/runTask';
import type { PlainStart, ReleaseRollbackStart } from '../../core/releaseContext';

interface RollbackFlows<T> {
  release: (start: ReleaseRollbackStart) => Promise<T>;
  workloads: (start: PlainStart) => Promise<T>;
}

export async function withRollback<T>(run: TaskRun, request: RollbackTaskRequest, flows: RollbackFlows<T>): Promise<T> {
  const { agent, signal } = run;
  const { environment } = agent;
  const azure = azureRun(environment, { signal });
  const proven = readProvenApproval(environment.taskVariable(approvalVariable));
  const common = { azure, place: ownPlace(environment), sha256, newSalt, request, ...(proven && { proven }) };
  try {
    if (request.subject.kind === 'workloads') {
      return await withWorkloads(run, request, (start) => flows.workloads({ ...common, ...start }));
    }
    return await withRelease(run, request, async ({ helmOptions, ...start }) => {
      const { namespace, storage, cluster } = start;
      const subject = request.releaseName;
      const plans = createPlanStore(cluster, { namespace, subject, kind: storage.kind, redact: agent.redact });
      return flows.release({ ...start, ...common, plans, helm: createReleaseHelm(helmOptions) });
    });
  } finally {
    azure.close();
  }
}

type Missing = 'azure' | 'place' | 'sha256' | 'newSalt' | 'request';

/** Needs no guard, because no Helm runs for plain workloads. */
function withWorkloads<T>(
  run: TaskRun,
  request: RollbackTaskRequest,
  flow: (start: Omit<PlainStart, Missing>) => Promise<T>,
): Promise<T> {
  const { agent, signal } = run;
  return withCluster(run, request, ({ cluster, namespace }) => {
    const subject = request.releaseName;
    return flow({
      agent,
      cluster,
      clock: systemClock,
      phases: [],
      guard: { alive: () => undefined },
      namespace,
      signal,
      holder: holderOf((name) => agent.environment.variable(name), processMark(process.pid) ?? '', agent.redact),
      isProcessGone,
      plans: createPlanStore(cluster, { namespace, subject, kind: 'ConfigMap', redact: agent.redact }),
    });
  });
}
