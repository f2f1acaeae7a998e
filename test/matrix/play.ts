import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobResult, StepRun } from '../support/agent';
import { read } from './api';
import { askContinually, type Availability } from './availability';
import { caseId, disturbsApiServer, nodeOf, randomDelay, taskOf, type MatrixCase } from './cases';
import { disturb, killWithHelm, loseMachine, type Outage } from './disturbances';
import { clusterFlags, type Ground, type Plot } from './ground';
import {
  availabilityViolations,
  besideViolations,
  fileViolations,
  helmViolations,
  leaseViolations,
  nextRunViolations,
  orphanViolations,
  planViolations,
  signalViolations,
  stateViolations,
  survivalViolations,
  unchangedViolations,
  writerViolations,
  type Moment,
  type Seen,
  type Violation,
} from './invariants';
import { hashOf } from './random';
import { readState, type StateOfObject } from './liveState';
import { readLease, releaseViolations, type ReleaseLook } from './look';
import { PlaceMissed, reach, type Scene } from './places';
import { isAlive, type HelmWatch } from './processTable';
import { historyText, readRecords, releaseName } from './records';
import { startRun, type Act, type PipelineRun, type RunSpec } from './runs';
import { plainWorkloadsLock } from '../../tasks/common/core/inputs/rollbackRequest';
import { chartFolder, flagsOf, type Values } from './values';
import { breakWorkloads, makeWorkloads, workloadNames } from './workloads';

const run = promisify(execFile);

export interface CaseResult {
  readonly id: string;
  readonly seed: number;
  readonly node: 'real' | 'kwok';
  /** `missed`: the place was not seen, so nothing was tested. `error`: the matrix itself failed. */
  readonly status: 'held' | 'violated' | 'missed' | 'error';
  readonly violations: readonly Violation[];
  /** Helm's history when the job was over, and after the next run. */
  readonly history: readonly [string, string];
  /** True if the invariants were checked after the job too: post-job ran and the API server answered. */
  readonly isCheckedAfterJob: boolean;
  /** Requests to the application during the disturbance. Undefined if none was sent. */
  readonly requests: number | undefined;
  readonly seconds: number;
  readonly error: string;
}

export interface PlayOptions {
  readonly seed: number;
  readonly helmWatch: HelmWatch;
  /** Receives the output of the runs and the observations of a case that did not hold. */
  readonly onDetails?: (id: string, text: string) => void;
}

/** The longest time of a run. No case waits that long on purpose. */
const patienceMs = 420_000;
const settleMs = 20_000;
const orphanPatienceMs = 40_000;

/** Everything of a case that its parts share. */
interface Stage {
  readonly one: MatrixCase;
  readonly ground: Ground;
  readonly plot: Plot;
  readonly deployer: string;
  readonly maker: string;
  readonly runs: PipelineRun[];
  readonly availability: { current: Availability | undefined };
  readonly values: Readonly<Record<Revision, Values>>;
  readonly options: PlayOptions;
}

type Revision = 'one' | 'two' | 'three' | 'four';

/** Some places last only for milliseconds. */
const tries = 3;

/** Plays one case to its end in its own namespace. Throws nothing: a failure of the matrix is a status. */
export async function playCase(one: MatrixCase, ground: Ground, options: PlayOptions): Promise<CaseResult> {
  for (let tried = 1; ; tried += 1) {
    const result = await playOnce(one, ground, options);
    if (result.status !== 'missed' || tried === tries) return result;
  }
}

async function playOnce(one: MatrixCase, ground: Ground, options: PlayOptions): Promise<CaseResult> {
  const started = performance.now();
  const facts = { id: caseId(one), seed: options.seed, node: nodeFor(one, ground) };
  const seconds = (): number => Math.round((performance.now() - started) / 100) / 10;
  const nothing = { history: ['', ''] as const, isCheckedAfterJob: false, requests: undefined, error: '' };
  let stage: Stage | undefined;
  try {
    stage = await setStage(one, ground, options);
    const played = await play(stage);
    const status = played.violations.length > 0 ? 'violated' : 'held';
    if (status === 'violated') await tellDetails(stage, played.violations.map(textOf).join('\n'));
    return { ...facts, ...nothing, ...played, status, seconds: seconds() };
  } catch (error) {
    const status = error instanceof PlaceMissed ? 'missed' : 'error';
    if (stage !== undefined && status === 'error') {
      await tellDetails(stage, String(error instanceof Error ? error.stack : error));
    }
    return { ...facts, ...nothing, status, violations: [], seconds: seconds(), error: String(error) };
  } finally {
    await stage?.availability.current?.stop();
    for (const { agent } of stage?.runs ?? []) agent.dispose();
    await stage?.plot.remove().catch(() => undefined);
  }
}

