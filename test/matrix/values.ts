import path from 'node:path';

export const chartFolder = path.join(import.meta.dirname, 'chart');

/** What the chart is deployed with. */
export interface Values {
  /** Tells the revisions of a case apart. */
  readonly text: string;
  readonly second?: boolean;
  readonly unschedulable?: boolean;
  readonly hooks?: boolean;
  readonly fakePods: boolean;
  readonly fakeHooks: boolean;
  readonly drain: number;
}

/** A secret of the pipeline, and so a values file that must not stay. */
export const password = 'correct-horse-battery-staple';

/** `name=value` lines of all but the secret. */
export function linesOf(values: Values): string[] {
  return Object.entries(values).map(([name, value]) => `${name}=${String(value)}`);
}

/** As flags of Helm. */
export function flagsOf(values: Values): string[] {
  return [...linesOf(values), `password=${password}`].flatMap((line) => ['--set', line]);
}
