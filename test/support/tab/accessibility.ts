import { createRequire } from 'node:module';
import type { Frame, Page } from 'playwright-core';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

interface Violation {
  id: string;
  nodes: { html: string; failureSummary: string }[];
}

/** What axe finds in the tab's frame, one line for each element. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  const frame = page.frames().find((each) => each !== page.mainFrame());
  if (frame === undefined) throw new Error('The page has no frame.');
  return accessibilityProblemsOf(frame);
}

/** What axe finds in one frame, for a page without frames its main one. */
export async function accessibilityProblemsOf(frame: Frame): Promise<string[]> {
  await frame.addScriptTag({ path: axe });
  const { violations } = await frame.evaluate<{ violations: Violation[] }>(
    `axe.run(document, { runOnly: { type: 'tag', values: ${JSON.stringify(tags)} } })`,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary.replaceAll('\n', ' ')}`),
  );
}
