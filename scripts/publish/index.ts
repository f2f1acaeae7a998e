import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { repository } from '../build';
import { checkContext, checkPackage, packageExtension, vsixFile } from '../package';
import type { FlavourName } from '../package/flavour';
import { presentTasks, readFrozenTasks } from '../package/freeze';
import { unfrozen } from '../package/frozen';
import type { PackageJson } from '../package/marketplaceLinks';
import { publicationProblems } from './problems';
import type { PublicationFacts } from './problems';
import { upload } from './upload';

const tokenVariable = 'MARKETPLACE_TOKEN';

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: repository, encoding: 'utf8' });
}

function tagsOf(...args: string[]): string[] {
  return git('tag', '--list', 'v*', ...args)
    .split('\n')
    .filter((tag) => tag !== '');
}

async function publicationFacts(): Promise<PublicationFacts> {
  const json = JSON.parse(await readFile(path.join(repository, 'package.json'), 'utf8')) as PackageJson;
  return {
    version: json.version,
    repository: json.repository?.url,
    changelog: await readFile(path.join(repository, 'CHANGELOG.md'), 'utf8'),
    unfrozen: unfrozen(await readFrozenTasks(repository), await presentTasks(repository)),
    tags: tagsOf(),
    tagsHere: tagsOf('--points-at', 'HEAD'),
    hasChanges: git('status', '--porcelain').trim() !== '',
  };
}

async function main(flavour: FlavourName): Promise<void> {
  const problems = flavour === 'production' ? publicationProblems(await publicationFacts()) : [];
  const vsix = await packageExtension(repository, flavour);
  problems.push(...(await checkPackage(vsix, await checkContext(repository, flavour))).problems);
  const token = process.env[tokenVariable] ?? '';
  if (token === '') problems.push(`The variable ${tokenVariable} with the token for the Marketplace is not set.`);
  if (problems.length > 0) throw new Error(`Nothing was published:\n${problems.map((each) => `- ${each}`).join('\n')}`);
  const file = await vsixFile(flavour);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, vsix);
  const serviceUrl = process.env['MARKETPLACE_URL'];
  console.log(await upload({ vsix: file, token, ...(serviceUrl === undefined ? {} : { serviceUrl }) }));
}

const flavour = process.argv[2];
if (flavour !== 'production' && flavour !== 'development') throw new Error('Usage: publish production|development');
try {
  await main(flavour);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
