import { isDeepStrictEqual } from 'node:util';
import { isFields, type StateOfObject } from './liveState';
import { historyText, type RecordSeen } from './records';

/*
 * The rules that must hold after an interruption. They are pure functions, so a test can show that each rule fails when
 * it should.
 */

export type InvariantName =
  | 'not stuck'
  | 'one deployed revision'
  | 'records as deployed'
  | 'declared is live'
  | 'nothing of a dead revision'
  | 'what served was never removed'
  | 'one writer'
  | 'answered every request'
  | 'no credentials on disk'
  | 'no orphan process'
  | 'lease released'
  | 'ends in time'
  | 'plan changes nothing'
  | 'next run works';

export interface Violation {
  readonly invariant: InvariantName;
  readonly message: string;
}

/** `after job`: post-job ran and the API server answered it. */
export type Moment = 'after job' | 'after next run';

function violation(invariant: InvariantName, message: string): Violation {
  return { invariant, message };
}

export function recordViolations(records: readonly RecordSeen[], when: Moment): Violation[] {
  const found: Violation[] = [];
  const history = historyText(records);
  const isUnsettled = (status: string): boolean => status.startsWith('pending-') || status === 'uninstalling';
  if (records.some(({ status, statusInside }) => isUnsettled(status) || isUnsettled(statusInside))) {
    found.push(violation('not stuck', `${when}: ${history}`));
  }
  for (const { revision, status, statusInside } of records) {
    if (status === statusInside) continue;
    found.push(
      violation(
        'records as deployed',
        `${when}: revision ${revision} is ${status} by its label and ${statusInside} inside`,
      ),
    );
  }
  const deployed = records.filter(({ status }) => status === 'deployed');
  if (deployed.length > 1) found.push(violation('one deployed revision', `${when}: ${history}`));
  if (when === 'after next run' && (deployed.length === 0 || records.at(-1)?.status !== 'deployed')) {
    found.push(violation('one deployed revision', `${when} the last one is not it: ${history}`));
  }
  return found;
}

/**
 * `manifests` has the manifest of each revision, by its text. A record that was edited for a merge must be restored.
 */
export function manifestViolations(
  records: readonly RecordSeen[],
  manifests: ReadonlyMap<string, string>,
  when: Moment,
): Violation[] {
  return records
    .filter(({ manifest, text }) => manifests.get(text) !== manifest)
    .map(({ revision, status, text }) =>
      violation(
        'records as deployed',
        `${when}: the manifest in the record of revision ${revision} (${status}, text ${text}) is not the one that was deployed`,
      ),
    );
}

/** The objects of a fresh install of the same chart and values. */
export interface Golden {
  readonly manifest: string;
  readonly objects: readonly StateOfObject[];
}

const dataBearing = /^(PersistentVolumeClaim|Namespace|CustomResourceDefinition)\//;

/**
 * Checks that everything is as after a fresh install of the deployed revision. `told` is the output of all runs: an
 * object of another revision that holds data may stay, but the output must name it. Undefined if some output was lost.
 */
export function stateViolations(
  live: readonly StateOfObject[],
  golden: Golden,
  told: string | undefined,
  when: Moment,
): Violation[] {
  const found: Violation[] = [];
  const actual = new Map(live.map((object) => [object.key, object]));
  for (const { key, content } of golden.objects) {
    const object = actual.get(key);
    if (object === undefined || object.isTerminating) {
      const state = object === undefined ? 'is not there' : 'is being deleted';
      found.push(violation('declared is live', `${when}: ${key} ${state}`));
      continue;
    }
    for (const { path, isExtra, text } of differences(object.content, content, '')) {
      const invariant = isExtra ? 'nothing of a dead revision' : 'declared is live';
      found.push(violation(invariant, `${when}: ${key} ${path}: ${text}`));
    }
  }
  const wanted = new Set(golden.objects.map(({ key }) => key));
  for (const { key, isKept, isTerminating } of live) {
    if (wanted.has(key) || isTerminating) continue;
    const mayStay = dataBearing.test(key) || isKept;
    if (!mayStay) found.push(violation('nothing of a dead revision', `${when}: ${key} is still there`));
    else if (told?.includes(key) === false) {
      found.push(violation('nothing of a dead revision', `${when}: ${key} was kept, but no run has named it`));
    }
  }
  return found;
}

