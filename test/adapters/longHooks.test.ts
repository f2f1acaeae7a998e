import assert from 'node:assert/strict';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { systemClock } from '../../tasks/common/adapters/system/clock';
import type { HelmResult } from '../../tasks/common/core/ports';
import type { ReleaseContext } from '../../tasks/common/core/releaseContext';
import { whileHooksRun } from '../../tasks/common/flows/rollout/hookLogs';
import { recordingAgent } from '../support/fakes/recordingAgent';
import { plainRequest } from '../support/fakes/scene';
import { eventually, startStubApiServer, type StubApiServer } from '../support/stubApiServer';

const timing = { connectMs: 2000, responseMs: 1000, totalMs: 4000, retryUnknownMs: 50, retryKnownMs: 50 };
const hook = { name: 'migrate', kind: 'Job', events: ['pre-upgrade'], lastPhase: '' };
const helmSucceeded: HelmResult = {
  ok: true,
  exitCode: 0,
  signal: undefined,
  cancelled: false,
  timedOut: false,
  stdout: '',
  durationMs: 1,
};
const job = { uid: 'job', name: 'migrate', namespace: 'shop' };
const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'migrate', uid: 'job', controller: true };
const pod = (state: object, phase: string) => ({
  metadata: {
    name: 'migrate-x',
    namespace: 'shop',
    uid: 'pod',
    labels: { 'job-name': 'migrate' },
    ownerReferences: [owner],
  },
  spec: { containers: [{ name: 'main', image: 'x' }] },
  status: { phase, containerStatuses: [{ name: 'main', restartCount: 0, state }] },
});

/** The server closes each watch and each log again and again, as it does with a long hook. */
const closings = 12;

describe('a hook that runs for long', () => {
  let stub: StubApiServer;
  let cluster: ClusterConnection;

  beforeEach(async () => {
    stub = await startStubApiServer();
    cluster = await createCluster(await stub.kubeconfig(), { environment: {}, timing });
  });

  afterEach(async () => {
    cluster.close();
    await stub.close();
  });

  it('no line and no state is lost, and none is told twice, while the server closes every watch and log', async () => {
    const [jobs, pods] = [stub.collection('jobs', 'Job', 'batch/v1'), stub.collection('pods', 'Pod')];
    const all = [jobs, pods, stub.collection('events', 'Event')];
    const log: string[] = [];
    let logs = 0;
    let hasEnded = false;
    stub.handlers.push(({ path: requested, query }, response) => {
      if (requested !== '/api/v1/namespaces/shop/pods/migrate-x/log') return false;
      logs++;
      const since = Date.parse(query.get('sinceTime') ?? '1970-01-01T00:00:00Z');
      const wanted = log.filter((line) => Date.parse(line.split(' ')[0] ?? '') >= Math.floor(since / 1000) * 1000);
      response.writeHead(200);
      // The connection is cut in the middle of the log, until the container has ended.
      response.write(wanted.map((line) => `${line}\n`).join(''), () =>
        hasEnded ? response.end() : response.destroy(),
      );
      return true;
    });
    const agent = recordingAgent();
    const context = {
      agent,
      cluster,
      clock: systemClock,
      namespace: 'shop',
      signal: new AbortController().signal,
      request: plainRequest,
    } as unknown as ReleaseContext;
    const line = (number: number): string => `line ${String(number).padStart(2, '0')}`;
    const say = (number: number): void => {
      log.push(`2026-03-01T12:00:${String(number).padStart(2, '0')}.000000000Z ${line(number)}`);
    };
    const isShown = (number: number) => () => agent.lines.some((text) => text.includes(line(number)));

    const { result, hooks } = await whileHooksRun(context, [hook], ['pre-upgrade'], async () => {
      await eventually('the hooks are watched', () => all.every((each) => each.watches() > 0));
      jobs.put({ metadata: job, spec: {}, status: { active: 1 } });
      pods.put(pod({ running: { startedAt: '2026-03-01T12:00:00Z' } }, 'Running'));
      for (let number = 0; number < closings; number++) {
        say(number);
        for (const each of all) each.endWatches();
        await eventually(`line ${number} is shown`, isShown(number));
        await eventually('the watches are open again', () => all.every((each) => each.watches() > 0));
      }
      say(closings);
      hasEnded = true;
      const terminated = { exitCode: 0, startedAt: '2026-03-01T12:00:00Z', finishedAt: '2026-03-01T12:30:00Z' };
      pods.put(pod({ terminated }, 'Succeeded'));
      jobs.put({
        metadata: job,
        spec: {},
        status: { succeeded: 1, conditions: [{ type: 'Complete', status: 'True' }] },
      });
      await eventually('the last line is shown', isShown(closings));
      await eventually('the end is told', () => agent.lines.some((text) => /Job\/migrate {2}/.test(text)));
      return helmSucceeded;
    });
    assert.equal(result.ok, true);
    assert.deepEqual(hooks.causes(), []);
    assert.equal(hooks.hopeless, undefined);
    const shown = agent.lines.flatMap((text) => /line \d\d/.exec(text)?.[0] ?? []);
    assert.deepEqual(
      shown,
      Array.from({ length: closings + 1 }, (_, number) => line(number)),
    );
    const watches = stub.requests.filter(({ query }) => query.get('watch') === 'true').length;
    assert.ok(watches >= closings * all.length, `${watches} watches`);
    assert.ok(logs >= closings, `${logs} logs`);
  });
});
