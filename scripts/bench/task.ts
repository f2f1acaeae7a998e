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
  /** For these inputs of HelmSafeDeploy and no others. */
  environment(inputs: Readonly<Record<string, string>>): NodeJS.ProcessEnv;
  dispose(): void;
}

/** Has the agent run the task once, with inputs that it refuses, and takes over what the agent gave it. */
export async function taskStart(vsix: string, kubeconfig: string): Promise<TaskStart> {
  const agent = createAgent({ extension: vsix });
  const connection = kubeconfigConnection(kubeconfig);
  const { node, script, workingFolder, environment } = await firstRun(agent, connection);
  return {
    node,
    script,
    workingFolder,
    home: environment['HOME'] ?? '',
    environment: (inputs) => ({
      ...environment,
      ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
    }),
    dispose: () => {
      agent.dispose();
    },
  };
}

async function firstRun(agent: Agent, connection: ServiceConnection): Promise<ProcessRun> {
  const inputs = { kubernetesServiceConnection: connection.name, releaseName: 'bench', chart: 'none' };
  const job = await agent.runJob({
    endpoints: [connection],
    steps: [{ task: 'HelmSafeDeploy@1', name: 'deploy', inputs: { ...inputs, helmPath: path.resolve('/none') } }],
  });
  const [run] = job.step('deploy').processes;
  if (run === undefined) throw new Error('The agent started no task.');
  return run;
}

/** The task says its result in its log; its exit code is 0 in any case. */
export function hasSucceeded(output: string): boolean {
  return output.includes('##vso[task.complete result=Succeeded');
}
