import assert from 'node:assert/strict';
import { parseTimeline, type RunRecord } from '../../../tasks/common/core/approval/runRecords';
import { readProvenApproval } from '../../../tasks/common/core/approval/proven';
import { manifestObjects } from '../../../tasks/common/core/kubernetes/manifest';
import type { DeployStart, ReleaseRollbackStart } from '../../../tasks/common/core/releaseContext';
import { defaultPolicy } from '../../../tasks/common/core/rollbackPlan/model/types';
import type { RollbackTaskRequest } from '../../../tasks/common/core/inputs/rollbackRequest';
import { approvalVariable, planDigestVariable } from '../../../tasks/common/core/inputs/taskVariables';
import { planForRelease, type ReportedRollback } from '../../../tasks/common/flows/rollback/plan/makePlan';
import { resumeRollback, rollBackRelease } from '../../../tasks/common/flows/rollback/approved/rollBackRelease';
import { timelineRecords, type StageSpec, type TimelineRecordJson } from '../azureDevOps';
import { sha256 } from '../rollbackScene';
import { fakePlanStore, type FakePlanStore, type StoredPlan } from './fakePlanStore';
import { stage, type Ended, type Mishap, type Stage } from './stage';
import { chart, configMap, deployment, live, liveObject, revision, told } from './scene';

export const one = chart('1', [deployment('web', '1'), configMap('settings', { mode: 'one' }), configMap('old')]);
export const two = chart('2', [deployment('web', '2'), configMap('settings', { mode: 'two' }), configMap('new')]);
export const labels = { 'helm-safe-deploy/verified': '1' };

export interface Scene extends Stage {
  plans: FakePlanStore;
}

export async function begin(more: Partial<Parameters<typeof stage>[0]> = {}): Promise<Scene> {
  const history = [revision(1, 'superseded', one, { labels }), revision(2, 'deployed', two)];
  return { ...(await stage({ history, live: two.objects, ...more })), plans: fakePlanStore() };
}

const jobId = '0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4a5b';

/** The run's timeline with a gate that was decided at this time, in milliseconds since 1970. */
export function gated(decidedAt: number, result: 'succeeded' | 'failed' = 'succeeded'): RunRecord[] {
  const span = { from: '09:00', to: '09:05', result };
  const stages: StageSpec[] = [
    { name: 'Approval', ...span, jobs: [{ name: 'Gate', ...span, gates: [{ name: 'Approve', ...span }] }] },
    { name: 'Deploy', from: '09:10', jobs: [{ name: 'Deploy', id: jobId, from: '09:10' }] },
  ];
  const delta = decidedAt - Date.parse('2026-03-01T09:05:00.5333333Z');
  const moved = (time: string | null) => (time === null ? null : new Date(Date.parse(time) + delta).toISOString());
  const records = timelineRecords(...stages).map((record): TimelineRecordJson => ({
    ...record,
    startTime: moved(record.startTime),
    finishTime: moved(record.finishTime),
  }));
  return parseTimeline({ records }) ?? [];
}

export interface StepOptions {
  request?: Partial<RollbackTaskRequest>;
  /** The timeline in Azure DevOps. Undefined if Azure DevOps does not answer. */
  timeline?: readonly RunRecord[] | undefined;
  mishap?: Mishap | undefined;
  job?: string;
  /** The variables that the main phase of the step left with the agent. */
  variables?: ReadonlyMap<string, string>;
  /** Changes the ports of the step. */
  through?: (start: ReleaseRollbackStart) => ReleaseRollbackStart;
}

let salts = 0;