export function textOf({ invariant, message }: Violation): string {
  return `${invariant}: ${message}`;
}

async function tellDetails({ one, runs, plot, ground, options }: Stage, verdict: string): Promise<void> {
  const records = await readRecords(ground.server, plot.namespace).catch(() => []);
  const logs = runs.map((each, index) => `===== log of run ${index + 1}\n${each.log()}`);
  const head = `${caseId(one)}, seed ${options.seed}, ${new Date().toISOString()}\n${verdict}\n${historyText(records)}`;
  options.onDetails?.(caseId(one), [head, ...logs].join('\n\n'));
}

function nodeFor(one: MatrixCase, { cluster }: Ground): 'real' | 'kwok' {
  return cluster.hasRealNode ? nodeOf(one) : 'kwok';
}

async function setStage(one: MatrixCase, ground: Ground, options: PlayOptions): Promise<Stage> {
  const [deployer, maker = deployer] = one.helm.split('-on-').map((version) => helmNamed(ground, version));
  if (deployer === undefined || maker === undefined) throw new Error(`There is no Helm for ${one.helm}.`);
  const plot = await ground.plot('matrix');
  return {
    one,
    ground,
    plot,
    deployer,
    maker,
    runs: [],
    availability: { current: undefined },
    values: valuesOf(one, ground),
    options,
  };
}

function helmNamed({ cluster }: Ground, version: string): string {
  const helm = cluster.helms[version];
  if (helm === undefined) throw new Error(`This machine has no Helm ${version}.`);
  return helm;
}

function valuesOf(one: MatrixCase, ground: Ground): Stage['values'] {
  const common = {
    fakePods: nodeFor(one, ground) === 'kwok',
    fakeHooks: !ground.cluster.hasRealNode,
    // Without an API server nobody learns that a pod ends, so the pod must answer until the disturbance is over.
    drain: disturbsApiServer(one) ? 45 : 3,
  };
  const isStuck = !['first-install', 'upgrade', 'upgrade-with-hooks'].includes(one.story);
  const hooks = one.story === 'upgrade-with-hooks' ? { hooks: true } : {};
  return {
    one: { ...common, text: 'one' },
    two: { ...common, text: 'two', second: true, ...hooks, ...(isStuck ? { unschedulable: true } : {}) },
    three: { ...common, text: 'three' },
    four: { ...common, text: 'four' },
  };
}

interface Played {
  readonly violations: readonly Violation[];
  readonly history: readonly [string, string];
  readonly isCheckedAfterJob: boolean;
  readonly requests: number | undefined;
}

async function play(stage: Stage): Promise<Played> {
  const { one, plot, ground } = stage;
  const before = await makeRelease(stage);
  await prepareGoldens(stage);
  if (one.story === 'recovery-by-next-run') await dieHalfWay(stage);
  const act = await disturbedAct(stage);
  const present = await seen(stage);
  const { disturbed, outage } = await disturbedRun(stage, act);
  const result = await disturbed.end(patienceMs);
  if (result === undefined) return { ...unended('the disturbed job'), history: ['', ''] };
  const historyAfterJob = historyText(await readRecords(ground.server, plot.namespace));
  const isChecked = mayCheckAfterJob(one, result, outage) && (await hadItsTurn(stage));
  const afterJob = isChecked ? await checkAfterJob(stage, disturbed, result) : [];
  const signals = one.disturbance === 'cancel' ? signalViolations(signalsOf(result)) : [];

  const nextAct = actOfNext(stage, act);
  const next = begin(stage, await specOf(stage, 2, nextAct));
  const end = await next.end(patienceMs);
  if (end === undefined) return { ...unended('the next run'), history: [historyAfterJob, ''] };
  const afterNext = await checkAfterNext(stage, before, nextAct, end);
  const planned = one.story === 'rollback-plan' ? await checkPlanned(stage, present) : [];
  const requests = await stage.availability.current?.stop();
  stage.availability.current = undefined;
  return {
    violations: [
      ...signals,
      ...afterJob,
      ...afterNext,
      ...planned,
      ...(requests === undefined ? [] : availabilityViolations(requests.sent, requests.failures)),
    ],
    history: [historyAfterJob, historyText(await readRecords(ground.server, plot.namespace))],
    isCheckedAfterJob: isChecked,
    requests: requests?.sent,
  };
}

