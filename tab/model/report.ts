import type { HealthReport } from '../../tasks/common/core/report/healthReport';
import type {
  DeployReport,
  ReportedEvidence,
  ReportedLeftover,
  ReportedObject,
  ReportedPhase,
  ReportedRevision,
  ReportedTest,
  ReportedDefinition,
  ReportedRemoval,
  ReportedReservation,
} from '../../tasks/common/core/report/report';
import type { ReportedMetric } from '../../tasks/common/core/report/metrics';
import type { ReportedDrift, ReportedSetter } from '../../tasks/common/core/report/drift';
import type { ServicePods } from '../../tasks/common/core/release/servicePods';
import type { RollbackReport } from '../../tasks/common/core/rollbackPlan/document/rollbackReport';
import { count, countOrNull, fieldsOf, flag, list, shape, text, textUpTo, word, type Reader } from './reading';

export type Report = DeployReport | HealthReport | RollbackReport;

/** `newerForm`: the `schemaVersion` of a report that a newer task wrote. */
export type ReadReport = { report: Report; newerForm?: number } | { problem: string };

const knownForm = 1;

/** Longer logs lose their first lines. */
export const evidenceLineLimit = 5000;
const evidenceTextLimit = 2000;

const object: Reader<ReportedObject> = shape<ReportedObject>({
  kind: text,
  apiVersion: text,
  name: text,
  namespace: text,
  health: word(['healthy', 'progressing', 'failed', 'unknown'], 'unknown'),
  status: text,
  reason: text,
  message: text,
  since: text,
  brokenBefore: text,
  isPreexisting: flag,
});

const evidenceLine = textUpTo(evidenceTextLimit);

function evidenceLines(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  const all = value as unknown[];
  const left = all.length - evidenceLineLimit;
  const shown = all.slice(-evidenceLineLimit).flatMap((line) => evidenceLine(line).split('\n'));
  return left > 0 ? [`(${left} earlier lines are not shown)`, ...shown] : shown;
}

const evidence: Reader<ReportedEvidence> = shape<ReportedEvidence>({
  object: text,
  kind: word(['condition', 'containerState', 'event', 'object', 'log'], 'object'),
  title: text,
  lines: evidenceLines,
  at: text,
});

const phase: Reader<ReportedPhase> = shape<ReportedPhase>({
  kind: word(['phase', 'hook'], 'phase'),
  name: text,
  result: text,
  startedAt: text,
  finishedAt: text,
});

const leftover: Reader<ReportedLeftover> = shape<ReportedLeftover>({ kind: text, name: text, keptBecause: text });

const test: Reader<ReportedTest> = shape<ReportedTest>({ kind: text, name: text, result: text });

const verdicts = ['pass', 'fail', 'inconclusive'] as const;

/** Null for everything else. */
function measured(value: unknown): number | string | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  return typeof value === 'string' ? text(value) : null;
}

const metric: Reader<ReportedMetric> = shape<ReportedMetric>({
  name: text,
  query: text,
  condition: text,
  verdict: word([...verdicts, 'open'], 'open'),
  message: text,
  before: measured,
  samples: list(
    shape<ReportedMetric['samples'][number]>({
      at: text,
      value: measured,
      verdict: word(verdicts, 'inconclusive'),
      note: text,
    }),
    500,
  ),
});

const revisionOfHistory: Reader<ReportedRevision> = shape<ReportedRevision>({
  revision: count,
  status: text,
  verdict: word(['verified', 'unhealthy', ''], ''),
  chart: text,
  deployedAt: text,
  run: text,
  description: text,
  irreversible: text,
});

const service: Reader<ServicePods> = shape<ServicePods>({
  name: text,
  ingresses: list(text, 100),
  pods: count,
  ready: count,
  readyBefore: countOrNull,
});

const reservation: Reader<ReportedReservation> = shape<ReportedReservation>({
  kind: text,
  name: text,
  reason: text,
  message: text,
});

const setter: Reader<ReportedSetter> = shape<ReportedSetter>({
  path: text,
  manager: text,
  subresource: text,
  time: text,
});

const drift: Reader<ReportedDrift> = shape<ReportedDrift>({
  kind: text,
  name: text,
  namespace: text,
  drift: word(['missing', 'foreign', 'changed', 'unknown'], 'unknown'),
  state: word(['found', 'restored', 'remains'], 'found'),
  message: text,
  diff: list(text, 400),
  setBy: list(setter, 200),
});

