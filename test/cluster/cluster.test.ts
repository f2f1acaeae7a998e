import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { adminApiServer, type ClusterDescription, down } from '../../scripts/cluster/cluster';
import { request } from '../../scripts/cluster/api';
import { cgroupFolders, cgroupName } from '../../scripts/cluster/cgroups';
import { succeed } from '../../scripts/cluster/command';
import { debianFile } from '../../scripts/cluster/debian';
import { cacheFolder, clusterFolder } from '../../scripts/cluster/folders';
import { images, writeImageArchive } from '../../scripts/cluster/images';
import { interfacesOf } from '../../scripts/cluster/network';
import { controlPlanePrograms, realNodePrograms, kwokProgram } from '../../scripts/cluster/pins';
import { isRunning, partProcesses } from '../../scripts/cluster/processes';
import { programId, programPath } from '../../scripts/cluster/programs';
import type { ClusterState } from '../../scripts/cluster/state';
import { waitFor } from '../../scripts/cluster/wait';
import { cluster, type TestCluster } from '../support/cluster';
import { run, start } from './commandLine';

const suffix = randomBytes(2).toString('hex');
const mainName = `test-${suffix}`;
const otherName = `other-${suffix}`;

function silent(): void {
  // What "down" says is of no interest here.
}

function end(name: string): Promise<void> {
  return down(name, silent, new AbortController().signal);
}

interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly podIP?: string };
}

function pod(name: string, image: string, command: readonly string[] = []): string {
  const container = { name: 'main', image, ...(command.length > 0 ? { command } : {}) };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: { containers: [container], terminationGracePeriodSeconds: 0 },
  });
}

function service(name: string, port: number): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: port }] },
  });
}

async function untilReady(test: TestCluster, namespace: string, name: string): Promise<void> {
  await test.runKubectl('wait', '--namespace', namespace, `pod/${name}`, '--for=condition=Ready', '--timeout=60s');
}

/** Everything that "down" must remove: whatever carries the name or the number of the cluster. */
function remains(name: string): string[] {
  const folder = clusterFolder(name);
  const processes = partProcesses(folder).map(({ pid, part }) => `process ${pid} (${part})`);
  const found = [...processes, ...[folder].filter((file) => fs.existsSync(file))];
  if (process.platform !== 'linux') return found;
  const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
  found.push(...mounts.filter((line) => line.includes(`${folder}/`)));
  return [...found, ...interfacesOf(folder), ...cgroupFolders(cgroupName(folder))];
}

