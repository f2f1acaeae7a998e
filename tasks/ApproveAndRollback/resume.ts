import { inputContext } from '../common/adapters/agent/inputFiles';
import { stopLeftProcesses } from '../common/adapters/helm/leftProcesses';
import { removePrivateFolders } from '../common/adapters/agent/privateFolder';
import { publishResume } from '../common/adapters/agent/publishReport';
import { withRollback } from '../common/adapters/wiring/rollbackTask';
import { runTask } from '../common/adapters/agent/runTask';
import type { Interruption } from '../common/core/lock/interruption';
import { childrenVariable, planDigestVariable } from '../common/core/inputs/taskVariables';
import { giveBackLock } from '../common/flows/lock/giveBackLock';
import type { ReportedRollback } from '../common/flows/rollback/plan/makePlan';
import { resumeRollback } from '../common/flows/rollback/approved/rollBackRelease';
import { resumeWorkloads } from '../common/flows/rollback/approved/rollBackWorkloads';
import { readRollbackRequest } from './inputs';

/** Less than the five minutes that a cancelled job has by default. */
const resumeSeconds = 240;

const nothingLeft = { result: 'Succeeded', message: 'There was nothing to resume.' } as const;

/** The post-job phase of a step that was interrupted. */
export function runResume(left: Interruption): void {
  runTask(
    async ({ agent, signal }) => {
      const { environment } = agent;
      const request = readRollbackRequest(agent.input, inputContext(agent));
      const isBegun = left.action !== undefined;
      agent.log(
        isBegun
          ? `The step was interrupted during a rollback of release ${left.release} in namespace ${left.namespace}.`
          : 'The step was interrupted.',
      );
      const children = environment.taskVariable(childrenVariable);
      const ended = await stopLeftProcesses(left.process, children, (line) => {
        agent.log(line);
      });
      // The main phase may have created its private folder after the post-job phase began.
      removePrivateFolders(agent.tempFolder);
      // A plan is made without the lock.
      if (!isBegun && request.action === 'plan') return nothingLeft;
      const planDigest = environment.taskVariable(planDigestVariable) ?? request.planDigest;
      const bounded = {
        ...request,
        ...(left.namespace === '' ? {} : { namespace: left.namespace }),
        ...(planDigest === undefined ? {} : { planDigest }),
        rollbackTimeoutSeconds: Math.min(request.rollbackTimeoutSeconds, resumeSeconds),
        lockTimeoutSeconds: isBegun ? Math.min(request.lockTimeoutSeconds, resumeSeconds) : 0,
      };
      const run = { agent, signal: AbortSignal.any([signal, AbortSignal.timeout(resumeSeconds * 1000)]) };
      if (!isBegun) {
        await withRollback(run, bounded, {
          release: (start) => giveBackLock({ ...start, ...ended }),
          workloads: (start) => giveBackLock({ ...start, ...ended }),
        });
        return nothingLeft;
      }
      const { report, plan } = await withRollback<ReportedRollback>(run, bounded, {
        release: (start) => resumeRollback({ ...start, ...ended }),
        workloads: (start) => resumeWorkloads({ ...start, ...ended }),
      });
      return publishResume(agent, report, plan);
    },
    () => ({}),
  );
}
