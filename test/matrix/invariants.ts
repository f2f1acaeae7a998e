import { isDeepStrictEqual } from 'node:util';
import { isFields, type StateOfObject } from './liveState';
import { historyText, type RecordSeen } from './records';

/*
 * What must hold after an interruption. Pure functions of what was seen, so that a test can show of each that it fails
 * when it should.
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

/** `after job`: post-job ran, and the API server answered it. */
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

/** `manifests`: by the text that a revision was deployed with. A record that was edited for a merge must be put right. */
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

/** What a fresh install of the same chart and values gives. */
export interface Golden {
  readonly manifest: string;
  readonly objects: readonly StateOfObject[];
}

const dataBearing = /^(PersistentVolumeClaim|Namespace|CustomResourceDefinition)\//;

/**
 * Everything is as after a fresh install of the deployed revision. `told` is all that the runs have said: a data-bearing
 * object of another revision may stay, but must be named there; undefined where nobody heard all that they said.
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
  /** The live object has it and the fresh install has not. */
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

/** By name where items have one: what one item is more then shows as that. */
function listDifferences(actual: ListOfFields, expected: unknown, path: string): Difference[] {
  const byName = (items: ListOfFields): Record<string, unknown> =>
    Object.fromEntries(items.map((item, index) => [typeof item['name'] === 'string' ? item['name'] : index, item]));
  return differences(byName(actual), byName(expected as ListOfFields), path);
}

/** Objects that stood before the interruption and belong to every revision: they may be changed, never made anew. */
export function survivalViolations(
  before: readonly StateOfObject[],
  after: readonly StateOfObject[],
  everywhere: readonly string[],
): Violation[] {
  const uids = new Map(after.map(({ key, uid }) => [key, uid]));
  return before
    .filter(({ key, uid }) => everywhere.includes(key) && uids.get(key) !== uid)
    .map(({ key }) =>
      violation('what served was never removed', `${key} was ${uids.has(key) ? 'removed and made anew' : 'removed'}`),
    );
}

/** One change that was asked of the API server. */
export interface WriteSeen {
  /** Which run's credentials it came with: runs have an identity each, numbered in their order. */
  readonly run: number;
  readonly at: string;
  readonly what: string;
}

/** Once a later run has changed something, no earlier one may. */
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

/** Whoever only plans keeps the plan, and asks the API server to change nothing else. */
export function planViolations(writes: readonly WriteSeen[]): Violation[] {
  return writes
    .filter(({ what }) => !keptPlan.test(what))
    .map(({ run, at, what }) => violation('plan changes nothing', `run ${run}: ${what} at ${at}`));
}

/** By what is there: objects with their content, and Helm's records. */
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

/** What there is of a release at a moment. */
export interface Seen {
  readonly objects: readonly StateOfObject[];
  readonly records: readonly RecordSeen[];
}

/** A Helm that changes a release, for as long as it was seen to run. */
export interface HelmSeen {
  readonly pid: number;
  /** upgrade, rollback, install, uninstall. */
  readonly verb: string;
  /** The process that started it. */
  readonly parent: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** Two were seen in one and the same reading of the process table. */
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

/** A task's process that was alive for a time. */
export interface TaskSeen {
  readonly pid: number;
  readonly startedAt: number;
  /** Infinity if it was never seen dead. */
  readonly endedAt: number;
}

/** The post-job stops the main before it changes anything: no Helm of one while the other lives. */
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

/** A file that holds what must not outlive the step. */
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

/** The Lease of the release; undefined where there is none. */
export interface LeaseSeen {
  readonly holder: string;
  /** Names of annotations that tell of unfinished work. */
  readonly work: string;
}

export function leaseViolations(lease: LeaseSeen | undefined, when: Moment): Violation[] {
  if (lease === undefined) return [];
  const found: Violation[] = [];
  if (lease.holder !== '') found.push(violation('lease released', `${when}: it is held by ${lease.holder}`));
  if (lease.work !== '') found.push(violation('lease released', `${when}: work is noted as begun: ${lease.work}`));
  return found;
}

/** `wanted`: the outcomes that the next run may have. */
export function nextRunViolations(
  result: string,
  outcome: string,
  message: string,
  wanted: readonly string[],
): Violation[] {
  const isGood = result === 'Succeeded' && wanted.includes(outcome);
  return isGood ? [] : [violation('next run works', `${result}, ${outcome || 'no outcome'}: ${message}`)];
}

/** The agent's patience with a cancelled step: SIGTERM means that 7.5 s were not enough. */
export function signalViolations(signals: readonly string[]): Violation[] {
  if (!signals.includes('SIGTERM')) return [];
  return [violation('ends in time', `after SIGINT the agent had to send ${signals.slice(1).join(', ')}`)];
}
