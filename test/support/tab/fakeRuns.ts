import fs from 'node:fs';
import path from 'node:path';
import { createAgent, type TaskAgent } from '../../../tasks/common/adapters/agent/agent';
import { publishDeploy, publishRollback } from '../../../tasks/common/adapters/agent/publishReport';
import type { TimelineRow } from '../../../tasks/common/core/rollout/timelineRow';
import type { Reading } from '../../../tasks/common/core/metrics/answer';
import { parseCondition } from '../../../tasks/common/core/metrics/condition';
import type { MetricSource } from '../../../tasks/common/core/metrics/metric';
import type { MetricsPort } from '../../../tasks/common/core/ports';
import { deploy } from '../../../tasks/common/flows/deploy/deploy';
import { planForRelease, type ReportedRollback } from '../../../tasks/common/flows/rollback/plan/makePlan';
import { begin, gated, rollBack, startOf } from '../fakes/rollbackStage';
import { chart, configMap, deployment, revision, scene, type Setting } from '../fakes/scene';
import { temporaryFolder } from './browser';
import type { RecordedAttachment, RecordedRow, RecordedStep } from './recordedRun';

/** Publishes a report as the task does, and returns what it has attached. */
export async function attachmentsOf(publish: (agent: TaskAgent) => Promise<unknown>): Promise<RecordedAttachment[]> {
  const folder = temporaryFolder('report');
  try {
    const lines: string[] = [];
    const environment = { AGENT_TEMPDIRECTORY: folder };
    await publish(createAgent({ environment, write: (text) => lines.push(text) }));
    const commands = lines.join('').matchAll(/^##vso\[task\.addattachment type=([^;]*);name=([^;]*);\](.*)$/gm);
    return [...commands].map(([, type = '', name = '', file = '']) => ({
      type,
      name,
      content: fs.readFileSync(path.resolve(file), 'utf8'),
    }));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Keeps the rows that a flow writes, with the times of `now`. */
function rowRecorder(now: () => number): { rows: RecordedRow[]; timeline: (row: TimelineRow) => void } {
  const rows: RecordedRow[] = [];
  const places = new Map<string, number>();
  return {
    rows,
    timeline: ({ key, ...row }) => {
      const place = places.get(key) ?? rows.length;
      places.set(key, place);
      const startedAt = rows[place]?.startedAt ?? now();
      rows[place] = { ...row, startedAt, ...(row.state === 'Completed' ? { finishedAt: now() } : {}) };
    },
  };
}

type Place = Pick<RecordedStep, 'stage' | 'job'>;

/** A deploy over fakes, with the real flow and the real report. */
export async function deployStep(setting: Setting, place: Place, metrics?: MetricsPort): Promise<RecordedStep> {
  const on = await scene(setting);
  if (metrics !== undefined) on.context.metrics = metrics;
  const { rows, timeline } = rowRecorder(() => on.time.now().getTime());
  on.context.agent.timeline = timeline;
  const report = await deploy(on.context);
  const attachments = await attachmentsOf((agent) => publishDeploy(agent, report));
  return finished('HelmSafeDeploy', place, { report, attachments, rows });
}

interface Done {
  report: { startedAt: string; finishedAt: string; outcome?: string; health?: string };
  attachments: readonly RecordedAttachment[];
  rows: readonly RecordedRow[];
}

const goodEnds = ['deployed', 'unchanged', 'recovered', 'planned', 'alreadyThere', 'healthy'];

function finished(task: RecordedStep['task'], place: Place, { report, attachments, rows }: Done): RecordedStep {
  const end = report.outcome ?? report.health ?? '';
  const isWell = goodEnds.includes(end) || (end === 'rolledBack' && task === 'ApproveAndRollback');
  return {
    task,
    ...place,
    state: 'completed',
    result: isWell ? 'succeeded' : 'failed',
    startedAt: Date.parse(report.startedAt),
    finishedAt: Date.parse(report.finishedAt),
    attachments,
    rows,
  };
}

const v1 = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const installed = { history: [revision(1, 'deployed', v1)], live: v1.objects };

export function goodDeploy(place: Place): Promise<RecordedStep> {
  const next = chart('2.0.0', [configMap('settings', { a: '2' }), deployment('web', 'better')]);
  return deployStep({ ...installed, chart: next }, place);
}

/** The image of the new version cannot be pulled, so that the deploy goes back to the verified revision. */
export function rolledBackDeploy(place: Place): Promise<RecordedStep> {
  const objects = [configMap('settings'), deployment('web', 'broken')];
  return deployStep({ ...installed, chart: chart('2.0.0', objects) }, place);
}

/** The error rate of the new version rises, and another metric says too little. */
export function breachedDeploy(place: Place): Promise<RecordedStep> {
  const next = chart('2.0.0', [configMap('settings', { a: '2' }), deployment('web', 'better')]);
  const times = { initialDelaySeconds: 0, intervalSeconds: 30, count: 5, failureLimit: 0, inconclusiveLimit: 2 };
  const condition = parseCondition('result <= before * 1.5 + 0.01');
  if (condition === undefined) throw new Error('This is no condition.');
  const metrics = ['error rate', 'latency'].map((name) => ({
    ...times,
    name,
    source: { kind: 'prometheus', query: `${name} <script>` } as const,
    condition,
  }));
  const bake = { seconds: 150, metrics: { metrics }, onInconclusive: 'fail' } as const;
  let asked = 0;
  const read = (source: MetricSource): Promise<Reading> => {
    asked += 1;
    const isLatency = source.kind === 'prometheus' && source.query.startsWith('latency');
    if (isLatency && asked > 6) return Promise.resolve({ kind: 'noValue', problem: 'there is no data' });
    return Promise.resolve({ value: asked < 8 ? 0.01 + asked / 1000 : 0.4, mayPass: true });
  };
  return deployStep({ ...installed, chart: next, request: { bake, bakes: true } }, place, { read });
}

/** A plan of a rollback, and its execution after an approval. */
export async function rollbackSteps(place: Place): Promise<RecordedStep[]> {
  const on = await begin();
  const planned = await on.run<ReportedRollback>({ job: 'plan' }, (start) =>
    planForRelease(startOf(start, on.plans, { request: { action: 'plan' } })),
  );
  if (planned.report === undefined) throw new Error('The plan was not made.');
  const { report, plan } = planned.report;
  await on.time.sleep(120_000, new AbortController().signal);
  const digest = report.planDigest.replace('sha256:', '');
  const timeline = gated(on.time.now().getTime() - 60_000);
  const { rows, timeline: write } = rowRecorder(() => on.time.now().getTime());
  const through = (start: ReturnType<typeof startOf>): ReturnType<typeof startOf> => {
    start.agent.timeline = write;
    return start;
  };
  const done = await rollBack(on, digest, { timeline, through });
  if (done.report === undefined) throw new Error('The rollback was not made.');
  const executed = done.report;
  const attachments = await attachmentsOf((agent) => publishRollback(agent, report, plan));
  const later = await attachmentsOf((agent) => publishRollback(agent, executed.report, executed.plan));
  return [
    finished('ApproveAndRollback', { ...place, job: 'Plan' }, { report, attachments, rows: [] }),
    finished(
      'ApproveAndRollback',
      { ...place, job: 'Roll back' },
      { report: executed.report, attachments: later, rows },
    ),
  ];
}
