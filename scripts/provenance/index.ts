import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { getTrustedRoot } from '@sigstore/tuf';
import { repository } from '../build';
import { productionFlavour } from '../package/flavour';
import type { PackageJson } from '../package/marketplaceLinks';
import { signStatement, verifyStatement } from './sign';
import { provenanceStatement } from './statement';
import { differencesOf, identityOf, rebuild } from './verifyPackage';

const issuer = 'https://token.actions.githubusercontent.com';
const workflow = '.github/workflows/release.yml';

const statementFile = (vsix: string): string => `${vsix}.provenance.json`;
const signatureFile = (vsix: string): string => `${vsix}.sigstore.json`;

async function publicAddress(): Promise<string | undefined> {
  const json = JSON.parse(await readFile(path.join(repository, 'package.json'), 'utf8')) as PackageJson;
  return json.repository?.url.replace(/^git\+/, '').replace(/(?:\.git)?\/?$/, '');
}

/** Writes the provenance of a package beside it, and signs it if that is asked for. */
async function write(file: string, isSigned: boolean): Promise<void> {
  const vsix = await readFile(file);
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name, GITHUB_RUN_ID: run, GITHUB_WORKFLOW_REF } = process.env;
  const isRun = server !== undefined && name !== undefined && run !== undefined;
  const statement = provenanceStatement({
    vsix,
    name: path.basename(file),
    flavour: productionFlavour,
    repository: await publicAddress(),
    tag: `v${identityOf(vsix).version}`,
    commit: execFileSync('git', ['rev-parse', 'HEAD'], { cwd: repository, encoding: 'utf8' }).trim(),
    node: process.version,
    run: isRun ? `${server}/${name}/actions/runs/${run}` : undefined,
    builder: isRun && GITHUB_WORKFLOW_REF !== undefined ? `${server}/${GITHUB_WORKFLOW_REF}` : undefined,
  });
  await writeFile(statementFile(file), `${JSON.stringify(statement, undefined, 2)}\n`);
  if (isSigned) await writeFile(signatureFile(file), JSON.stringify(await signStatement(statement)));
}

/** Checks the signature where there is one, builds the tag again, and compares. Returns the problems. */
async function verify(file: string): Promise<string[]> {
  const vsix = await readFile(file);
  const identity = identityOf(vsix);
  if (existsSync(signatureFile(file))) {
    const address = await publicAddress();
    if (address === undefined) return ['package.json has no field repository, so nobody knows who has to have signed.'];
    const signer = `${address}/${workflow}@refs/tags/v${identity.version}`;
    const bundle: unknown = JSON.parse(await readFile(signatureFile(file), 'utf8'));
    verifyStatement(bundle, vsix, { root: await getTrustedRoot(), signer, issuer });
    console.log(`The provenance is signed by ${signer}.`);
  }
  return differencesOf(vsix, await rebuild({ ...identity, from: repository }));
}

async function main(): Promise<void> {
  const [action, given = '', option] = process.argv.slice(2);
  if (given === '') throw new Error('Usage: npm run provenance|verify-package -- FILE.vsix');
  const file = path.resolve(given);
  if (action === 'write') {
    await write(file, option === '--sign');
    return;
  }
  const problems = await verify(file);
  if (problems.length > 0) throw new Error(`The package is not what its source gives:\n${problems.join('\n')}`);
  console.log('The package is exactly what its source gives.');
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
