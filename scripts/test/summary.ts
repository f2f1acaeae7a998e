import type { MochaResult } from './mochaRun';

/**
 * The result of one part of a test run. A check (lint, packaging ...) is not a test, so it adds to the sum only if it
 * fails.
 */
export interface PartResult extends MochaResult {
  name: string;
  kind: 'check' | 'tests';
}

/** Marks the title of each test that needs the real node of the test cluster. */
export const realNodeTag = '@real-node';

/** Marks the title of each test that needs a browser. */
export const browserTag = '@browser';

/** Turns skipped tests of the real node and the browser into failures, for machines that must be able to run them. */
export function withRealNodeRequired(parts: readonly PartResult[]): PartResult[] {
  return parts.map((part) => ({
    ...part,
    failed: [
      ...part.failed,
      ...part.skipped.filter(mustRun).map((title) => `${title}: was skipped, but this machine has to run it`),
    ],
    skipped: part.skipped.filter((title) => !mustRun(title)),
  }));
}

function mustRun(title: string): boolean {
  return title.includes(realNodeTag) || title.includes(browserTag);
}

/** The closing lines: skipped tests, failed tests, the figures of each part, and the sum as the last line. */
export function summary(parts: readonly PartResult[]): string[] {
  const list = (heading: string, titles: readonly string[]) =>
    titles.length === 0 ? [] : ['', heading, ...titles.map((title) => `  - ${title}`)];
  const skipped = parts.flatMap((part) => part.skipped.map((title) => `${part.name}: ${title}`));
  const failed = parts.flatMap((part) => part.failed.map((title) => `${part.name}: ${title}`));
  return [
    ...list('Skipped:', skipped),
    ...list('Failed:', failed),
    '',
    ...parts.map((part) => `${part.name.padEnd(10)} ${part.kind === 'check' ? checkResult(part) : figures(part)}`),
    '',
    figures({ passed: parts.reduce((sum, part) => sum + part.passed, 0), failed, skipped }),
  ];
}

function checkResult({ failed }: MochaResult): string {
  return failed.length === 0 ? 'ok' : 'failed';
}

function figures({ passed, failed, skipped }: MochaResult): string {
  const counts = `${String(passed)} passed, ${String(failed.length)} failed`;
  return skipped.length === 0 ? counts : `${counts}, ${String(skipped.length)} skipped`;
}
