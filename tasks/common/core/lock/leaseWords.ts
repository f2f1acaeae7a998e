import { leaseVerbs, workText, type LeaseRecord } from './lease';
import { duration } from '../text/durationText';

export interface Locked {
  release: string;
  namespace: string;
}

function releaseText({ release, namespace }: Locked): string {
  return `the release ${release} in namespace ${namespace}`;
}

function holderText({ holder, link, work, acquiredAt }: LeaseRecord): string {
  const doing = work === undefined ? '' : `, working on ${workText(work)}`;
  const since = acquiredAt === '' ? '' : `, since ${shownTime(acquiredAt)} by its clock`;
  const at = link === '' ? '' : `: ${link}`;
  return `${holder}${since}${doing}${at}`;
}

function shownTime(time: string): string {
  return new Date(time).toISOString().replace(/^([^T]*)T([^.]*)\.\d+Z$/, '$1 $2 UTC');
}

export function waitingText(locked: Locked, record: LeaseRecord, waitedMs: number, limitMs: number): string {
  const left = waitedMs < 1000 ? '' : ` (${seconds(waitedMs)} have passed)`;
  return [
    `Another run holds ${releaseText(locked)}: ${holderText(record)}`,
    `Waiting for it, at most ${seconds(limitMs)}${left} (lockTimeout).`,
  ].join('\n');
}

/** `quietMs` is the time since the last renewal, `untilExpiryMs` the time until a silent holder loses the lease. */
export function reminderText(
  record: LeaseRecord,
  times: { waitedMs: number; limitMs: number; quietMs: number; untilExpiryMs: number },
): string {
  const { waitedMs, limitMs, quietMs, untilExpiryMs } = times;
  const waited = `Still waiting, ${seconds(waitedMs)} of at most ${seconds(limitMs)}, for ${record.holder}`;
  // A live holder renews every 5 s.
  if (quietMs < 10_000) return `${waited}. It is alive.`;
  return `${waited}. It has not renewed its lock for ${seconds(quietMs)}; if it stays silent, its lock expires in ${seconds(untilExpiryMs)}.`;
}

export function unreadText(waitedMs: number, limitMs: number, problem: string): string {
  return `Still waiting, ${seconds(waitedMs)} of at most ${seconds(limitMs)}; the holder of the release cannot be read now: ${problem}`;
}

export function takenText(because: 'released' | 'expired' | 'own', waitedMs: number, before: LeaseRecord): string {
  const why = {
    released: 'it was released',
    expired: `${before.holder} did not renew its lock for ${seconds(before.durationSeconds * 1000)}`,
    own: 'it was held by a process of this job that has ended',
  };
  return `The release is free after ${seconds(waitedMs)}: ${why[because]}.`;
}

export function refusedMessage(locked: Locked, record: LeaseRecord, waitedMs: number): string {
  return `Waited ${seconds(waitedMs)} for ${releaseText(locked)}, which another run holds: ${holderText(record)}`;
}

export function lostMessage(locked: Locked, record: LeaseRecord | undefined, silentMs: number): string {
  const silent = `This run had not renewed its lock of ${releaseText(locked)} for ${seconds(silentMs)}`;
  if (record === undefined) return `The lock of ${releaseText(locked)} was lost: its Lease was deleted.`;
  if (record.holder === '') return `${silent}, and somebody else has taken and released it.`;
  return `${silent}, and the lock was taken by ${holderText(record)}`;
}

/** `problem` is the answer of the API server. */
export function unusableMessage(locked: Locked, problem: string): string {
  const verbs = leaseVerbs.map((verb) => `"${verb}"`).join(', ');
  return [
    `The lock of ${releaseText(locked)} cannot be used: ${problem}`,
    `A Role in that namespace needs the rule apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: [${verbs}].`,
  ].join(' ');
}

export function unrenewedText(ageMs: number, problem: string): string {
  return `The lock of the release could not be renewed for ${seconds(ageMs)}; it is tried again every second: ${problem}`;
}

export function renewedText(ageMs: number): string {
  return `The lock of the release is renewed again, after ${seconds(ageMs)}.`;
}

export function unreleasedText(problem: string): string {
  return `The lock of the release could not be released; it expires within 30 s: ${problem}`;
}

function seconds(milliseconds: number): string {
  return duration(Math.max(0, Math.round(milliseconds / 1000)));
}
