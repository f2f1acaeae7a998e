/**
 * The Lease of a release names the run that may change it now, and work that was begun and not finished.
 *
 * The holder trusts the lease for `trustSeconds` after its last renewal began, by its own clock. Another run takes the
 * lease if its resourceVersion has not changed for `leaseSeconds`, by that run's clock. No two clocks are compared.
 */
import { identityLimit, linkLimit, processLimit, shown, shownLink, type Holder } from './holder';
import { isRecord, textOf } from '../kubernetes/json';
import { lastWrite, type KubeObject, type ObjectRef } from '../kubernetes/object';
import type { Revision, RevisionStatus } from '../release/release';
import { workActions, type Work } from './work';

export type { Work } from './work';

/** Unfinished work of an earlier holder. `until` is that holder's last sign of life, by the server's clock. */
interface LeftWork extends Work {
  until: Date;
}

/** A Lease that anybody may have written. Its texts are limited in length and safe to show. */
export interface LeaseRecord {
  /** Empty if the lease is released. */
  holder: string;
  link: string;
  process: string;
  durationSeconds: number;
  /** RFC 3339 by the holder's clock, for people only. May be empty. */
  acquiredAt: string;
  renewedAt: string;
  /** How often the lease was taken. */
  transitions: number;
  resourceVersion: string;
  work: Work | undefined;
  /** Unfinished work of earlier holders, oldest first. */
  left: readonly LeftWork[];
  /** By the API server's clock. */
  writtenAt: Date | undefined;
}

export const leaseSeconds = 30;
export const renewSeconds = 5;
export const trustSeconds = 20;

/** An abandoned Lease of another writer must not shut others out for longer. */
const longestLeaseSeconds = 300;
/** Helm may write this long after its holder's last sign of life: the guard ends it after 27 s. */
const afterlifeSeconds = 30;
const leftLimit = 5;
const mostTransitions = 2_147_483_647;

const apiVersion = 'coordination.k8s.io/v1';
const kind = 'Lease';

const linkAnnotation = 'helm-safe-deploy/link';
const processAnnotation = 'helm-safe-deploy/process';
const workAnnotation = 'helm-safe-deploy/work';
const leftAnnotation = 'helm-safe-deploy/left';

/** The rights on Leases that an identity needs. */
export const leaseVerbs = ['get', 'create', 'update'] as const;

export function leaseName(release: string): string {
  return `helm-safe-deploy.${release}`;
}

export function leaseRef(namespace: string, release: string): ObjectRef {
  return { apiVersion, kind, namespace, name: leaseName(release) };
}

/** Never throws. Replaces values that make no sense by safe ones. */
export function leaseRecord(object: KubeObject): LeaseRecord {
  const value: unknown = object;
  const { metadata, spec } = fields(value);
  const annotations = fields(fields(metadata)['annotations']);
  const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = fields(spec);
  return {
    holder: shown(textOf(holderIdentity), identityLimit),
    link: shownLink(textOf(annotations[linkAnnotation]).slice(0, linkLimit)),
    process: shown(textOf(annotations[processAnnotation]), processLimit),
    durationSeconds: durationOf(leaseDurationSeconds),
    acquiredAt: timestamp(acquireTime),
    renewedAt: timestamp(renewTime),
    transitions: isCount(leaseTransitions) ? leaseTransitions : 0,
    resourceVersion: textOf(fields(metadata)['resourceVersion']),
    work: readWork(textOf(annotations[workAnnotation])),
    left: readLeft(textOf(annotations[leftAnnotation])),
    writtenAt: writtenAt(fields(metadata)),
  };
}

function writtenAt({ creationTimestamp, managedFields }: Record<string, unknown>): Date | undefined {
  const noted: unknown[] = Array.isArray(managedFields) ? managedFields : [];
  const times = noted.map((entry) => ({ time: textOf(fields(entry)['time']) }));
  const metadata = { name: '', creationTimestamp: textOf(creationTimestamp), managedFields: times };
  return lastWrite({ apiVersion, kind, metadata });
}

