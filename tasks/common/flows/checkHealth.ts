import { endingFor, endingOfRollout, reportedObjects } from '../core/ending';
import { asTaskError, type FailureReason, type TaskError } from '../core/failure';
import type { HealthEnding, HealthReport } from '../core/healthReport';
import { healthOf } from '../core/healthReport';
import type { HealthRequest } from '../core/healthRequest';
import { objectName } from '../core/manifest';
import type { ReleaseStorage } from '../core/ports';
import type { RolloutContext } from '../core/releaseContext';
import { causesOf, type RolloutVerdict } from '../core/rollout/verdict';
import { collectEvidence, sayEvidence } from './evidence';
import { healthTargets, type HealthTargets } from './healthTargets';
import { group, later } from './phase';
import { verify } from './record';
import { workloadLogs } from './podLogs';
import { followRollout, rolloutPolicy, type RolloutEnd } from './rollout';

export interface HealthContext extends RolloutContext {
  request: HealthRequest;
  /** Helm's storage of the release that was asked about, if one was. */
  storage: ReleaseStorage | undefined;
}

/** Says whether the workloads or the release are healthy. Throws only what is wrong with the question itself. */
export async function checkHealth(context: HealthContext): Promise<HealthReport> {
  const startedAt = context.clock.now();
  try {
    return await look(context, startedAt);
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

/** What stopped us from knowing is an answer too, but never «healthy». */
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

async function look(context: HealthContext, startedAt: Date): Promise<HealthReport> {
  const { agent, clock, cluster, namespace, request, storage } = context;
  const targets = await group(context, 'Look at what is to be checked', async () => {
    const found = await healthTargets(cluster, storage, request, namespace);
    agent.log(`${found.objects.length} objects: ${found.objects.map(({ ref }) => objectName(ref)).join(', ')}`);
    return found;
  });
  const policy = rolloutPolicy(context, later(clock.now(), request.timeoutSeconds), true);
  const logs = workloadLogs(context);
  const followed = await group(context, 'Follow', () =>
    followRollout(context, targets.objects, { policy, memory: undefined, said: new Map(), ...(logs && { logs }) }),
  );
  const isHealthy = followed.end === 'healthy';
  const evidence = isHealthy
    ? []
    : await group(context, 'Why it is not healthy', async () => {
        const collected = await collectEvidence(context, causesOf(followed.verdict));
        sayEvidence(context, collected);
        return collected;
      });
  const toMark = isHealthy && request.markVerified ? targets.revision : undefined;
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

function endingOf({ end, verdict }: RolloutEnd): HealthEnding {
  if (end === 'healthy') {
    return { reason: '', reasonGroup: '', message: '', advice: '', failedWorkload: '', timedOut: false };
  }
  // The outcome of a deploy has no place in the report of a check.
  const { outcome: _, ...ending } =
    end === 'cancelled' ? endingFor('cancelled', 'Cancelled', 'The check was cancelled.') : endingOfRollout(verdict);
  return ending;
}

/** A release by its history; plain workloads where each that has failed has a revision before its present one. */
async function canRollBack(context: HealthContext, targets: HealthTargets, verdict: RolloutVerdict): Promise<boolean> {
  if (context.storage !== undefined) return targets.rollbackTo !== undefined;
  // What was still on its way when another failed is not known to be bad.
  const failed = verdict.workloads.filter(({ health }) => health === 'failed');
  const candidates = (failed.length > 0 ? failed : verdict.workloads).map(({ ref }) => ref);
  const answers = await Promise.all(candidates.map((ref) => hasEarlierRevision(context, ref)));
  return answers.length > 0 && answers.every(Boolean);
}

const revisionKinds: Readonly<Record<string, string>> = {
  Deployment: 'ReplicaSet',
  StatefulSet: 'ControllerRevision',
  DaemonSet: 'ControllerRevision',
};

async function hasEarlierRevision(
  context: HealthContext,
  ref: { apiVersion: string; kind: string; namespace?: string; name: string },
): Promise<boolean> {
  const kind = revisionKinds[ref.kind];
  if (kind === undefined || ref.namespace === undefined || ref.apiVersion !== 'apps/v1') return false;
  try {
    const live = await context.cluster.get(ref);
    const revisions = await context.cluster.list({ apiVersion: 'apps/v1', kind, namespace: ref.namespace });
    const own = revisions.filter(({ metadata }) =>
      (metadata.ownerReferences ?? []).some(({ uid }) => uid === live?.metadata.uid),
    );
    return own.length > 1;
  } catch (error) {
    context.agent.log(`Whether ${objectName(ref)} can go back is not known: ${asTaskError(error).message}`);
    return false;
  }
}
