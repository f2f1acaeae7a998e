import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { adminApiServer, down } from '../../scripts/cluster/cluster';
import { waitFor } from '../../scripts/cluster/wait';
import { TaskError } from '../../tasks/common/core/failure';
import { isAbandoned, leaseRef } from '../../tasks/common/core/lock/lease';
import type { Revision } from '../../tasks/common/core/release/release';
import { withLease } from '../../tasks/common/flows/lock/lease';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { kubeconfigText } from './identities';
import {
  client,
  guarded,
  guardedObject,
  sections,
  type Client,
  type ContenderSays,
  type ContenderSpec,
} from './leaseContender';

const clusterName = 'lease';
const never = new AbortController().signal;
const tenMinutes = 600_000;

interface ContenderProcess {
  readonly pid: number;
  /** The messages of the contender, in the order of arrival. */
  readonly said: ContenderSays[];
  readonly ended: Promise<void>;
  /** Lets the contender begin. A ready contender waits for this. */
  readonly go: () => void;
}

describe('the lease of a release on a real API server', function () {
  this.timeout(120_000);
  let server: TestCluster;
  let folder: string;
  const clients: Client[] = [];
  const processes: ContenderProcess[] = [];
  // Each of these two runs takes one lease duration. They start first and are awaited last.
  let deadHolder: Promise<void>;
  let pausedHolder: Promise<void>;

  before(async function () {
    this.timeout(1_800_000);
    // This file has a cluster of its own because it restarts the API server. No pod runs here, so no node is needed.
    server = await testCluster({ name: clusterName, realNode: false, kwokNodes: 0 });
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lease-'));
    deadHolder = outliveDeadHolder();
    pausedHolder = outlivePausedHolder();
    for (const each of [deadHolder, pausedHolder]) each.catch(() => undefined);
  });

  after(async () => {
    for (const { pid, ended } of processes) {
      kill(pid, 'SIGKILL');
      await ended;
    }
    for (const each of clients) each.close();
    fs.rmSync(folder, { recursive: true, force: true });
    await down(clusterName, () => undefined, never);
  });

  const connect = async (
    namespace: string,
    name: string,
    options: { skewMs?: number; kubeconfig?: string; request?: Parameters<typeof client>[1] } = {},
  ): Promise<Client> => {
    const { skewMs = 0, kubeconfig = server.kubeconfig, request = {} } = options;
    const made = await client({ kubeconfig, namespace, release: 'shop', name, skewMs }, request);
    clients.push(made);
    return made;
  };

  const start = (namespace: string, name: string, does: ContenderSpec['does'], skewMs = 0): ContenderProcess => {
    const spec: ContenderSpec = { kubeconfig: server.kubeconfig, namespace, release: 'shop', name, skewMs, does };
    const child = spawn(process.execPath, ['--import', 'tsx', path.join(import.meta.dirname, 'leaseContender.ts')], {
      env: { ...process.env, LEASE_CONTENDER: JSON.stringify(spec) },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const said: ContenderSays[] = [];
    readline
      .createInterface({ input: child.stdout })
      .on('line', (line) => said.push(JSON.parse(line) as ContenderSays));
    const ended = new Promise<void>((resolve) =>
      child.once('close', () => {
        resolve();
      }),
    );
    const { pid } = child;
    assert.ok(pid !== undefined, 'the contender did not start');
    const go = (): void => {
      child.stdin.end('go\n');
    };
    const made = { pid, said, ended, go };
    processes.push(made);
    return made;
  };

  const place = async (): Promise<string> => {
    const namespace = await server.namespace('lease');
    await server.apply(namespace, JSON.stringify(guardedObject(namespace)));
    return namespace;
  };

  /** The holder was killed while its Helm was at work. */
  async function outliveDeadHolder(): Promise<void> {
    const namespace = await place();
    const dead = start(namespace, 'dead', 'hold', -tenMinutes);
    dead.go();
    await saying(dead, 'held');
    const heir = await connect(namespace, 'heir', { skewMs: tenMinutes });
    const { cluster, clock } = heir.context;
    const first = await cluster.get(leaseRef(namespace, 'shop'));
    await waitFor(
      'a renewal',
      async () => {
        const now = await cluster.get(leaseRef(namespace, 'shop'));
        return now?.metadata.resourceVersion !== first?.metadata.resourceVersion;
      },
      { timeoutSeconds: 20 },
    );
    kill(dead.pid, 'SIGKILL');
    await dead.ended;
    const diedAt = await cluster.serverTime();
    const startedMs = clock.monotonicMs();
    await withLease(heir.context, (lease) => {
      const waitedMs = clock.monotonicMs() - startedMs;
      assert.ok(waitedMs >= 30_000 && waitedMs < 36_000, `taken after ${waitedMs} ms`);
      const { previous } = lease;
      assert.equal(previous?.holder, 'dead');
      assert.equal(previous.link, 'https://dev.example/dead');
      // The proof rests on the server's time of the last renewal, not of the first.
      const silentMs = diedAt.getTime() - (previous.writtenAt?.getTime() ?? 0);
      assert.ok(silentMs >= -1000 && silentMs < 8000, `last written ${silentMs} ms before its end`);
      const pending = { revision: 7, status: 'pending-upgrade', writtenAt: diedAt } as Revision;
      assert.ok(isAbandoned(previous, pending));
      assert.ok(!isAbandoned(previous, { ...pending, writtenAt: new Date(diedAt.getTime() + 60_000) }));
      return Promise.resolve();
    });
    assert.match(heir.agent.lines.join('\n'), /dead did not renew its lock for 30 s/);
  }

  /** The holder is stopped by SIGSTOP and continues when another run has its lease. */
  async function outlivePausedHolder(): Promise<void> {
    const namespace = await place();
    const paused = start(namespace, 'paused', 'hold', tenMinutes);
    paused.go();
    await saying(paused, 'held');
    kill(paused.pid, 'SIGSTOP');
    const heir = await connect(namespace, 'heir', { skewMs: -tenMinutes });
    const { cluster } = heir.context;
    await withLease(heir.context, async (lease) => {
      assert.equal(lease.previous?.holder, 'paused');
      const ours = await cluster.update({ ...(await guarded(cluster, namespace)), data: { inside: 'heir' } });
      kill(paused.pid, 'SIGCONT');
      await paused.ended;
      const [last] = paused.said.slice(-1);
      assert.ok(last?.event === 'lost' && last.message.includes('taken by heir'), JSON.stringify(paused.said));
      await lease.confirm();
      const after = await guarded(cluster, namespace);
      assert.equal(after.metadata.resourceVersion, ours.metadata.resourceVersion, 'it has made one more change');
    });
  }

  for (const [word, count, each] of [
    ['two', 2, 3],
    ['five', 5, 2],
  ] as const) {
    it(`${word} processes with clocks 10 min apart: no two are inside at once, and each gets its turns`, async () => {
      const namespace = await place();
      const all = Array.from({ length: count }, (_, index) =>
        start(namespace, `process-${index}`, { section: each }, ((index % 3) - 1) * tenMinutes),
      );
      await Promise.all(all.map((contender) => saying(contender, 'ready')));
      for (const { go } of all) go();
      await Promise.all(all.map(({ ended }) => ended));
      assert.deepEqual(
        all.flatMap(({ said }) => said),
        all.flatMap(() => [{ event: 'ready' }, { event: 'done' }]),
      );
    });
  }

  it('twenty clients with clocks 10 min apart: no two are inside at once, and each gets its turn', async () => {
    const namespace = await place();
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        connect(namespace, `client-${index}`, { skewMs: ((index % 3) - 1) * tenMinutes }),
      ),
    );
    await Promise.all(all.map(({ context }) => sections(context, 1)));
    const last = await guarded((await connect(namespace, 'look')).context.cluster, namespace);
    assert.equal(last.data.inside, '');
    const lease = await server.kubectlJson<{ spec: { holderIdentity: string; leaseTransitions: number } }>(
      'get',
      'lease',
      'helm-safe-deploy.shop',
      '--namespace',
      namespace,
    );
    assert.equal(lease.spec.holderIdentity, '');
    assert.equal(lease.spec.leaseTransitions, 19);
  });

  it('releases with other names or in other namespaces do not wait for each other', async () => {
    const [one, other] = [await place(), await place()];
    const holder = await connect(one, 'holder');
    await withLease(holder.context, async () => {
      for (const [namespace, releaseName] of [
        [one, 'other'],
        [other, 'shop'],
      ] as const) {
        const beside = await connect(namespace, 'beside', { request: { releaseName } });
        await withLease(beside.context, () => Promise.resolve());
        assert.deepEqual(beside.agent.lines, []);
      }
    });
  });

  it('without the right to use Leases: preferred goes on and logs the rule, required is refused; with the rule the lease is held', async () => {
    const namespace = await place();
    const kubeconfig = await limitedIdentity(namespace);
    const preferred = await connect(namespace, 'preferred', { kubeconfig, request: { lock: 'preferred' } });
    await withLease(preferred.context, async (lease) => {
      assert.equal(lease.state, 'unlocked');
      await lease.begin({ action: 'upgrade', revision: 1 });
    });
    const [warning = '', ...others] = preferred.agent.warnings;
    assert.deepEqual(others, []);
    assert.match(warning, /403.*cannot get resource "leases" in API group "coordination\.k8s\.io"/);

    const required = await connect(namespace, 'required', { kubeconfig });
    await assert.rejects(
      withLease(required.context, () => Promise.reject(new Error('ran'))),
      { reason: 'PermissionDenied' },
    );

    await grant(namespace, warning);
    const isHeld = async (): Promise<boolean> => {
      try {
        return await withLease(required.context, async (lease) => {
          await lease.begin({ action: 'upgrade', revision: 1 });
          await lease.settled();
          return lease.state === 'held';
        });
      } catch (thrown) {
        if (thrown instanceof TaskError && thrown.reason === 'PermissionDenied') return false;
        throw thrown;
      }
    };
    await waitFor('the granted rule to suffice', isHeld, { timeoutSeconds: 15 });
  });

  /** Makes an identity without any right to Leases and returns its kubeconfig. */
  async function limitedIdentity(namespace: string): Promise<string> {
    await server.runKubectl('create', 'serviceaccount', 'deployer', '--namespace', namespace);
    const token = (await server.runKubectl('create', 'token', 'deployer', '--namespace', namespace)).trim();
    const { url, ca } = adminApiServer(clusterName);
    const file = path.join(folder, 'limited');
    fs.writeFileSync(file, kubeconfigText({ name: 'limited', server: url, ca, token, namespace }), { mode: 0o600 });
    return file;
  }

  /** Grants exactly the rule that the warning names. */
  async function grant(namespace: string, warning: string): Promise<void> {
    const said = /rule (apiGroups: \[.*?\], resources: \[.*?\], verbs: \[.*?\])\./.exec(warning)?.[1] ?? '';
    const rules = [JSON.parse(`{${said.replace(/(\w+): \[/g, '"$1": [')}}`) as unknown];
    const apiGroup = 'rbac.authorization.k8s.io';
    const meta = { metadata: { name: 'leases' }, apiVersion: `${apiGroup}/v1` };
    await server.apply(namespace, JSON.stringify({ ...meta, kind: 'Role', rules }));
    const subjects = [{ kind: 'ServiceAccount', name: 'deployer', namespace }];
    const roleRef = { apiGroup, kind: 'Role', name: 'leases' };
    await server.apply(namespace, JSON.stringify({ ...meta, kind: 'RoleBinding', roleRef, subjects }));
  }

  it('a holder whose Lease is deleted by hand makes no further change and does not create it anew', async () => {
    const namespace = await place();
    const holder = await connect(namespace, 'holder');
    await withLease(holder.context, async (lease) => {
      await server.runKubectl('delete', 'lease', 'helm-safe-deploy.shop', '--namespace', namespace);
      await assert.rejects(lease.begin({ action: 'upgrade', revision: 2 }), { reason: 'LeaseLost' });
      assert.ok(lease.lost.aborted);
    });
    assert.equal(await holder.context.cluster.get(leaseRef(namespace, 'shop')), undefined);
  });

  it('a lease can be acquired in a namespace that is created later', async () => {
    const name = `lease-later-${randomUUID().slice(0, 8)}`;
    const holder = await connect(name, 'holder');
    await withLease(holder.context, async (lease) => {
      assert.equal(lease.state, 'later');
      await server.runKubectl('create', 'namespace', name);
      await lease.acquireNow();
      assert.equal(lease.state, 'held');
    });
    await server.runKubectl('delete', 'namespace', name, '--wait=false');
  });

  it("a dead run is recognised after 30 s, and its work is known by the server's clock", async () => {
    await deadHolder;
  });

  it('a run that was stopped and continues when another run has its lease makes no further change', async () => {
    await pausedHolder;
  });

  it('when the API server restarts, the lease stays, and a waiting run gets it', async () => {
    const namespace = await place();
    const [holder, waiter] = [await connect(namespace, 'holder'), await connect(namespace, 'waiter')];
    let isWaiting: Promise<void> = Promise.resolve();
    let isOver = false;
    await withLease(holder.context, async (lease) => {
      isWaiting = withLease(waiter.context, () => {
        assert.ok(isOver, 'both are inside');
        return Promise.resolve();
      });
      isWaiting.catch(() => undefined);
      await waitFor('the other to wait', () => waiter.agent.lines.length > 0, { timeoutSeconds: 10 });
      await server.stopApiServer();
      const { clock } = holder.context;
      await waitFor('a renewal to be missed', () => clock.monotonicMs() - holder.renewedMs() > 6500);
      await server.startApiServer();
      await lease.begin({ action: 'upgrade', revision: 2 });
      await lease.settled();
      assert.equal(lease.lost.aborted, false);
      isOver = true;
    });
    await isWaiting;
  });
});

async function saying({ said }: ContenderProcess, event: ContenderSays['event']): Promise<void> {
  await waitFor(`the contender to say "${event}"`, () => said.some((each) => each.event === event), {
    timeoutSeconds: 60,
    intervalMilliseconds: 20,
  });
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}
