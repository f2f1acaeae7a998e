import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { Cluster } from '../../tasks/common/core/ports';
import type { Question } from '../../tasks/common/core/rollout/facts';
import { factFinder } from '../../tasks/common/flows/rollout/facts';
import { chart, deployment, namespace, revision, scene, type Scene } from '../support/fakes/scene';

const ref = { apiVersion: 'v1', kind: 'Secret', namespace, name: 'login' };
const questions = {
  log: { about: 'log', key: 'run 1', log: { namespace, pod: 'web-a', container: 'app', previous: true } },
  quota: { about: 'quota', key: 'quota', namespace },
  nodes: { about: 'nodes', key: 'nodes' },
  makers: { about: 'makers', key: 'login', missing: ref },
  release: { about: 'release', key: 'release' },
} as const satisfies Record<string, Question>;

const denied = (what: string): Promise<never> =>
  Promise.reject(new TaskError('PermissionDenied', `You may not read ${what}.`));
const custom: KubeObject = { apiVersion: 'example.com/v1', kind: 'Login', metadata: { name: 'a', namespace } };

interface Asked {
  on: Scene;
  finder: ReturnType<typeof factFinder>;
  /** Asks and waits until all readings have ended. */
  ask: (...asked: readonly Question[]) => Promise<void>;
}

async function asking(change: Partial<Cluster> = {}): Promise<Asked> {
  const on = await scene({ history: [], live: [], chart: chart('1.0.0', []) });
  const resource = { apiVersion: 'example.com/v1', kind: 'Login', plural: 'logins', namespaced: true };
  on.cluster.served.set('example.com/v1/Login', resource);
  on.cluster.put(custom);
  const context = { ...on.context, cluster: { ...on.cluster, ...change } };
  const finder = factFinder(context, {
    declared: [deployment('web', 'new')],
    earlier: [revision(1, 'deployed', chart('1.0.0', [deployment('web', 'old')]))],
  });
  const ask = async (...asked: readonly Question[]): Promise<void> => {
    finder.ask(asked);
    await on.context.clock.sleep(10, new AbortController().signal);
  };
  return { on, finder, ask };
}

const notes = ({ agent }: Scene): string[] => agent.lines.filter((line) => line.includes('every grace is kept'));

describe('the facts that prove a cause', () => {
  it('are read for each question, and wake the rollout', async () => {
    const { finder, ask } = await asking();
    const news = finder.news();
    await ask(...Object.values(questions));
    assert.equal(news.aborted, true);
    const facts = finder.found();
    assert.equal(finder.news().aborted, false);
    assert.deepEqual(facts.logs, { 'run 1': 'starting\napp says why\n' });
    assert.deepEqual(facts.quotas, { [namespace]: { quotas: [], pods: [] } });
    assert.deepEqual(facts.nodes, { nodes: [], mayGrow: false });
    assert.equal(facts.makers['login']?.isThere, false);
    assert.deepEqual(
      facts.makers['login'].objects.map(({ kind }) => kind),
      ['Login'],
    );
    assert.deepEqual(
      facts.release?.declared.map(({ kind }) => kind),
      ['Deployment'],
    );
    assert.equal(
      facts.release.images.some((image) => image.endsWith(':old')),
      true,
    );
  });

  it('the log of a run is read once, and what changes is read again', async () => {
    let logs = 0;
    let lists = 0;
    const { on, ask } = await asking({
      podLog: () => Promise.resolve(String((logs += 1))),
      list: () => Promise.resolve([]).finally(() => (lists += 1)),
    });
    await ask(questions.log, questions.quota);
    await ask(questions.log, questions.quota);
    assert.deepEqual([logs, lists], [1, 2]);
    await on.context.clock.sleep(3_000, new AbortController().signal);
    await ask(questions.log, questions.quota);
    assert.deepEqual([logs, lists], [1, 4]);
  });

  it('are forgotten when they are old', async () => {
    const { on, finder, ask } = await asking();
    await ask(questions.quota, questions.log);
    await on.context.clock.sleep(7_000, new AbortController().signal);
    assert.deepEqual(finder.found().quotas, {});
    assert.deepEqual(Object.keys(finder.found().logs), ['run 1']);
  });

  it('are read again before a verdict, unless they are of this moment', async () => {
    const { on, finder, ask } = await asking();
    await ask(questions.makers);
    assert.equal(await finder.renew([questions.makers]), false);
    await on.context.clock.sleep(2_000, new AbortController().signal);
    on.cluster.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', namespace } });
    assert.equal(await finder.renew([questions.makers]), true);
    assert.equal(finder.found().makers['login']?.isThere, true);
  });

  it('a server that does not answer before the verdict leaves no fact', async () => {
    let isSilent = false;
    const { on, finder, ask } = await asking({
      list: () => (isSilent ? new Promise(() => undefined) : Promise.resolve([])),
    });
    await ask(questions.quota);
    isSilent = true;
    await on.context.clock.sleep(2_000, new AbortController().signal);
    assert.equal(await finder.renew([questions.quota]), true);
    assert.deepEqual(finder.found().quotas, {});
  });

  it('a missing right is logged once, and proves nothing', async () => {
    const { on, finder, ask } = await asking({ list: ({ kind }) => denied(kind) });
    await ask(questions.quota);
    await on.context.clock.sleep(5_000, new AbortController().signal);
    await ask({ ...questions.quota, key: 'other' });
    assert.deepEqual(finder.found().quotas, {});
    assert.equal(notes(on).length, 1);
    assert.match(notes(on)[0] ?? '', /You may not read (ResourceQuota|Pod)/);
  });

  it('an error of the moment is not logged', async () => {
    const { on, ask } = await asking({ podLog: () => Promise.reject(new TaskError('ClusterUnreachable', 'away')) });
    await ask(questions.log);
    assert.deepEqual(notes(on), []);
  });

  it('without the right to see an autoscaler, the nodes are known and may grow', async () => {
    const { on, finder, ask } = await asking({ get: () => denied('ConfigMap') });
    await ask(questions.nodes);
    assert.equal(finder.found().nodes?.mayGrow, true);
    assert.equal(notes(on).length, 1);
  });

  it('an API server that does not list all kinds at once proves nothing', async () => {
    const { finder, ask } = await asking({ customKinds: () => Promise.resolve(undefined) });
    await ask(questions.nodes, questions.makers);
    assert.equal(finder.found().nodes?.mayGrow, true);
    assert.deepEqual(finder.found().makers, {});
  });
});
