import { endingOfRollout } from '../../core/report/ending';
import { asTaskError } from '../../core/failure';
import { needsBase } from '../../core/release/correction';
import { upgradeMethod } from '../../core/release/fieldConflicts';
import { changedNothing, isFirstInstall, lastGood, chainFrom } from '../../core/release/history';
import type { HelmResult } from '../../core/ports';
import { reusesValues } from '../../core/inputs/reusedValues';
import type { KeptField } from '../../core/release/keptFields';
import type { Revision } from '../../core/release/release';
import type { RolloutMemory } from '../../core/rollout/verdict';
import { stopIfCancelled, type DeployContext } from '../../core/releaseContext';
import { beginWork } from '../release/change';
import { whileHooksRun, type HookEvidence } from '../rollout/hookLogs';
import { workloadLogs, type PodLogs } from '../rollout/podLogs';
import { followRollout, rolloutPolicy, type RolloutEnd, type RolloutOptions } from '../rollout/rollout';
import { holdDataBack } from './droppedData';
import type { ReleaseSnapshot } from './readRelease';
import { giveBase, onBase, type GivenBase } from '../release/mergeBase';
import { withRetries } from '../steps/withRetries';
import { keepPreexisting } from '../release/preexisting';
import { remindingWhile, secondsUntil } from '../steps/phase';
import { newRevision } from '../release/record';
import type { DeployProgress } from '../release/deployProgress';
import { desiredObjects, type DesiredObject } from '../release/desiredObjects';
import type { Rendering } from '../../core/release/unchanged';
import { judgeNow } from '../rollout/moment';

export interface Upgraded {
  result: HelmResult;
  /** The revision that this run made; undefined when Helm ended before it made one. */
  revision: Revision | undefined;
  history: readonly Revision[];
  /** No object of the chart was touched. */
  changedNothing: boolean;
  /** The end of the rollout that was followed beside a waiting Helm, if that ended Helm's run. */
  followed: RolloutEnd | undefined;
  logged: Map<string, string>;
  hooks: HookEvidence | undefined;
  /** The logs to show while the rollout is followed, if the inputs ask for them. */
  logs: PodLogs | undefined;
}

/** Facts that were read before the upgrade, and the fields that Helm must leave alone. */
type UpgradePlan = ReleaseSnapshot & { kept: readonly KeptField[] };

export async function upgrade(
  context: DeployContext,
  progress: DeployProgress,
  seen: UpgradePlan,
  deadline: Date,
): Promise<Upgraded> {
  const { storage } = context;
  const revisionNext = (seen.history.at(-1)?.revision ?? 0) + 1;
  stopIfCancelled(context.signal);
  await beginWork(context, progress, { action: isInstall(seen) ? 'install' : 'upgrade', revision: revisionNext });
  await keepPreexisting(context);
  const given = await baseForUpgrade(context, seen);
  progress.leftovers.push(...(given?.leftovers ?? []));
  const logged = new Map<string, string>();
  const { serving } = progress;
  progress.serving = null;
  let followed: RolloutEnd | undefined;
  const logs = workloadLogs(context);
  const wait = needsWait(seen.rendering, isInstall(seen) ? 'post-install' : 'post-upgrade');
  if (wait) context.agent.log('The chart has hooks that run when all is ready: Helm waits too.');
  const events = isInstall(seen) ? ['pre-install', 'post-install'] : ['pre-upgrade', 'post-upgrade'];
  const { result, hooks } = await onBase(context, given, seen.history, () =>
    whileHooksRun(context, seen.rendering.hooks, events, async (hopeless) => {
      const run = await runUpgrade(context, seen, { wait, deadline, hopeless, logged: logged, ...(logs && { logs }) });
      ({ followed } = run);
      if (followed !== undefined) progress.found = endingOfRollout(followed.verdict);
      return run.result;
    }),
  );
  const history = await withRetries(context, () => storage.history());
  const revision = newRevision(seen.history, history);
  if (revision !== undefined) {
    progress.chart = `${revision.chart.name} ${revision.chart.version}`;
    progress.appVersion = revision.chart.appVersion;
    progress.createdAt = revision.createdAt;
  }
  const nothing = !result.ok && (revision === undefined || changedNothing(revision, preHook(seen)));
  if (nothing) progress.serving = serving;
  else if (result.ok && revision !== undefined) progress.serving = { revision: revision.revision, health: 'unknown' };
  context.agent.log(`Helm ${endWords(result)} after ${(result.durationMs / 1000).toFixed(1)} s.`);
  return { result, revision, history, changedNothing: nothing, followed, logged: logged, hooks, logs };
}

function endWords({ ok, timedOut }: HelmResult): string {
  if (ok) return 'succeeded';
  return timedOut ? 'was stopped, because the timeout had passed,' : 'failed';
}

export function isInstall(seen: ReleaseSnapshot): boolean {
  return isFirstInstall(seen.state);
}

function preHook(seen: ReleaseSnapshot): 'pre-install' | 'pre-upgrade' {
  return isInstall(seen) ? 'pre-install' : 'pre-upgrade';
}

