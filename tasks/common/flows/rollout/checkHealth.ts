import { endingFor, endingOfRollout, reportedObjects } from '../../core/report/ending';
import { asTaskError, type FailureReason, type TaskError } from '../../core/failure';
import type { HealthEnding, HealthReport } from '../../core/report/healthReport';
import { healthOf } from '../../core/report/healthReport';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectName } from '../../core/kubernetes/manifest';
import type { Revision } from '../../core/release/release';
import { causesOf, type RolloutVerdict } from '../../core/rollout/verdict';
import { collectEvidence, logEvidence } from './evidence';
import { healthTargets, type HealthContext, type HealthTargets } from './healthTargets';
import { group, later } from '../steps/phase';
import { verify } from '../release/record';
import { workloadLogs } from './podLogs';
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
  };
}

async function checkTargets(context: HealthContext, startedAt: Date): Promise<HealthReport> {
  const { agent, clock, namespace, request, storage } = context;
  const targets = await group(context, 'Find the objects to check', async () => {
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
  });
  const policy = rolloutPolicy(context, later(clock.now(), request.timeoutSeconds), true);
  const logs = workloadLogs(context);
  const followed = await group(context, 'Follow', () =>
    followRollout(context, targets.objects, { policy, memory: undefined, logged: new Map(), ...(logs && { logs }) }),
  );
  const isHealthy = followed.end === 'healthy';
  const evidence = isHealthy
    ? []
    : await group(context, 'Why it is not healthy', async () => {
        const collected = await collectEvidence(context, causesOf(followed.verdict), followed.lastLines);
        logEvidence(context, collected);
        return collected;
      });
  const toMark = isHealthy && request.markVerified ? markable(context, targets.revision) : undefined;
  if (toMark !== undefined && storage !== undefined) await verify(storage, toMark);
  return {
    schemaVersion: 1,
    task: 'RolloutHealthCheck',
    namespace,
    release: request.releaseName ?? '',
    health: healthOf(followed.end),
    ...endingOf(followed),
    revision: targets.revision?.revision ?? null,
    rollbackRevision: targets.rollbackTo?.revision ?? null,
    canRollBack: await canRollBack(context, targets, followed.verdict),
    markedVerified: toMark !== undefined,
    startedAt: startedAt.toISOString(),
    finishedAt: clock.now().toISOString(),
    objects: reportedObjects(followed.verdict),
    evidence,
  };
}

/** A mark outlives the status of its revision, so a revision that Helm did not complete gets none. */
function markable({ agent }: HealthContext, revision: Revision | undefined): Revision | undefined {
  if (revision === undefined || revision.status === 'deployed') return revision;
  agent.log(
    `Revision ${revision.revision} is not marked as verified healthy: Helm's record calls it ${revision.status}.`,
  );
  return undefined;
}

function endingOf({ end, verdict }: RolloutEnd): HealthEnding {
  if (end === 'healthy') {
    return { reason: '', reasonGroup: '', message: '', advice: '', failedWorkload: '', timedOut: false };
  }
  // An outcome belongs to the report of a deploy, not to the report of a check.
  const { outcome: _, ...ending } =
    end === 'cancelled' ? endingFor('cancelled', 'Cancelled', 'The check was cancelled.') : endingOfRollout(verdict);
  return ending;
}

/** Plain workloads can be rolled back if each failed one has an earlier revision. */
async function canRollBack(context: HealthContext, targets: HealthTargets, verdict: RolloutVerdict): Promise<boolean> {
  if (context.storage !== undefined) return targets.rollbackTo !== undefined;
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
