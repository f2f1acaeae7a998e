import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { succeed } from '../cluster/command';
import { startStubApiServer, type StubApiServer } from '../../test/support/stubApiServer';
import { inPairs, spread, type Pair, type Spread } from './statistics';
import { taskStart } from './task';
import { timedSuccess } from './timedProcess';

export interface StartUp {
  readonly nodeVersion: string;
  /** Milliseconds from the start of Node to the arrival of the task's first request at the API server. */
  readonly firstRequest: Spread;
  /** Milliseconds from the start to the end of `node -e 0`. */
  readonly bareNode: Spread;
  /** Milliseconds to the first request: «ours» is the task as it is packaged, «theirs» the task without the library for Azure. */
  readonly azure: readonly Pair[];
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
    const firstRequest = (): Promise<number> =>
      timeToFirstRequest(stub, () => spawn(node, [task.script], { cwd: task.workingFolder, env, stdio: 'ignore' }));
    const library = path.join(path.dirname(task.script), 'azure.js');
    const withoutAzure = async (): Promise<number> => {
      await rename(library, `${library}.away`);
      return firstRequest().finally(() => rename(`${library}.away`, library));
    };
    // The first run reads the files from disk, so it is not counted.
    await firstRequest();
    const azure = await inPairs(runs, firstRequest, withoutAzure);
    const bareNode: number[] = [];
    for (let run = 0; run < runs; run += 1) bareNode.push((await timedSuccess(node, ['-e', '0'])) * 1000);
    const nodeVersion = (await succeed(node, ['--version'])).trim();
    return { nodeVersion, firstRequest: spread(azure.map(({ ours }) => ours)), bareNode: spread(bareNode), azure };
  } finally {
    task.dispose();
    await stub.close();
  }
}

/** Rejects if the task ends without a request. */
async function timeToFirstRequest(stub: StubApiServer, start: () => ChildProcess): Promise<number> {
  let arrivedAt: number | undefined;
  stub.handlers.push(({ headers }) => {
    if (headers['user-agent'] !== 'helm-safe-deploy' || arrivedAt !== undefined) return false;
    arrivedAt = performance.now();
    // The task would wait for its lock, which the stub does not give.
    child.kill('SIGTERM');
    return false;
  });
  const startedAt = performance.now();
  const child = start();
  await once(child, 'exit');
  stub.handlers.length = 0;
  if (arrivedAt === undefined) throw new Error('The task ended without a request to the API server.');
  return arrivedAt - startedAt;
}
