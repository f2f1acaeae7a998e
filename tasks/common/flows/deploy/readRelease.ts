import {
  crdsAdvice,
  isDeclared,
  kindNames,
  skipsCrds,
  unservedKinds,
  type DeclaredKind,
} from '../../core/helm/chartCrds';
import { asTaskError, TaskError, type FailureReason } from '../../core/failure';
import {
  isFirstInstall,
  isInconclusive,
  isVerified,
  lastGood,
  releaseState,
  rollbackTarget,
  verifiedLabel,
  type ReleaseState,
  type RollbackTarget,
} from '../../core/release/history';
import type { Correction } from '../../core/release/correction';
import { blamedObject, briefly, isOfRendering } from '../../core/helm/helmFailure';
import { objectName } from '../../core/kubernetes/manifest';
import type { Helm, Rendered } from '../../core/ports';
import type { Revision } from '../../core/release/release';
import type { ServingHealth } from '../../core/report/report';
import type { Reservation } from '../../core/rollout/reservations';
import { isRunner } from '../../core/rollout/runner';
import type { RolloutMemory } from '../../core/rollout/verdict';
import { checkAccess } from './checkAccess';
import { wasBegun } from '../../core/lock/lease';
import { cancelledDescription, markBroken, reserve, verify } from '../release/record';
import { stopIfCancelled, type DeployContext, type ReleaseContext } from '../../core/releaseContext';
import { markDead, ownerOf, pendingRefusal, removeHooks, restoreHistory, wasInterrupted } from '../release/recover';
import { withRetries } from '../steps/withRetries';
import { leftObjects, putBackLeft } from '../release/preexisting';
import type { Serving } from '../release/deployProgress';
import { renewRecords } from '../release/servedVersions';
import type { HelmCapabilities } from '../../core/helm/provenance';
import { missingProof } from '../../core/inputs/bakeRequest';
import type { Rendering } from '../../core/release/unchanged';
import { judgeNow, servingHealth } from '../rollout/moment';

/** All that is known before the first change. */
export interface ReleaseSnapshot {
  capabilities: HelmCapabilities;
  rendering: Rendering;
  history: readonly Revision[];
  state: ReleaseState;
  /** The revision to which a failed deploy is rolled back. */
  target: RollbackTarget | undefined;
  /** The state of the objects before the first change, healthy or not. */
  baseline: RolloutMemory | undefined;
  /** The serving revision was judged healthy just now. */
  isHealthy: boolean;
  /** Why the serving revision is not verified, although it is healthy. */
  reservations: readonly Reservation[];
  /** The revision that was left pending and is now marked failed, as it was found. */
  died: Revision | undefined;
  /**
   * A rollback made the last revision and was not finished. An approved rollback deletes what its target does not have
   * only at its end, so objects of earlier revisions may still be live.
   */
  isUnfinishedRollback: boolean;
  /** Undefined where this identity may not find out. */
  hasNamespace: boolean | undefined;
  /** Set where the upgrade is to set what somebody else has set. */
  correction?: Correction;
}

/** Answers that need only Helm and the chart. They are requested while the step still waits for the lock. */
export interface AskedHelm {
  capabilities: Promise<HelmCapabilities>;
  rendered: Promise<Rendered>;
}

export function askHelm({ helm, signal }: { helm: Helm; signal: AbortSignal }): AskedHelm {
  const asked = { capabilities: helm.capabilities(signal), rendered: helm.render(signal) };
  // These errors reach the code that awaits the answers. Until then they must not count as unhandled.
  for (const answer of Object.values(asked)) answer.catch(() => undefined);
  return asked;
}

/**
 * Looks at Helm, the cluster, the release and the chart at the same time, and refuses what cannot succeed.
 * `observer.onHistory` gets the history as soon as it is known, so that a refusal also names the serving revision.
 */
