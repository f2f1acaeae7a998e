import type { Revision } from '../../release/release';
import { canonicalJson } from './comparable';
import type { Seal } from './types';

/** Covers manifest, hooks and values, so a rollback to the revision makes a revision with the same digest. */
export function recordDigest(revision: Revision, seal: Seal): string {
  return seal(recordText(revision));
}

/** Covers the chart and the values that a deploy is given. */
export function givenDigest({ chart, config }: Revision, seal: Seal): string {
  return seal(canonicalJson({ chart, config }));
}

export function isSameRecord(one: Revision, other: Revision): boolean {
  return recordText(one) === recordText(other);
}

function recordText({ manifest, hooks, config }: Revision): string {
  const plain = hooks.map(({ events, manifest: hook }) => canonicalJson({ events: [...events].sort(), hook })).sort();
  return canonicalJson({ manifest, hooks: plain, config });
}
