import { errorThen } from '../../core/report/ending';
import { asTaskError, TaskError } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { isSecret, manifestKey, manifestObjects, objectName } from '../../core/kubernetes/manifest';
import { editedLabel, isUnhealthy, lastGood, releaseState, servedLabel, chainFrom } from '../../core/release/history';
import {
  claimTemplates,
  keepReason,
  leftovers,
  mayHoldData,
  mergeBase,
  newcomers,
  type Leftover,
} from '../../core/release/mergeBase';
import { droppedData } from '../../core/release/droppedData';
import { firstDeclared, isOlder, isPreexisting, knownUids } from '../../core/release/preexisting';
import type { ReportedLeftover } from '../../core/report/report';
import type { Revision } from '../../core/release/release';
import type { Agent, ReleaseStorage } from '../../core/ports';
import { stopIfCancelled, type ReleaseContext } from '../../core/releaseContext';
import { withRetries } from '../steps/withRetries';
import { newRevision, settle } from './record';
import { liveRef } from './desiredObjects';
import type { RecordChange } from '../../core/release/releaseRecord';

/** The merge base in Helm's record; see core/release/mergeBase. */
export interface GivenBase {
  before: readonly Revision[];
  /** Undefined if the record has no room for a base. Then Helm merges as usual. */
  edited: Revision | undefined;
  superseded: readonly Revision[];
  leftovers: readonly ReportedLeftover[];
}

/** A merge base that is not yet in Helm's record. */
export interface PlannedBase {
  /** The last revision of the history, from whose record Helm merges. */
  edited: Revision;
  manifest: string;
  leftovers: readonly ReportedLeftover[];
}

type BaseContext = Pick<ReleaseContext, 'agent' | 'cluster' | 'namespace'> &
  Partial<Pick<ReleaseContext, 'preexisting'>> & { request: { releaseName: string } };

interface BaseOptions {
  /** The revisions, oldest first, whose objects and fields may be live, up to the last of the history. */
  chain: readonly Revision[];
  good: Revision | undefined;
  desiredManifest: string;
  /** An object for which this returns true stays in the base, because other code judges it. */
  isDecided?: (key: string) => boolean;
  /** The revisions of which one made each object; by default the chain. */
  history?: readonly Revision[];
}

export async function planBase(
  context: BaseContext,
  { chain, good, desiredManifest, isDecided = () => false, history = chain }: BaseOptions,
): Promise<PlannedBase | undefined> {
  const edited = chain.at(-1);
  if (edited === undefined) return undefined;
  const manifests = chain.map((revision) => revision.manifest);
  const open = <T extends { key: string }>(found: readonly T[]): T[] => found.filter(({ key }) => !isDecided(key));
  const found = open(leftovers(manifests, good?.manifest, desiredManifest, context.namespace));
  const firsts = firstDeclared(history, context.namespace);
  const fates = await Promise.all(found.map((leftover) => fateOf(context, leftover, firsts.get(leftover.key))));
  const taken = open(newcomers(manifests, good?.manifest, desiredManifest, context.namespace));
  const foreign = await foreignKeys(context, taken, firsts);
  const spared = new Set([...fates.filter((fate) => fate.isSpared).map((fate) => fate.key), ...foreign]);
  const manifest = mergeBase(manifests, desiredManifest, context.namespace, spared);
  return { edited, manifest, leftovers: fates.flatMap((fate) => fate.reports) };
}

/**
 * Plans the base for a rollback after failed revisions. Returns undefined if the last revision's own manifest suffices.
 * `dead` is a rollback to the same target that died and whose record is gone: its objects are live.
 */