export function startOf(
  start: DeployStart,
  plans: FakePlanStore,
  { request, timeline, variables }: StepOptions,
): ReleaseRollbackStart {
  const unknown = { isKnown: false, problem: 'Azure DevOps does not answer.' } as const;
  const proven = readProvenApproval(variables?.get(approvalVariable));
  return {
    ...start,
    plans,
    azure: {
      timeline: () => Promise.resolve(timeline === undefined ? unknown : { isKnown: true, value: timeline }),
      build: () => Promise.resolve(unknown),
      approvals: () => Promise.resolve({ isKnown: true, value: [] }),
    },
    place: { jobId, stage: 'Deploy', phase: 'Deploy' },
    newSalt: () => `salt ${++salts}`,
    ...(proven && { proven }),
    request: {
      ...start.request,
      action: 'rollback',
      subject: { kind: 'release' },
      rollback: { toRevision: 'verified', policy: defaultPolicy },
      requirePlan: true,
      cause: '',
      startWithinSeconds: 0,
      maxPlanAgeSeconds: 90_000,
      approval: { approval: 'gate', requireGateProof: true, fourEyes: false },
      ...request,
    },
    sha256,
  };
}

export type Step = Ended<ReportedRollback>;

export async function plan(on: Scene, request: Partial<RollbackTaskRequest> = {}): Promise<string> {
  const { report } = await on.run<ReportedRollback>({ job: 'plan' }, (start) =>
    planForRelease(startOf(start, on.plans, { request })),
  );
  assert.equal(report?.report.outcome, 'planned', report?.report.message);
  await on.time.sleep(120_000, new AbortController().signal);
  return report.report.planDigest.replace('sha256:', '');
}

export function rollBack(on: Scene, planDigest: string, options: StepOptions = {}): Promise<Step> {
  const { job = 'rollback', mishap } = options;
  const timeline = 'timeline' in options ? options.timeline : gated(on.time.now().getTime() - 60_000);
  const request = { planDigest, ...options.request };
  const { through = (start: ReleaseRollbackStart) => start } = options;
  return on.run({ job, mishap }, (start) =>
    rollBackRelease(through(startOf(start, on.plans, { ...options, timeline, request }))),
  );
}

export function resume(on: Scene, planDigest: string, options: StepOptions): Promise<Step> {
  const digest = options.variables?.get(planDigestVariable)?.replace('sha256:', '') ?? planDigest;
  const request = { planDigest: digest };
  return on.run({ job: 'rollback' }, (start) =>
    resumeRollback({ ...startOf(start, on.plans, { ...options, request }), isHelmStopped: true }),
  );
}

export const outcome = ({ report }: Step): string =>
  `${report?.report.outcome ?? 'killed'} ${report?.report.reason ?? ''}`.trim();

/** Checks that the release is as the target declares it and verified, without objects that the target does not have. */
export function assertRolledBack(on: Scene, where: string): void {
  const last = on.storage.records.at(-1);
  assert.equal(last?.status, 'deployed', `${where}: ${told(on.storage.records)}`);
  assert.ok(told([last]).includes('verified'), `${where}: ${told(on.storage.records)}`);
  assert.deepEqual(
    manifestObjects(last.manifest).map(({ metadata }) => metadata.name),
    one.objects.map(({ metadata }) => metadata.name),
    where,
  );
  assert.equal(on.storage.records.filter(({ status }) => status === 'deployed').length, 1, where);
  const names = live(on.cluster).filter((name) => /^(ConfigMap|Deployment)/.test(name));
  assert.deepEqual(names, ['ConfigMap/old', 'ConfigMap/settings', 'Deployment/web'], where);
  assert.deepEqual(liveObject(on.cluster, configMap('settings'))?.['data'], { mode: 'one' }, where);
}

/** Checks that the Lease of the dead main phase is taken at once. */
export function assertNotWaited({ agent }: Step, where: string): void {
  assert.doesNotMatch(agent.lines.join('\n'), /Another run holds/, where);
}

export function editPlan(on: Scene, digest: string, edit: (kept: StoredPlan) => Partial<StoredPlan>): void {
  const kept = on.plans.stored.get(digest);
  assert.ok(kept !== undefined);
  on.plans.stored.set(digest, { ...kept, ...edit(kept) });
}
