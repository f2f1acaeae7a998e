import type { Agent } from '../../core/ports';

/** These outputs quote text from outside. */
const quotingOutputs: ReadonlySet<string> = new Set([
  'summary',
  'gateInstructions',
  'planSummary',
  'approvedBy',
  'channelMessage',
]);

export function publishOutputs(agent: Agent, outputs: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(outputs)) {
    agent.setOutput(name, value, ...(quotingOutputs.has(name) ? [] : (['own'] as const)));
  }
}
