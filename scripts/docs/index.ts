import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { repository } from '../build';
import { generatedPages } from './pages';
import { writeSite } from './writeSite';

for (const [page, text] of await generatedPages(repository)) {
  await mkdir(path.dirname(path.join(repository, page)), { recursive: true });
  await writeFile(path.join(repository, page), text);
}
const out = path.join(repository, 'dist', 'site');
const pages = await writeSite(repository, out);
console.log(`wrote ${String(pages.length)} pages; open ${path.join(out, 'index.html')}`);