export async function rollbackBase(
  context: BaseContext,
  history: readonly Revision[],
  target: Revision,
  dead?: Revision,
): Promise<PlannedBase | undefined> {
  const last = history.at(-1);
  if (last === undefined) return undefined;
  const good = lastGood(history);
  const failed = releaseState(history).state === 'failed' ? chainFrom(history, good) : [last];
  // Helm before 4.2 cannot roll back over live objects of the target that the last revision lacks.
  const hasKeptData = droppedData([target], last.manifest, context.namespace).length > 0;
  const chain = [...(hasKeptData ? [target] : []), ...(dead === undefined ? [] : [dead]), ...failed];
  if (chain.length < 2) return undefined;
  const known = new Set(manifestObjects(last.manifest).map((object) => manifestKey(object, context.namespace)));
  const isDecided = (key: string): boolean => known.has(key);
  const options = { chain, good, desiredManifest: target.manifest, isDecided };
  return planBase(context, hasKeptData ? { ...options, history } : options);
}

/** Plans the base, puts it into Helm's record, and logs the leftovers. */
export async function giveBase(
  context: ReleaseContext,
  history: readonly Revision[],
  options: BaseOptions,
  config?: Readonly<Record<string, unknown>>,
): Promise<GivenBase | undefined> {
  const planned = await planBase(context, options);
  if (planned === undefined) return undefined;
  const isUninstall = options.desiredManifest === '';
  const given = await giveRecord(context, history, planned, config);
  logLeftovers(
    context.agent,
    given.leftovers.filter(({ keptBecause }) => !isUninstall || keptBecause !== ''),
  );
  return given;
}

export function logLeftovers(agent: Pick<Agent, 'log'>, found: readonly ReportedLeftover[]): void {
  for (const left of found) agent.log(lineOf(left));
}

export async function giveRecord(
  context: ReleaseContext,
  history: readonly Revision[],
  { edited, manifest, leftovers: left }: PlannedBase,
  config?: Readonly<Record<string, unknown>>,
): Promise<GivenBase> {
  const base: RecordChange = { manifest, bulk: 'left out', ...(config === undefined ? {} : { config }) };
  if (!(await withRetries(context, () => context.storage.fits(edited.revision, base)))) {
    return withoutBase(context, history, edited, left);
  }
  const superseded = history.filter((revision) => revision.status === 'deployed' && revision !== edited);
  const given: GivenBase = { before: history, edited, superseded, leftovers: left };
  await writeBase(context.storage, edited.revision, superseded, base).catch((thrown: unknown) =>
    restoredAfter(context, given, history, thrown),
  );
  return given;
}

/** A lack of room must never block a release. */
function withoutBase(
  { agent }: ReleaseContext,
  history: readonly Revision[],
  { revision }: Revision,
  left: readonly ReportedLeftover[],
): GivenBase {
  const why = `Helm's record of revision ${revision} has no room for it`;
  agent.warning(
    `The leftovers of failed revisions cannot be removed in this run of Helm, because ${why} (1 MiB): their fields and objects may stay.`,
  );
  const leftovers = left.map((one) => (one.keptBecause === '' ? { ...one, keptBecause: why } : one));
  return { before: history, edited: undefined, superseded: [], leftovers };
}

async function writeBase(
  storage: ReleaseStorage,
  edited: number,
  superseded: readonly Revision[],
  base: RecordChange,
): Promise<void> {
  // The mark comes first, so that there is never a copy that nobody looks for.
  await storage.update(edited, { labels: { [editedLabel]: String(edited) } });
  await storage.keepCopy(edited);
  await storage.update(edited, base);
  // An upgrade merges from the revision that is `deployed`. The mark tells the next run which revision served.
  for (const { revision } of superseded) {
    await storage.update(revision, { status: 'superseded', labels: { [servedLabel]: String(revision) } });
  }
}

/** The base lacks live objects of others, so that Helm neither takes them over nor removes fields of them. */
async function foreignKeys(
  context: BaseContext,
  objects: readonly { key: string; object: Leftover['object'] }[],
  firsts: ReadonlyMap<string, First>,
): Promise<string[]> {
  const release = { name: context.request.releaseName, namespace: context.namespace };
  const keys = objects.map(async ({ key, object }) => {
    const ref = await liveRef(context.cluster, object, context.namespace);
    const live = ref === undefined ? undefined : await context.cluster.get(ref, { metadataOnly: isSecret(ref) });
    if (live === undefined) return [];
    return isPreexisting(live, firsts.get(key), release, knownUids(context.preexisting ?? [])) ? [key] : [];
  });
  return (await Promise.all(keys)).flat();
}

