import fs from 'node:fs';
import path from 'node:path';
import { createAgent } from '../support/agent/index';
import type { Agent, AgentOptions, StepRun } from '../support/agent/index';
import { tinyFiles, writeExtension } from './tinyExtension';
import type { TinyTask } from './tinyExtension';

/** Agents of one `describe`, with everything that they started or wrote gone after each test. */
export function tinyAgents(): (tasks: readonly TinyTask[], options?: Partial<AgentOptions>) => Agent {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });
  return (tasks, options = {}) => {
    const extension = writeExtension(tinyFiles(tasks));
    const agent = createAgent({ extension, ...options });
    ends.push(() => {
      agent.dispose();
      fs.rmSync(extension, { recursive: true, force: true });
    });
    return agent;
  };
}

/** What the task printed, without the agent's own lines. */
export function printed(step: StepRun): string[] {
  return step.raw.map(({ line }) => line);
}

/** The node_modules of this repository, for tasks that need task-lib. */
export const taskLib = path.resolve('node_modules', 'azure-pipelines-task-lib', 'task.js');