export async function readRelease(
  context: DeployContext,
  asked: AskedHelm,
  observer: Observer,
): Promise<ReleaseSnapshot> {
  const { helm, signal } = context;
  const [release, capabilities, rendered] = await Promise.allSettled([
    readAndPutBack(context, observer),
    asked.capabilities,
    asked.rendered,
  ]);
  stopIfCancelled(signal);
  // Errors of the cluster come first: without the cluster, Helm's error is only an echo.
  if (release.status === 'rejected') throw release.reason;
  if (capabilities.status === 'rejected') throw capabilities.reason;
  if (rendered.status === 'rejected') throw rendered.reason;
  // Helm renders nothing for a pending release, and the release may have been pending when Helm was asked.
  const wasPending = release.value.died !== undefined || rendered.value.failure?.reason === 'ReleasePending';
  const first = wasPending || release.value.isRenewed ? await helm.render(signal) : rendered.value;
  const { rendering, failure, assumed, said } = await withOwnKinds(context, release.value.state, first);
  for (const line of said) context.agent.log(`  ${line}`);
  if (rendering === undefined) throw notRendered(release.value.history.at(-1), failure);
  context.agent.log(`Helm ${capabilities.value.version}, ${hookSentence(rendering)}.`);
  // Nobody has rights in a namespace that does not exist yet.
  if (release.value.hasNamespace === true || !context.request.createNamespace) {
    await checkAccess(context, rendering.manifest, release.value.history.at(-1)?.manifest ?? '', assumed);
  }
  return { ...release.value, capabilities: capabilities.value, rendering };
}

/** The advice for an error that an input of this task can avoid. */
function wayAround(message: string): string {
  if (!/missing in charts\/ directory/i.test(message)) return '';
  return '\nSet the input dependencyUpdate to true, or fetch the dependencies in an earlier step (helm dependency build).';
}

function whatStopped(reason: FailureReason, message: string): string {
  if (isOfRendering(message)) return 'The chart cannot be rendered';
  if (reason === 'KindNotServed') return 'The chart declares a kind that the API server does not serve';
  return 'Helm stopped before it changed anything';
}

/** Before Helm renders anything of an upgrade, it reads its record of the last revision. */
export function notRendered(last: Revision | undefined, failure: Rendered['failure']): TaskError {
  const { reason, message } = failure ?? { reason: 'HelmFailed', message: 'it did not say why.' };
  const object = blamedObject({ reason, message });
  const isOfRecord = reason === 'KindNotServed' && message.includes('from current release manifest');
  if (isOfRecord && last !== undefined) {
    return new TaskError(
      reason,
      `Helm's record of the release (revision ${last.revision}) names a kind that the API server does not serve in any version, so ` +
        `Helm can neither upgrade the release nor roll back to that revision; the chart is not the cause: ${briefly(message)}`,
    );
  }
  const what = whatStopped(reason, message);
  return new TaskError(
    reason,
    `${what}: ${briefly(message)}${wayAround(message)}`,
    object === '' ? {} : { facts: { object } },
  );
}

/**
 * Returns what was rendered. If the dry run does not know kinds that the chart itself brings, the chart is rendered
 * again with these kinds: Helm installs their definitions before anything else of a first install. A template may also
 * look for these kinds, and fail without them.
 */
export async function withOwnKinds(
  context: Pick<DeployContext, 'agent' | 'helm' | 'request' | 'signal'>,
  state: ReleaseState,
  rendered: Rendered,
): Promise<Rendered & { assumed?: readonly DeclaredKind[] }> {
  const { agent, helm, request, signal } = context;
  const { failure } = rendered;
  if (failure?.reason !== 'KindNotServed' && failure?.reason !== 'ChartInvalid') return rendered;
  const declared = (await helm.chartCrds(signal)) ?? [];
  const missing = unservedKinds(failure.message);
  const areForeign = missing.length > 0 && !missing.some((kind) => isDeclared(declared, kind));
  if (declared.length === 0 || areForeign) return rendered;
  const by = crdsInstaller(request, state);
  if (by === 'skipped' || by === 'upgrade') {
    const advice = crdsAdvice(missing, declared, by);
    if (advice === undefined) return rendered;
    return { ...rendered, failure: { ...failure, message: `${failure.message}\n${advice}` } };
  }
  agent.log(
    `The chart brings definitions of kinds of its own (crds/: ${kindNames(declared)}). ${by} installs them first.`,
  );
  return { ...(await helm.render(signal, declared)), assumed: declared };
}

/** Who installs the definitions of crds/ in this deploy, or why nobody does. */
function crdsInstaller(
  { crds, extraArguments }: DeployContext['request'],
  state: ReleaseState,
): 'The task' | 'Helm' | 'skipped' | 'upgrade' {
  if (crds === 'create' || crds === 'createReplace') return 'The task';
  if (crds === 'skip' || skipsCrds(extraArguments)) return 'skipped';
  return isFirstInstall(state) ? 'Helm' : 'upgrade';
}

function hookSentence(rendering: Rendering): string {
  const count = rendering.hooks.length;
  return count === 0 ? 'chart without hooks' : `chart with ${count} hook${count === 1 ? '' : 's'}`;
}