interface Difference {
  readonly path: string;
  /** Fields that the live object has and the fresh install lacks. */
  readonly isExtra: boolean;
  readonly text: string;
}

function differences(actual: unknown, expected: unknown, path: string): Difference[] {
  if (isFields(actual) && isFields(expected)) {
    const names = new Set([...Object.keys(expected), ...Object.keys(actual)]);
    return [...names].flatMap((name) =>
      differences(actual[name], expected[name], path === '' ? name : `${path}.${name}`),
    );
  }
  if (areListsOfFields(actual, expected)) return listDifferences(actual, expected, path);
  if (isDeepStrictEqual(actual, expected)) return [];
  const text = `${shown(actual)} instead of ${shown(expected)}`;
  return [{ path, isExtra: expected === undefined, text }];
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

type ListOfFields = readonly Record<string, unknown>[];

function areListsOfFields(actual: unknown, expected: unknown): actual is ListOfFields {
  return [actual, expected].every((value) => Array.isArray(value) && value.every(isFields));
}

/** Items are compared by name if they have one, so that an additional item is reported as such. */
function listDifferences(actual: ListOfFields, expected: unknown, path: string): Difference[] {
  const byName = (items: ListOfFields): Record<string, unknown> =>
    Object.fromEntries(items.map((item, index) => [typeof item['name'] === 'string' ? item['name'] : index, item]));
  return differences(byName(actual), byName(expected as ListOfFields), path);
}

/** Objects that existed before the interruption and belong to every revision. They may be changed but not recreated. */
export function survivalViolations(
  before: readonly StateOfObject[],
  after: readonly StateOfObject[],
  everywhere: readonly string[],
): Violation[] {
  const uids = new Map(after.map(({ key, uid }) => [key, uid]));
  return before
    .filter(({ key, uid }) => everywhere.includes(key) && uids.get(key) !== uid)
    .map(({ key }) =>
      violation(
        'what served was never removed',
        `${key} was ${uids.has(key) ? 'removed and created again' : 'removed'}`,
      ),
    );
}

/** One change that a client requested from the API server. */
export interface WriteSeen {
  /** The number of the run whose credentials were used. Each run has its own identity, numbered in order. */
  readonly run: number;
  readonly at: string;
  readonly what: string;
}

/** After a later run has changed something, no earlier run may change anything. */
export function writerViolations(writes: readonly WriteSeen[]): Violation[] {
  const ordered = [...writes].sort((one, other) => one.at.localeCompare(other.at));
  const found: Violation[] = [];
  let newest: WriteSeen | undefined;
  for (const one of ordered) {
    if (newest !== undefined && one.run < newest.run) {
      found.push(
        violation(
          'one writer',
          `run ${one.run}: ${one.what} at ${one.at}, after run ${newest.run}: ${newest.what} at ${newest.at}`,
        ),
      );
    }
    if (newest === undefined || one.run > newest.run) newest = one;
  }
  return found;
}

const keptPlan = / (secrets|configmaps)\/helm-safe-deploy\.plan\./;

/** A run that only plans keeps its plan and changes nothing else. */
export function planViolations(writes: readonly WriteSeen[]): Violation[] {
  return writes
    .filter(({ what }) => !keptPlan.test(what))
    .map(({ run, at, what }) => violation('plan changes nothing', `run ${run}: ${what} at ${at}`));
}

/** The same check by the stored state: the objects with their content, and Helm's records. */
export function unchangedViolations(before: Seen, after: Seen): Violation[] {
  const texts = ({ objects, records }: Seen): Map<string, string> =>
    new Map([
      ...objects.map((object) => [object.key, JSON.stringify(object)] as const),
      ...records.map((record) => [`revision ${record.revision}`, JSON.stringify(record)] as const),
    ]);
  const [was, is] = [texts(before), texts(after)];
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((key) => was.get(key) !== is.get(key))
    .map((key) =>
      violation('plan changes nothing', `${key}: ${is.get(key) ?? 'gone'} instead of ${was.get(key) ?? 'nothing'}`),
    );
}

/** The stored state of a release at one moment. */
export interface Seen {
  readonly objects: readonly StateOfObject[];
  readonly records: readonly RecordSeen[];
}

/** A Helm that changes a release, with the time in which it was seen to run. */
export interface HelmSeen {
  readonly pid: number;
  /** upgrade, rollback, install or uninstall. */
  readonly verb: string;
  /** The process that started this Helm. */
  readonly parent: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** No two Helms may appear in the same reading of the process table. */
export function helmViolations(helms: readonly HelmSeen[]): Violation[] {
  return helms.flatMap((one, index) =>
    helms
      .slice(index + 1)
      .filter((other) => one.firstSeen <= other.lastSeen && other.firstSeen <= one.lastSeen)
      .map((other) =>
        violation('one writer', `helm ${one.verb} (${one.pid}) and helm ${other.verb} (${other.pid}) ran at once`),
      ),
  );
}

/** The time in which a task's process was alive. */
export interface TaskSeen {
  readonly pid: number;
  readonly startedAt: number;
  /** Infinity if the process was never seen dead. */
  readonly endedAt: number;
}

/** The post-job phase stops the main phase before it changes anything, so no Helm of one runs while the other lives. */
export function besideViolations(tasks: readonly TaskSeen[], helms: readonly HelmSeen[]): Violation[] {
  return helms.flatMap((helm) =>
    tasks
      .filter(({ pid, startedAt }) => pid !== helm.parent && startedAt < startOf(tasks, helm.parent))
      .filter(({ endedAt }) => endedAt > helm.firstSeen)
      .map(({ pid }) =>
        violation('one writer', `helm ${helm.verb} of process ${helm.parent} ran while process ${pid} was still alive`),
      ),
  );
}

function startOf(tasks: readonly TaskSeen[], pid: number): number {
  return tasks.find((task) => task.pid === pid)?.startedAt ?? -Infinity;
}

export interface RequestFailure {
  readonly at: string;
  readonly error: string;
}

export function availabilityViolations(sent: number, failures: readonly RequestFailure[]): Violation[] {
  if (sent === 0) return [violation('answered every request', 'no request was sent at all')];
  const [first] = failures;
  if (first === undefined) return [];
  const text = `${failures.length} of ${sent} requests failed, the first at ${first.at}: ${first.error}`;
  return [violation('answered every request', text)];
}

/** A file that contains data that must not outlive the step. */
export interface FileSeen {
  readonly file: string;
  readonly holds: string;
}

export function fileViolations(files: readonly FileSeen[]): Violation[] {
  return files.map(({ file, holds }) => violation('no credentials on disk', `${file} holds ${holds}`));
}

export function orphanViolations(processes: readonly { pid: number; name: string }[], when: string): Violation[] {
  return processes.map(({ pid, name }) => violation('no orphan process', `${when}: ${name} (${pid}) still runs`));
}

/** The Lease of the release, or undefined. */
export interface LeaseSeen {
  readonly holder: string;
  /** Names of annotations that mean unfinished work. */
  readonly work: string;
}

export function leaseViolations(lease: LeaseSeen | undefined, when: Moment): Violation[] {
  if (lease === undefined) return [];
  const found: Violation[] = [];
  if (lease.holder !== '') found.push(violation('lease released', `${when}: it is held by ${lease.holder}`));
  if (lease.work !== '') found.push(violation('lease released', `${when}: work is noted as begun: ${lease.work}`));
  return found;
}

/** `wanted`: the allowed outcomes of the next run. */
export function nextRunViolations(
  result: string,
  outcome: string,
  message: string,
  wanted: readonly string[],
): Violation[] {
  const isGood = result === 'Succeeded' && wanted.includes(outcome);
  return isGood ? [] : [violation('next run works', `${result}, ${outcome || 'no outcome'}: ${message}`)];
}

/** The agent's time limit for a cancelled step. SIGTERM means that 7.5 s were not enough. */
export function signalViolations(signals: readonly string[]): Violation[] {
  if (!signals.includes('SIGTERM')) return [];
  return [violation('ends in time', `after SIGINT the agent had to send ${signals.slice(1).join(', ')}`)];
}
