import type { Follower } from '../core/ports';
import type { Readiness, WantedObject } from '../core/readiness';
import type { Revision } from '../core/release';
import type { ReleaseContext } from '../core/releaseContext';
import { followRelease, type FollowResult } from './followRelease';
import { followQueries, wantedObjects } from './wantedObjects';

export async function followRevision(
  context: ReleaseContext,
  revision: Revision,
  deadline: Date,
  said: Map<string, string>,
): Promise<FollowResult> {
  const objects = await wantedObjects(context.cluster, revision.manifest, context.namespace);
  return followObjects(context, objects, deadline, said);
}

/** Reads everything anew: what a follower holds from before Helm ran may not have caught up. */
async function followObjects(
  context: ReleaseContext,
  objects: readonly WantedObject[],
  deadline: Date,
  said: Map<string, string>,
): Promise<FollowResult> {
  let follower: Follower | undefined;
  try {
    follower = await context.cluster.follow(followQueries(objects), context.signal);
    return await followRelease(context, follower, objects, { deadline, said });
  } finally {
    follower?.stop();
  }
}

export async function readOnce(context: ReleaseContext, objects: readonly WantedObject[]): Promise<Readiness> {
  const followed = await followObjects(context, objects, context.clock.now(), new Map());
  return followed.readiness;
}