interface Fate {
  key: string;
  isSpared: boolean;
  reports: readonly ReportedLeftover[];
}

type First = Pick<Revision, 'revision' | 'createdAt'>;

async function fateOf(context: BaseContext, leftover: Leftover, first: First | undefined): Promise<Fate> {
  const { key, object } = leftover;
  const ref = await liveRef(context.cluster, object, context.namespace);
  // Helm refuses a base that has a kind or version which the API server does not serve.
  if (ref?.apiVersion !== object.apiVersion) return { key, isSpared: true, reports: [] };
  const live = await context.cluster.get(ref, { metadataOnly: isSecret(ref) });
  if (live === undefined) return { key, isSpared: false, reports: [] };
  const reason = reasonToStay(context, { ref, live }, leftover, first);
  // The task itself decides about data that the chart drops, once the new revision is verified.
  if (reason === undefined && leftover.wasGood && mayHoldData(ref)) {
    return { key, isSpared: true, reports: [{ ...nameOf(ref), keptBecause: heldBack }] };
  }
  const claims = reason === undefined ? await claimsOf(context, ref, live) : [];
  return { key, isSpared: reason !== undefined, reports: [{ ...nameOf(ref), keptBecause: reason ?? '' }, ...claims] };
}

const heldBack = 'it may hold data, so nothing deletes it before the new revision is verified';

function nameOf({ kind, name }: ObjectRef): Pick<ReportedLeftover, 'kind' | 'name'> {
  return { kind, name };
}

/** Returns why a live object is not removed together with the revision that brought it, or undefined. */
export function reasonToStay(
  context: BaseContext,
  { ref, live }: { ref: ObjectRef; live: KubeObject },
  leftover: Leftover,
  first: First | undefined,
): string | undefined {
  const release = { name: context.request.releaseName, namespace: context.namespace };
  return keepReason(ref, live, release, leftover.wasGood) ?? olderReason(context, live, leftover, first);
}

export function olderReason(
  { preexisting = [] }: BaseContext,
  live: KubeObject,
  { wasGood }: Leftover,
  first: First | undefined,
): string | undefined {
  if (wasGood || first === undefined) return undefined;
  const isKnown = knownUids(preexisting).has(live.metadata.uid ?? '');
  return isKnown || isOlder(live, first) ? `it existed before revision ${first.revision}` : undefined;
}

/** The claims of a StatefulSet are in no manifest. */
export async function claimsOf(context: BaseContext, ref: ObjectRef, live: KubeObject): Promise<ReportedLeftover[]> {
  const templates = claimTemplates(live);
  const { namespace } = ref;
  if (namespace === undefined || templates.length === 0) return [];
  try {
    const query = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, metadataOnly: true };
    const isOfSet = ({ metadata: { name } }: KubeObject): boolean =>
      templates.some((template) => isClaimOf(name, `${template}-${ref.name}-`));
    const claims = await context.cluster.list(query, isOfSet);
    return claims.map(({ metadata: { name } }) => ({
      kind: 'PersistentVolumeClaim',
      name,
      keptBecause: 'it may hold data',
    }));
  } catch (error) {
    context.agent.log(`The claims of ${objectName(ref)} could not be read: ${asTaskError(error).message}`);
    return [];
  }
}

function isClaimOf(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length));
}

function lineOf(left: ReportedLeftover): string {
  const what = objectName(left);
  if (left.keptBecause === '') return `${what} is no longer declared; Helm removes it.`;
  return `${what} is no longer declared, but stays: ${left.keptBecause}.`;
}