function unended(what: string): Omit<Played, 'history'> {
  const message = `${what} had not ended after ${patienceMs / 1000} s`;
  return { violations: [{ invariant: 'ends in time', message }], isCheckedAfterJob: false, requests: undefined };
}

/** The serving revision before the disturbance, made by plain Helm, or the plain workloads. */
async function makeRelease(stage: Stage): Promise<readonly StateOfObject[]> {
  const { one, ground, plot, maker, deployer, values, availability } = stage;
  if (one.story === 'first-install' || one.story === 'failed-install') return [];
  if (one.story === 'rollback-of-workloads') {
    await makeWorkloads(ground.server, plot.namespace);
    const before = await readState(ground.server, plot.namespace);
    await breakWorkloads(ground.server, plot.namespace);
    return before;
  }
  const flags = [...flagsOf(values.one), ...clusterFlags(ground.cluster.kubeconfig, plot.namespace)];
  await run(maker, ['install', releaseName, chartFolder, '--wait', '--timeout', '120s', ...flags]);
  if (!values.one.fakePods) {
    const service = await read(ground.server, `/api/v1/namespaces/${plot.namespace}/services/web`);
    const { clusterIP } = service?.['spec'] as { clusterIP: string };
    availability.current = await askContinually(`http://${clusterIP}/`);
  }
  const before = await readState(ground.server, plot.namespace);
  if (taskOf(one.story) === 'ApproveAndRollback') {
    const toTwo = [...flagsOf(values.two), ...clusterFlags(ground.cluster.kubeconfig, plot.namespace)];
    await run(deployer, ['upgrade', releaseName, chartFolder, ...toTwo]);
  }
  return before;
}

/** Runs while the API server is available. */
async function prepareGoldens(stage: Stage): Promise<void> {
  if (stage.one.story === 'rollback-of-workloads') return;
  const { golden } = lookOf(stage);
  const texts = stage.one.story === 'recovery-by-next-run' ? ['one', 'two', 'three', 'four'] : ['one', 'two', 'three'];
  await Promise.all(texts.map(async (text) => golden(text)));
}

async function specOf(stage: Stage, runNumber: number, act: Act): Promise<RunSpec> {
  const { ground, plot, deployer } = stage;
  const identity = await plot.identity(runNumber);
  return { cluster: ground.cluster, namespace: plot.namespace, helm: deployer, act, identity };
}

function deployOf(values: Values): Act {
  return { task: 'HelmSafeDeploy', values };
}

/** The inputs of the disturbed run. An execution gets a plan from an earlier run. */
async function disturbedAct(stage: Stage): Promise<Act> {
  const { one, values } = stage;
  const { story } = one;
  if (taskOf(story) === 'HelmSafeDeploy') return deployOf(values[story === 'recovery-by-next-run' ? 'three' : 'two']);
  const planning = { task: 'ApproveAndRollback', ofWorkloads: story === 'rollback-of-workloads' } as const;
  if (story === 'rollback-plan') return planning;
  const end = await begin(stage, await specOf(stage, 0, planning)).end(patienceMs);
  const planned = end?.step('rollback');
  const planDigest = planned?.outputs['planDigest'];
  if (planDigest === undefined || planned?.outputs['outcome'] !== 'planned') {
    throw new Error(`The rollback could not be planned: ${planned?.message ?? 'it did not end'}`);
  }
  return { ...planning, planDigest };
}

function begin(stage: Stage, spec: RunSpec): PipelineRun {
  const started = startRun(spec);
  stage.runs.push(started);
  return started;
}

async function lastRevision({ ground, plot }: Stage): Promise<number> {
  return (await readRecords(ground.server, plot.namespace)).at(-1)?.revision ?? 0;
}

/** A run whose machine dies while Helm changes the first objects. The next run must recover from it. */
async function dieHalfWay(stage: Stage): Promise<void> {
  const dying = begin(stage, await specOf(stage, 0, deployOf(stage.values.two)));
  await reach('first-object-changed', await mainScene(stage, dying, 'two', 0));
  loseMachine(dying.job);
  await dying.end(patienceMs);
}

async function mainScene(stage: Stage, { job }: PipelineRun, text: string, last?: number): Promise<Scene> {
  return {
    job,
    server: stage.ground.server,
    namespace: stage.plot.namespace,
    subject: subjectOf(stage.one),
    pid: () => job.pid(),
    lastRevision: last ?? (await lastRevision(stage)),
    text,
    delayMs: randomDelay(stage.one, stage.options.seed),
  };
}

