import { isRecord } from '../kubernetes/json';
import { counted } from '../text/counted';
import { cell } from '../text/markdown';
import type { AttachmentName } from './attachmentName';
import type { RunRecord } from '../approval/runRecords';

/** The attachment that lists the plans of a fleet. */
export const fleetAttachmentType = 'helm-safe-deploy.fleet';

/** Job variables that say for which ring and cluster a job works. */
export const ringVariable = 'HelmSafeDeploy.Ring';
export const clusterVariable = 'HelmSafeDeploy.Cluster';

export interface FleetQuestion {
  ring: string;
  /** All clusters of the ring. */
  clusters: readonly string[];
  /** How many clusters of the ring may fail. */
  tolerated: number;
  /** How many have failed in earlier stages of the same ring. */
  failedBefore: number;
}

type MemberState = 'good' | 'failed' | 'missing' | 'unreported';

export interface FleetMember {
  cluster: string;
  state: MemberState;
  /** The outcome in the name of the report, or empty. */
  outcome: string;
}

export interface FleetVerdict {
  isHealthy: boolean;
  members: readonly FleetMember[];
  /** With those of earlier stages. */
  failed: number;
}

const goodOutcomes = new Set(['deployed', 'unchanged', 'recovered', 'uninstalled', 'healthy']);

/**
 * Judges a ring by the names of the reports. Every cluster is accounted for: a report that is missing counts as a failure,
 * unless the job of that cluster succeeded, because then only the attachment is missing.
 */
export function judgeFleet(
  question: FleetQuestion,
  reports: readonly AttachmentName[],
  succeededJobs: ReadonlySet<string>,
): FleetVerdict {
  const members = question.clusters.map((cluster) => memberOf(cluster, question.ring, reports, succeededJobs));
  const failed = question.failedBefore + members.filter(hasFailed).length;
  return { isHealthy: failed <= question.tolerated, members, failed };
}

export function hasFailed({ state }: FleetMember): boolean {
  return state === 'failed' || state === 'missing';
}

function memberOf(
  cluster: string,
  ring: string,
  reports: readonly AttachmentName[],
  succeededJobs: ReadonlySet<string>,
): FleetMember {
  const own = reports.filter(
    (report) => report.cluster === cluster && report.ring === ring && ['deploy', 'health'].includes(report.kind),
  );
  const newest = Math.max(...own.map(({ attempt }) => attempt));
  const last = own.filter(({ attempt }) => attempt === newest);
  if (last.length === 0) {
    return { cluster, state: succeededJobs.has(jobNameOf(cluster)) ? 'unreported' : 'missing', outcome: '' };
  }
  const bad = last.find(({ outcome }) => !goodOutcomes.has(outcome));
  return { cluster, state: bad === undefined ? 'good' : 'failed', outcome: (bad ?? last[0])?.outcome ?? '' };
}

/** The name of a cluster's job in the fleet template. */
export function jobNameOf(cluster: string): string {
  return `Cluster_${cluster.replaceAll('-', '_')}`;
}

/** The names of the jobs of one stage that have succeeded. */
export function succeededJobsOf(records: readonly RunRecord[], stage: string): Set<string> {
  return new Set(
    records
      .filter(({ type, result }) => type === 'Job' && /^succeeded/i.test(result ?? ''))
      .flatMap(({ identifier = '' }) => {
        const [own, job] = identifier.split('.');
        return own?.toLowerCase() === stage.toLowerCase() && job !== undefined ? [job] : [];
      }),
  );
}

const stateWords: Readonly<Record<MemberState, string>> = {
  good: 'healthy',
  failed: 'not healthy',
  missing: 'no report: its job did not run, or did not end',
  unreported: 'its job succeeded without a report: the pipeline restricts the commands of its steps',
};

export function memberWords({ state, outcome }: FleetMember): string {
  return outcome === '' ? stateWords[state] : `${stateWords[state]} (${outcome})`;
}

