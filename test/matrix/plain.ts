import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { tinyFiles, writeExtension } from '../support/agent/tinyExtension';
import { createAgent, type Agent, type Job } from '../support/agent';
import { watch } from './api';
import {
  disturbsApiServer,
  nodeOf,
  randomDelay,
  type Disturbance,
  type HelmChoice,
  type MatrixCase,
  type Place,
  type Story,
} from './cases';
import { disturb } from './disturbances';
import { clusterFlags, type Ground, type Plot } from './ground';
import { stateViolations } from './invariants';
import { readState } from './liveState';
import { PlaceMissed, reach, type Scene } from './places';
import { historyText, readRecords, releaseName } from './records';
import { chartFolder, flagsOf, type Values } from './values';
import { textOfWorkload } from './workloads';

const run = promisify(execFile);

/*
 * The same interruptions for plain Helm: `upgrade --install` with the flag for automatic rollback, or `rollback
 * --wait`. A task runs Helm and passes the agent's signals on at once, which is more than most tasks do.
 */

/**
 * The places where plain Helm can be interrupted. It has no lease and no checks before the change, and waits itself.
 */
type PlainPlace = Extract<
  Place,
  | 'helm-started'
  | 'record-pending'
  | 'first-object-changed'
  | 'pre-hook-running'
  | 'post-hook-running'
  | 'rollback-started'
  | 'rollback-pending'
  | 'uninstalling'
  | 'random-1'
  | 'random-2'
>;

export interface PlainCase {
  readonly story: Exclude<
    Story,
    'repair-by-post-job' | 'recovery-by-next-run' | 'rollback-plan' | 'rollback-of-workloads'
  >;
  /** `waiting`: all objects are applied, and Helm waits for them. */
  readonly place: PlainPlace | 'waiting';
  readonly disturbance: Disturbance;
  readonly helm: HelmChoice;
}

export interface PlainResult {
  readonly id: string;
  readonly seed: number;
  readonly status: 'interrupted' | 'missed' | 'error';
  /** Helm's record is pending, and no process works on it. */
  readonly isStuck: boolean;
  readonly nextFailed: boolean;
  /** The leftovers of the dead revision after a successful next deploy. */
  readonly leftovers: readonly string[];
  readonly history: readonly [string, string];
  readonly seconds: number;
  readonly error: string;
}

const ofDeploy: Readonly<Partial<Record<Place, PlainCase['place']>>> = {
  'record-pending': 'record-pending',
  'first-object-changed': 'first-object-changed',
  'pre-hook-running': 'pre-hook-running',
  'post-hook-running': 'post-hook-running',
  'helm-ended': 'waiting',
  following: 'waiting',
  'verdict-failed': 'rollback-pending',
  rehearsing: 'rollback-pending',
  'rollback-started': 'rollback-pending',
  'rollback-pending': 'rollback-pending',
  'rollback-applied': 'rollback-pending',
  uninstalling: 'uninstalling',
  verified: 'waiting',
  'random-1': 'random-1',
  'random-2': 'random-2',
};

const ofRollback: Readonly<Partial<Record<Place, PlainCase['place']>>> = {
  'rollback-pending': 'rollback-pending',
  'rollback-applied': 'waiting',
  following: 'waiting',
  deleting: 'waiting',
  verified: 'waiting',
  'random-1': 'random-1',
  'random-2': 'random-2',
};

/**
 * The plain counterpart of an interruption. The two repair stories become the upgrade that made them necessary. Helm
 * has no plans and ignores workloads that belong to no release.
 */
export function plainCaseOf(one: MatrixCase): PlainCase | undefined {
  const { story, place, disturbance, helm } = one;
  switch (story) {
    case 'rollback-plan':
    case 'rollback-of-workloads':
      return undefined;
    case 'repair-by-post-job':
      return halfWay('kill-task-and-helm', helm);
    case 'recovery-by-next-run':
      return halfWay('machine-lost', helm);
    case 'rollback':
      return { story, place: ofRollback[place] ?? 'rollback-started', disturbance, helm };
    default:
      return { story, place: ofDeploy[place] ?? 'helm-started', disturbance, helm };
  }
}

