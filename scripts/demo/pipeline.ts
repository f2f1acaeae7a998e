import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { createAgent, type Agent, type AgentLogLine, type Job, type JobSpec } from '../../test/support/agent';
import { node24 } from '../../test/support/product';
import type { Edit, Place } from './place';
import type { StepEnd } from './verdict';

export const releaseName = 'shop';

/** A pipeline with one step, on its own agent. */
export interface Pipeline {
  /** The YAML of the step as its author wrote it. */
  yaml(timeout: string): string;
  /** Makes the next commit. */
  edit(change: Edit): Promise<void>;
  start(timeout: string): { job: Job; end: Promise<StepEnd> };
  dispose(): void;
}

/** `onLine` gets the lines that the run page shows. */
export async function createPipeline(
  vsix: string,
  place: Place,
  namespace: string,
  onLine: (line: AgentLogLine) => void,
): Promise<Pipeline> {
  const agent = createAgent({
    extension: vsix,
    environment: place.environment,
    onLine,
    ...(node24 === undefined ? {} : { nodes: { '24': node24 } }),
  });
  await checkOut(agent, place);
  const spec = (timeout: string) => ({
    task: 'HelmSafeDeploy@1',
    name: 'deploy',
    inputs: {
      ...place.loginInputs,
      namespace,
      releaseName,
      chart: 'shop',
      ...(place.values === undefined ? {} : { valueFiles: 'values.yaml' }),
      ...(isNamedHelm(place.helm) ? {} : { helmPath: place.helm }),
      timeout,
    },
  });
  return {
    yaml: (timeout) => stringify([spec(timeout)], { lineWidth: 0 }),
    edit: async ({ file, from, to }) => {
      const found = path.join(agent.folders.sources, file);
      const text = await readFile(found, 'utf8');
      if (!text.includes(from)) throw new Error(`${file} does not hold "${from}".`);
      await writeFile(found, text.replaceAll(from, to));
    },
    start: (timeout) => {
      const job: JobSpec = {
        ...place.job,
        steps: [spec(timeout)],
        // An installer step before this one would have set the same path.
        ...(isNamedHelm(place.helm) ? { prependPath: [path.dirname(place.helm)] } : {}),
      };
      const started = agent.startJob(job);
      return { job: started, end: started.done.then((result) => result.step('deploy')) };
    },
    dispose: () => {
      agent.dispose();
    },
  };
}

/** Checks out the pipeline's repository: the chart and the values for this cluster. */
async function checkOut(agent: Agent, place: Place): Promise<void> {
  const { sources } = agent.folders;
  await mkdir(sources, { recursive: true });
  await cp(path.join(import.meta.dirname, 'chart'), path.join(sources, 'shop'), { recursive: true });
  if (place.values !== undefined) await writeFile(path.join(sources, 'values.yaml'), place.values);
}

function isNamedHelm(helm: string): boolean {
  return path.basename(helm).replace(/\.exe$/i, '') === 'helm';
}
