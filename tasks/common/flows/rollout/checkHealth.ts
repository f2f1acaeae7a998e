import {
  endingFor,
  endingOfRollout,
  reportedObjects,
  reportedReservations,
  type Ending,
} from '../../core/report/ending';
import { driftRefusal, isKnownDrift } from '../../core/report/drift';
import { asTaskError, type FailureReason, type TaskError } from '../../core/failure';
import type { HealthEnding, HealthReport } from '../../core/report/healthReport';
import { healthOf } from '../../core/report/healthReport';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectKey, objectName } from '../../core/kubernetes/manifest';
import type { ReportedEvidence } from '../../core/report/report';
import { recordedFailure } from '../../core/report/recordedFailure';
import { isOwnCause } from '../../core/rollout/causes';
import type { ReleaseStorage } from '../../core/ports';
import type { Reservation } from '../../core/rollout/reservations';
import { brokenBy, isReserved, isVerified, runOf, verifiedLabel } from '../../core/release/history';
import type { Revision } from '../../core/release/release';
import { causesOf, type RolloutVerdict, type WorkloadVerdict } from '../../core/rollout/verdict';
import { runWords } from '../../core/lock/holder';
import { revisionText } from '../../core/report/revisionText';
import { collectEvidence, logEvidence } from './evidence';
import { healthTargets, rollbackFrom, type HealthContext, type HealthTargets } from './healthTargets';
import { group, later } from '../steps/phase';
import { lookForDrift, type FoundDrift } from '../release/lookForDrift';
import { phasesOf } from '../release/reportedPhases';
import { readServicePods } from '../release/readServicePods';
import { markTemplates } from '../release/markTemplates';
import { markBroken, reserve, verify } from '../release/record';
import { workloadLogs } from './podLogs';
import { verdictMessage, type ReportedMetric } from '../../core/report/metrics';
import { bake, tryMetrics, type BakeSubject } from './bake';
import { followRollout, rolloutPolicy, type RolloutEnd } from './rollout';

/** Throws only errors of the request itself. */
export async function checkHealth(context: HealthContext): Promise<HealthReport> {
  const startedAt = context.clock.now();
  try {
    return await checkTargets(context, startedAt);
  } catch (thrown) {
    const error = asTaskError(thrown);
    if (questionIsWrong.has(error.reason)) throw error;
    return unknownHealth(context, startedAt, error);
  }
}

const questionIsWrong: ReadonlySet<FailureReason> = new Set<FailureReason>([
  'InputInvalid',
  'WorkloadMissing',
  'ReleaseMissing',
  'StorageUnsupported',
  'Internal',
]);

/** If no judgement is possible, the health is «unknown», never «healthy». */
function unknownHealth(context: HealthContext, startedAt: Date, error: TaskError): HealthReport {
  const reason = context.signal.aborted ? 'Cancelled' : error.reason;
  const { outcome: _, ...ending } = endingFor('failed', reason, error.message);
  return {
    schemaVersion: 1,
    task: 'RolloutHealthCheck',
    namespace: context.namespace,
    release: context.request.releaseName ?? '',
    health: 'unknown',
    ...ending,
    revision: null,
    rollbackRevision: null,
    canRollBack: false,
    markedVerified: false,
    startedAt: startedAt.toISOString(),
    finishedAt: context.clock.now().toISOString(),
    objects: [],
    evidence: [],
    ...phasesOf(context.phases),
  };
}

