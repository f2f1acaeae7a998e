/**
 * The Lease of a release: who may change it now, and what was begun and not put in order.
 *
 * Its holder renews it every `renewSeconds` and trusts it for `trustSeconds` after the start of its last renewal, by its
 * own clock. Another takes it `leaseSeconds` after it first saw the object's present resourceVersion, by its own clock. No
 * clock is compared with another one: times in the object are for people.
 */
import { identityLimit, linkLimit, processLimit, shown, shownLink, type Holder } from './holder';
import { isRecord } from '../kubernetes/json';
import { lastWrite, type KubeObject, type ObjectRef } from '../kubernetes/object';
import type { Revision, RevisionStatus } from '../release/release';
import { workActions, type Work } from './work';

export type { Work } from './work';

/** What an earlier holder had begun when it lost or gave up the lease. `until`: its last sign of life, server's clock. */
export interface LeftWork extends Work {
  until: Date;
}

/** A Lease as somebody has written it. Its texts are bounded and can be shown. */
export interface LeaseRecord {
  /** Empty when it is released. */
  holder: string;
  link: string;
  process: string;
  durationSeconds: number;
  /** RFC 3339 by the holder's clock, only to be shown; empty where it is none. */
  acquiredAt: string;
  renewedAt: string;
  /** How often it was taken. */
  transitions: number;
  resourceVersion: string;
  /** What its holder has begun and not put in order. */
  work: Work | undefined;
  /** What holders before it had begun, oldest first. */
  left: readonly LeftWork[];
  /** When the object was last written, by the API server's clock. */
  writtenAt: Date | undefined;
}

export const leaseSeconds = 30;
export const renewSeconds = 5;
export const trustSeconds = 20;

/** Of a Lease that somebody else wrote: nobody is to be shut out for longer by one that was left. */
const longestLeaseSeconds = 300;
/**
 * How long after its owner's last sign of life a record can have been written by its Helm: the guard ends that 27 s
 * after the last renewal began, and the server notes times to the second.
 */
const afterlifeSeconds = 30;
const leftLimit = 5;
const mostTransitions = 2_147_483_647;

const apiVersion = 'coordination.k8s.io/v1';
const kind = 'Lease';

const linkAnnotation = 'helm-safe-deploy/link';
const processAnnotation = 'helm-safe-deploy/process';
const workAnnotation = 'helm-safe-deploy/work';
const leftAnnotation = 'helm-safe-deploy/left';

/** What an identity must be allowed to do with Leases. */
export const leaseVerbs = ['get', 'create', 'update'] as const;

export function leaseName(release: string): string {
  return `helm-safe-deploy.${release}`;
}

export function leaseRef(namespace: string, release: string): ObjectRef {
  return { apiVersion, kind, namespace, name: leaseName(release) };
}

/** Reads a Lease whoever has written it; never throws. What makes no sense is taken for what is safe. */
export function leaseRecord(object: KubeObject): LeaseRecord {
  const value: unknown = object;
  const { metadata, spec } = fields(value);
  const annotations = fields(fields(metadata)['annotations']);
  const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = fields(spec);
  return {
    holder: shown(text(holderIdentity), identityLimit),
    link: shownLink(text(annotations[linkAnnotation]).slice(0, linkLimit)),
    process: shown(text(annotations[processAnnotation]), processLimit),
    durationSeconds: durationOf(leaseDurationSeconds),
    acquiredAt: timestamp(acquireTime),
    renewedAt: timestamp(renewTime),
    transitions: isCount(leaseTransitions) ? leaseTransitions : 0,
    resourceVersion: text(fields(metadata)['resourceVersion']),
    work: readWork(text(annotations[workAnnotation])),
    left: readLeft(text(annotations[leftAnnotation])),
    writtenAt: writtenAt(fields(metadata)),
  };
}

function writtenAt({ creationTimestamp, managedFields }: Record<string, unknown>): Date | undefined {
  const noted: unknown[] = Array.isArray(managedFields) ? managedFields : [];
  const times = noted.map((entry) => ({ time: text(fields(entry)['time']) }));
  const metadata = { name: '', creationTimestamp: text(creationTimestamp), managedFields: times };
  return lastWrite({ apiVersion, kind, metadata });
}

