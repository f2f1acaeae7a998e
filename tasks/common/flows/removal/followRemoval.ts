import { asTaskError } from '../../core/failure';
import type { FollowQuery, FollowSnapshot } from '../../core/kubernetes/queries';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectName, refOf } from '../../core/kubernetes/manifest';
import type { Cluster, Follower } from '../../core/ports';
import { hangingWords, type Removal } from '../../core/release/removal';
import { isRunner, mayOwnRunners, ownedKinds } from '../../core/rollout/runner';
import { duration } from '../../core/text/durationText';
import { someNames } from '../../core/text/someNames';
import type { UninstallContext } from './planRemoval';

/** Follows deleted objects, and what belongs to them, until nothing of it is left. */
export interface RemovalFollower {
  /** Returns what is still there at the deadline, or when `signal` aborts. */
  gone(deadline: Date, signal: AbortSignal): Promise<readonly KubeObject[]>;
  stop(): void;
}

/** Begin before the deletion: afterwards, nothing shows to which ReplicaSet a pod belonged. */
export async function followRemoval(context: UninstallContext, removals: readonly Removal[]): Promise<RemovalFollower> {
  const { cluster, signal } = context;
  const targets = removals.filter(({ fate, uid }) => fate === 'deleted' && uid !== undefined);
  const known = new Set(targets.flatMap(({ uid }) => uid ?? []));
  const keep = ({ metadata }: KubeObject): boolean => {
    const isOurs = known.has(metadata.uid ?? '') || (metadata.ownerReferences ?? []).some(({ uid }) => known.has(uid));
    if (isOurs && metadata.uid !== undefined) known.add(metadata.uid);
    return isOurs;
  };
  const refs = targets.map(({ ref }) => ref);
  const follower = refs.length === 0 ? undefined : await cluster.follow(queriesOf(refs, keep), signal);
  return {
    gone: (deadline, until) =>
      follower === undefined ? Promise.resolve([]) : wait(context, follower, { targets, deadline, until }),
    stop: () => follower?.stop(),
  };
}

function queriesOf(refs: readonly ObjectRef[], keep: FollowQuery['keep']): FollowQuery[] {
  const found = new Map<string, FollowQuery>();
  const add = ({ apiVersion, kind, namespace }: Omit<ObjectRef, 'name'>): void => {
    const query = { apiVersion, kind, metadataOnly: true, keep, ...(namespace === undefined ? {} : { namespace }) };
    found.set(`${apiVersion}/${kind}/${namespace ?? ''}`, query);
  };
  refs.forEach(add);
  const runners = refs.filter((ref) => isRunner(ref) || mayOwnRunners(ref) || ref.kind === 'CronJob');
  const namespaces = new Set(runners.flatMap(({ namespace }) => namespace ?? []));
  for (const namespace of namespaces) {
    // Owners come before what they own.
    for (const kind of ownedKinds) add({ ...kind, namespace });
    add({ apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace });
    add({ apiVersion: 'v1', kind: 'Pod', namespace });
  }
  return [...found.values()];
}

interface Waiting {
  targets: readonly Removal[];
  deadline: Date;
  until: AbortSignal;
}

const reminderMs = 30_000;
/** Objects that may not be listed are read again after this time. */
const pollMs = 2_000;

async function wait(context: UninstallContext, follower: Follower, waiting: Waiting): Promise<readonly KubeObject[]> {
  const { agent, clock } = context;
  const { deadline, until } = waiting;
  let lastLogged = clock.now().getTime();
  for (;;) {
    const { objects, isBlind } = await leftNow(context, follower.snapshot(), waiting.targets);
    const now = clock.now().getTime();
    if (objects.length === 0) return [];
    if (until.aborted || now >= deadline.getTime()) return wholeObjects(context.cluster, objects);
    if (now - lastLogged >= reminderMs) {
      const names = someNames(
        objects.map((object) => objectName(refOf(object))),
        5,
      );
      agent.log(`  Waiting for the end of ${names}; ${duration((deadline.getTime() - now) / 1000)} left.`);
      lastLogged = now;
    }
    const next = Math.min(reminderMs - (now - lastLogged), deadline.getTime() - now, isBlind ? pollMs : reminderMs);
    await follower.changed(Math.max(1, next), until);
  }
}

async function leftNow(
  { cluster }: UninstallContext,
  { objects, unread }: FollowSnapshot,
  targets: readonly Removal[],
): Promise<{ objects: readonly KubeObject[]; isBlind: boolean }> {
  const blind = targets.filter(({ ref }) =>
    unread.some(({ query }) => query.apiVersion === ref.apiVersion && query.kind === ref.kind),
  );
  const read = await Promise.all(
    blind.map(async ({ ref, uid }) => {
      const live = await cluster.get(ref, { metadataOnly: true });
      return live?.metadata.uid === uid ? live : undefined;
    }),
  );
  return { objects: [...objects.values(), ...read.flatMap((live) => live ?? [])], isBlind: blind.length > 0 };
}

/** Few enough to be read one by one. */
const readAtMost = 10;

async function wholeObjects(cluster: Cluster, objects: readonly KubeObject[]): Promise<readonly KubeObject[]> {
  const whole = objects.map(async (object, index) => {
    if (index >= readAtMost) return object;
    const live = await cluster.get(refOf(object)).catch(() => undefined);
    return live?.metadata.uid === object.metadata.uid ? (live ?? object) : object;
  });
  return Promise.all(whole);
}

/** Returns undefined if the objects may not be read at all. */
export async function followIfReadable(
  context: UninstallContext,
  removals: readonly Removal[],
): Promise<RemovalFollower | undefined> {
  try {
    return await followRemoval(context, removals);
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    context.agent.log(`The end of the objects cannot be followed: ${asTaskError(thrown).message}`);
    return undefined;
  }
}

/** A sentence that names what is left, and what holds it. */
export function hangingSentence(objects: readonly KubeObject[], seconds: number): string {
  const words = someNames(objects.map(hangingWords), 5);
  const what = objects.length === 1 ? 'One object is' : `${objects.length} objects are`;
  return `${what} still there after ${duration(seconds)}: ${words}.`;
}

export function hangingObject(objects: readonly KubeObject[]): string {
  const [first] = objects;
  return first === undefined ? '' : objectName(refOf(first));
}