async function checkTargets(context: HealthContext, startedAt: Date): Promise<HealthReport> {
  const { clock, namespace, request } = context;
  const targets = await group(context, 'Find the objects to check', () => findTargets(context));
  await tryTargets(context, targets);
  const policy = rolloutPolicy(context, later(clock.now(), request.timeoutSeconds), true);
  const logs = workloadLogs(context);
  const followed = await group(context, 'Follow', () =>
    followRollout(context, targets.objects, {
      policy,
      memory: undefined,
      logged: new Map(),
      ...(targets.revision && { release: { revision: targets.revision, history: targets.history } }),
      ...(logs && { logs }),
    }),
  );
  const drift = await findDrift(context, targets);
  const recorded = problemOf(context, targets, followed, drift);
  const isReady = followed.end === 'healthy' && recorded === undefined;
  const baked = isReady ? await bakeTargets(context, targets, followed) : { rollout: followed, metrics: [] };
  const { rollout, metrics, problem = recorded } = baked;
  const isHealthy = rollout.end === 'healthy' && problem === undefined;
  const evidence = isHealthy ? [] : await whyNotHealthy(context, rollout, problem);
  const ending = endingOf(rollout, problem);
  const markedVerified = await mark(context, targets, { isHealthy, ending, reservations: rollout.reservations });
  if (context.storage === undefined && problem === undefined)
    await markTemplates(context, unreservedWorkloads(rollout));
  const rollbackTo = await rollbackRevision(context, targets);
  const { revision } = targets;
  const services =
    isHealthy || revision === undefined ? [] : await readServicePods(context, revision, revision.createdAt);
  return {
    schemaVersion: 1,
    task: 'RolloutHealthCheck',
    namespace,
    release: request.releaseName ?? '',
    health: healthWordOf(rollout, problem),
    ...ending,
    ...revisionFacts(targets, rollbackTo),
    canRollBack: await canRollBack(context, rollbackTo, rollout.verdict),
    markedVerified,
    startedAt: startedAt.toISOString(),
    finishedAt: clock.now().toISOString(),
    objects: reportedObjects(rollout.verdict),
    evidence,
    ...phasesOf(context.phases),
    ...(metrics.length === 0 ? {} : { metrics }),
    ...(drift === undefined ? {} : { drift: drift.reported }),
    ...(services.length === 0 ? {} : { services }),
    ...reservedOf(revision, isHealthy, rollout),
  };
}

/** A verified revision has no reservation. */
function reservedOf(
  revision: Revision | undefined,
  isHealthy: boolean,
  { reservations }: RolloutEnd,
): Pick<HealthReport, 'reservations'> {
  const isOpen = isHealthy && revision !== undefined && !isVerified(revision) && reservations.length > 0;
  return isOpen ? { reservations: reportedReservations(reservations) } : {};
}

/** Asks every query once before anything is awaited. */
async function tryTargets(context: HealthContext, targets: HealthTargets): Promise<void> {
  const { bake: asked, releaseName = '' } = context.request;
  if (asked?.metrics === undefined) return;
  const { revision } = subjectOf(context, targets);
  await group(context, 'Try the metrics', () => tryMetrics(context, asked, releaseName, revision));
}

function subjectOf({ request: { releaseName = '' } }: HealthContext, { revision }: HealthTargets): BakeSubject {
  return { release: releaseName, revision: revision === undefined ? '' : String(revision.revision) };
}

interface BakedTargets {
  rollout: RolloutEnd;
  metrics: readonly ReportedMetric[];
  problem?: Ending;
}

/** Bakes objects that are healthy, if the request asks for it. */
async function bakeTargets(context: HealthContext, targets: HealthTargets, rollout: RolloutEnd): Promise<BakedTargets> {
  const { bake: request, timeoutSeconds } = context.request;
  if (request === undefined) return { rollout, metrics: [] };
  const { history, objects, revision } = targets;
  const baked = await group(context, 'Bake', () =>
    bake(context, {
      request,
      objects,
      subject: subjectOf(context, targets),
      before: new Map(),
      timeoutSeconds,
      follow: {
        memory: rollout.verdict.memory,
        logged: new Map(),
        phase: 'baking',
        ...(revision && { release: { revision, history } }),
      },
    }),
  );
  const { verdict, metrics } = baked;
  const isHeld = baked.rollout.end === 'healthy' || baked.rollout.end === 'stopped';
  const isAccepted = verdict === 'pass' || (verdict === 'inconclusive' && request.onInconclusive === 'pass');
  if (!isHeld || isAccepted) return { rollout: baked.rollout, metrics };
  const reason = verdict === 'fail' ? 'MetricsFailed' : 'MetricsInconclusive';
  return { rollout: baked.rollout, metrics, problem: endingFor('failed', reason, verdictMessage(metrics)) };
}

/** Metrics that say too little are no proof of a fault. */
function healthWordOf({ end }: RolloutEnd, problem: Ending | undefined): HealthReport['health'] {
  if (problem === undefined) return healthOf(end);
  return problem.reason === 'MetricsInconclusive' ? 'unknown' : 'unhealthy';
}

/** Returns undefined if the inputs do not ask for it, or nothing can be compared. */
async function findDrift(context: HealthContext, { revision }: HealthTargets): Promise<FoundDrift | undefined> {
  const { agent, request, signal } = context;
  const asked = request.drift;
  if (asked === undefined || revision === undefined || signal.aborted) return undefined;
  if (revision.status !== 'deployed') {
    agent.log(`Drift is not looked for, because Helm's record calls revision ${revision.revision} ${revision.status}.`);
    return undefined;
  }
  return group(context, 'Look for drift', () =>
    lookForDrift(context, revision, revision, { rules: asked.rules, state: 'found' }),
  );
}

