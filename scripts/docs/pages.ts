import { readdir, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import type { TaskJson } from '../package/packageUnderCheck';
import { failureList, findingList } from './listPages';
import { roleList } from './rightsPage';
import { taskPage } from './taskPage';

/**
 * The pages that follow from the code and the manifests, keyed by their path below `source`. The content is what is to be
 * committed.
 */
export async function generatedPages(source: string): Promise<Map<string, string>> {
  const tasks = await Promise.all((await taskNames(source)).map((name) => readTask(source, name)));
  const pages = new Map(tasks.map(({ name, json }) => [`docs/tasks/${name}.md`, taskPage(json)]));
  const lists = { 'docs/failures.md': failureList(), 'docs/plan-findings.md': findingList() };
  for (const [page, list] of Object.entries({ ...lists, 'docs/rights.md': await roleList(source) })) {
    pages.set(page, withList(page, await readFile(path.join(source, page), 'utf8'), list));
  }
  const formatted = [...pages].map(async ([page, text]) => [page, await formattedPage(source, page, text)] as const);
  return new Map(await Promise.all(formatted));
}

export async function taskNames(source: string): Promise<string[]> {
  const folders = await readdir(path.join(source, 'tasks'));
  return folders.filter((name) => existsSync(path.join(source, 'tasks', name, 'task.json'))).sort();
}

async function readTask(source: string, name: string): Promise<{ name: string; json: TaskJson }> {
  const text = await readFile(path.join(source, 'tasks', name, 'task.json'), 'utf8');
  return { name, json: JSON.parse(text) as TaskJson };
}

const [begin, end] = ['<!-- The list below is written by `npm run docs`. -->', '<!-- End of the list. -->'];

/** Replaces the list between the two comments of a page. The rest of the page is written by hand. */
function withList(page: string, text: string, list: string): string {
  const [before, , rest] = [text.split(begin)[0] ?? '', ...text.split(begin)];
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`${page} needs the comments «${begin}» and «${end}» around its list.`);
  return `${before}${begin}\n\n${list}\n\n${end}${after}`;
}

async function formattedPage(source: string, page: string, text: string): Promise<string> {
  const options = await resolveConfig(path.join(source, page));
  return format(text, { ...options, parser: 'markdown' });
}
