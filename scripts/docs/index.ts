import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { repository } from '../build';
import { generatedPages } from './pages';

for (const [page, text] of await generatedPages(repository)) {
  await mkdir(path.dirname(path.join(repository, page)), { recursive: true });
  await writeFile(path.join(repository, page), text);
}