/** Restores the record however the run ends. Does not start Helm if the step was cancelled meanwhile. */
export async function onBase<T>(
  context: ReleaseContext,
  given: GivenBase | undefined,
  before: readonly Revision[],
  run: () => Promise<T>,
): Promise<T> {
  const begin = async (): Promise<T> => {
    stopIfCancelled(context.signal);
    return run();
  };
  const result = await begin().catch((thrown: unknown) => restoredAfter(context, given, before, thrown));
  await restoreRecord(context, given, before);
  return result;
}

/** Throws `thrown` after the record is restored. Marks a pending revision failed, because nothing else will end it. */
async function restoredAfter(
  context: ReleaseContext,
  given: GivenBase | undefined,
  before: readonly Revision[],
  thrown: unknown,
): Promise<never> {
  try {
    const made = newRevision(before, await restoreRecord(context, given, before));
    if (made !== undefined) await settle(context, made);
  } catch (later) {
    throw errorThen(thrown, later);
  }
  throw thrown;
}

/**
 * Returns the history as it was found. Revisions that had failed or were uninstalled get that status again, which Helm
 * turns into `superseded`. Every record is tried, even if others fail.
 */
export async function restoreRecord(
  context: ReleaseContext,
  given: GivenBase | undefined,
  before: readonly Revision[],
): Promise<readonly Revision[]> {
  const { storage } = context;
  const now = await withRetries(context, () => storage.history());
  const problems: unknown[] = [];
  for (const [revision, change] of corrections(given, before, now)) {
    await withRetries(context, () => storage.update(revision, change)).catch((problem: unknown) =>
      problems.push(problem),
    );
  }
  if (given?.edited !== undefined && problems.length === 0) {
    await forgetEdit(context, given.edited.revision, now).catch((problem: unknown) => problems.push(problem));
  }
  const [first, ...others] = problems;
  if (first !== undefined) throw unrestored(others.reduce(errorThen, first));
  return now;
}

/** Removes the copy before the mark: the next run looks for marked records, and accepts one without a copy. */
export async function forgetEdit(context: ReleaseContext, edited: number, history: readonly Revision[]): Promise<void> {
  const { storage } = context;
  await withRetries(context, () => storage.dropCopy(edited));
  if (!history.some(({ revision }) => revision === edited)) return;
  await withRetries(context, () => storage.update(edited, { labels: { [editedLabel]: undefined } }));
}

function unrestored(thrown: unknown): TaskError {
  const { reason, message, facts } = asTaskError(thrown);
  const what = "Helm's record of the release could not be restored, so do not roll back to its older revisions by hand";
  return new TaskError(reason, `${what}: ${message}`, { cause: thrown, facts });
}

function corrections(
  given: GivenBase | undefined,
  before: readonly Revision[],
  now: readonly Revision[],
): [number, RecordChange][] {
  const isReplaced = newRevision(before, now)?.status === 'deployed';
  const statusAfter = (status: Revision['status']): Revision['status'] =>
    isReplaced && status === 'deployed' ? 'superseded' : status;
  const current = new Map(now.map((revision) => [revision.revision, revision.status]));
  const found: [number, RecordChange][] = [];
  if (given?.edited !== undefined) {
    const { revision, manifest, config, status } = given.edited;
    // An uninstall that keeps the history has changed the status for good.
    const isGone = current.get(revision) === 'uninstalled';
    found.push([revision, { manifest, config, bulk: 'from copy', ...(isGone ? {} : { status: statusAfter(status) }) }]);
    const labels = { [servedLabel]: undefined };
    for (const old of given.superseded) {
      found.push([old.revision, isReplaced ? { labels } : { status: 'deployed', labels }]);
    }
  }
  for (const { revision, ...record } of before) {
    if (revision === given?.edited?.revision || current.get(revision) !== 'superseded') continue;
    // An install over a kept history makes an uninstalled revision `superseded`, so that it would look like a target.
    if (record.status === 'uninstalled') found.push([revision, { status: 'uninstalled' }]);
    else if (isUnhealthy({ revision, ...record })) found.push([revision, { status: 'failed' }]);
  }
  return found.filter(([revision]) => current.has(revision));
}
