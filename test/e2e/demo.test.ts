import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { throughApiServer } from '../../scripts/demo/throughApiServer';
import { cluster as testCluster, type TestCluster } from '../support/cluster';

const repository = path.join(import.meta.dirname, '..', '..');

interface DemoRun {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

/** Starts the demo as a user does, but without a terminal. */
async function demo(...args: readonly string[]): Promise<DemoRun> {
  const child = spawn(process.execPath, ['scripts/run.cjs', 'scripts/demo/index.ts', ...args], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  const [out, err] = await output;
  return { exitCode, out, err };
}

describe('the demo', () => {
  let cluster: TestCluster;
  let folder: string;

  before(async () => {
    cluster = await testCluster();
    folder = await mkdtemp(path.join(tmpdir(), 'demo-test-'));
  });

  after(async () => {
    await cluster.cleanUp();
    await rm(folder, { recursive: true, force: true });
  });

  const namespaces = async (): Promise<string[]> => {
    const { items } = await cluster.kubectlJson<{ items: { metadata: { name: string } }[] }>('get', 'namespaces');
    return items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('helm-safe-deploy-demo-'));
  };

  it('on a given cluster: the bad deploy is caught, explained and rolled back, no client notices, and nothing is left @real-node', async function () {
    if (!cluster.hasRealNode) this.skip();
    const args = ['--kubeconfig', cluster.kubeconfig, '--helm', cluster.helm3];
    const before = await namespaces();
    const { exitCode, out, err } = await demo(...args, '--image', cluster.images['app'] ?? '', '--port', '8080');
    assert.equal(exitCode, 0, `${out}\n${err}`);
    assert.match(out, /Release shop in namespace \S+ rolled back \(/);
    assert.match(out, /Readiness probe failed: /);
    assert.match(out, /^ {4}2 .* failed .* shop-2\.0\.0/m);
    assert.match(out, /^ {4}3 .* deployed .* shop-1\.0\.0 .* Rollback to 1$/m);
    assert.match(out, /✔ failed requests: 0 of \d{3,}/);
    assert.match(out, /✔ ready replicas: never below 2 of 2; the strategy allows 2/);
    assert.doesNotMatch(out, /✘/);
    assert.deepEqual(await namespaces(), before);
  });

  it('without a terminal to confirm, the demo refuses a cluster elsewhere and sends no request', async () => {
    const kubeconfig = path.join(folder, 'elsewhere');
    const text = await readFile(cluster.kubeconfig, 'utf8');
    await writeFile(kubeconfig, text.replace(/server: .*/, 'server: https://203.0.113.7:6443'));
    const { exitCode, out, err } = await demo('--kubeconfig', kubeconfig, '--helm', cluster.helm4);
    assert.equal(exitCode, 2);
    assert.match(err, /https:\/\/203\.0\.113\.7:6443, which is not on this machine\..*--yes.*Nothing was changed\./);
    assert.doesNotMatch(out, /HelmSafeDeploy/);
  });

  it('pods that this machine cannot reach are called through the API server @real-node', async function () {
    if (!cluster.hasRealNode) this.skip();
    const namespace = await cluster.namespace('demo');
    const image = cluster.images['app'] ?? '';
    await cluster.runKubectl('run', 'web', '--image', image, '--port=8080', '--namespace', namespace);
    await cluster.runKubectl('wait', 'pod/web', '--for=condition=Ready', '--timeout=60s', '--namespace', namespace);
    const { ask, close } = throughApiServer(cluster.kubeconfig, namespace);
    try {
      const { status } = await cluster.kubectlJson<{ status: { podIP: string } }>(
        'get',
        'pod/web',
        '--namespace',
        namespace,
      );
      const web = { address: status.podIP, pod: 'web' };
      assert.equal(await ask({ ...web, port: 8080 }), 200);
      assert.ok((await ask({ ...web, port: 8081 }).catch(() => 503)) >= 500, 'nothing listens on port 8081');
    } finally {
      close();
    }
  });
});
