import { asTaskError } from '../../core/failure';
import type { LeaseContext } from '../../core/releaseContext';
import { withLease } from './lease';

/** For the post-job phase of a step that began no change. Throws TaskError when the cluster cannot be read. */
export async function giveBackLock(context: LeaseContext): Promise<void> {
  try {
    await withLease(context, () => Promise.resolve());
    context.agent.log('No change was begun.');
  } catch (thrown) {
    // Another run holds the lock by now.
    if (asTaskError(thrown).reason !== 'ReleaseLocked') throw thrown;
    context.agent.log(`No change was begun. ${asTaskError(thrown).message}`);
  }
}