function fields(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Never shorter than ours: its holder trusts it for that long, whatever somebody else has written into it. */
function durationOf(value: unknown): number {
  if (!isCount(value)) return leaseSeconds;
  return Math.min(Math.max(value, leaseSeconds), longestLeaseSeconds);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostTransitions;
}

function timestamp(value: unknown): string {
  const time = text(value);
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

/** `upgrade 7`, as it stands in the Lease and in the log. */
export function workText({ action, revision }: Work): string {
  return `${action} ${revision}`;
}

/** What the holder of a Lease says of itself. */
export interface LeaseContent {
  /** Undefined: released. */
  holder: Holder | undefined;
  acquiredAt: Date;
  renewedAt: Date;
  transitions: number;
  work: Work | undefined;
  left: readonly LeftWork[];
}

/**
 * The Lease to create, or to put in the place of `found`: with its uid and resourceVersion, so that it is refused when
 * somebody was faster, and with all that others have written into it. A released one keeps the link of its last holder.
 */
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
    ...(left.length > 0 && { [leftAnnotation]: leftText(left) }),
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

function leftText(left: readonly LeftWork[]): string {
  return left.map((work) => `${workText(work)} until ${work.until.toISOString()}`).join('; ');
}

/** The API server takes a MicroTime with six digits and no other. */
function microTime(time: Date): string {
  return time.toISOString().replace(/Z$/, '000Z');
}

/** What a holder is left with by those before it, when it takes the lease: nothing of it may be forgotten by its death. */
export function inherited(previous: LeaseRecord | undefined): LeftWork[] {
  if (previous === undefined) return [];
  return withLeft(previous.left, previous.work, previous.writtenAt);
}

/** Whether a holder before had begun the revision and not put it in order; `lease` is as it was found. */
export function wasBegun(lease: LeaseRecord | undefined, revision: number): boolean {
  if (lease === undefined) return false;
  return [lease.work, ...lease.left].some((work) => work?.revision === revision && work.action !== 'uninstall');
}

/** With work that is not put in order and whose Helm is not at work any more; without a time nothing can be proven by it. */
export function withLeft(left: readonly LeftWork[], work: Work | undefined, until: Date | undefined): LeftWork[] {
  const more = work === undefined || until === undefined ? left : [...left, { ...work, until }];
  return more.slice(-leftLimit);
}

export function nextTransitions({ transitions }: LeaseRecord): number {
  return transitions < mostTransitions ? transitions + 1 : 0;
}

/** What a contender has to do next. */
export type Turn =
  | { turn: 'create' }
  | { turn: 'take'; because: 'released' | 'expired' | 'own' }
  /** Nothing can be taken before, unless it is released. */
  | { turn: 'wait'; milliseconds: number };

/** When a contender first saw an object's present resourceVersion, by its own monotonic clock. */
export interface Sight {
  resourceVersion: string;
  firstSeenMs: number;
}

/** `nowMs`: when the answer had come; what was written before it was asked for is surely older. */
export function sightOf(seen: LeaseRecord, before: Sight | undefined, nowMs: number): Sight {
  if (before?.resourceVersion === seen.resourceVersion) return before;
  return { resourceVersion: seen.resourceVersion, firstSeenMs: nowMs };
}

/** Whoever takes does so with the resourceVersion that was seen, so that of many only one succeeds. */
export function turn(
  seen: LeaseRecord | undefined,
  sight: Sight | undefined,
  me: Holder,
  isOwnProcessGone: boolean,
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

/** Whether a Lease is still the one that was taken, by this process. A job's next process may have taken it meanwhile. */
export function isHeldBy(seen: LeaseRecord | undefined, me: Holder, transitions: number): boolean {
  return seen?.holder === me.identity && seen.process === me.process && seen.transitions === transitions;
}

const statusesOf: Readonly<Record<Work['action'], readonly RevisionStatus[]>> = {
  // `helm upgrade --install` makes the one or the other by what it finds.
  install: ['pending-install', 'pending-upgrade'],
  upgrade: ['pending-install', 'pending-upgrade'],
  rollback: ['pending-rollback'],
  uninstall: ['uninstalling'],
};

/**
 * Whether a pending or uninstalling revision was surely left by a holder of this lease who is gone, for whoever holds it
 * now; `lease` is as it was found then. What was written later than such a holder's Helm can have lived is another's.
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
