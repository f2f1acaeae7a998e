import { statSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { renderSite, searchScript } from './site';

const assets = path.join(import.meta.dirname, 'assets');
const icon = 'images/extension-icon.png';

/** Renders overview, README and all of docs/ as a static site into `out`, which is replaced. Returns its addresses. */
export async function writeSite(source: string, out: string): Promise<string[]> {
  const markdown = await readMarkdown(source);
  const isFile = (file: string): boolean =>
    !file.startsWith('..') && statSync(path.join(source, file), { throwIfNoEntry: false })?.isFile() === true;
  const sources = { markdown, hasFile: isFile };
  const { pages, files } = renderSite(sources);
  await rm(out, { recursive: true, force: true });
  for (const [address, html] of pages) await write(path.join(out, address), html);
  for (const file of new Set([icon, ...files])) await copy(path.join(source, file), path.join(out, file));
  for (const asset of ['site.css', 'site.js']) await copy(path.join(assets, asset), path.join(out, asset));
  await write(path.join(out, 'headings.js'), searchScript(sources));
  return [...pages.keys()];
}

async function readMarkdown(source: string): Promise<Map<string, string>> {
  const beside = (await readdir(source)).filter((name) => name.endsWith('.md'));
  const below = await readdir(path.join(source, 'docs'), { recursive: true });
  const inDocs = below.filter((name) => name.endsWith('.md')).map((name) => `docs/${name.split(path.sep).join('/')}`);
  const pages = [...beside, ...inDocs].sort();
  const texts = await Promise.all(pages.map((page) => readFile(path.join(source, page), 'utf8')));
  return new Map(pages.map((page, index) => [page, texts[index] ?? '']));
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true });
  await copyFile(from, to);
}