/** The release, or the name under which plain workloads are locked. */
function subjectOf({ story }: MatrixCase): string {
  return story === 'rollback-of-workloads' ? plainWorkloadsLock : releaseName;
}

async function disturbedRun(stage: Stage, act: Act): Promise<{ disturbed: PipelineRun; outage: Outage | undefined }> {
  const { one, ground } = stage;
  const text = act.task === 'HelmSafeDeploy' ? act.values.text : 'one';
  const spec = await specOf(stage, 1, act);
  const last = await lastRevision(stage);
  const disturbed = begin(stage, { ...spec, isContainer: one.disturbance === 'container-cancel' });
  const main = await mainScene(stage, disturbed, text, last);
  const scene = one.story === 'repair-by-post-job' ? await killedIntoPostJob(stage, disturbed, main) : main;
  await reach(one.place, scene);
  const pid = scene.pid();
  // A disturbance that comes too late shows nothing.
  if (pid === undefined || !isAlive(pid)) throw new PlaceMissed(one.place);
  const victim = { job: disturbed.job, cluster: ground.cluster, stage: stageOf(one), pid };
  return { disturbed, outage: await disturb(one.disturbance, victim) };
}

function stageOf({ story }: MatrixCase): 'main' | 'post-job' {
  return story === 'repair-by-post-job' ? 'post-job' : 'main';
}

/** The main phase and its Helm are killed half-way. The disturbed process is the post-job phase. */
async function killedIntoPostJob(stage: Stage, { job }: PipelineRun, main: Scene): Promise<Scene> {
  await reach('first-object-changed', main);
  const mainPid = job.pid();
  if (mainPid === undefined) throw new PlaceMissed('the main phase');
  killWithHelm(mainPid);
  const pid = (): number | undefined => {
    const current = job.pid();
    return current === mainPid ? undefined : current;
  };
  return { ...main, pid, lastRevision: await lastRevision(stage) };
}

function postJobOf(result: JobResult): StepRun | undefined {
  return result.steps.find(({ stage }) => stage === 'post-job');
}

/** True if post-job ran undisturbed and could reach the API server. */
function mayCheckAfterJob(one: MatrixCase, result: JobResult, outage: Outage | undefined): boolean {
  const postJob = postJobOf(result);
  const process = postJob?.processes.at(-1);
  if (postJob === undefined || process === undefined || stageOf(one) === 'post-job') return false;
  if (process.end !== 'ended' || process.signal !== null) return false;
  return outage === undefined || postJob.startedAt > outage.to;
}

/** A recovering run that ended before the dead run's lease expired could change nothing. */
async function hadItsTurn(stage: Stage): Promise<boolean> {
  const lease = await readLease(lookOf(stage));
  const dead = stage.one.story === 'recovery-by-next-run' ? stage.runs[0]?.job.identity.jobId : undefined;
  return dead === undefined || lease?.holder.includes(dead) !== true;
}

function signalsOf(result: JobResult): string[] {
  const main = result.steps.find(({ stage }) => stage === 'main');
  return (main?.processes ?? []).flatMap(({ signalsSent }) => signalsSent.map(({ signal }) => signal));
}

async function checkAfterJob(stage: Stage, disturbed: PipelineRun, result: JobResult): Promise<Violation[]> {
  const { plot, options } = stage;
  const remains = disturbed.remains();
  const look = lookOf(stage);
  const isRelease = stage.one.story !== 'rollback-of-workloads';
  const release = await settled(() =>
    isRelease ? releaseViolations(look, 'after job') : workloadLeaseViolations(look, 'after job'),
  );
  return [
    ...release,
    ...fileViolations(remains?.files ?? []),
    ...orphanViolations(result.orphans, 'when the job ended'),
    ...besideViolations(disturbed.tasks(), options.helmWatch.seenIn(plot.namespace)),
  ];
}

/** A good deploy, or the same step again: a new plan, or an execution with the same digest. */
function actOfNext({ one, values }: Stage, disturbed: Act): Act {
  if (disturbed.task === 'HelmSafeDeploy') return deployOf(values[nextRevision(one)]);
  const isDeploy = one.story === 'rollback' && hashOf(`next ${caseId(one)}`) % 3 === 0;
  return isDeploy ? deployOf(values.three) : disturbed;
}

