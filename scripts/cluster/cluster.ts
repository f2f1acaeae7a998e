import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { type ApiServer, create, request } from './api';
import { cgroupName, createCgroup, removeCgroup } from './cgroups';
import { asError, lastLines } from './command';
import * as controlPlane from './controlPlane';
import { debianFile, installDebianPackages, realNodeObstacle } from './debian';
import { clusterFolder, clustersFolder } from './folders';
import { images, writeImageArchive } from './images';
import { withLock } from './lock';
import { joinNetwork, nodeNetwork, removeInterfaces } from './network';
import * as pins from './pins';
import * as processes from './processes';
import { type Log, programId, programPath, providePrograms } from './programs';
import * as realNode from './realNode';
import { type ClusterState, type Layout, readState, type Tokens, writeIfChanged, writeState } from './state';
import { Hopeless, waitFor } from './wait';

/** Raise this version whenever the files or flags below change so that an already running cluster no longer fits. */
const layoutVersion = 4;

export interface ClusterNode {
  readonly name: string;
  readonly kind: 'real' | 'kwok';
}

/** The output of `up --json`. All paths are absolute. */
export interface ClusterDescription {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly helm3: string;
  readonly helm4: string;
  /** All available Helm binaries, keyed by version. */
  readonly helms: Readonly<Record<string, string>>;
  readonly kubernetesVersion: string;
  readonly nodes: readonly ClusterNode[];
  /** Images on the real node: `busybox` (a shell, httpd ...) and `app` (see go/app). Empty without a real node. */
  readonly images: Readonly<Record<string, string>>;
  readonly name: string;
  readonly auditLog: string;
  /** The address where pods reach this machine. Undefined without a real node. */
  readonly hostAddress?: string;
}

