import { inputContext } from '../common/adapters/inputFiles';
import { stopLeftProcesses } from '../common/adapters/leftProcesses';
import { publishResume } from '../common/adapters/publishReport';
import { withRollback } from '../common/adapters/rollbackTask';
import { runTask } from '../common/adapters/runTask';
import type { Interruption } from '../common/core/interruption';
import { childrenVariable, planDigestVariable } from '../common/core/taskVariables';
import type { ToldRollback } from '../common/flows/plan';
import { resumeRollback } from '../common/flows/rollback';
import { resumeWorkloads } from '../common/flows/rollbackPlain';
import { readRollbackRequest } from './inputs';

/** Below the five minutes that a cancelled job has unless its pipeline says otherwise. */
const resumeSeconds = 240;

/** The post-job phase of a step that was interrupted in the middle of a rollback. */
export function runResume(left: Interruption): void {
  runTask(
    async ({ agent, signal }) => {
      const { environment } = agent;
      const request = readRollbackRequest(agent.input, inputContext(agent));
      agent.log(
        `The step ended in the middle of a rollback of release ${left.release} in namespace ${left.namespace}.`,
      );
      const children = environment.taskVariable(childrenVariable);
      const ended = await stopLeftProcesses(left.process, children, (line) => {
        agent.log(line);
      });
      const planDigest = environment.taskVariable(planDigestVariable) ?? request.planDigest;
      const bounded = {
        ...request,
        namespace: left.namespace,
        ...(planDigest === undefined ? {} : { planDigest }),
        rollbackTimeoutSeconds: Math.min(request.rollbackTimeoutSeconds, resumeSeconds),
        lockTimeoutSeconds: Math.min(request.lockTimeoutSeconds, resumeSeconds),
      };
      const run = { agent, signal: AbortSignal.any([signal, AbortSignal.timeout(resumeSeconds * 1000)]) };
      const { report, plan } = await withRollback<ToldRollback>(run, bounded, {
        release: (start) => resumeRollback({ ...start, ...ended }),
        workloads: (start) => resumeWorkloads({ ...start, ...ended }),
      });
      return publishResume(agent, report, plan);
    },
    () => ({}),
  );
}