/** One sentence. */
export function fleetSummary(
  { ring, clusters, tolerated, failedBefore }: FleetQuestion,
  { isHealthy, members }: FleetVerdict,
): string {
  const bad = members.filter(hasFailed);
  const named = bad.slice(0, 5).map(({ cluster }) => cluster);
  const more = bad.length > named.length ? ` and ${bad.length - named.length} more` : '';
  const which = bad.length === 0 ? '' : `: ${named.join(', ')}${more}`;
  const before = failedBefore === 0 ? '' : `, ${failedBefore} failed before`;
  const limit = tolerated === 0 ? '' : `, ${tolerated} tolerated`;
  return `Ring ${ring} is ${isHealthy ? 'healthy' : 'unhealthy'}: ${bad.length} of ${counted(clusters.length, 'cluster', 'clusters')} failed${before}${limit}${which}.`;
}

/** The plan of one cluster. */
export interface FleetPlan {
  ring: string;
  cluster: string;
  namespace: string;
  release: string;
  /** `sha256:` and 64 hexadecimal digits. */
  planDigest: string;
  targetRevision: number | null;
  risk: string;
}

/** What one gate approves: the plans of all clusters that have one. */
export interface FleetList {
  schemaVersion: 1;
  createdAt: string;
  plans: readonly FleetPlan[];
}

/** Sorted, so that the same plans have the same digest. */
export function fleetList(plans: readonly FleetPlan[], createdAt: Date): FleetList {
  const sorted = [...plans].sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  return { schemaVersion: 1, createdAt: createdAt.toISOString(), plans: sorted };
}

function keyOf({ cluster, planDigest }: FleetPlan): string {
  return `${cluster} ${planDigest}`;
}

/** The digest that the gate shows and that each rollback recomputes. It covers the time, so no list counts for another. */
export function fleetDigest(list: FleetList, sha256: (text: string) => string): string {
  const lines = list.plans.map((plan) => JSON.stringify([plan.cluster, plan.planDigest]));
  return `sha256:${sha256([list.createdAt, ...lines].join('\n'))}`;
}

/** Returns undefined for anything else than a list. */
export function parseFleetList(value: unknown): FleetList | undefined {
  if (!isRecord(value) || typeof value['createdAt'] !== 'string' || !Array.isArray(value['plans'])) return undefined;
  const plans = (value['plans'] as unknown[]).map((plan) => (isRecord(plan) ? planOf(plan) : undefined));
  const known = plans.filter((plan) => plan !== undefined);
  return known.length === plans.length ? { schemaVersion: 1, createdAt: value['createdAt'], plans: known } : undefined;
}

function planOf(fields: Readonly<Record<string, unknown>>): FleetPlan | undefined {
  const text = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '');
  const revision = fields['targetRevision'];
  const plan = {
    ring: text('ring'),
    cluster: text('cluster'),
    namespace: text('namespace'),
    release: text('release'),
    planDigest: text('planDigest'),
    targetRevision: typeof revision === 'number' ? revision : null,
    risk: text('risk'),
  };
  return plan.cluster !== '' && /^sha256:[0-9a-f]{64}$/.test(plan.planDigest) ? plan : undefined;
}

/** The entry of a cluster from the report of its plan. */
export function fleetPlanOf(name: AttachmentName, report: unknown): FleetPlan | undefined {
  return isRecord(report) ? planOf({ ...report, ring: name.ring, cluster: name.cluster }) : undefined;
}

const gateLimit = 3600;

/** Markdown of at most 3600 characters for the instructions of a gate. The digest covers also what does not fit. */
export function fleetInstructions(list: FleetList, digest: string): string {
  const head = `**Rollback of ${counted(list.plans.length, 'cluster', 'clusters')}**`;
  const last = `Digest of the whole list ${digest}`;
  const lines = list.plans.map(planLine);
  let shown = lines.length;
  for (;;) {
    const rest = lines.length - shown;
    const more = rest === 0 ? [] : [`- and ${rest} more in the attachment of this run`];
    const text = [head, '', ...lines.slice(0, shown), ...more, '', last].join('\n');
    if (text.length <= gateLimit || shown === 0) return text;
    shown -= 1;
  }
}

function planLine({ cluster, release, targetRevision, risk, planDigest }: FleetPlan): string {
  const target = targetRevision === null ? '' : ` to revision ${targetRevision}`;
  return `- ${cell(`${cluster}: ${release}${target}, risk ${risk}, ${planDigest.slice(0, 19)}`).replaceAll('$(', '$ (')}`;
}
