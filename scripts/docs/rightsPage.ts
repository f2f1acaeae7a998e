import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** The folder of the manifests with the roles, below the source. */
export function rolesFolder(source: string): string {
  return path.join(source, 'docs', 'rbac');
}

/** One section for each manifest: the comment at its head as text, then the manifest itself. */
export async function roleList(source: string): Promise<string> {
  const folder = rolesFolder(source);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort();
  const sections = await Promise.all(
    files.map(async (file) => roleSection(file, await readFile(path.join(folder, file), 'utf8'))),
  );
  return sections.join('\n\n');
}

function roleSection(file: string, manifest: string): string {
  const [head = '', ...rest] = manifest.split('\n---\n');
  const text = head.replace(/^# ?/gm, '').trim();
  const body = rest.join('\n---\n').trim();
  return `### [${file}](rbac/${file})\n\n${text}\n\n\`\`\`yaml\n${body}\n\`\`\``;
}