function halfWay(disturbance: Disturbance, helm: HelmChoice): PlainCase {
  return { story: 'upgrade', place: 'first-object-changed', disturbance, helm };
}

export function plainId({ story, place, disturbance, helm }: PlainCase): string {
  return `plain/${story}/${place}/${disturbance}/${helm}`;
}

/** Each plain counterpart once. */
export function plainCases(cases: readonly MatrixCase[]): PlainCase[] {
  const byId = new Map(cases.flatMap((one) => plainCaseOf(one) ?? []).map((one) => [plainId(one), one]));
  return [...byId.values()];
}

export function plainDisturbsApiServer({ disturbance }: PlainCase): boolean {
  return disturbance === 'api-stopped' || disturbance === 'api-restarted';
}

const script = `
const [file, ...args] = JSON.parse(process.env.INPUT_COMMAND);
const helm = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => helm.kill(signal));
helm.on('exit', (code) => {
  say('##vso[task.complete result=' + (code === 0 ? 'Succeeded' : 'Failed') + ';]helm ended with ' + code);
});
`;

/** Writes the extension, whose one task runs a command. Remove the folder afterwards. */
export function scriptExtension(): { folder: string; remove: () => void } {
  const task = { name: 'Script', main: script, inputs: [{ name: 'command', type: 'string', label: 'command' }] };
  const folder = writeExtension(tinyFiles([task]));
  return {
    folder,
    remove: () => {
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface PlainOptions {
  readonly seed: number;
  /** The result of `scriptExtension`. */
  readonly extension: string;
}

export async function playPlain(one: PlainCase, ground: Ground, options: PlainOptions): Promise<PlainResult> {
  const started = performance.now();
  const facts = { id: plainId(one), seed: options.seed };
  const seconds = (): number => Math.round((performance.now() - started) / 100) / 10;
  const nothing = { isStuck: false, nextFailed: false, leftovers: [], history: ['', ''] as const, error: '' };
  const agents: Agent[] = [];
  let plot: Plot | undefined;
  try {
    plot = await ground.plot('plain');
    const played = await play(one, { ground, plot, agents, options });
    return { ...facts, ...nothing, ...played, status: 'interrupted', seconds: seconds() };
  } catch (error) {
    const status = error instanceof PlaceMissed ? 'missed' : 'error';
    return { ...facts, ...nothing, status, seconds: seconds(), error: String(error) };
  } finally {
    for (const agent of agents) agent.dispose();
    await plot?.remove().catch(() => undefined);
  }
}

interface PlainStage {
  readonly ground: Ground;
  readonly plot: Plot;
  readonly agents: Agent[];
  readonly options: PlainOptions;
}

type Played = Pick<PlainResult, 'isStuck' | 'nextFailed' | 'leftovers' | 'history'>;

async function play(one: PlainCase, stage: PlainStage): Promise<Played> {
  const { ground, plot } = stage;
  const [deployer = '', maker = deployer] = one.helm
    .split('-on-')
    .map((version) => ground.cluster.helms[version] ?? '');
  const values = valuesOf(one, ground);
  const flags = clusterFlags(ground.cluster.kubeconfig, plot.namespace);
  const isInstall = one.story === 'first-install' || one.story === 'failed-install';
  if (!isInstall) {
    const wait = ['--wait', '--timeout', '120s'];
    await run(maker, ['install', releaseName, chartFolder, ...wait, ...flagsOf(values.one), ...flags]);
  }
  const upgrade = (wanted: Values, timeout: string): string[] => [
    ...['upgrade', releaseName, chartFolder, '--install', rollbackFlag(one.helm), '--timeout', timeout],
    ...flagsOf(wanted),
    ...flags,
  ];
  if (one.story === 'rollback') {
    await run(deployer, ['upgrade', releaseName, chartFolder, ...flagsOf(values.two), ...flags]);
    const rollback = ['rollback', releaseName, '1', '--wait', '--timeout', '15s', ...flags];
    await interrupt(one, stage, 'one', [deployer, ...rollback]);
  } else {
    await interrupt(one, stage, 'two', [deployer, ...upgrade(values.two, isInstall ? '20s' : '15s')]);
  }
  const records = await readRecords(ground.server, plot.namespace);
  const isStuck = records.some(({ status }) => status.startsWith('pending-') || status === 'uninstalling');
  const nextFailed = await run(deployer, upgrade(values.three, '40s')).then(
    () => false,
    () => true,
  );
  const golden = nextFailed ? undefined : await ground.golden(deployer, values.three);
  const live = await readState(ground.server, plot.namespace);
  const leftovers = golden === undefined ? [] : stateViolations(live, golden, undefined, 'after next run');
  return {
    isStuck,
    nextFailed,
    leftovers: leftovers.map(({ message }) => message),
    history: [historyText(records), historyText(await readRecords(ground.server, plot.namespace))],
  };
}

function rollbackFlag(helm: HelmChoice): string {
  return helm.startsWith('3.') ? '--atomic' : '--rollback-on-failure';
}

function valuesOf(one: PlainCase, { cluster }: Ground): Record<'one' | 'two' | 'three', Values> {
  const like: MatrixCase = { ...one, place: one.place === 'waiting' ? 'following' : one.place };
  const common = {
    fakePods: !cluster.hasRealNode || nodeOf(like) === 'kwok',
    fakeHooks: !cluster.hasRealNode,
    drain: disturbsApiServer(like) ? 45 : 3,
  };
  const isStuck = ['failed-install', 'automatic-rollback', 'rollback'].includes(one.story);
  const hooks = one.story === 'upgrade-with-hooks' ? { hooks: true } : {};
  return {
    one: { ...common, text: 'one' },
    two: { ...common, text: 'two', second: true, ...hooks, ...(isStuck ? { unschedulable: true } : {}) },
    three: { ...common, text: 'three' },
  };
}

const helmPatienceMs = 120_000;

/** `text`: the text of the revision that Helm should deploy or roll back to. */
async function interrupt(one: PlainCase, stage: PlainStage, text: string, command: readonly string[]): Promise<void> {
  const { ground, plot, agents, options } = stage;
  const agent = createAgent({ extension: options.extension });
  agents.push(agent);
  const lastRevision = (await readRecords(ground.server, plot.namespace)).at(-1)?.revision ?? 0;
  const job = agent.startJob({
    steps: [{ task: 'Script@1', name: 'helm', inputs: { command: JSON.stringify(command) } }],
    allowViolations: true,
    ...(one.disturbance === 'container-cancel' ? { isContainer: true } : {}),
  });
  const like: MatrixCase = { ...one, place: one.place === 'waiting' ? 'following' : one.place };
  const scene: Scene = {
    job,
    server: ground.server,
    namespace: plot.namespace,
    pid: () => job.pid(),
    subject: releaseName,
    lastRevision,
    text,
    delayMs: randomDelay(like, options.seed),
  };
  await reachPlain(one, scene);
  const pid = job.pid();
  if (pid === undefined) throw new PlaceMissed(one.place);
  await disturb(one.disturbance, { job, cluster: ground.cluster, stage: 'main', pid });
  await job.done;
  // Processes that live on may still succeed.
  await helmsGone(job);
}

async function reachPlain(one: PlainCase, scene: Scene): Promise<void> {
  switch (one.place) {
    case 'waiting':
      return applied(scene);
    default:
      return reach(one.place, scene);
  }
}

/** The Deployment is among the last objects that Helm applies. */
async function applied({ server, namespace, job, text }: Scene): Promise<void> {
  const ended = new AbortController();
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments?fieldSelector=metadata.name%3Dweb`;
  const isSeen = new Promise<void>((resolve) => {
    watch(server, path, ended.signal, (object) => {
      if (textOfWorkload(object) === text) resolve();
    });
  });
  const missed = job.done.then(() => Promise.reject(new PlaceMissed('waiting')));
  try {
    await Promise.race([isSeen, missed]);
  } finally {
    ended.abort();
  }
}

async function helmsGone(job: Job): Promise<void> {
  const deadline = performance.now() + helmPatienceMs;
  while (job.processes().length > 0 && performance.now() < deadline) await delay(100);
}