function outcomesOf(act: Act): string[] {
  if (act.task === 'HelmSafeDeploy') return ['deployed', 'recovered', 'unchanged'];
  return act.planDigest === undefined ? ['planned'] : ['rolledBack', 'alreadyThere'];
}

/** A good deploy of a newer revision, or of the same one, as when the failed job is run again. */
function nextRevision(one: MatrixCase): Revision {
  if (one.story === 'recovery-by-next-run') return 'four';
  const isGood = ['first-install', 'upgrade', 'upgrade-with-hooks'].includes(one.story);
  return isGood && hashOf(`next ${caseId(one)}`) % 3 === 0 ? 'two' : 'three';
}

async function checkAfterNext(
  stage: Stage,
  before: readonly StateOfObject[],
  act: Act,
  end: JobResult,
): Promise<Violation[]> {
  const { one, plot, ground, options, runs } = stage;
  const release = await settled(() =>
    one.story === 'rollback-of-workloads'
      ? workloadViolations(stage, before)
      : releaseViolations(lookOf(stage), 'after next run'),
  );
  const main = end.step(act.task === 'HelmSafeDeploy' ? 'deploy' : 'rollback');
  const outcome = main.outputs['outcome'] ?? '';
  const orphans = await orphansOf(runs);
  const [dead] = one.disturbance === 'agent-lost' ? runs.slice(-2) : [];
  return [
    // Processes that live on without their agent must have deleted their own files.
    ...fileViolations(dead === undefined ? [] : dead.left().files),
    ...nextRunViolations(main.result, outcome, main.message, outcomesOf(act)),
    ...release,
    ...survivalViolations(before, await readState(ground.server, plot.namespace), servingObjects),
    ...writerViolations(await plot.writes()),
    ...helmViolations(options.helmWatch.seenIn(plot.namespace)),
    ...orphanViolations(orphans, 'in the end'),
  ];
}

/** The workloads are as before their second revision. */
async function workloadViolations(stage: Stage, before: readonly StateOfObject[]): Promise<Violation[]> {
  const { ground, plot } = stage;
  const live = await readState(ground.server, plot.namespace);
  const golden = { manifest: '', objects: before };
  return [
    ...stateViolations(live, golden, undefined, 'after next run'),
    ...(await workloadLeaseViolations(lookOf(stage), 'after next run')),
  ];
}

async function workloadLeaseViolations(look: ReleaseLook, when: Moment): Promise<Violation[]> {
  return leaseViolations(await readLease(look), when);
}

async function seen({ ground, plot }: Stage): Promise<Seen> {
  const [objects, records] = [
    await readState(ground.server, plot.namespace),
    await readRecords(ground.server, plot.namespace),
  ];
  return { objects, records };
}

async function checkPlanned(stage: Stage, before: Seen): Promise<Violation[]> {
  return [...unchangedViolations(before, await seen(stage)), ...planViolations(await stage.plot.writes())];
}

/** Objects of every revision, and the workloads that belong to no release. */
const servingObjects = [
  ...workloadNames.map((name) => `Deployment/${name}`),
  'Deployment/web',
  'Service/web',
  'ConfigMap/web',
  'Secret/web',
  'PersistentVolumeClaim/data',
];

/** The processes of all runs that are still alive after they had time to end. */
async function orphansOf(runs: readonly PipelineRun[]): Promise<{ pid: number; name: string }[]> {
  const deadline = performance.now() + orphanPatienceMs;
  for (;;) {
    const left = runs.flatMap(({ job }) => job.processes());
    if (left.length === 0 || performance.now() > deadline) return left;
    await delay(100);
  }
}

/** Controllers need a moment, so the invariants must hold soon, not at once. */
async function settled(look: () => Promise<Violation[]>): Promise<Violation[]> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const found = await look();
    if (found.length === 0 || performance.now() > deadline) return found;
    await delay(250);
  }
}

function lookOf(stage: Stage): ReleaseLook {
  const { one, ground, plot, maker, deployer, values, runs } = stage;
  const isRevision = (text: string): text is Revision => text in values;
  return {
    ground,
    namespace: plot.namespace,
    subject: subjectOf(one),
    golden: (text) => (isRevision(text) ? ground.golden(text === 'one' ? maker : deployer, values[text]) : undefined),
    told: () => (isHeard(one) ? runs.map((each) => each.log()).join('\n') : undefined),
  };
}

/** The output of a task after its agent is gone, or in a container after the cancel, is in no log. */
function isHeard({ disturbance }: MatrixCase): boolean {
  return disturbance !== 'agent-lost' && disturbance !== 'container-cancel';
}
