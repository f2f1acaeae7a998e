import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { format } from 'prettier';
import { openArena, type Arena } from '../../test/matrix/arena';
import { allCases, allPairs, caseId, caseOf, disturbsApiServer, type MatrixCase } from '../../test/matrix/cases';
import { playCase, textOf, type CaseResult } from '../../test/matrix/play';
import {
  plainCases,
  plainDisturbsApiServer,
  plainId,
  playPlain,
  scriptExtension,
  type PlainCase,
  type PlainResult,
} from '../../test/matrix/plain';
import { repository } from '../build';
import { kubernetesVersion } from '../cluster/pins';
import { packageExtension } from '../package/index';
import { reliabilityPage } from './document';
import { matrixOptions, usage, UsageError, type MatrixOptions } from './options';
import { openResults, type ResultStore } from './results';

const interruption = new AbortController();

/** The approximate time of one case, for the estimate at the start. */
const secondsEach = 55;

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<void> {
  const options = matrixOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(usage);
    return;
  }
  const cases = selected(options);
  if (options.list) {
    for (const one of cases) console.log(caseId(one));
    return;
  }
  const given = process.env['HELM_SAFE_DEPLOY_VSIX'] ?? '';
  const vsix = given === '' ? await packageExtension(repository) : fs.readFileSync(given);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'matrix-package-'));
  try {
    const file = path.join(folder, 'helm-safe-deploy.vsix');
    fs.writeFileSync(file, vsix);
    process.env['HELM_SAFE_DEPLOY_VSIX'] = file;
    await runMatrix(options, cases, openResults(vsix));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function selected({ selection, caseIds, seed, only }: MatrixOptions): MatrixCase[] {
  if (selection === 'named') return caseIds.map(caseOf);
  const cases = selection === 'all' ? allCases() : allPairs(seed);
  return only.length === 0 ? cases : cases.filter((one) => only.some((text) => caseId(one).includes(text)));
}

interface Ended {
  readonly ours: CaseResult[];
  readonly plain: PlainResult[];
}

async function runMatrix(options: MatrixOptions, cases: readonly MatrixCase[], store: ResultStore): Promise<void> {
  const begun = performance.now();
  const ended = earlier(store, cases, options);
  const ours = options.runs.ours ? cases.filter((one) => !ended.ours.some(({ id }) => id === caseId(one))) : [];
  const plain = options.runs.plain
    ? plainCases(cases).filter((one) => !ended.plain.some(({ id }) => id === plainId(one)))
    : [];
  announce(options, cases.length, ours.length, plain.length);
  const arena = await openArena({
    sharedCluster: options.cluster,
    lanes: options.lanes,
    ownClusters: ownClustersFor(options, ours, plain),
    signal: interruption.signal,
    log,
  });
  try {
    await playAll(arena, ours, options, store, ended);
    await playAllPlain(arena, plain, options, store, ended);
  } finally {
    await arena.dispose();
  }
  const minutes = (performance.now() - begun) / 60_000;
  tell(ended, options, minutes, store);
  if (options.write && !interruption.signal.aborted) await writePage(ended, options, minutes);
}

function ownClustersFor(options: MatrixOptions, ours: readonly MatrixCase[], plain: readonly PlainCase[]): string[] {
  const wanted = Math.max(ours.filter(disturbsApiServer).length, plain.filter(plainDisturbsApiServer).length);
  return Array.from({ length: Math.min(options.clusters, wanted) }, (_, index) => `matrix-${index + 1}`);
}

/**
 * The results of earlier runs that need no repetition. Missed cases and cases that failed to run are repeated. All
 * pairs always run again, as a new check of the package. Results of plain Helm at the same times stay valid.
 */
function earlier(
  { earlier: results }: ResultStore,
  cases: readonly MatrixCase[],
  { seed, selection }: MatrixOptions,
): Ended {
  const isAll = selection === 'all';
  if (selection === 'named') return { ours: [], plain: [] };
  const wanted = new Set([...cases.map(caseId), ...plainCases(cases).map(plainId)]);
  const ours = new Map<string, CaseResult>();
  const plain = new Map<string, PlainResult>();
  for (const each of results) {
    if (!wanted.has(each.result.id)) continue;
    if (isAll && each.kind === 'ours' && each.result.status === 'held') ours.set(each.result.id, each.result);
    if (each.kind === 'plain' && (isAll || each.result.seed === seed) && each.result.status === 'interrupted') {
      plain.set(each.result.id, each.result);
    }
  }
  return { ours: [...ours.values()], plain: [...plain.values()] };
}

function announce(options: MatrixOptions, size: number, ours: number, plain: number): void {
  const lanes = options.lanes + options.clusters;
  const minutes = Math.ceil(((ours + plain) * secondsEach) / lanes / 60);
  const done = options.selection === 'all' ? ` (${size - ours} of ${size} were done before)` : '';
  log(
    `Seed ${options.seed}: ${ours} cases${done}${plain === 0 ? '' : ` and ${plain} of plain Helm`}, ` +
      `about ${minutes} minutes with ${lanes} at once. The full product has ${allCases().length} cases.`,
  );
}

async function playAll(
  arena: Arena,
  cases: readonly MatrixCase[],
  options: MatrixOptions,
  store: ResultStore,
  ended: Ended,
): Promise<void> {
  let count = 0;
  await arena.each(cases, disturbsApiServer, async (one, ground) => {
    const result = await playCase(one, ground, {
      seed: options.seed,
      helmWatch: arena.helmWatch,
      onDetails: (id, text) => {
        log(`    ${store.addDetails(id, text)}`);
      },
    });
    if (interruption.signal.aborted) return;
    count += 1;
    ended.ours.push(result);
    store.add({ kind: 'ours', result });
    log(`[${count}/${cases.length}] ${result.status} ${result.id} (${result.node}) ${result.seconds} s`);
    for (const violation of result.violations) log(`    ${textOf(violation)}`);
    if (result.error !== '') log(`    ${result.error}`);
  });
}

async function playAllPlain(
  arena: Arena,
  cases: readonly PlainCase[],
  options: MatrixOptions,
  store: ResultStore,
  ended: Ended,
): Promise<void> {
  if (cases.length === 0) return;
  const extension = scriptExtension();
  let count = 0;
  try {
    await arena.each(cases, plainDisturbsApiServer, async (one, ground) => {
      const result = await playPlain(one, ground, { seed: options.seed, extension: extension.folder });
      if (interruption.signal.aborted) return;
      count += 1;
      ended.plain.push(result);
      store.add({ kind: 'plain', result });
      log(`[${count}/${cases.length}] ${plainVerdict(result)} ${result.id} ${result.seconds} s`);
      if (result.error !== '') log(`    ${result.error}`);
    });
  } finally {
    extension.remove();
  }
}

function plainVerdict({ status, isStuck, nextFailed, history }: PlainResult): string {
  if (status !== 'interrupted') return status;
  return `${isStuck ? 'stuck' : 'not stuck'}, next deploy ${nextFailed ? 'failed' : 'worked'} (${history.join(' -> ')})`;
}

function tell({ ours, plain }: Ended, options: MatrixOptions, minutes: number, store: ResultStore): void {
  const count = (status: CaseResult['status']): number => ours.filter((result) => result.status === status).length;
  const missed = ours.filter(({ status, id }) => status === 'missed' && !id.includes('/random-'));
  log('');
  if (options.runs.ours) {
    log(
      `${ours.length} cases in ${minutes.toFixed(1)} minutes: ${count('held')} held, ${count('violated')} violated, ` +
        `${count('missed')} missed their place, ${count('error')} could not be played.`,
    );
  }
  for (const { id, status, violations } of ours.filter((result) => result.status === 'violated')) {
    log(`${status}: npm run test:matrix -- --seed ${options.seed} --case ${id}`);
    for (const violation of violations) log(`    ${textOf(violation)}`);
  }
  for (const { id } of missed) log(`missed: ${id}`);
  if (options.runs.plain) {
    const interrupted = plain.filter(({ status }) => status === 'interrupted');
    log(
      `Plain Helm: ${interrupted.length} interruptions, ${interrupted.filter(({ isStuck }) => isStuck).length} stuck, ` +
        `${interrupted.filter(({ nextFailed }) => nextFailed).length} next deploys failed.`,
    );
  }
  log(`Results: ${path.relative(repository, store.folder)}`);
  if (count('violated') + count('error') + missed.length > 0) process.exitCode = 1;
}

async function writePage({ ours, plain }: Ended, options: MatrixOptions, minutes: number): Promise<void> {
  const page = reliabilityPage({
    date: new Date().toISOString().slice(0, 10),
    seed: options.seed,
    isAll: options.selection === 'all',
    minutes,
    lanes: options.lanes + options.clusters,
    productSize: allCases().length,
    ours,
    plain,
    kubernetesVersion,
  });
  const file = path.join(repository, 'docs', 'reliability.md');
  fs.writeFileSync(file, await format(page, { parser: 'markdown', printWidth: 120 }));
  log(`${path.relative(repository, file)} is written.`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) return;
    log(`${signal}: stopping after the cases that are under way, and tidying up`);
    process.exitCode = 128 + os.constants.signals[signal];
    interruption.abort();
  });
}

try {
  await main();
} catch (error) {
  if (!interruption.signal.aborted) {
    process.exitCode = error instanceof UsageError ? 2 : 1;
    log(error instanceof UsageError ? `${error.message}\n${usage}` : String((error as Error).stack));
  }
}
// Handles that a killed job left open (a pipe that a process still holds) must not keep the matrix alive.
process.exit();
