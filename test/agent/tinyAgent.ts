import fs from 'node:fs';
import { createRequire } from 'node:module';
import { createAgent } from '../support/agent/index';
import type { Agent, AgentOptions, StepRun } from '../support/agent/index';
import { tinyFiles, writeExtension } from '../support/agent/tinyExtension';
import type { TinyTask } from '../support/agent/tinyExtension';

/** Agents of one `describe`. Everything that they started or wrote is removed after each test. */
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

/** The output of the task, without the agent's own lines. */
export function printed(step: StepRun): string[] {
  return step.raw.map(({ line }) => line);
}

/** The path of task-lib, for tasks in a folder where Node finds no package by its name. */
export const taskLib = createRequire(import.meta.url).resolve('azure-pipelines-task-lib/task.js');
