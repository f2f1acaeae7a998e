import type { Stage } from './taskDefinition';

export type LineKind = 'output' | 'section' | 'group' | 'endgroup' | 'command' | 'warning' | 'error' | 'debug';

/** One line of the run page, with secrets masked and the formatting tag still in the text. */
export interface AgentLogLine {
  /** The line number in the whole job, from 1. */
  readonly number: number;
  readonly at: Date;
  /** The display name of the step, or of the agent's own work around the steps. */
  readonly step: string;
  readonly stage: Stage | 'agent';
  readonly kind: LineKind;
  /** The text as in the log file. An error begins with `##[error]`. */
  readonly text: string;
}

const tag = /^##\[(section|group|endgroup|command|warning|error|debug)\]/;

/** The format that the run page gives to a line. */
export function lineKind(text: string): LineKind {
  return (tag.exec(text)?.[1] as LineKind | undefined) ?? 'output';
}

/** The line without its formatting tag. */
export function lineContent(line: AgentLogLine): string {
  return line.text.replace(tag, '');
}