function needsWait(rendering: Rendering, event: string): boolean {
  return rendering.hooks.some((hook) => hook.events.includes(event));
}

/** After a failed revision, Helm needs a base to leave nothing of that revision behind; see core/release/mergeBase. */
async function baseForUpgrade(context: DeployContext, seen: ReleaseSnapshot): Promise<GivenBase | undefined> {
  if (seen.state.state !== 'failed' && !seen.isUnfinishedRollback) {
    return baseForCorrection(context, seen);
  }
  const good = lastGood(seen.isUnfinishedRollback ? seen.history.slice(0, -1) : seen.history);
  const chain = chainFrom(seen.history, good);
  const why = seen.isUnfinishedRollback ? 'was made by a rollback that was not finished' : 'failed';
  context.agent.log(
    `Revision ${chain.at(-1)?.revision ?? ''} ${why}. This time, Helm merges from all that revisions ${chain
      .map((revision) => revision.revision)
      .join(', ')} may have left, so that no leftovers stay.`,
  );
  // With reused values, Helm takes those of the last revision, so the values of a failed revision would come back.
  const config = reusesValues(context.request) && !seen.isUnfinishedRollback ? good?.config : undefined;
  return giveBase(context, seen.history, { chain, good, desiredManifest: seen.rendering.manifest }, config);
}

/** With a base that lacks a field, Helm sends the field whatever the last manifest says. */
async function baseForCorrection(context: DeployContext, seen: ReleaseSnapshot): Promise<GivenBase | undefined> {
  const { capabilities, correction, history, rendering, state } = seen;
  const good = history.findLast(({ status }) => status === 'deployed');
  const { isServerSide } = upgradeMethod(capabilities, context.request.extraArguments, state);
  if (good !== undefined && correction !== undefined && needsBase(correction, isServerSide)) {
    const given = await giveBase(context, history, { chain: [good], good, desiredManifest: rendering.manifest });
    if (given?.edited !== undefined) return given;
  }
  return holdDataBack(context, history, rendering.manifest);
}

interface UpgradeRun extends Pick<RolloutOptions, 'logged' | 'logs'> {
  /** Helm waits until all is ready, because it runs hooks then. */
  wait: boolean;
  deadline: Date;
  /** Aborts when a hook can no longer succeed. */
  hopeless: AbortSignal;
}

/**
 * Runs Helm until it ends or a hook can no longer succeed. Where Helm waits, the rollout is followed beside it, and the
 * first failed object ends the run.
 */
async function runUpgrade(
  context: DeployContext,
  seen: UpgradePlan,
  { wait, deadline, hopeless, ...logging }: UpgradeRun,
): Promise<{ result: HelmResult; followed: RolloutEnd | undefined }> {
  const { cluster, clock, helm, namespace, signal } = context;
  const timeoutSeconds = secondsUntil(deadline, clock.now());
  const createNamespace = context.request.createNamespace && seen.hasNamespace !== true;
  const forceConflicts = seen.correction?.forcesConflicts === true;
  const how = { timeoutSeconds, wait, createNamespace, forceConflicts, kept: seen.kept, lost: context.lease.lost };
  const objects = wait ? await desiredObjects(cluster, seen.rendering.manifest, namespace) : [];
  const memory = wait ? await memoryBesideHelm(context, seen, objects) : undefined;
  hopeless.addEventListener('abort', () => {
    context.agent.log('  This hook can no longer succeed, so Helm is stopped.');
  });
  // Helm makes a revision even when it is interrupted at its start.
  stopIfCancelled(signal);
  if (!wait) {
    const running = helm.upgrade(how, AbortSignal.any([signal, hopeless]));
    return { result: await remindingWhile(context, running), followed: undefined };
  }

  const giveUp = new AbortController();
  const helmEnded = new AbortController();
  const ends = AbortSignal.any([signal, hopeless, giveUp.signal]);
  const running = helm.upgrade(how, ends).finally(() => {
    helmEnded.abort();
  });
  const following = followRollout(context, objects, {
    policy: rolloutPolicy(context, deadline, false),
    memory,
    earlier: seen.history,
    stop: helmEnded.signal,
    ...logging,
  }).then(
    (end) => {
      if (end.end === 'failed') giveUp.abort();
      return end.end === 'failed' ? end : undefined;
    },
    (thrown: unknown) => {
      // Helm is at work and is awaited, even if the objects cannot be followed.
      context.agent.log(`  The objects cannot be followed while Helm waits: ${asTaskError(thrown).message}`);
      return undefined;
    },
  );
  const [result, followed] = await Promise.all([running, following]);
  return { result, followed };
}

/**
 * Objects that a failed revision has left broken stay broken until Helm has applied the new revision, which a hook may
 * delay. Until then they must not end the run. Afterwards they count.
 */
async function memoryBesideHelm(
  context: DeployContext,
  { baseline, state }: ReleaseSnapshot,
  objects: readonly DesiredObject[],
): Promise<RolloutMemory | undefined> {
  if (state.state !== 'failed') return baseline;
  return (await judgeNow(context, objects).catch(() => undefined))?.baseline;
}
