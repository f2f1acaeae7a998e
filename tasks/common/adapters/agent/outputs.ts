import type { Agent } from '../../core/ports';

/** Outputs that quote text from outside. All other outputs are words, numbers and names that the task makes itself. */
const quotingOutputs: ReadonlySet<string> = new Set(['summary', 'gateInstructions', 'planSummary', 'approvedBy']);

export function publishOutputs(agent: Agent, outputs: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(outputs)) {
    agent.setOutput(name, value, ...(quotingOutputs.has(name) ? [] : (['own'] as const)));
  }
}