function fields(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

/** Never shorter than `leaseSeconds`, because the holder trusts the lease that long whatever others write into it. */
function durationOf(value: unknown): number {
  if (!isCount(value)) return leaseSeconds;
  return Math.min(Math.max(value, leaseSeconds), longestLeaseSeconds);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostTransitions;
}

function timestamp(value: unknown): string {
  const time = textOf(value);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(time);
  return isTime && !isNaN(Date.parse(time)) ? time : '';
}

const workPattern = /^(install|upgrade|rollback|uninstall) ([1-9]\d{0,8})$/;
const leftPattern = /^(.+) until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$/;

function readWork(word: string): Work | undefined {
  const [, action, revision] = workPattern.exec(word) ?? [];
  const known = workActions.find((each) => each === action);
  return known === undefined ? undefined : { action: known, revision: Number(revision) };
}

function readLeft(words: string): LeftWork[] {
  const parts = words.slice(0, 1024).split('; ').slice(0, leftLimit);
  return parts.flatMap((part) => {
    const [, word = '', time = ''] = leftPattern.exec(part) ?? [];
    const work = readWork(word);
    const until = new Date(time);
    return work === undefined || isNaN(until.getTime()) ? [] : [{ ...work, until }];
  });
}

/** Returns `upgrade 7`, the form in the Lease and in the log. */
export function workText({ action, revision }: Work): string {
  return `${action} ${revision}`;
}

export interface LeaseContent {
  /** Undefined to release the lease. */
  holder: Holder | undefined;
  acquiredAt: Date;
  renewedAt: Date;
  transitions: number;
  work: Work | undefined;
  left: readonly LeftWork[];
}

/** A replacement keeps what others wrote, and the resourceVersion, so that it is refused if somebody was faster. */
export function leaseObject(ref: ObjectRef, found: KubeObject | undefined, content: LeaseContent): KubeObject {
  const { holder, work, left } = content;
  const metadata = found?.metadata ?? {
    name: ref.name,
    ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
    labels: { 'app.kubernetes.io/managed-by': 'helm-safe-deploy' },
  };
  const others = Object.entries(metadata.annotations ?? {}).filter(([name]) => !isOurs(name, holder !== undefined));
  const annotations = {
    ...Object.fromEntries(others),
    ...(holder !== undefined && { [linkAnnotation]: holder.link, [processAnnotation]: holder.process }),
    ...(work !== undefined && { [workAnnotation]: workText(work) }),
    ...(left.length > 0 && {
      [leftAnnotation]: left.map((work) => `${workText(work)} until ${work.until.toISOString()}`).join('; '),
    }),
  };
  const spec = {
    ...fields(found?.['spec']),
    holderIdentity: holder?.identity ?? '',
    leaseDurationSeconds: leaseSeconds,
    acquireTime: microTime(content.acquiredAt),
    renewTime: microTime(content.renewedAt),
    leaseTransitions: content.transitions,
  };
  return { ...found, apiVersion, kind, metadata: { ...metadata, annotations }, spec };
}

function isOurs(annotation: string, isHeld: boolean): boolean {
  if (annotation === linkAnnotation || annotation === processAnnotation) return isHeld;
  return annotation === workAnnotation || annotation === leftAnnotation;
}

/** The API server accepts a MicroTime only with six digits. */
function microTime(time: Date): string {
  return time.toISOString().replace(/Z$/, '000Z');
}

/** Returns the unfinished work that a new holder takes over and must not forget. */
export function inherited(previous: LeaseRecord | undefined): LeftWork[] {
  if (previous === undefined) return [];
  return withLeft(previous.left, previous.work, previous.writtenAt);
}

/** Returns true if an earlier holder has begun the revision by one of these actions and not finished it. */
export function wasBegun(
  lease: LeaseRecord | undefined,
  revision: number,
  actions: readonly Work['action'][] = ['install', 'upgrade', 'rollback'],
): boolean {
  if (lease === undefined) return false;
  return [lease.work, ...lease.left].some((work) => work?.revision === revision && actions.includes(work.action));
}

/** Work without a time proves nothing and is left out. */
export function withLeft(left: readonly LeftWork[], work: Work | undefined, until: Date | undefined): LeftWork[] {
  const more = work === undefined || until === undefined ? left : [...left, { ...work, until }];
  return more.slice(-leftLimit);
}

export function nextTransitions({ transitions }: LeaseRecord): number {
  return transitions < mostTransitions ? transitions + 1 : 0;
}

export type Turn =
  | { turn: 'create' }
  | { turn: 'take'; because: 'released' | 'expired' | 'own' }
  /** The lease cannot be taken earlier, unless its holder releases it. */
  | { turn: 'wait'; milliseconds: number };

/** When a run first saw the present resourceVersion, by its own monotonic clock. */
export interface Sight {
  resourceVersion: string;
  firstSeenMs: number;
}

/** `nowMs` is the time at which the answer arrived. */
export function sightOf(seen: LeaseRecord, before: Sight | undefined, nowMs: number): Sight {
  if (before?.resourceVersion === seen.resourceVersion) return before;
  return { resourceVersion: seen.resourceVersion, firstSeenMs: nowMs };
}

/** A run takes the lease with the resourceVersion that it saw, so that only one run succeeds. */
export function turn(
  seen: LeaseRecord | undefined,
  sight: Sight | undefined,
  { me, isOwnProcessGone }: { me: Holder; isOwnProcessGone: boolean },
  nowMs: number,
): Turn {
  if (seen === undefined) return { turn: 'create' };
  if (seen.holder === '') return { turn: 'take', because: 'released' };
  const isThisProcess = seen.process !== '' && seen.process === me.process;
  if (seen.holder === me.identity && (isThisProcess || isOwnProcessGone)) return { turn: 'take', because: 'own' };
  const unchangedMs = sight?.resourceVersion === seen.resourceVersion ? nowMs - sight.firstSeenMs : 0;
  const milliseconds = seen.durationSeconds * 1000 - Math.max(0, unchangedMs);
  return milliseconds > 0 ? { turn: 'wait', milliseconds } : { turn: 'take', because: 'expired' };
}

/** Returns false if a later process of the same job took the Lease meanwhile. */
export function isHeldBy(seen: LeaseRecord | undefined, me: Holder, transitions: number): boolean {
  return seen?.holder === me.identity && seen.process === me.process && seen.transitions === transitions;
}

const statusesOf: Readonly<Record<Work['action'], readonly RevisionStatus[]>> = {
  // `helm upgrade --install` does an install or an upgrade, depending on what it finds.
  install: ['pending-install', 'pending-upgrade'],
  upgrade: ['pending-install', 'pending-upgrade'],
  rollback: ['pending-rollback'],
  uninstall: ['uninstalling'],
};

/**
 * Returns true if an earlier holder that is gone has surely left this pending revision. `lease` is the Lease as the
 * present holder found it. A revision that was written after that holder's Helm must have ended is somebody else's.
 */
export function isAbandoned(lease: LeaseRecord | undefined, pending: Revision): boolean {
  const { writtenAt } = pending;
  if (writtenAt === undefined) return false;
  return inherited(lease).some(
    ({ action, revision, until }) =>
      revision === pending.revision &&
      statusesOf[action].includes(pending.status) &&
      writtenAt.getTime() <= until.getTime() + afterlifeSeconds * 1000,
  );
}
