import path from 'node:path';
import { createAgent, type Agent, type ProcessRun, type ServiceConnection } from '../../test/support/agent';
import { kubeconfigConnection } from '../../test/support/product';

/** How the agent starts the packaged task: to start it likewise without the stand-in for the agent around it. */
export interface TaskStart {
  readonly node: string;
  readonly script: string;
  readonly workingFolder: string;
  /** The home folder of the agent: Helm keeps what it learned about the API server there. */
  readonly home: string;
  /** For these inputs of the task and no others. */
  environment(inputs: Readonly<Record<string, string>>): NodeJS.ProcessEnv;
  dispose(): void;
}

/** Inputs of a first run that end it at once. */
const refused = {
  HelmSafeDeploy: { releaseName: 'bench', chart: 'none', helmPath: path.resolve('/none') },
  RolloutHealthCheck: { workloads: 'none/none' },
  ApproveAndRollback: { action: 'plan', releaseName: 'none' },
} as const;

/** Has the agent run the task once, with inputs that it refuses, and takes over what the agent gave it. */
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
  // The agent gives every input, those left out with their defaults.
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

/** The task says its result in its log; its exit code is 0 in any case. */
export function hasSucceeded(output: string): boolean {
  return output.includes('##vso[task.complete result=Succeeded');
}
