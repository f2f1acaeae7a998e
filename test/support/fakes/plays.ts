import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { unhealthyLabel, verifiedLabel } from '../../../tasks/common/core/release/history';
import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import { leaseRecord, leaseRef } from '../../../tasks/common/core/lock/lease';
import { manifestObjects, objectKey } from '../../../tasks/common/core/kubernetes/manifest';
import type { Hook, Revision } from '../../../tasks/common/core/release/release';
import { manifestOf, type FakeChart } from './fakeHelm';
import {
  chart,
  claim,
  configMap,
  deployment,
  hook,
  live,
  liveObject,
  namespace,
  release,
  revision,
  told,
} from './scene';
import {
  stage,
  type Ended,
  type HelmFate,
  type Mishap,
  type ProcessOptions,
  type Stage,
  type StageSetting,
} from './stage';

export const job = (name: string, ...events: string[]): Hook => {
  const annotations = {
    'helm.sh/hook': events.join(','),
    'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
  };
  const manifest = manifestOf([{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name, annotations }, spec: {} }]);
  return { ...hook(name, ...events), manifest };
};
const broken = (hook: Hook): Hook => ({
  ...hook,
  manifest: (hook.manifest ?? '')
    .replace('hook-succeeded', 'hook-succeeded,hook-failed')
    .replace('"spec":{}', '"spec":{"template":{"spec":{"containers":[{"image":"registry.example/smoke:broken"}]}}}'),
});
const shared = { priorityClassName: 'high' };
export const a = chart('1.0.0', [configMap('settings', { a: '1' }), deployment('web', 'good')]);
export const b = chart('2.0.0', [
  configMap('more'),
  configMap('settings', { a: '2', b: '2' }),
  deployment('web', 'better', shared),
]);
export const hooked = chart(
  '3.0.0',
  [configMap('settings', { b: '2', c: '3' }), deployment('web', 'best', shared)],
  [job('migrate', 'pre-install', 'pre-upgrade'), job('test', 'post-install', 'post-upgrade')],
);
export const bad = chart('4.0.0', [
  claim('data'),
  configMap('extra'),
  configMap('settings', { b: '2', d: '4' }),
  deployment('web', 'broken', { ...shared, nodeSelector: { none: 'z' } }),
]);
/** A chart that lacks an object of the serving revision. */
export const bare = chart('5.0.0', [deployment('web', 'broken')]);
/** The tests fail, and everything else is healthy. */
export const untested: FakeChart = {
  ...chart('7.0.0', [configMap('settings', { a: '7' }), deployment('web', 'seventh', shared)]),
  hooks: [job('first', 'test'), broken(job('smoke', 'test'))],
};
export const smoked: FakeChart = { ...b, version: '8.0.0', hooks: [job('smoke', 'test')] };
export const badHooked = { ...bad, version: '6.0.0', hooks: hooked.hooks ?? [] };
export const charts = [a, b, hooked, bad, bare, badHooked, smoked, untested];
export const isBad = (one: FakeChart): boolean => one === bad || one === bare || one === badHooked || one === untested;

const served = { labels: { [verifiedLabel]: '1' } };
const installed: StageSetting = { history: [revision(1, 'deployed', a, served)], live: a.objects };
const afterFailure: StageSetting = {
  history: [revision(1, 'deployed', a, served), revision(2, 'failed', bad, { labels: { [unhealthyLabel]: '2' } })],
  live: bad.objects,
};
const left: StageSetting = {
  history: [revision(1, 'deployed', a, served), revision(2, 'pending-upgrade', bad)],
  live: bad.objects,
};

const asked = { smokeTest: { timeoutSeconds: 60, filter: [] } };

const baking = { bake: { seconds: 30, onInconclusive: 'fail' }, bakes: true } as const;

export interface Story {
  setting: StageSetting;
  chart: FakeChart;
  request?: ProcessOptions['request'];
}

export const stories: Readonly<Record<string, Story>> = {
  'a first install': { setting: {}, chart: a },
  'a first install into a new namespace': {
    setting: { noNamespace: true },
    chart: a,
    request: { createNamespace: true },
  },
  'a broken first install': { setting: {}, chart: bad },
  'an install after an uninstall': {
    setting: { history: [revision(1, 'superseded', a, served), revision(2, 'uninstalled', b)] },
    chart: b,
  },
  'a good upgrade': { setting: installed, chart: b },
  'a good upgrade with hooks': { setting: installed, chart: hooked },
  'a broken upgrade': { setting: installed, chart: bad },
  'a broken upgrade that drops what serves': { setting: installed, chart: bare },
  'a broken upgrade with hooks': { setting: installed, chart: badHooked },
  'a good upgrade after a failed one': { setting: afterFailure, chart: b },
  'a broken upgrade after a failed one': { setting: afterFailure, chart: bare },
  'a good upgrade with a smoke test': { setting: installed, chart: smoked, request: asked },
  'an upgrade whose smoke test fails': {
    setting: { history: [revision(1, 'deployed', smoked, served)], live: smoked.objects },
    chart: untested,
    request: asked,
  },
  'a first install whose smoke test fails': { setting: {}, chart: untested, request: asked },
  'a good upgrade that bakes': { setting: installed, chart: b, request: baking },
  'a good upgrade over what somebody left pending': { setting: left, chart: b },
};

