import path from 'node:path';
import { createAgent, type Agent, type ProcessRun, type ServiceConnection } from '../../test/support/agent';
import { kubeconfigConnection } from '../../test/support/product';

/** The way in which the agent starts the packaged task. It allows the same start without the agent's stand-in. */
export interface TaskStart {
  readonly node: string;
  readonly script: string;
  readonly workingFolder: string;
  /** The home folder of the agent. Helm caches there what it learned about the API server. */
  readonly home: string;
  /** The environment for these inputs of the task and no others. */
  environment(inputs: Readonly<Record<string, string>>): NodeJS.ProcessEnv;
  dispose(): void;
}

/** Invalid inputs that end a first run at once. */
const refused = {
  HelmSafeDeploy: { releaseName: 'bench', chart: 'none', helmPath: path.resolve('/none') },
  RolloutHealthCheck: { workloads: 'none/none' },
  ApproveAndRollback: { action: 'plan', releaseName: 'none' },
} as const;

/** Lets the agent run the task once with invalid inputs, and records the environment that the agent gave it. */
export async function taskStart(
  vsix: string,
  kubeconfig: string,
  task: keyof typeof refused = 'HelmSafeDeploy',
): Promise<TaskStart> {
  const agent = createAgent({ extension: vsix });
  const connection = kubeconfigConnection(kubeconfig);
  const { node, script, workingFolder, environment } = await firstRun(agent, connection, task);
  return {
    node,
    script,
    workingFolder,
    home: environment['HOME'] ?? '',
    environment: (inputs) => ({
      ...without(environment, Object.keys(refused[task])),
      ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
    }),
    dispose: () => {
      agent.dispose();
    },
  };
}

function without(environment: NodeJS.ProcessEnv, inputs: readonly string[]): NodeJS.ProcessEnv {
  const left = { ...environment };
  // The agent sets every input. Those that are left out get their defaults.
  for (const input of inputs) left[`INPUT_${input.toUpperCase()}`] = '';
  return left;
}

async function firstRun(agent: Agent, connection: ServiceConnection, task: keyof typeof refused): Promise<ProcessRun> {
  const inputs = { kubernetesServiceConnection: connection.name, ...refused[task] };
  const job = await agent.runJob({
    endpoints: [connection],
    steps: [{ task: `${task}@1`, name: 'step', inputs }],
  });
  const [run] = job.step('step').processes;
  if (run === undefined) throw new Error('The agent started no task.');
  return run;
}

/** The task reports its result in the log. Its exit code is always 0. */
export function hasSucceeded(output: string): boolean {
  return output.includes('##vso[task.complete result=Succeeded');
}
