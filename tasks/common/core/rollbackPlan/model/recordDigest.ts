import type { Revision } from '../../release/release';
import { canonicalJson } from './comparable';
import type { Seal } from './types';

/**
 * What a revision's record says that it is: its manifest, hooks and values. A rollback to it makes a revision with the
 * same digest. Its number, status, times and labels do not count.
 */
export function recordDigest(revision: Revision, seal: Seal): string {
  return seal(recordText(revision));
}

/** Whether a rollback to the one would make the other. */
export function isSameRecord(one: Revision, other: Revision): boolean {
  return recordText(one) === recordText(other);
}

function recordText({ manifest, hooks, config }: Revision): string {
  const plain = hooks.map(({ events, manifest: hook }) => canonicalJson({ events: [...events].sort(), hook })).sort();
  return canonicalJson({ manifest, hooks: plain, config });
}
