import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format } from 'prettier';
import { download } from '../tasks/common/adapters/helm/download';
import { helmReleases } from '../tasks/common/core/helm/helmReleases';
import { helmArchive, parseSum } from '../tasks/common/core/helm/helmVersion';
import { helmVersionDefaults } from '../tasks/common/core/inputs/helmVersionInput';
import { repository } from './build';

/*
 * Writes the published SHA-256 of Helm's archives into `helmSums.ts`, so that a task can compare a download also with
 * what the site said when the extension was released. Usage: npm run helm-sums -- [--site URL] [VERSION...]
 */

const machines = [
  ['linux', 'x64'],
  ['linux', 'arm64'],
  ['win32', 'x64'],
  ['darwin', 'x64'],
  ['darwin', 'arm64'],
] as const;

const limits = { bytes: 1024 * 1024, tryMs: 30_000, tries: 3, redirects: 5 };

/** Throws if the site does not publish one of the sums. Versions are written without `v`. */
export async function publishedSums(
  site: string,
  versions: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
  const sums: Record<string, string> = {};
  for (const version of versions) {
    for (const [platform, processor] of machines) {
      const name = helmArchive(version, platform, processor)?.name ?? '';
      const { signal } = new AbortController();
      const answer = await download(`${site}/${name}.sha256sum`, { what: name, environment, signal, limits });
      const sum = 'bytes' in answer ? parseSum(answer.bytes.toString('utf8')) : undefined;
      const problem = 'problem' in answer ? answer.problem : 'it answered something else';
      if (sum === undefined) throw new Error(`There is no sum of ${name} at ${site}: ${problem}.`);
      sums[name] = sum;
    }
  }
  return sums;
}

/** The text of `helmSums.ts`. */
export function sumsFile(sums: Readonly<Record<string, string>>): Promise<string> {
  const text = `/**
 * The SHA-256 of Helm's archives, by their name on the download site. \`npm run helm-sums\` writes this list before a
 * release. An archive that is not in the list is compared only with the sum that the download site publishes.
 */
export const helmSums: Readonly<Record<string, string>> = ${JSON.stringify(sums)};
`;
  return format(text, { parser: 'typescript', singleQuote: true, printWidth: 120 });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    options: { site: { type: 'string', default: helmVersionDefaults.helmDownloadUrl } },
    allowPositionals: true,
  });
  const released = Object.keys(helmReleases).flatMap((tag) => (tag.includes('-') ? [] : [tag.slice(1)]));
  const versions = positionals.length > 0 ? positionals : released;
  const sums = await publishedSums(values.site, versions, process.env);
  const file = path.join(repository, 'tasks', 'common', 'core', 'helm', 'helmSums.ts');
  await writeFile(file, await sumsFile(sums));
  console.log(`${Object.keys(sums).length} sums of ${versions.length} releases are in ${file}.`);
}
