import type { InputReader } from './inputs';
import { parseNamespace, parseReleaseName } from './releaseName';

export interface OwnershipRequest {
  /** The releases that may lose objects although they live. Absent namespace: that of this release. */
  from: readonly { name: string; namespace?: string }[];
}

export const ownershipInputDefaults = { takeOwnership: 'false', takeOwnershipFrom: '' } as const;

/** Returns undefined if the deploy takes no objects over. */
export function readOwnershipRequest(read: InputReader): OwnershipRequest | undefined {
  const isAsked = read.boolean('takeOwnership');
  const from = read.entries('takeOwnershipFrom').flatMap(({ text, number }) => {
    const release = parseRelease(text);
    if (release !== undefined) return [release];
    const problem = 'expected a release, or its namespace and the release as in shop/web';
    read.mistake({ input: `takeOwnershipFrom, line ${number}`, holds: text, problem });
    return [];
  });
  if (!isAsked && from.length > 0) {
    read.mistake({ input: 'takeOwnershipFrom', problem: 'it needs takeOwnership: true' });
  }
  return isAsked ? { from } : undefined;
}

function parseRelease(text: string): OwnershipRequest['from'][number] | undefined {
  const [first = '', second, ...others] = text.split('/');
  if (others.length > 0) return undefined;
  const name = parseReleaseName(second ?? first);
  const namespace = second === undefined ? undefined : parseNamespace(first);
  if (name === undefined || (second !== undefined && namespace === undefined)) return undefined;
  return { name, ...(namespace === undefined ? {} : { namespace }) };
}
