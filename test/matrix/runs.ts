import fs from 'node:fs';
import path from 'node:path';
import type { Agent, AgentOptions, Job, JobResult, JobSpec } from '../support/agent';
import { deployJob, kubeconfigConnection, productAgent, rollbackJob } from '../support/product';
import type { FileSeen, TaskSeen } from './invariants';
import { isAlive } from './processTable';
import { chartFolder, linesOf, password, type Values } from './values';
import { releaseName } from './records';
import type { TestCluster } from '../support/cluster';
import { workloadLines } from './workloads';

/** The files and processes found at the end of the job, before the agent removes them. */
export interface Remains {
  readonly files: readonly FileSeen[];
  readonly processes: readonly { pid: number; name: string }[];
}

/** One run of the pipeline on its own agent. */
export interface PipelineRun {
  readonly job: Job;
  readonly agent: Agent;
  /** The processes of its phases. */
  readonly tasks: () => TaskSeen[];
  readonly remains: () => Remains | undefined;
  /** The files and processes at this moment. */
  readonly left: () => Remains;
  /** Undefined if the run did not end in time. */
  readonly end: (timeoutMs: number) => Promise<JobResult | undefined>;
  readonly log: () => string;
}

/** The inputs of a run. */
export type Act =
  | { readonly task: 'HelmSafeDeploy'; readonly values: Values }
  | {
      readonly task: 'ApproveAndRollback';
      /** The run concerns plain workloads instead of the release. */
      readonly ofWorkloads: boolean;
      /** Without a digest the run makes a plan. */
      readonly planDigest?: string;
    };

export interface RunSpec {
  readonly cluster: TestCluster;
  readonly namespace: string;
  readonly helm: string;
  readonly act: Act;
  readonly identity: { readonly kubeconfig: string; readonly token: string };
  /** The job runs in a container, so the agent's signals do not reach the task. */
  readonly isContainer?: boolean;
}

const finalize = '##[section]Starting: Finalize Job';

export function startRun(spec: RunSpec, options: Partial<AgentOptions> = {}): PipelineRun {
  let remains: Remains | undefined;
  const agent = productAgent({
    ...options,
    onLine: ({ text }) => {
      if (text === finalize) remains = remainsOf(agent, job, spec.identity.token);
    },
  });
  const job = agent.startJob(jobOf(spec));
  return {
    job,
    agent,
    tasks: followTasks(job),
    remains: () => remains,
    left: () => remainsOf(agent, job, spec.identity.token),
    end: (timeoutMs) => within(job.done, timeoutMs),
    log: () => job.lines.map(({ text }) => text).join('\n'),
  };
}

function jobOf({ cluster, namespace, helm, act, identity, isContainer }: RunSpec): JobSpec {
  const common = {
    cluster,
    namespace,
    helm,
    connection: kubeconfigConnection(identity.kubeconfig),
    job: { allowViolations: true, ...(isContainer === true ? { isContainer: true } : {}) },
  };
  if (act.task === 'HelmSafeDeploy') {
    const set = [...linesOf(act.values), 'password=$(appPassword)'].join('\n');
    const secrets = { appPassword: password };
    return deployJob({ ...common, release: releaseName, chart: chartFolder, secrets, inputs: { timeout: '2m', set } });
  }
  const { ofWorkloads, planDigest } = act;
  return rollbackJob({
    ...common,
    release: ofWorkloads ? '' : releaseName,
    inputs: {
      timeout: '2m',
      // This time is long enough for the place to be seen.
      stableFor: '2s',
      ...(ofWorkloads ? { workloads: workloadLines, toRevision: 'previous' } : ofRelease),
      ...(planDigest === undefined ? { action: 'plan' } : { action: 'rollback', planDigest, approval: 'none' }),
    },
  });
}

/** Plain Helm has made the first revision, so no mark verifies it. The second revision has its own claim. */
const ofRelease = { toRevision: '1', allowUnverifiedTarget: 'true', allow: 'DeletesPersistentVolumeClaim' };

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

const readEveryMs = 20;

/** Observes the processes of a job's phases until the job is over and all of them have ended. */
function followTasks(job: Job): () => TaskSeen[] {
  const tasks = new Map<number, TaskSeen>();
  let isOver = false;
  const look = (): void => {
    const now = performance.now();
    const pid = job.pid();
    if (pid !== undefined && !tasks.has(pid)) tasks.set(pid, { pid, startedAt: now, endedAt: Infinity });
    for (const task of tasks.values()) {
      if (task.endedAt === Infinity && !isAlive(task.pid)) tasks.set(task.pid, { ...task, endedAt: now });
    }
    if (isOver && [...tasks.values()].every(({ endedAt }) => endedAt < Infinity)) clearInterval(timer);
  };
  const timer = setInterval(look, readEveryMs);
  timer.unref();
  const end = (): void => {
    isOver = true;
  };
  job.done.then(end, end);
  return () => {
    look();
    return [...tasks.values()];
  };
}

/** Finds files with a secret in the folders of an agent, and processes with the mark of its job. */
export function remainsOf(agent: Agent, job: Job, token: string): Remains {
  const secrets = { 'the token of the kubeconfig': token, 'a secret value': password };
  const { temp, sources, tools } = agent.folders;
  const files = [temp, sources, tools, path.join(agent.folders.home, '_home')].flatMap(filesIn);
  return {
    files: files.flatMap((file) => {
      const content = textOf(file);
      const held = Object.entries(secrets).filter(([, secret]) => content.includes(secret));
      return held.map(([name]) => ({ file: path.relative(agent.folders.home, file), holds: name }));
    }),
    processes: job.processes(),
  };
}

function filesIn(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    // The file was removed at this moment.
    return '';
  }
}
