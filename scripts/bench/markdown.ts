import type { Spread } from './statistics';

export interface Target {
  readonly wanted: string;
  readonly got: string;
  readonly isMet: boolean;
}

export function verdict({ wanted, got, isMet }: Target): string {
  return `- ${wanted}: **${isMet ? 'met' : 'not met'}** (${got}).`;
}

export function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

export function shown({ median, lowest, highest }: Spread): string {
  return `${median.toFixed(2)} (${lowest.toFixed(2)} to ${highest.toFixed(2)})`;
}

/**
 * Replaces sections of the page by sections with the same heading in `fresh`, and appends new ones. Each of them gets
 * `note`, which says when and how it was measured.
 */
export function withSections(page: string, fresh: string, note: string): string {
  const [preface = '', ...old] = sections(page);
  const [, ...measured] = sections(fresh);
  const noted = measured.map((section) => section.replace('\n', `\n\n${note}\n`));
  const replaced = old.map((section) => noted.find((each) => heading(each) === heading(section)) ?? section);
  const added = noted.filter((section) => !old.some((each) => heading(each) === heading(section)));
  return [preface, ...replaced, ...added].map((section) => `${section.trimEnd()}\n`).join('\n');
}

function sections(page: string): string[] {
  return page.split(/^(?=## )/m);
}

function heading(section: string): string {
  return section.split('\n', 1)[0] ?? '';
}
