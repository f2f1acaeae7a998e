import type { Revision } from '../../release/release';
import { canonicalJson } from './comparable';
import type { Seal } from './types';

/**
 * The digest of the contents of a record: manifest, hooks and values. A rollback to the revision makes a revision with
 * the same digest. Number, status, times and labels are left out.
 */
export function recordDigest(revision: Revision, seal: Seal): string {
  return seal(recordText(revision));
}

/** Returns true if a rollback to one revision would make the other. */
export function isSameRecord(one: Revision, other: Revision): boolean {
  return recordText(one) === recordText(other);
}

function recordText({ manifest, hooks, config }: Revision): string {
  const plain = hooks.map(({ events, manifest: hook }) => canonicalJson({ events: [...events].sort(), hook })).sort();
  return canonicalJson({ manifest, hooks: plain, config });
}