type History = readonly Revision[];

/** Callbacks for facts. Each is called as soon as its fact is known. */
interface Observer {
  onHistory: (history: History) => void;
  /** Called when the serving revision was judged. */
  onServing: (serving: Serving) => void;
  /** Called before a revision that a dead run has left is taken over and marked failed. */
  onDied: (died: Revision) => void;
}

type StateSnapshot = Omit<ReleaseSnapshot, 'capabilities' | 'rendering'> & {
  /** Helm's record has changed since Helm was asked. */
  isRenewed: boolean;
};

/** Objects that an earlier run did not restore are restored first. */
async function readAndPutBack(context: DeployContext, observer: Observer): Promise<StateSnapshot> {
  const [release, left] = await Promise.all([readState(context, observer), leftObjects(context)]);
  await putBackLeft(context, left, release.history);
  return release;
}

async function readState(context: DeployContext, { onHistory, onServing, onDied }: Observer): Promise<StateSnapshot> {
  const { agent, request, namespace, storage } = context;
  const hasNamespace = await findNamespace(context);
  const found = await storage.history();
  onHistory(found);
  logState(context, releaseState(found));
  const died = await recoverPending(context, found, onDied);
  const restored = await restoreHistory(context, died === undefined ? found : await storage.history());
  const history = await renewRecords(context, restored, oldestRead(restored));
  const isRenewed = history !== restored;
  onHistory(history);
  const state = releaseState(history);
  const known = { died, hasNamespace, isRenewed, isUnfinishedRollback: false, reservations: [] };
  const nothingServes = { baseline: undefined, isHealthy: false, ...known };
  if (state.state === 'unknown') {
    throw new TaskError(
      'ReleasePending',
      `Revision ${state.last.revision} of release ${request.releaseName} in namespace ${namespace} has a status that this task does not know.`,
    );
  }
  if (state.state === 'failed' && wasInterrupted(state.last)) await removeHooks(context, state.last);
  if (state.state !== 'deployed') return { history, state, target: rollbackTarget(history), ...nothingServes };
  const { baseline, health, isUsable, reservations } = await servingBefore(context, state.last, history);
  const isHealthy = health === 'healthy';
  const serving = { revision: state.last.revision, health };
  onServing(serving);
  const missing = unproven(context, state.last);
  if (missing !== undefined || (!isHealthy && isUnjudged(context, state.last))) {
    onDied(state.last);
    if (missing !== undefined) await removeHooks(context, state.last);
    const failed = await failUnjudged(context, state.last, (isHealthy ? missing : undefined) ?? 'it was healthy');
    onHistory(failed);
    onServing(serving);
    return { history: failed, state: releaseState(failed), target: rollbackTarget(failed), ...nothingServes };
  }
  agent.debug(`history: ${history.map((revision) => `${revision.revision} ${revision.status}`).join(', ')}`);
  const marked = await storage.history();
  const target =
    rollbackTarget(marked) ?? (isUsable ? { revision: state.last, proof: 'deployed' as const } : undefined);
  const isUnfinishedRollback = wasBegun(context.lease.previous, state.last.revision, ['rollback']);
  return { history: marked, state, target, baseline, isHealthy, ...known, isUnfinishedRollback, reservations };
}

/**
 * Returns true if the run of a revision died before it saw the revision healthy or failed. A failure of such a revision
 * is no pre-existing failure.
 */
function isUnjudged({ lease }: DeployContext, last: Revision): boolean {
  return last.labels[verifiedLabel] !== String(last.revision) && wasBegun(lease.previous, last.revision);
}

/** A revision whose run died before all proofs were there may be healthy, and still does not work. */
function unproven(context: DeployContext, last: Revision): string | undefined {
  return isUnjudged(context, last) ? missingProof(context.request, last) : undefined;
}

async function failUnjudged(context: DeployContext, { revision }: Revision, aim: string): Promise<History> {
  context.agent.log(`Revision ${revision} was left by a run that is gone before ${aim}. It is marked failed.`);
  const change = { status: 'failed', description: cancelledDescription } as const;
  await withRetries(context, () => context.storage.update(revision, change));
  return withRetries(context, () => context.storage.history());
}

/** Marks a pending revision failed if its run is gone. Throws if its run may be alive. */
async function recoverPending(
  context: DeployContext,
  history: History,
  onDied: Observer['onDied'],
): Promise<Revision | undefined> {
  const state = releaseState(history);
  if (state.state !== 'pending') return undefined;
  const owner = await ownerOf(context, state.last, context.request.assumeAbandonedAfterSeconds);
  if (!owner.isGone) throw pendingRefusal(state.last, owner.why);
  onDied(state.last);
  await markDead(context, state.last, owner.how);
  return state.last;
}

