import { leaseSeconds, trustSeconds } from '../core/lock/lease';
import type { GuardLimits } from './duty';

/**
 * The time between the kill and the first moment at which another run may take the lease. It is for requests that are
 * on their way.
 */
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
