import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format } from 'prettier';
import { rulesOf } from '../../tasks/common/core/helm/provenance';
import { up } from '../cluster/cluster';
import { providePrograms } from '../cluster/programs';
import { compareVersions, factDifferences, knownFacts, newestBefore, type HelmFacts } from './facts';
import { addRelease, commitOf, helmProgram, listChange } from './module';
import { measure } from './probes';

const usage = `Usage: npm run helm -- VERSION [--no-tests] [--no-write] [--name CLUSTER]

Looks at a version of Helm, such as 4.3.2: builds it from its module, measures what the rules of the tasks rest on, compares
that with what is known, and runs the decisive cases of the end-to-end tests with it.

Writes what it has found: go.mod and go.sum of the build (scripts/cluster/go), the facts (scripts/helm/facts.json) and, where
the Go proxy names it, the commit of the release (tasks/common/core/helm/helmReleases.ts). What is newest is pinned by hand in
scripts/cluster/pins.ts.

  --no-tests   leaves the end-to-end tests out
  --no-write   writes no facts and no commit
  --name NAME  the cluster to measure on [default]`;

/** Files of test/e2e that decide if the tasks work with a Helm. Only the tests for its major version run. */
const decisiveFiles = ['deploy', 'firstInstall', 'failedRevision', 'rollback', 'cancel', 'wayBackProof'];

const repository = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const factsFile = path.join(repository, 'scripts', 'helm', 'facts.json');

class UsageError extends Error {}

interface Options {
  readonly version: string;
  readonly tests: boolean;
  readonly write: boolean;
  readonly cluster: string;
}

function optionsOf(args: readonly string[]): Options {
  const { values, positionals } = parsed(args);
  const [version = '', ...others] = positionals;
  if (!/^v?\d+\.\d+\.\d+$/.test(version) || others.length > 0) {
    throw new UsageError(`One version of Helm is expected, such as 4.3.2; it is "${positionals.join(' ')}".`);
  }
  return {
    version: version.replace(/^v/, ''),
    tests: values['no-tests'] !== true,
    write: values['no-write'] !== true,
    cluster: values.name ?? 'default',
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { 'no-tests': { type: 'boolean' }, 'no-write': { type: 'boolean' }, name: { type: 'string' } },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function run({ version, tests, write, cluster: name }: Options, signal: AbortSignal): Promise<boolean> {
  const program = await helmProgram(version, log, signal);
  const [helm = ''] = await providePrograms([program], log, signal);
  const cluster = await up({ name, realNode: true, kwokNodes: 2, dns: true, log, signal });
  const facts = await measure({ cluster, helm, log });
  const surprises = rulesAgainst(version, facts);
  const commit = await commitOf(version, log, signal);

  print(`Helm ${version} (${helm})`);
  for (const line of [...comparison(version, facts), ...surprises, commitLine(version, commit)]) print(`- ${line}`);
  if (write) {
    await writeFacts(version, facts);
    if (commit !== undefined && listChange(version, commit).change === 'add') addRelease(version, commit);
  }
  const passed = !tests || (await decisiveTests(version, helm));
  print(tests ? `- The decisive cases ${passed ? 'passed' : 'FAILED'} with it.` : '- The decisive cases were not run.');
  return passed && surprises.length === 0;
}

function comparison(version: string, facts: HelmFacts): string[] {
  const known = knownFacts[version];
  if (known !== undefined) {
    const differences = factDifferences(known, facts);
    return differences.length === 0
      ? ['All facts are as they were measured before.']
      : differences.map((line) => `Not as measured before: ${line}.`);
  }
  const before = newestBefore(version);
  if (before === undefined) return ['No other Helm was measured yet.'];
  const differences = factDifferences(knownFacts[before], facts);
  return differences.length === 0
    ? [`All facts are those of ${before}.`]
    : differences.map((line) => `Not as in ${before}: ${line}.`);
}

/** Sentences about rules in core/helm/provenance.ts that differ from the measurement. */
function rulesAgainst(version: string, facts: HelmFacts): string[] {
  const rules = rulesOf(`v${version}`);
  return factDifferences(
    { ...rules },
    { matching: facts.matching, adoptsObjectsOutsideLastManifest: facts.adoptsObjectsOutsideLastManifest },
  ).map((line) => `core/helm/provenance.ts has another rule: ${line}.`);
}

function commitLine(version: string, commit: string | undefined): string {
  const change = listChange(version, commit);
  switch (change.change) {
    case 'none':
      return 'Its commit is in the list of releases.';
    case 'add':
      return `Its commit is ${commit ?? ''}; it is added to the list of releases.`;
    case 'impossible':
      return `Its commit is not added to the list of releases: ${change.why}.`;
  }
}

async function writeFacts(version: string, facts: HelmFacts): Promise<void> {
  const all = { ...knownFacts, [version]: facts };
  const ordered = Object.entries(all).sort(([one], [other]) => compareVersions(one, other));
  fs.writeFileSync(
    factsFile,
    await format(JSON.stringify(Object.fromEntries(ordered)), { parser: 'json', printWidth: 120 }),
  );
}

async function decisiveTests(version: string, helm: string): Promise<boolean> {
  const [major = ''] = version.split('.');
  const files = decisiveFiles.map((file) => path.join('test', 'e2e', `${file}.test.ts`));
  const child = spawn(
    process.execPath,
    [...process.execArgv, path.join('scripts', 'test.ts'), ...files, '--grep', `Helm ${major}`],
    { cwd: repository, stdio: 'inherit', env: { ...process.env, [`HELM_SAFE_DEPLOY_TEST_HELM${major}`]: helm } },
  );
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    process.exitCode = 128 + constants.signals[signal];
    interruption.abort();
  });
}

try {
  const isGood = await run(optionsOf(process.argv.slice(2)), interruption.signal);
  if (!isGood) process.exitCode ??= 1;
} catch (error) {
  process.exitCode ??= error instanceof UsageError ? 2 : 1;
  log((error as Error).message);
  if (error instanceof UsageError) log(usage);
}
