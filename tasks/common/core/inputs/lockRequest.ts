import { durationExpected, parseDuration } from './duration';
import type { InputReader } from './inputs';
import { leaseSeconds } from '../lock/lease';
import type { ReleaseRequest } from './deployRequest';

export const lockInputDefaults = { lock: 'preferred', lockTimeout: '5m' } as const;

const fallbackSeconds = 300;

/** The wait is at least one lease, because only after that time is a dead run known to be dead. */
export function readLockRequest(read: InputReader): Pick<ReleaseRequest, 'lock' | 'lockTimeoutSeconds'> {
  const seconds = read.parsed('lockTimeout', durationExpected, parseDuration, fallbackSeconds);
  return {
    lock: read.choice('lock', ['preferred', 'required', 'off']),
    lockTimeoutSeconds: Math.max(seconds, leaseSeconds),
  };
}