export interface UpOptions {
  readonly name: string;
  /** False leaves out the real node even if it is possible. */
  readonly realNode: boolean;
  /** With 0, kwok is neither built nor started. */
  readonly kwokNodes: number;
  /** False: CoreDNS is neither built nor started, so pods find no names. */
  readonly dns: boolean;
  /** The Helm versions to build. If absent, all are built. */
  readonly helms?: readonly string[];
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Starts the cluster, or completes the missing parts of a running one. Resolves when it is ready. */
export async function up(options: UpOptions): Promise<ClusterDescription> {
  const folder = clusterFolder(options.name);
  const { log, signal } = options;
  const obstacle = options.realNode ? await realNodeObstacle() : undefined;
  if (obstacle !== undefined) {
    log(
      `No real node, no kube-proxy and no CoreDNS: ${obstacle}. Tests that need running containers are skipped; pods only run on nodes that kwok plays.`,
    );
  }
  const wantsNode = options.realNode && obstacle === undefined;
  await providePrograms(requiredPrograms(wantsNode, options), log, signal);
  if (wantsNode) await installDebianPackages(log);
  signal.throwIfAborted();
  return locked(options.name, log, signal, async () => {
    const found = readState(folder);
    if (found && isUsable(folder, found, wantsNode, log)) return complete(folder, found, options);
    await remove(folder, log);
    return startNew(folder, wantsNode, options);
  });
}

/** Ends every process of the cluster and removes its state. Does nothing if the cluster does not exist. */
export async function down(name: string, log: Log, signal: AbortSignal): Promise<void> {
  const folder = clusterFolder(name);
  await locked(name, log, signal, () => remove(folder, log));
}

export function clusterNames(): string[] {
  if (!fs.existsSync(clustersFolder())) return [];
  return fs
    .readdirSync(clustersFolder(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

export interface PartStatus {
  readonly part: string;
  readonly running: boolean;
}

export type ClusterStatus =
  | { readonly kind: 'absent' }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'present'; readonly parts: readonly PartStatus[]; readonly description: ClusterDescription };

export function status(name: string): ClusterStatus {
  const folder = clusterFolder(name);
  if (!fs.existsSync(folder)) return { kind: 'absent' };
  const state = readState(folder);
  if (state?.phase !== 'ready') return { kind: 'incomplete' };
  const running = new Set(processes.partProcesses(folder).map(({ part }) => part));
  const parts = partNames(state).map((part) => ({ part, running: running.has(part) }));
  return { kind: 'present', parts, description: describe(folder, state) };
}

/** Imports an image archive into the real node and returns the names of its images. */
export async function load(name: string, archive: string): Promise<string[]> {
  const { folder, state } = existing(name);
  if (state.layout.kind !== 'node') throw new Error(`The cluster ${name} has no real node that could take an image.`);
  return realNode.importImages(folder, path.resolve(archive));
}

/** Stops the API server. Resolves when its process is gone and its port is free. */
export async function stopApiServer(name: string): Promise<void> {
  const { folder } = existing(name);
  // A graceful stop waits up to a minute for open requests. For clients there is no difference.
  await processes.killPart(folder, 'kube-apiserver');
}

/** Starts the API server if it does not run. Resolves when it is ready. */
export async function startApiServer(name: string): Promise<void> {
  const { folder, state } = existing(name);
  await startPart(folder, state.layout, controlPlane.apiServerCommand(folder, state.layout, controlPlanePaths()));
  await waitForApiServer(folder, state);
}

/** Kills the kubelet of the real node. The containers go on running. */
export async function killKubelet(name: string): Promise<void> {
  const { folder } = existing(name);
  await processes.killPart(folder, 'kubelet');
}

/** Starts the kubelet if it does not run. Resolves when its node is ready. */
export async function startKubelet(name: string): Promise<void> {
  const { folder, state } = existing(name);
  const { layout } = state;
  if (layout.kind !== 'node') throw new Error(`The cluster ${name} has no real node.`);
  await startPart(folder, layout, realNode.kubeletCommand(folder, layout.index, realNodePaths()));
  const { what, isMet } = readyNode(apiServer(folder, state), realNode.realNodeName);
  await waitFor(what, isMet, { timeoutSeconds: 120 });
}

/** The address of the API server and the administrator's token. */
export function adminApiServer(name: string): ApiServer {
  const { folder, state } = existing(name);
  return apiServer(folder, state);
}

/** Makes the API server trust these issuers of tokens and no others. It takes a moment until it does. */
export function trustIssuers(name: string, jwt: readonly unknown[]): void {
  const { folder } = existing(name);
  const text = JSON.stringify(controlPlane.authenticationConfiguration(jwt));
  writeIfChanged(controlPlane.authenticationFile(folder), text);
}

function existing(name: string): { folder: string; state: ClusterState } {
  const folder = clusterFolder(name);
  const state = readState(folder);
  if (state) return { folder, state };
  throw new Error(`There is no cluster ${name}. Bring it up with: npm run cluster -- up --name ${name}`);
}

function locked<Result>(name: string, log: Log, signal: AbortSignal, action: () => Promise<Result>): Promise<Result> {
  const onWait = (owner: number) => {
    log(`Waiting for process ${owner}, which is changing the cluster ${name}`);
  };
  return withLock(`${clusterFolder(name)}.lock`, signal, onWait, action);
}

function requiredPrograms(withNode: boolean, { helms, kwokNodes, dns }: UpOptions): pins.Program[] {
  const wantedHelms = pins.helmPrograms.filter(({ version }) => helms?.includes(version) ?? true);
  const kwok = kwokNodes > 0 ? [pins.kwokProgram] : [];
  const running = runningPrograms(withNode).filter(({ name }) => dns || name !== 'coredns');
  return [pins.kubectlProgram, ...wantedHelms, ...running, ...kwok];
}

function runningPrograms(withNode: boolean): pins.Program[] {
  return [...pins.controlPlanePrograms, ...pins.realNodePrograms].filter(({ linuxOnly }) => withNode || !linuxOnly);
}

function programsOf(withNode: boolean): string[] {
  return [`layout-${layoutVersion}`, ...[...runningPrograms(withNode), pins.kwokProgram].map(programId)];
}

function isUsable(folder: string, state: ClusterState, wantsNode: boolean, log: Log): boolean {
  const hasNode = state.layout.kind === 'node';
  if (state.phase !== 'ready') {
    log(`An earlier "up" of the cluster ${state.name} did not finish; its remainder is removed.`);
    return false;
  }
  if (!isDeepStrictEqual(state.programs, programsOf(hasNode))) {
    log(`The cluster ${state.name} was created by another version of these scripts. It is created again.`);
    return false;
  }
  if (wantsNode && !hasNode) {
    log(`The cluster ${state.name} has no real node. It is created again with one.`);
    return false;
  }
  const heart = hasNode ? realNode.initProcess(folder) !== undefined : processes.isRunning(folder, 'etcd');
  if (!heart) log(`The cluster ${state.name} no longer runs. It is created again.`);
  return heart;
}

async function startNew(folder: string, withNode: boolean, options: UpOptions): Promise<ClusterDescription> {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const layout = withNode ? await nodeLayout(folder, options.signal) : await loopbackLayout();
    const state: ClusterState = {
      name: options.name,
      programs: programsOf(withNode),
      phase: 'starting',
      layout,
      tokens: newTokens(),
      kwokNodes: options.kwokNodes,
      hasDns: options.dns,
    };
    writeState(folder, state);
    controlPlane.writeControlPlaneFiles(folder, state.tokens);
    if (layout.kind === 'node') {
      createCgroup(cgroupName(folder));
      await realNode.writeNodeFiles(folder, layout.index);
    }
    return await complete(folder, state, options);
  } catch (error) {
    const explained = explain(folder, asError(error));
    await remove(folder, options.log);
    throw explained;
  }
}

/** Adds the last log lines of each part to the error: they usually show the reason, and the logs will be removed. */
function explain(folder: string, error: Error): Error {
  if (error.name === 'AbortError') return error;
  const logs = path.join(folder, 'logs');
  if (!fs.existsSync(logs)) return error;
  const tails = fs
    .readdirSync(logs)
    .map((file) => `--- ${file}\n${lastLines(fs.readFileSync(path.join(logs, file), 'utf8'), 6)}`)
    .join('\n');
  return new Error(`${error.message}\n${tails}`, { cause: error.cause });
}

async function nodeLayout(folder: string, signal: AbortSignal): Promise<Layout> {
  processes.startPart(folder, realNode.initCommand(folder));
  const init = await realNode.waitForInit(folder, signal);
  return { kind: 'node', index: await joinNetwork(folder, init) };
}

async function loopbackLayout(): Promise<Layout> {
  const [apiPort = 0, etcdPort = 0, etcdPeerPort = 0] = await freePorts(3);
  return { kind: 'loopback', apiPort, etcdPort, etcdPeerPort };
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>((resolve, reject) => {
          const server = net.createServer();
          server.on('error', reject);
          server.listen(0, '127.0.0.1', () => {
            resolve(server);
          });
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function newTokens(): Tokens {
  const token = () => randomBytes(24).toString('hex');
  return {
    admin: token(),
    node: token(),
    controllerManager: token(),
    scheduler: token(),
    proxy: token(),
    kwok: token(),
    dns: token(),
  };
}

/** Starts every part that does not run and waits until all are ready. It works on new and on damaged clusters. */
async function complete(folder: string, found: ClusterState, options: UpOptions): Promise<ClusterDescription> {
  const { signal } = options;
  const kwokNodes = Math.max(found.kwokNodes, options.kwokNodes);
  const state: ClusterState = { ...found, kwokNodes, hasDns: found.hasDns || options.dns };
  const { layout } = state;
  if (!processes.isRunning(folder, 'kube-apiserver')) await killClientsOfApiServer(folder, state);
  await startPart(folder, layout, controlPlane.etcdCommand(folder, layout, controlPlanePaths()));
  await startPart(folder, layout, controlPlane.apiServerCommand(folder, layout, controlPlanePaths()));
  await together(signal, [
    (either) => startControllers(folder, state, either),
    (either) => startContainers(folder, state, either),
  ]);
  await startNodeAgents(folder, state);
  await createObjects(folder, state);
  await waitUntilReady(folder, state, signal);
  const ready: ClusterState = { ...state, phase: 'ready' };
  writeState(folder, ready);
  return describe(folder, ready);
}

/**
 * Runs all actions at the same time. If one fails, the others are aborted. The error is thrown only after all have
 * ended.
 */
async function together(
  signal: AbortSignal,
  actions: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const guarded = actions.map(async (action) => {
    try {
      await action(either);
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(guarded);
  await Promise.all(guarded);
}

async function startControllers(folder: string, state: ClusterState, signal: AbortSignal): Promise<void> {
  await waitForApiServer(folder, state, signal);
  writeKubeconfigs(folder, state);
  const commands = controlPlane.controllerCommands(folder, controlPlanePaths());
  const kwok = state.kwokNodes > 0 ? [controlPlane.kwokCommand(folder, programPath(pins.kwokProgram))] : [];
  for (const part of [...commands, ...kwok]) await startPart(folder, state.layout, part);
}

async function startNodeAgents(folder: string, { layout, hasDns }: ClusterState): Promise<void> {
  if (layout.kind !== 'node') return;
  const kubelet = realNode.kubeletCommand(folder, layout.index, realNodePaths());
  const proxy = realNode.proxyCommand(folder, layout.index, realNodePaths());
  const dns = hasDns ? [realNode.dnsCommand(folder, realNodePaths())] : [];
  for (const part of [kubelet, proxy, ...dns]) await startPart(folder, layout, part);
}

/**
 * Restarts the clients of the API server after an outage: a new process connects at once, but a running one may wait up
 * to half a minute.
 */
async function killClientsOfApiServer(folder: string, state: ClusterState): Promise<void> {
  const others = ['etcd', 'init', 'containerd'];
  for (const part of partNames(state)) if (!others.includes(part)) await processes.killPart(folder, part);
}

async function startContainers(folder: string, state: ClusterState, signal: AbortSignal): Promise<void> {
  const { layout } = state;
  if (layout.kind !== 'node') return;
  await startPart(folder, layout, realNode.containerdCommand(folder));
  await realNode.waitForContainerd(nodeInit(folder), signal);
  if (state.phase === 'ready') return;
  const archive = await writeImageArchive(folder, debianFile('busybox-static'), realNodePaths()['sample-app']);
  await realNode.importImages(folder, archive, signal);
  fs.rmSync(archive);
}

function nodeInit(folder: string): number {
  const init = realNode.initProcess(folder);
  if (init === undefined) throw new Error('The namespaces of the real node are gone.');
  return init;
}

async function startPart(folder: string, layout: Layout, part: processes.PartCommand): Promise<void> {
  if (processes.isRunning(folder, part.part)) return;
  if (layout.kind === 'loopback') processes.startPart(folder, part);
  else await processes.startPartIn(folder, nodeInit(folder), part);
}

function apiServer(folder: string, state: ClusterState): ApiServer {
  return {
    url: controlPlane.apiServerUrl(state.layout),
    ca: fs.readFileSync(controlPlane.caFile(folder), 'utf8'),
    token: state.tokens.admin,
  };
}

async function waitForApiServer(folder: string, state: ClusterState, signal?: AbortSignal): Promise<void> {
  await waitFor(
    'the API server to be ready',
    async () => {
      const ended = await processes.endedParts(folder, ['kube-apiserver']);
      if (ended.length > 0) throw new Hopeless('kube-apiserver has ended');
      return (await request(apiServer(folder, state), 'GET', '/readyz')).status === 200;
    },
    { ...(signal ? { signal } : {}), timeoutSeconds: 120 },
  );
}

function writeKubeconfigs(folder: string, state: ClusterState): void {
  const ca = fs.readFileSync(controlPlane.caFile(folder), 'utf8');
  for (const user of Object.keys(state.tokens) as (keyof Tokens)[]) {
    const content = stringify(controlPlane.kubeconfig(state, ca, user), { lineWidth: 0 });
    writeIfChanged(controlPlane.kubeconfigFile(folder, user), content);
  }
}

function kwokNodeNames(state: ClusterState): string[] {
  return Array.from({ length: state.kwokNodes }, (_, index) => `kwok-${index + 1}`);
}

async function createObjects(folder: string, state: ClusterState): Promise<void> {
  const server = apiServer(folder, state);
  await create(server, '/apis/storage.k8s.io/v1/storageclasses', controlPlane.defaultStorageClass);
  await Promise.all(kwokNodeNames(state).map((name) => create(server, '/api/v1/nodes', controlPlane.kwokNode(name))));
}

/** Throws if a part has ended, because waiting for it would be useless. */
async function assertPartsRun(folder: string, state: ClusterState): Promise<void> {
  const ended = await processes.endedParts(folder, partNames(state));
  if (ended.length > 0) throw new Hopeless(`${ended.join(', ')} ended instead of becoming ready.`);
}

interface Requirement {
  readonly what: string;
  readonly isMet: () => Promise<boolean>;
}

async function waitUntilReady(folder: string, state: ClusterState, signal: AbortSignal): Promise<void> {
  const server = apiServer(folder, state);
  const requirements = [
    ...nodeList(state).map(({ name }) => readyNode(server, name)),
    ...nodeServices(state),
    defaultServiceAccount(server),
  ];
  const wait = ({ what, isMet }: Requirement) =>
    waitFor(
      what,
      async () => {
        await assertPartsRun(folder, state);
        return isMet();
      },
      { signal, timeoutSeconds: 120 },
    );
  await Promise.all(requirements.map(wait));
}

/** No pod can be created without this service account. */
function defaultServiceAccount(server: ApiServer): Requirement {
  const path = '/api/v1/namespaces/default/serviceaccounts/default';
  return {
    what: 'the service account "default" in the namespace default',
    isMet: async () => (await request(server, 'GET', path)).status === 200,
  };
}

function readyNode(server: ApiServer, name: string): Requirement {
  return {
    what: `the node ${name} to be ready`,
    isMet: async () => isReadyNode(await request(server, 'GET', `/api/v1/nodes/${name}`)),
  };
}

function nodeServices({ layout, hasDns }: ClusterState): Requirement[] {
  if (layout.kind !== 'node') return [];
  const { nodeAddress } = nodeNetwork(layout.index);
  const service = (what: string, url: string): Requirement => ({
    what: `${what} to be ready (${url})`,
    isMet: async () => (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok,
  });
  return [
    service('kube-proxy', `http://${nodeAddress}:10256/healthz`),
    ...(hasDns ? [service('CoreDNS', `http://${nodeAddress}:8181/ready`)] : []),
  ];
}

interface NodeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
}

/** The taint of an unready node must be gone too, because pods wait until then. */
function isReadyNode(response: { status: number; body: string }): boolean {
  if (response.status !== 200) return false;
  const node = JSON.parse(response.body) as NodeObject;
  const isReady =
    node.status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
  return isReady && !(node.spec?.taints ?? []).some(({ key }) => key.startsWith('node.kubernetes.io/'));
}

function nodeList(state: ClusterState): ClusterNode[] {
  const kwok = kwokNodeNames(state).map((name): ClusterNode => ({ name, kind: 'kwok' }));
  return state.layout.kind === 'node' ? [{ name: realNode.realNodeName, kind: 'real' }, ...kwok] : kwok;
}

function describe(folder: string, state: ClusterState): ClusterDescription {
  const helms = Object.fromEntries(pins.helmPrograms.map((helm) => [helm.version, programPath(helm)]));
  return {
    kubeconfig: controlPlane.kubeconfigFile(folder, 'admin'),
    kubectl: programPath(pins.kubectlProgram),
    helm3: helms[pins.newestHelm3] ?? '',
    helm4: helms[pins.newestHelm4] ?? '',
    helms,
    kubernetesVersion: pins.kubernetesVersion,
    nodes: nodeList(state),
    images: state.layout.kind === 'node' ? { ...images } : {},
    name: state.name,
    auditLog: controlPlane.auditFile(folder),
    ...(state.layout.kind === 'node' ? { hostAddress: nodeNetwork(state.layout.index).hostAddress } : {}),
  };
}

function partNames({ layout, kwokNodes, hasDns }: ClusterState): string[] {
  return [
    ...['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'],
    ...(kwokNodes > 0 ? ['kwok'] : []),
    ...(layout.kind === 'node' ? ['init', 'containerd', 'kubelet', 'kube-proxy', ...(hasDns ? ['coredns'] : [])] : []),
  ];
}

function controlPlanePaths(): controlPlane.ControlPlanePaths {
  return Object.fromEntries(
    pins.controlPlanePrograms.map((program) => [program.name, programPath(program)]),
  ) as unknown as controlPlane.ControlPlanePaths;
}

function realNodePaths(): realNode.RealNodePaths {
  return Object.fromEntries(
    pins.realNodePrograms.map((program) => [program.name, programPath(program)]),
  ) as unknown as realNode.RealNodePaths;
}

/**
 * Ends all processes, which also removes their namespaces, mounts and interfaces. Then it removes control groups and
 * files.
 */
async function remove(folder: string, log: Log): Promise<void> {
  if (!fs.existsSync(folder) && processes.partProcesses(folder).length === 0) return;
  const state = readState(folder);
  await processes.killAll(folder);
  if (process.platform === 'linux') {
    await removeCgroup(cgroupName(folder));
    await removeInterfaces(folder);
  }
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  if (state) log(`The cluster ${state.name} is down.`);
}