describe('the embedded cluster', () => {
  let main: TestCluster;

  before(async function () {
    // With cold caches this builds the programs of the cluster, which took more than 10 minutes on two busy cores.
    this.timeout(45 * 60_000);
    main = await cluster({ name: mainName });
  });

  after(async () => {
    await end(mainName);
    await end(otherName);
  });

  function skipWithoutRealNode(context: Mocha.Context): void {
    if (!main.hasRealNode) context.skip();
  }

  it('a second up gives the same answer, one object on standard output, and keeps no descriptor open', async () => {
    const { code, stdout, stderr } = await run(['up', '--json', '--name', mainName]);

    assert.equal(code, 0, stderr);
    const { kubeconfig, kubectl, helm3, helm4, helms, nodes } = JSON.parse(stdout) as ClusterDescription;
    assert.deepEqual({ kubeconfig, kubectl, helm3, helm4 }, pick(main));
    assert.deepEqual(nodes, main.nodes);
    for (const file of [kubeconfig, kubectl, helm3, helm4])
      assert.ok(path.isAbsolute(file) && fs.existsSync(file), file);
    for (const [version, helm] of Object.entries(helms)) {
      assert.match(await succeed(helm, ['version', '--template', '{{.Version}}']), new RegExp(`^v${version}$`));
    }
  });

  it('a reader finds a complete kubeconfig during a second up', async () => {
    const content = fs.readFileSync(main.kubeconfig, 'utf8');
    const before = fs.statSync(main.kubeconfig);
    assert.equal((await run(['up', '--name', mainName])).code, 0);
    const after = fs.statSync(main.kubeconfig);
    assert.deepEqual(
      [after.ino, after.mtimeMs],
      [before.ino, before.mtimeMs],
      'an unchanged kubeconfig is not touched',
    );

    // The kubeconfig was damaged. A reader that has it open continues with the old file.
    fs.writeFileSync(main.kubeconfig, `${content}# spoilt\n`);
    const opened = fs.openSync(main.kubeconfig, 'r');
    try {
      assert.equal((await run(['up', '--name', mainName])).code, 0);
      assert.equal(fs.readFileSync(opened, 'utf8'), `${content}# spoilt\n`);
    } finally {
      fs.closeSync(opened);
    }
    assert.equal(fs.readFileSync(main.kubeconfig, 'utf8'), content);
    assert.equal(fs.statSync(main.kubeconfig).mode & 0o777, 0o600);
  });

  it('a cluster is created anew for another control plane, but not for another Helm or kubectl', () => {
    const state = JSON.parse(fs.readFileSync(path.join(clusterFolder(mainName), 'state.json'), 'utf8')) as ClusterState;
    const programs = main.hasRealNode ? [...controlPlanePrograms, ...realNodePrograms] : controlPlanePrograms;
    const running = programs.filter(({ linuxOnly }) => main.hasRealNode || !linuxOnly);
    assert.deepEqual(state.programs.slice(1), [...running, kwokProgram].map(programId));
    assert.match(state.programs[0] ?? '', /^layout-\d+$/);
  });

  function pick({ kubeconfig, kubectl, helm3, helm4 }: ClusterDescription) {
    return { kubeconfig, kubectl, helm3, helm4 };
  }

  it('two clusters run side by side, and the end of one does not affect the other', async () => {
    const { code, stdout, stderr } = await run(['up', '--json', '--name', otherName, '--kwok-nodes', '1']);
    assert.equal(code, 0, stderr);
    const other = JSON.parse(stdout) as ClusterDescription;
    const namespace = await main.namespace('side');

    const seen = await request(adminApiServer(otherName), 'GET', `/api/v1/namespaces/${namespace}`);
    assert.equal(seen.status, 404, 'a namespace of the first cluster in the second');
    if (main.hasRealNode) {
      await succeed(other.kubectl, ['--kubeconfig', other.kubeconfig, 'run', 'left', `--image=${images.app}`]);
      await succeed(other.kubectl, [
        '--kubeconfig',
        other.kubeconfig,
        'wait',
        'pod/left',
        '--for=condition=Ready',
        '--timeout=60s',
      ]);
    }

    assert.equal((await run(['down', '--name', otherName])).code, 0);

    assert.deepEqual(remains(otherName), []);
    assert.equal((await request(adminApiServer(mainName), 'GET', `/api/v1/namespaces/${namespace}`)).status, 200);
    assert.equal((await run(['down', '--name', otherName])).code, 0, 'down of what is not there');
  });

  it('a web server in a pod answers through its Service to this machine, and by name to another pod', async function () {
    skipWithoutRealNode(this);
    const namespace = await main.namespace('web');
    await main.apply(
      namespace,
      pod('web', images.busybox, ['sh', '-c', 'echo hello >/www/index.html; exec httpd -f -p 8080 -h /www']),
    );
    await main.apply(namespace, pod('caller', images.app));
    await main.apply(namespace, service('web', 8080));
    await untilReady(main, namespace, 'web');
    await untilReady(main, namespace, 'caller');

    const { spec } = await main.kubectlJson<{ spec: { clusterIP: string } }>(
      'get',
      '--namespace',
      namespace,
      'service/web',
    );
    const fromHere = async () =>
      (await fetch(`http://${spec.clusterIP}/`, { signal: AbortSignal.timeout(1000) })).text();
    await waitFor('the Service to answer', async () => (await fromHere()) === 'hello\n');
    const fromPod = await main.runKubectl(
      'exec',
      '--namespace',
      namespace,
      'caller',
      '--',
      '/app',
      'get',
      'http://web/',
    );
    assert.equal(fromPod, 'hello\n');
  });

  it('a plain pod goes to the real node, and a pod needs a toleration to be played by kwok', async function () {
    const namespace = await main.namespace('kwok');
    const kwokPod = (name: string, tolerations: readonly unknown[]) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: { nodeSelector: { type: 'kwok' }, tolerations, containers: [{ name: 'main', image: 'none' }] },
      });
    await main.apply(namespace, kwokPod('played', [{ operator: 'Exists' }]));
    await main.apply(namespace, kwokPod('intolerant', []));
    await untilReady(main, namespace, 'played');
    const refused = ['pod/intolerant', '--for=condition=PodScheduled=False', '--timeout=30s'];
    await main.runKubectl('wait', '--namespace', namespace, ...refused);
    skipWithoutRealNode(this);
    await main.apply(namespace, pod('real', images.app));
    await untilReady(main, namespace, 'real');

    const { spec } = await main.kubectlJson<Pod>('get', '--namespace', namespace, 'pod/real');
    assert.equal(spec.nodeName, 'real-1');
  });

  it('the API server goes away and comes back with its objects', async () => {
    const namespace = await main.namespace('outage');

    await main.stopApiServer();
    try {
      await assert.rejects(request(adminApiServer(mainName), 'GET', '/readyz'), { code: 'ECONNREFUSED' });
      const { code, stdout } = await run(['status', '--name', mainName]);
      assert.equal(code, 1);
      assert.match(stdout, /^kube-apiserver: stopped$/m);
    } finally {
      await main.startApiServer();
    }

    assert.equal((await request(adminApiServer(mainName), 'GET', `/api/v1/namespaces/${namespace}`)).status, 200);
  });

  it('without the kubelet nothing starts and running pods go on, and the kubelet catches up later', async function () {
    skipWithoutRealNode(this);
    const namespace = await main.namespace('kubelet');
    await main.apply(namespace, pod('before', images.app));
    await untilReady(main, namespace, 'before');
    const { status } = await main.kubectlJson<Pod>('get', '--namespace', namespace, 'pod/before');

    await main.killKubelet();
    assert.equal(isRunning(clusterFolder(mainName), 'kubelet'), false);
    await main.apply(namespace, pod('after', images.app));
    await main.runKubectl(
      'wait',
      '--namespace',
      namespace,
      'pod/after',
      '--for=condition=PodScheduled',
      '--timeout=60s',
    );
    assert.equal((await fetch(`http://${status.podIP ?? ''}:8080/`)).status, 200);
    await main.startKubelet();

    await untilReady(main, namespace, 'after');
  });

  it('the audit log shows the requests of each client since a time', async () => {
    const namespace = await main.namespace('audit');
    await main.runKubectl('get', '--namespace', namespace, 'secrets');
    const begun = new Date();
    await main.runKubectl('create', '--namespace', namespace, 'configmap', 'noticed');

    const since = await main.auditEvents({ since: begun, namespace, userAgent: /^kubectl/ });
    const ever = await main.auditEvents({ namespace, userAgent: /^kubectl/ });

    assert.deepEqual(
      since.map(({ verb, objectRef, responseStatus }) => [
        verb,
        objectRef?.resource,
        objectRef?.name,
        responseStatus?.code,
      ]),
      [['create', 'configmaps', 'noticed', 201]],
    );
    assert.ok(ever.some(({ verb, objectRef }) => verb === 'list' && objectRef?.resource === 'secrets'));
  });

  it('an image from an archive runs, and an invalid archive is refused by name', async function () {
    skipWithoutRealNode(this);
    const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-test-'));
    const archive = await renamedArchive(work, 'localhost/loaded:1');

    const loaded = await run(['load', archive, '--name', mainName, '--json']);
    assert.deepEqual(JSON.parse(loaded.stdout), { images: ['localhost/loaded:1'] }, loaded.stderr);
    const refused = await run(['load', path.join(work, 'manifest.json'), '--name', mainName]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /manifest\.json cannot be imported/);

    const namespace = await main.namespace('loaded');
    await main.apply(namespace, pod('loaded', 'localhost/loaded:1'));
    await untilReady(main, namespace, 'loaded');
    fs.rmSync(work, { recursive: true });
  });

  /** The node's own sample application under another name. */
  async function renamedArchive(work: string, name: string): Promise<string> {
    const sampleApp = realNodePrograms.find((program) => program.name === 'sample-app');
    assert.ok(sampleApp);
    const archive = await writeImageArchive(work, debianFile('busybox-static'), programPath(sampleApp));
    await succeed('tar', ['-xf', archive, '-C', work]);
    const manifest = path.join(work, 'manifest.json');
    const entries = JSON.parse(fs.readFileSync(manifest, 'utf8')) as { RepoTags: string[] }[];
    const renamed = entries
      .filter(({ RepoTags }) => RepoTags.includes(images.app))
      .map((entry) => ({ ...entry, RepoTags: [name] }));
    fs.writeFileSync(manifest, JSON.stringify(renamed));
    const members = fs.readdirSync(work).filter((file) => file !== path.basename(archive));
    await succeed('tar', ['-cf', path.join(work, 'renamed.tar'), '-C', work, ...members]);
    return path.join(work, 'renamed.tar');
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`up is interrupted by ${signal} while it starts the parts, and nothing is left`, async () => {
      const { child, ended } = start(['up', '--json', '--name', otherName]);
      await waitFor('the API server to be started', () => isRunning(clusterFolder(otherName), 'kube-apiserver'));
      assert.equal(interfacesOf(clusterFolder(otherName)).length, main.hasRealNode ? 1 : 0);
      child.kill(signal);
      const { code, stdout } = await ended;

      assert.equal(code, 128 + os.constants.signals[signal]);
      assert.equal(stdout, '');
      assert.deepEqual(remains(otherName), []);
    });
  }

  it('after up is killed while it starts the parts, the next up starts over and succeeds', async () => {
    const { child } = start(['up', '--name', otherName]);
    await waitFor('the API server to be started', () => isRunning(clusterFolder(otherName), 'kube-apiserver'));
    child.kill('SIGKILL');

    const { code, stderr } = await run(['up', '--name', otherName, '--no-node']);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /did not finish/);
    await end(otherName);
    assert.deepEqual(remains(otherName), []);
  });

  it('two ups of the same name at the same time start one cluster', async () => {
    const [one, two] = await Promise.all([
      run(['up', '--json', '--name', otherName, '--no-node']),
      run(['up', '--json', '--name', otherName, '--no-node']),
    ]);

    assert.equal(one.code, 0, one.stderr);
    assert.equal(two.stdout, one.stdout, two.stderr);
    await end(otherName);
  });

  it('a user who is not root gets everything except the real node, with a message', async function () {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) this.skip();
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-test-'));
    const cache = path.join(home, '.cache', 'helm-safe-deploy');
    fs.mkdirSync(cache, { recursive: true });
    await succeed('cp', ['--archive', '--link', path.join(cacheFolder(), 'tools'), cache]).catch(() =>
      succeed('cp', ['--archive', path.join(cacheFolder(), 'tools'), cache]),
    );
    await succeed('chown', ['65534:65534', home, path.join(home, '.cache'), cache, path.join(cache, 'tools')]);
    const user = { uid: 65534, gid: 65534, env: { HOME: home, XDG_CACHE_HOME: path.join(home, '.cache') } };
    try {
      const { code, stdout, stderr } = await run(['up', '--json', '--name', otherName], user);

      assert.equal(code, 0, stderr);
      assert.match(stderr, /No real node.*this user is not root.*Tests that need running containers are skipped/);
      const { nodes, images: found } = JSON.parse(stdout) as ClusterDescription;
      assert.deepEqual([nodes.map(({ kind }) => kind), found], [['kwok', 'kwok'], {}]);
    } finally {
      await run(['down', '--name', otherName], user);
      fs.rmSync(home, { recursive: true });
    }
  });

  it('a mistake in the command line prints the usage, and nothing is done', async () => {
    const slips = [['up', '--name', 'No_Such'], ['up', '--kwok-nodes', 'many'], ['upp'], ['load'], ['up', '--jsn']];
    for (const args of slips) {
      const { code, stdout, stderr } = await run(args);
      assert.deepEqual([code, stdout], [1, ''], args.join(' '));
      assert.ok(stderr.trim() !== '' && !/^\s+at /m.test(stderr), stderr);
    }
  });
});
