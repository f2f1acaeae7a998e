import { objectName } from './manifest';
import type { Readiness } from './readiness';
import type { Outcome, ReportedObject } from './report';

export interface Ending {
  outcome: Outcome;
  reason: string;
  message: string;
  failedWorkload: string;
}

export function endingOfReadiness(readiness: Readiness, isTimedOut: boolean): Ending {
  const decisive = readiness.decisive;
  if (decisive === undefined)
    return { outcome: 'failed', reason: 'Internal', message: 'Nothing to wait for.', failedWorkload: '' };
  const late = isTimedOut ? ' The time for the deploy is over.' : '';
  return {
    outcome: 'failed',
    reason: isTimedOut && decisive.reason === '' ? 'TimedOut' : decisive.reason,
    message: `${sentence(decisive.message)}${late}`,
    failedWorkload: objectName(decisive.ref),
  };
}

export function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

export function reported(readiness: Readiness): ReportedObject[] {
  return readiness.objects.map(({ ref, status, reason, message }) => ({
    kind: ref.kind,
    apiVersion: ref.apiVersion,
    name: ref.name,
    namespace: ref.namespace ?? '',
    status,
    reason,
    message,
  }));
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = whole % 60;
  if (minutes === 0) return `${rest} s`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}
