import { setImmediate as nextTurn } from 'node:timers/promises';
import { type FailureReason, TaskError, asTaskError } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import { objectKey, refOf } from '../../core/kubernetes/manifest';
import { abortableDelay, backoffMs } from './transport';
import { type Group, type Life, markRead, markUnread } from './followedGroup';
import { watch } from './watch';
import { areSame, held, isWanted, isYoung, keepBack, releaseLimbo, replaceAll } from './followedObjects';

/** A first reading that fails for a passing reason is retried for this time. */
const firstReadingMs = 15_000;

/** After so many failures in a row, everything is listed again. */
const resumeTries = 5;

export async function live(life: Life): Promise<void> {
  const { group, signal, following } = life;
  const startedAt = performance.now();
  let failures = 0;
  let resourceVersion: string | undefined;
  let isPolling = false;
  while (!isOver(signal)) {
    try {
      if (resourceVersion === undefined || isPolling) {
        resourceVersion = await relist(life);
        markRead(life);
        group.settleFirst();
      }
      if (isPolling) {
        failures = 0;
        await abortableDelay(following.options.pollMs, [signal]);
        continue;
      }
      const next = await watch(life, resourceVersion);
      isPolling = next.next === 'poll';
      resourceVersion = next.next === 'resume' ? next.resourceVersion : undefined;
      if (next.next === 'resume' && next.progressed) failures = 0;
      else await abortableDelay(backoffMs(failures++), [signal]);
    } catch (error) {
      if (isOver(signal)) return;
      const failure = asTaskError(error);
      markUnread(life, failure);
      const isLasting = lastingReasons.has(failure.reason);
      if (isLasting || performance.now() - startedAt > firstReadingMs) group.settleFirst();
      await abortableDelay(pauseAfter(failure, group, failures++), [signal]);
      // The API server cannot continue from this version, for example after a restore from a backup.
      if (failures > resumeTries) resourceVersion = undefined;
    }
  }
}

function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** They do not pass within seconds, but a permission can be granted and a kind installed. */
const lastingReasons: ReadonlySet<FailureReason> = new Set<FailureReason>([
  'PermissionDenied',
  'CredentialsRejected',
  'CertificateRejected',
  'KindNotServed',
  'Internal',
]);

function pauseAfter({ reason, facts }: TaskError, group: Group, failures: number): number {
  const asked = facts['retryAfterMs'];
  if (typeof asked === 'number') return Math.max(asked, backoffMs(failures));
  const isRefused = reason === 'PermissionDenied' || reason === 'CredentialsRejected';
  // An API server that has just started does not know the users' permissions yet.
  return isRefused && !group.hasWatched ? Math.min(1_000 * 2 ** failures, 30_000) : backoffMs(failures);
}

/** Missing objects are removed only after the whole list was read. */
async function relist(life: Life): Promise<string> {
  const { group, following, signal, before } = life;
  let fresh = new Map<string, KubeObject>();
  const resourceVersion = await following.requests.pages(group.query, {
    retry: 'never',
    signal,
    start: () => {
      fresh = new Map();
      group.limbo.clear();
    },
    take: async (items) => {
      await before;
      for (const object of items) {
        const key = objectKey(refOf(object));
        if (isWanted(group, object)) fresh.set(key, held(following, group, object));
        else if (isYoung(object)) keepBack(group, key, object);
      }
      // A large page must not block the other streams.
      await nextTurn();
    },
  });
  if (signal.aborted) throw new TaskError('Cancelled', 'No longer followed.');
  if (!areSame(group.objects, fresh)) {
    replaceAll(following, group, fresh);
    for (const { metadata } of fresh.values()) releaseLimbo(following, metadata.uid);
    following.changed();
  }
  return resourceVersion;
}
