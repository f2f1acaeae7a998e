import type { Agent } from '../../../tasks/common/core/ports';

export interface RecordingAgent extends Agent {
  readonly lines: string[];
  readonly warnings: string[];
  /** Groups that are open. */
  depth(): number;
}

export function recordingAgent(): RecordingAgent {
  const lines: string[] = [];
  const warnings: string[] = [];
  let depth = 0;
  return {
    lines,
    warnings,
    depth: () => depth,
    log: (text) => void lines.push(text),
    debug: () => undefined,
    startGroup(title) {
      depth++;
      lines.push(`[${title}]`);
    },
    endGroup() {
      depth--;
    },
    warning: (message) => void warnings.push(message),
    error: (message) => void lines.push(`error: ${message}`),
    timeline: () => undefined,
    setOutput: () => undefined,
    setTaskVariable: () => undefined,
    redact: (text) => text,
    attach: () => Promise.resolve(''),
    uploadSummary: () => Promise.resolve(),
  };
}