const definition: Reader<ReportedDefinition> = shape<ReportedDefinition>({
  name: text,
  change: word(['created', 'replaced', 'unchanged'], 'unchanged'),
});

const removal: Reader<ReportedRemoval> = shape<ReportedRemoval>({
  kind: text,
  name: text,
  namespace: text,
  fate: word(['deleted', 'absent', 'kept'], 'absent'),
  why: text,
});

const evidenceLimit = 100;

const common = {
  schemaVersion: () => 1 as const,
  namespace: text,
  release: text,
  reason: text,
  message: text,
  advice: text,
  failedWorkload: text,
  timedOut: flag,
  startedAt: text,
  finishedAt: text,
  objects: list(object),
  evidence: list(evidence, evidenceLimit),
  phases: list(phase, 300),
} as const;

const deploy: Reader<DeployReport> = shape<DeployReport>({
  ...common,
  task: () => 'HelmSafeDeploy' as const,
  outcome: word(
    ['planned', 'deployed', 'unchanged', 'recovered', 'uninstalled', 'rolledBack', 'failed', 'cancelled', 'refused'],
    'failed',
  ),
  reasonGroup: text,
  revisionBefore: countOrNull,
  revision: countOrNull,
  verifiedRevision: countOrNull,
  servingRevision: countOrNull,
  servingHealth: word(['healthy', 'unhealthy', 'unknown'], 'unknown'),
  chart: text,
  appVersion: text,
  helmVersion: text,
  leftovers: list(leftover),
  definitions: list(definition),
  removals: list(removal),
  history: list(revisionOfHistory, 100),
  tests: list(test, 200),
  metrics: list(metric, 20),
  reservations: list(reservation),
  action: (value) => (value === 'plan' ? value : undefined),
  planDigest: text,
  risk: word(['none', 'low', 'high', 'refused'], 'high'),
  deletions: count,
  differences: list(text, 100),
  drift: list(drift, 500),
  services: list(service, 200),
});

const health: Reader<HealthReport> = shape<HealthReport>({
  ...common,
  task: () => 'RolloutHealthCheck' as const,
  health: word(['healthy', 'unhealthy', 'unknown'], 'unknown'),
  reasonGroup: text,
  revision: countOrNull,
  rollbackRevision: countOrNull,
  revisionText: text,
  rollbackRevisionText: text,
  canRollBack: flag,
  markedVerified: flag,
  ring: text,
  failedClusters: count,
  metrics: list(metric, 20),
  drift: list(drift, 500),
  services: list(service, 200),
  reservations: list(reservation),
});

const healthWord = word(['healthy', 'unhealthy', 'unknown', ''], 'unknown');

const rollback: Reader<RollbackReport> = shape<RollbackReport>({
  ...common,
  task: () => 'ApproveAndRollback' as const,
  action: word(['plan', 'rollback'], 'rollback'),
  workloads: list(text, 200),
  outcome: word(['planned', 'rolledBack', 'alreadyThere', 'refused', 'cancelled', 'failed'], 'failed'),
  planDigest: text,
  risk: word(['none', 'low', 'high', 'refused', ''], ''),
  targetRevision: countOrNull,
  deletions: count,
  revision: countOrNull,
  healthBefore: healthWord,
  health: healthWord,
  restoredObjects: list(text),
  deletedObjects: list(text),
  heldBackDeletions: list(text),
  differences: list(text),
  approvedBy: text,
  approvedAt: text,
  approval: text,
  helmVersion: text,
});

const readers: Readonly<Record<Report['task'], Reader<Report>>> = {
  HelmSafeDeploy: deploy,
  RolloutHealthCheck: health,
  ApproveAndRollback: rollback,
};

/** Reads any text. Fields of a wrong type become empty, so that the rest of the report is still shown. */
export function readReport(json: string): ReadReport {
  const value = parsed(json);
  if (value === undefined) return { problem: 'it is not JSON' };
  const { task, schemaVersion } = fieldsOf(value);
  if (typeof task !== 'string' || !Object.hasOwn(readers, task)) {
    return { problem: 'no task of this extension wrote it' };
  }
  if (typeof schemaVersion !== 'number') return { problem: 'it does not say in which form it is written' };
  const report = readers[task as Report['task']](value);
  return schemaVersion > knownForm ? { report, newerForm: schemaVersion } : { report };
}

export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