function logState(context: ReleaseContext, state: ReleaseState): void {
  const name = `Release ${context.request.releaseName} in namespace ${context.namespace}`;
  if (state.state === 'absent') context.agent.log(`${name} does not exist yet.`);
  else
    context.agent.log(
      `${name}: revision ${state.last.revision} (${state.last.chart.name} ${state.last.chart.version}) is ${state.last.status}.`,
    );
}

/**
 * Returns true if the namespace exists, and undefined where this identity may not find out. Throws if the namespace is
 * missing and must not be created.
 */
async function findNamespace(context: DeployContext): Promise<boolean | undefined> {
  const { lease, namespace, request } = context;
  // A held Lease is an object of the namespace, so the namespace exists.
  const isThere = lease.state === 'unlocked' ? await hasNamespace(context) : lease.state === 'held';
  if (isThere !== false || request.createNamespace) return isThere;
  throw new TaskError(
    'NamespaceMissing',
    `Input namespace: namespace ${namespace} does not exist, and createNamespace is false.`,
  );
}

/**
 * Many pipelines may read only inside their own namespace. Then a dry run of a create shows if the namespace exists.
 */
export async function hasNamespace(
  context: Pick<DeployContext, 'cluster' | 'namespace' | 'request' | 'storage'>,
): Promise<boolean | undefined> {
  const { cluster, namespace, request, storage } = context;
  const reasonOf = (error: unknown): FailureReason => asTaskError(error).reason;
  try {
    return (await cluster.get({ apiVersion: 'v1', kind: 'Namespace', name: namespace })) !== undefined;
  } catch (error) {
    if (reasonOf(error) !== 'PermissionDenied') throw error;
  }
  // Helm reports a missing namespace itself.
  if (!request.createNamespace) return undefined;
  const probe = { apiVersion: 'v1', kind: storage.kind, metadata: { name: 'helm-safe-deploy-probe', namespace } };
  return cluster.create(probe, { dryRun: true }).then(
    () => true,
    (error: unknown) => (reasonOf(error) === 'NamespaceMissing' ? false : undefined),
  );
}

/** The oldest revision whose record Helm may read in this run, for its merge or for a rollback. */
export function oldestRead(history: History): number {
  const read = [history.at(-1), rollbackTarget(history)?.revision, lastGood(history)];
  return Math.min(...read.flatMap((each) => each?.revision ?? []));
}

/**
 * Judges the serving revision, and marks it verified when it is healthy. The revision is then the target if the deploy
 * fails.
 */
async function servingBefore(
  context: DeployContext,
  serving: Revision,
  history: History,
): Promise<{
  baseline: RolloutMemory;
  health: ServingHealth;
  isUsable: boolean;
  reservations: readonly Reservation[];
}> {
  const { agent } = context;
  // The revision has served for long enough, so only its present state counts.
  const moment = await judgeNow(context, serving.manifest);
  const { verdict, baseline } = moment;
  const { health, decisive, workloads } = verdict;
  const isMarked = isVerified(serving);
  const reservations = health === 'healthy' && !isMarked ? moment.reservations({ revision: serving, history }) : [];
  if (health === 'healthy') {
    agent.log(`Revision ${serving.revision} serves and is healthy.`);
    if (!isMarked && !isInconclusive(serving) && unproven(context, serving) === undefined) {
      await (reservations.length === 0 ? verify : reserve)(context.storage, serving);
    }
  } else if (decisive !== undefined) {
    const why = decisive.cause?.message ?? decisive.suspects[0]?.message ?? decisive.status.message;
    agent.log(
      `Revision ${serving.revision} serves, but was not healthy before this deploy: ${objectName(decisive.ref)}: ${why}`,
    );
  }
  const broken = health === 'healthy' ? undefined : moment.broken();
  if (broken !== undefined) {
    await markBroken(context.storage, serving, broken);
    agent.log(
      `That lies in revision ${serving.revision} itself (${broken.reason}), so it is no target of a rollback until it is seen healthy again.`,
    );
  }
  // A part of it may serve, which is better than a failed deploy.
  const isUsable = workloads.some((workload) => workload.health === 'healthy' && isRunner(workload.ref));
  return { baseline, health: servingHealth(verdict), isUsable, reservations };
}
