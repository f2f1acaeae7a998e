import path from 'node:path';

export const chartFolder = path.join(import.meta.dirname, 'chart');

/** The values of a deploy. */
export interface Values {
  /** The text identifies the revision within a case. */
  readonly text: string;
  readonly second?: boolean;
  readonly unschedulable?: boolean;
  readonly hooks?: boolean;
  readonly fakePods: boolean;
  readonly fakeHooks: boolean;
  readonly drain: number;
}

/** A secret of the pipeline, which causes a values file that must be deleted. */
export const password = 'correct-horse-battery-staple';

/** `name=value` lines of all values except the secret. */
export function linesOf(values: Values): string[] {
  return Object.entries(values).map(([name, value]) => `${name}=${String(value)}`);
}

/** The values as flags of Helm. */
export function flagsOf(values: Values): string[] {
  return [...linesOf(values), `password=${password}`].flatMap((line) => ['--set', line]);
}
