import { createReleaseHelm } from '../common/adapters/helm/helm';
import { inputContext } from '../common/adapters/agent/inputFiles';
import { stopLeftProcesses } from '../common/adapters/helm/leftProcesses';
import { removePrivateFolders } from '../common/adapters/agent/privateFolder';
import { publishRepair } from '../common/adapters/agent/publishReport';
import { withRelease } from '../common/adapters/wiring/releaseTask';
import { runTask } from '../common/adapters/agent/runTask';
import { timeoutSignal } from '../common/adapters/system/timer';
import type { RepairRequest } from '../common/core/inputs/deployRequest';
import type { Interruption } from '../common/core/lock/interruption';
import { childrenVariable } from '../common/core/inputs/taskVariables';
import { repair } from '../common/flows/deploy/repair';
import { resumeUninstall } from '../common/flows/removal/uninstallRelease';
import { readAction, readRepair, readUninstallRequest } from './inputs';

/** The post-job phase of a step that was interrupted. */
export function runRepair(left: Interruption): void {
  runTask(
    async ({ agent, signal }) => {
      const startedMs = performance.now();
      const context = inputContext(agent);
      const uninstall =
        readAction(agent.input, context) === 'uninstall' ? readUninstallRequest(agent.input, context) : undefined;
      const request: RepairRequest = uninstall ?? readRepair(agent.input, context);
      const timeOver = timeoutSignal(request.cleanupTimeoutSeconds * 1000);
      agent.log(
        left.revision === 0
          ? 'The step was interrupted.'
          : `The step was interrupted during a change of release ${left.release} in namespace ${left.namespace}.`,
      );
      const children = agent.environment.taskVariable(childrenVariable);
      const ended = await stopLeftProcesses(left.process, children, (line) => {
        agent.log(line);
      });
      // The main phase may have created its private folder after the post-job phase began.
      removePrivateFolders(agent.tempFolder);
      const leftSeconds = Math.max(
        1,
        request.cleanupTimeoutSeconds - Math.ceil((performance.now() - startedMs) / 1000),
      );
      const run = { agent, signal: AbortSignal.any([signal, timeOver]) };
      const bounded = {
        ...request,
        ...(left.namespace === '' ? {} : { namespace: left.namespace }),
        rollbackTimeoutSeconds: Math.min(request.rollbackTimeoutSeconds, leftSeconds),
        // A long `stableFor` does not fit into the time of a cancelled job.
        rollout: { ...request.rollout, stableForSeconds: Math.min(request.rollout.stableForSeconds ?? 0, 10) },
        lockTimeoutSeconds: left.revision === 0 ? 0 : Math.min(request.lockTimeoutSeconds, leftSeconds),
      };
      const report = await withRelease(run, bounded, ({ helmOptions, ...start }) => {
        const helm = createReleaseHelm(helmOptions);
        if (uninstall === undefined) return repair({ ...start, ...ended, request: bounded, helm }, left);
        const timeoutSeconds = Math.min(uninstall.timeoutSeconds, leftSeconds);
        const resumed = { ...uninstall, ...bounded, timeoutSeconds };
        return resumeUninstall({ ...start, ...ended, request: resumed, helm }, left);
      });
      // A report would look like a second deploy.
      if (report.outcome === 'deployed') return { result: 'Succeeded', message: 'There was nothing to repair.' };
      return publishRepair(agent, report);
    },
    () => ({}),
  );
}