/** Why a release is not as it should be, although its objects are healthy. */
function problemOf(
  context: HealthContext,
  { revision }: HealthTargets,
  { end, verdict }: RolloutEnd,
  drift: FoundDrift | undefined,
): Ending | undefined {
  if (end !== 'healthy' || revision === undefined) return undefined;
  return recordedFailure(revision, verdict) ?? driftFailure(context, drift, revision);
}

function driftFailure(
  { request }: HealthContext,
  found: FoundDrift | undefined,
  { revision }: Revision,
): Ending | undefined {
  const [first] = (found?.drifts ?? []).filter(isKnownDrift);
  if (request.drift?.mode !== 'fail' || first === undefined) return undefined;
  return endingFor('failed', 'DriftFound', driftRefusal(found?.drifts ?? [], revision), objectName(first.ref));
}

async function findTargets(context: HealthContext): Promise<HealthTargets> {
  const { agent } = context;
  const found = await healthTargets(context);
  const { revision } = found;
  if (revision !== undefined && revision.status !== 'deployed') {
    agent.log(
      `Helm's record calls revision ${revision.revision} ${revision.status}: the live objects may be those of an earlier revision.`,
    );
  }
  const { length } = found.objects;
  agent.log(
    `${length} ${length === 1 ? 'object' : 'objects'}: ${found.objects.map(({ ref }) => objectName(ref)).join(', ')}`,
  );
  return found;
}

function whyNotHealthy(
  context: HealthContext,
  { verdict, lastLines }: RolloutEnd,
  recorded: Ending | undefined,
): Promise<ReportedEvidence[]> {
  return group(context, 'Why it is not healthy', async () => {
    if (recorded !== undefined) context.agent.log(recorded.message);
    const collected = await collectEvidence(context, causesOf(verdict), lastLines);
    logEvidence(context, collected);
    return collected;
  });
}

/** Without the workloads of which no pod has run the present template. */
function unreservedWorkloads({ reservations, verdict }: RolloutEnd): WorkloadVerdict[] {
  const held = new Set(reservations.map(({ ref }) => objectKey(ref)));
  return verdict.workloads.filter(({ key }) => !held.has(key));
}

interface Seen {
  isHealthy: boolean;
  ending: HealthEnding;
  reservations: readonly Reservation[];
}

/** Writes what was seen into the record of the revision. Returns true if the revision is now marked as verified. */
async function mark(context: HealthContext, { revision }: HealthTargets, seen: Seen): Promise<boolean> {
  const { request, signal, storage } = context;
  if (revision === undefined || storage === undefined || signal.aborted) return false;
  if (!seen.isHealthy) {
    if (isOwnCause(seen.ending.reason) && brokenBy(revision) === '') {
      await unmark(context, storage, revision, seen.ending);
    }
    return false;
  }
  if (request.markVerified) return markHealthy(context, storage, revision, seen);
  const hasLostMark = brokenBy(revision) !== '' && revision.labels[verifiedLabel] === String(revision.revision);
  if (hasLostMark || isReserved(revision)) {
    await markHealthy(context, storage, revision, seen).catch((error: unknown) => {
      context.agent.log(`Revision ${revision.revision} could not be marked: ${asTaskError(error).message}`);
    });
  }
  return false;
}

async function markHealthy(
  context: HealthContext,
  storage: ReleaseStorage,
  revision: Revision,
  { reservations }: Seen,
): Promise<boolean> {
  const toMark = markable(context, revision);
  if (toMark === undefined || isVerified(toMark)) return toMark !== undefined;
  await (reservations.length === 0 ? verify : reserve)(storage, toMark);
  return reservations.length === 0;
}

/** The health is known without the mark, so a connection that may not write the record fails nothing. */
async function unmark(
  { agent }: HealthContext,
  storage: ReleaseStorage,
  { revision }: Revision,
  ending: HealthEnding,
): Promise<void> {
  try {
    // A deploy may have begun in the meantime.
    const last = (await storage.history()).at(-1);
    if (last?.revision !== revision || last.status !== 'deployed') return;
    await markBroken(storage, last, ending);
    agent.log(
      `Helm's record says now that revision ${revision} is unhealthy, so it is no target of a rollback until it is seen healthy.`,
    );
  } catch (error) {
    agent.log(`Helm's record does not say that revision ${revision} is unhealthy: ${asTaskError(error).message}`);
  }
}

