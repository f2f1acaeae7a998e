import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { succeed } from '../cluster/command';
import { startStubApiServer } from '../../test/support/stubApiServer';
import { spread, type Spread } from './statistics';
import { taskStart } from './task';
import { timedSuccess } from './timedProcess';

export interface StartUp {
  readonly nodeVersion: string;
  /** Milliseconds from the start of Node to the arrival of the task's first request at the API server. */
  readonly firstRequest: Spread;
  /** Milliseconds from the start to the end of `node -e 0`. */
  readonly bareNode: Spread;
}

/**
 * Measures only the task's own start: the API server is an HTTPS stub on loopback without objects. The Helm that the
 * task starts is a real one.
 */
export async function measureStartUp(vsix: string, helm: string, node: string, runs: number): Promise<StartUp> {
  const stub = await startStubApiServer();
  const task = await taskStart(vsix, await stub.kubeconfig());
  const chart = path.join(import.meta.dirname, 'chart');
  try {
    const env = task.environment({ namespace: 'default', releaseName: 'bench', chart, helmPath: helm });
    const firstRequest: number[] = [];
    const bareNode: number[] = [];
    for (let run = 0; run <= runs; run += 1) {
      const arrival = new Promise<number>((resolve) => {
        stub.handlers.push(({ headers }) => {
          if (headers['user-agent'] === 'helm-safe-deploy') resolve(performance.now());
          return false;
        });
      });
      const startedAt = performance.now();
      const child = spawn(node, [task.script], { cwd: task.workingFolder, env, stdio: 'ignore' });
      const ended = once(child, 'exit');
      const milliseconds = (await arrival) - startedAt;
      await ended;
      stub.handlers.length = 0;
      const bare = (await timedSuccess(node, ['-e', '0'])) * 1000;
      // The first run reads the files from disk, so it is not counted.
      if (run === 0) continue;
      firstRequest.push(milliseconds);
      bareNode.push(bare);
    }
    const nodeVersion = (await succeed(node, ['--version'])).trim();
    return { nodeVersion, firstRequest: spread(firstRequest), bareNode: spread(bareNode) };
  } finally {
    task.dispose();
    await stub.close();
  }
}
