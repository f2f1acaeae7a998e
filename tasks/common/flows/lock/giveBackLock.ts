import { asTaskError } from '../../core/failure';
import type { LeaseContext } from '../../core/releaseContext';
import { withLease } from './lease';

/**
 * For the post-job phase of a step that was ended before it had begun a change: its lock is all that it can have left.
 * Throws TaskError when the cluster cannot be asked.
 */
export async function giveBackLock(context: LeaseContext): Promise<void> {
  try {
    await withLease(context, () => Promise.resolve());
    context.agent.log('No change was begun.');
  } catch (thrown) {
    // Another run is at work by now.
    if (asTaskError(thrown).reason !== 'ReleaseLocked') throw thrown;
    context.agent.log(`No change was begun. ${asTaskError(thrown).message}`);
  }
}