function revisionFacts({ revision }: HealthTargets, rollbackTo: Revision | undefined) {
  return {
    revision: revision?.revision ?? null,
    rollbackRevision: rollbackTo?.revision ?? null,
    ...(revision && { revisionText: namesOf(revision) }),
    ...(rollbackTo && { rollbackRevisionText: namesOf(rollbackTo) }),
  };
}

function namesOf(revision: Revision): string {
  const { chart, lastDeployed } = revision;
  return revisionText({
    ...revision,
    chart: `${chart.name} ${chart.version}`.trim(),
    appVersion: chart.appVersion,
    deployedAt: lastDeployed,
    deployedBy: runWords(runOf(revision)),
  });
}

async function rollbackRevision(
  { signal, storage }: HealthContext,
  { history, revision }: HealthTargets,
): Promise<Revision | undefined> {
  if (revision === undefined || storage === undefined) return undefined;
  const now = signal.aborted ? history : await storage.history().catch(() => history);
  return rollbackFrom(revision, now);
}

/** A mark outlives the status of its revision, so a revision that Helm did not complete gets none. */
function markable({ agent }: HealthContext, revision: Revision | undefined): Revision | undefined {
  if (revision === undefined || revision.status === 'deployed') return revision;
  agent.log(
    `Revision ${revision.revision} is not marked as verified healthy: Helm's record calls it ${revision.status}.`,
  );
  return undefined;
}

function endingOf({ end, verdict }: RolloutEnd, recorded: Ending | undefined): HealthEnding {
  if (recorded !== undefined) {
    const { outcome: _, ...ending } = recorded;
    return ending;
  }
  if (end === 'healthy') {
    return { reason: '', reasonGroup: '', message: '', advice: '', failedWorkload: '', timedOut: false };
  }
  // An outcome belongs to the report of a deploy, not to the report of a check.
  const { outcome: _, ...ending } =
    end === 'cancelled' ? endingFor('cancelled', 'Cancelled', 'The check was cancelled.') : endingOfRollout(verdict);
  return ending;
}

/** Plain workloads can be rolled back if each failed one has an earlier revision. */
async function canRollBack(
  context: HealthContext,
  rollbackTo: Revision | undefined,
  verdict: RolloutVerdict,
): Promise<boolean> {
  if (context.storage !== undefined) return rollbackTo !== undefined;
  // A workload that was still progressing when another one failed is not known to be bad.
  const failed = verdict.workloads.filter(({ health }) => health === 'failed');
  const candidates = (failed.length > 0 ? failed : verdict.workloads).map(({ ref }) => ref);
  if (candidates.length === 0 || candidates.some((ref) => revisionsKept(ref) === undefined)) return false;
  const counts = await revisionCounts(context, candidates);
  return candidates.every((ref) => (counts.get(ownerKey(ref.namespace, ref)) ?? 0) > 1);
}

const revisionKinds: Readonly<Record<string, string>> = {
  Deployment: 'ReplicaSet',
  StatefulSet: 'ControllerRevision',
  DaemonSet: 'ControllerRevision',
};

/** The kind in which Kubernetes keeps a workload's revisions; undefined if it keeps none. */
function revisionsKept({ apiVersion, kind, namespace }: ObjectRef): string | undefined {
  return apiVersion === 'apps/v1' && namespace !== undefined ? revisionKinds[kind] : undefined;
}

function ownerKey(namespace: string | undefined, { kind, name }: { kind: string; name: string }): string {
  return `${namespace ?? ''}/${kind}/${name}`;
}

/** Needs one list per kind and namespace, whatever the number of workloads. */
async function revisionCounts(context: HealthContext, refs: readonly ObjectRef[]): Promise<Map<string, number>> {
  const lists = new Map<string, { kind: string; namespace: string }>();
  for (const ref of refs) {
    const kind = revisionsKept(ref);
    const { namespace } = ref;
    if (kind !== undefined && namespace !== undefined) lists.set(`${kind} ${namespace}`, { kind, namespace });
  }
  const counts = new Map<string, number>();
  for (const { kind, namespace } of lists.values()) {
    for (const { metadata } of await revisionsOf(context, kind, namespace)) {
      const owner = (metadata.ownerReferences ?? []).find(({ controller }) => controller === true);
      if (owner === undefined) continue;
      const key = ownerKey(namespace, owner);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

async function revisionsOf({ agent, cluster }: HealthContext, kind: string, namespace: string): Promise<KubeObject[]> {
  try {
    return await cluster.list({ apiVersion: 'apps/v1', kind, namespace, metadataOnly: true });
  } catch (error) {
    agent.log(`It is not known whether workloads can be rolled back: ${asTaskError(error).message}`);
    return [];
  }
}
