import { leaseSeconds, trustSeconds } from '../core/lock/lease';
import type { GuardLimits } from './duty';

/** The time for requests that are under way, between the kill and the end of the lease. */
const clearanceSeconds = 3;

export function guardLimits(platform: NodeJS.Platform): GuardLimits {
  return {
    silentAfterMs: trustSeconds * 1000,
    killAfterMs: (leaseSeconds - clearanceSeconds) * 1000,
    lookEveryMs: 100,
    patienceMs: 10_000,
    canInterrupt: platform !== 'win32',
  };
}