/** The field that identifies an object. */
function content(object: KubeObject): unknown {
  return object['spec'] ?? object['data'];
}

function chartOf(record: Revision): FakeChart {
  return charts.find(({ version }) => version === record.chart.version) ?? assert.fail(record.chart.version);
}

/** The faults of a release at rest. */
export function faults(on: Stage, runs: readonly Ended[]): string[] {
  const found: string[] = [];
  const { records } = on.storage;
  const pending = records.filter(({ status }) => status.startsWith('pending') || status === 'uninstalling');
  for (const { revision: number, status } of pending) found.push(`revision ${number} is ${status}`);
  const deployed = records.filter(({ status }) => status === 'deployed');
  if (deployed.length > 1) found.push(`${deployed.length} revisions are deployed`);
  for (const record of records) {
    if (record.manifest !== manifestOf(chartOf(record).objects))
      found.push(`the manifest of ${record.revision} is changed`);
    if (
      'helm-safe-deploy/served' in record.labels &&
      record.labels['helm-safe-deploy/served'] === String(record.revision)
    )
      found.push(`revision ${record.revision} has the mark of one that served`);
  }
  for (const copy of on.storage.copies.keys()) found.push(`a copy of revision ${copy} is left`);
  const [serving] = deployed;
  const wanted = serving === undefined ? [] : manifestObjects(serving.manifest);
  for (const object of wanted) {
    const there = liveObject(on.cluster, object);
    if (there === undefined) found.push(`${object.kind}/${object.metadata.name} is not there`);
    else if (!isDeepStrictEqual(content(there), content(object))) {
      found.push(`${object.kind}/${object.metadata.name} is ${JSON.stringify(content(there))}`);
    }
  }
  const names = new Set(wanted.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  for (const name of live(on.cluster)) {
    if (names.has(name) || name.startsWith('Lease/')) continue;
    const kept = runs.some(({ agent }) =>
      agent.lines.some(
        (line) =>
          line.includes(`${name} is no longer declared, but stays`) ||
          (line.includes('The chart no longer declares') && line.includes(name)),
      ),
    );
    if (!(name.startsWith('PersistentVolumeClaim/') && kept)) found.push(`${name} is left`);
  }
  return found;
}

function leaseFaults({ cluster }: Stage): string[] {
  const object = cluster.objects.get(objectKey(leaseRef(namespace, release)));
  if (object === undefined) return [];
  const { holder, work, left } = leaseRecord(object);
  const works = [work, ...left].flatMap((each) => each ?? []);
  return [
    ...(holder === '' ? [] : [`the lease is held by ${holder}`]),
    ...works.map((each) => `the lease tells of ${each.action} ${each.revision}`),
  ];
}

/** The required state after an undisturbed run. */
export function checkRun(on: Stage, ended: Ended, wanted: FakeChart, before: readonly Ended[]): string[] {
  const { report } = ended;
  if (report === undefined) return ['it was killed'];
  const last = on.storage.records.at(-1);
  const found = faults(on, [...before, ended]);
  const said = `${report.outcome} ${report.reason} ${report.message}`;
  found.push(...leaseFaults(on));
  if (!isBad(wanted)) {
    if (!['deployed', 'recovered', 'unchanged'].includes(report.outcome)) found.push(said);
    if (last?.status !== 'deployed' || last.chart.version !== wanted.version) found.push('the chart is not deployed');
    if (last?.labels[verifiedLabel] !== String(last?.revision)) found.push('it is not marked verified');
  } else if (report.outcome === 'rolledBack') {
    if (last?.status !== 'deployed' || isBad(chartOf(last))) found.push('nothing good is deployed');
  } else if (report.outcome !== 'failed') found.push(said);
  else if (on.storage.records.length > 0) found.push(`neither rolled back nor removed: ${said}`);
  return found;
}

/** The required state after an undisturbed post-job phase. */
function checkPostJob(on: Stage, { setting, request }: Story, ended: Ended, before: readonly Ended[]): string[] {
  const { records } = on.storage;
  const last = records.at(-1);
  const isSettled = last?.status === 'deployed' || records.length === 0;
  const content = /is not there|is left$| is \{/;
  const foreign = (setting.history ?? []).find(({ status }) => status.startsWith('pending'))?.revision;
  const found = faults(on, [...before, ended])
    .filter((fault) => isSettled || !content.test(fault))
    // What somebody else had left is the next run's.
    .filter((fault) => fault !== `revision ${foreign} is pending-upgrade`);
  if (ended.report === undefined || ended.report.outcome === 'failed') {
    found.push(`${ended.report?.outcome ?? 'killed'} ${ended.report?.message ?? ''}`);
  }
  const served = (setting.history ?? []).some(({ status }) => status === 'deployed');
  if (served && request?.onInterrupted !== 'keep' && !records.some(({ status }) => status === 'deployed')) {
    found.push('nothing is deployed any more');
  }
  if (last?.status === 'deployed' && isBad(chartOf(last))) found.push('what is broken is deployed');
  const isFirst = (setting.history ?? []).length === 0 && request?.onInterrupted !== 'keep';
  if (isFirst && last?.status === 'failed') found.push('a first install is left failed');
  return found;
}

export interface Plot {
  story: Story;
  lock?: 'preferred' | 'off';
  mishap: Mishap;
  /** If absent, the agent is lost. */
  postJob?: { mishap?: Mishap };
  /** The next run belongs to the same job: it is a retry of its step. */
  isRetry?: boolean;
  next: FakeChart;
}

interface Played {
  where: string;
  wrong: string[];
  /** The mishap of the post-job phase. */
  moments: readonly string[];
}

const signal = new AbortController().signal;

/** Plays the story with its mishap and then the next run. After a broken chart one more run follows. */
export async function play({
  story,
  lock = 'preferred',
  mishap,
  postJob,
  isRetry = false,
  next,
}: Plot): Promise<Played> {
  const on = await stage(story.setting);
  const request = { ...story.request, lock };
  const first = await on.deploy({ job: 'run 1', chart: story.chart, request, mishap });
  const runs = [first];
  const where = [`${wordFor(mishap, first)} [${told(on.storage.records)}]`];
  const wrong: string[] = [];
  let moments: readonly string[] = [];
  if (postJob !== undefined && first.left !== undefined) {
    const post = await on.repair(first.left, { job: 'run 1', request, mishap: postJob.mishap });
    ({ moments } = post);
    runs.push(post);
    where.push(`${wordFor(postJob.mishap, post)} [${told(on.storage.records)}]`);
    if (postJob.mishap === undefined)
      wrong.push(...checkPostJob(on, story, post, runs).map((fault) => `post-job: ${fault}`));
  }
  // Without a lock only the age of the pending record shows that no run works on it.
  if (lock === 'off') await on.time.sleep(16 * 60_000, signal);
  const run = async (chart: FakeChart, job: string): Promise<void> => {
    const ended = await on.deploy({ job, chart, request });
    wrong.push(...checkRun(on, ended, chart, runs).map((fault) => `${chart.version}: ${fault}`));
    runs.push(ended);
  };
  await run(next, isRetry ? 'run 1' : 'run 2');
  if (isBad(next)) await run(a, 'run 3');
  where.push(`${next.version} [${told(on.storage.records)}]`);
  return { where: where.join(', then '), wrong, moments };
}

function wordFor(mishap: Mishap | undefined, { moments }: Ended): string {
  return mishap === undefined ? 'undisturbed' : `${JSON.stringify(mishap)} ${moments[mishap.at - 1] ?? 'never'}`;
}

const fates: readonly HelmFate[] = ['dies', 'goes on', 'interrupted'];

/**
 * Between two changes the moment of a kill makes no difference for the next run, so only one moment in ten is played.
 */
const changing =
  /^(Helm: (?!wait|read|begin)|helm\.(?!cap|rend)|storage\.(?!hist|copy)|cluster\.(create|update|delete))/;

/** Kills at each moment, with every possible fate of the call and of Helm. */
export function kills(moments: readonly string[]): Mishap[] {
  return moments.flatMap((moment, index): Mishap[] => {
    const at = index + 1;
    if (!changing.test(moment)) return at % 10 === 0 ? [{ what: 'killed', at, isDone: false, helm: 'dies' }] : [];
    if (/^helm/i.test(moment)) return fates.map((helm) => ({ what: 'killed', at, isDone: true, helm }));
    return [false, true].map((isDone) => ({ what: 'killed', at, isDone, helm: 'dies' }));
  });
}

export function everyTime(moments: readonly string[], what: 'cancelled' | 'fails' | 'answer lost'): Mishap[] {
  return moments.flatMap((moment, index) =>
    changing.test(moment) || index % 6 === 0 ? [{ what, at: index + 1 }] : [],
  );
}

export async function momentsOf(story: Story, lock: 'preferred' | 'off' = 'preferred'): Promise<readonly string[]> {
  const on = await stage(story.setting);
  const { moments } = await on.deploy({ job: 'run 1', chart: story.chart, request: { ...story.request, lock } });
  return moments;
}

/** Plays all of them and reports every fault. */
export async function playAll(plots: readonly Plot[]): Promise<void> {
  const wrong: string[] = [];
  for (const plot of plots) {
    const played = await play(plot);
    if (played.wrong.length > 0) wrong.push(`- ${played.where}: ${played.wrong.join('; ')}`);
  }
  assert.equal(wrong.length, 0, `${wrong.length} of ${plots.length}:\n${wrong.join('\n')}`);
  assert.ok(plots.length > 10);
}

/** Gives out the charts in turn. */
export function nextOf(charts: readonly FakeChart[], index: number): FakeChart {
  return charts[index % charts.length] ?? a;
}
