import type { DeclaredKind } from '../../../tasks/common/core/helm/chartCrds';
import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import {
  hookObject,
  manifestKey,
  manifestObjects,
  objectKey,
  objectName,
  refOf,
} from '../../../tasks/common/core/kubernetes/manifest';
import type { FencePolicy, FenceWrite } from '../../../tasks/common/core/helm/fence';
import type { FencedRollback, Helm, HelmResult } from '../../../tasks/common/core/ports';
import { withGrownSize, withKept, type KeptField } from '../../../tasks/common/core/release/keptFields';
import type { Hook, Revision, RevisionStatus } from '../../../tasks/common/core/release/release';
import { testsToRun } from '../../../tasks/common/core/release/tests';
import type { Rendering } from '../../../tasks/common/core/release/unchanged';
import { objectStatus } from '../../../tasks/common/core/status/objectStatus';
import { conflictWith, type FakeCluster } from './fakeCluster';
import { fakeRehearsal } from './fakeRehearsal';
import type { FakeStorage } from './fakeStorage';
import type { SimulatedTime } from './simulatedTime';

export interface FakeChart {
  /** What each rendering of the chart gives in turn, if it is not the same each time. */
  renderings?: readonly Pick<FakeChart, 'objects' | 'hooks'>[] | ((now: Date) => Pick<FakeChart, 'objects' | 'hooks'>);
  version: string;
  objects: readonly KubeObject[];
  hooks?: readonly Hook[];
  /** The kinds in its crds/ folder. */
  crds?: readonly DeclaredKind[];
  /** The definitions in its crds/ folder. */
  definitions?: readonly KubeObject[];
  /** The values that Helm records as those of the user. */
  config?: Revision['config'];
}

/**
 * The point at which a run of Helm fails. `killed`: by a signal that it cannot catch, so the revision stays pending.
 */
export type HelmTrouble = 'before the revision' | 'pre hook' | 'half way' | 'killed half way' | 'at the end';

function chartOf({ version }: FakeChart): Revision['chart'] {
  return { name: 'shop', version, appVersion: '' };
}

export interface FakeHelmOptions {
  release: string;
  namespace: string;
  chart: FakeChart;
  /** Helm 4 uses server-side apply and is refused fields that another manager owns. */
  major?: 3 | 4 | undefined;
  upgradeTrouble?: HelmTrouble | undefined;
  rollbackTrouble?: 'half way' | 'killed half way' | undefined;
  uninstallTrouble?: 'at the start' | undefined;
  /** --take-ownership: Helm takes over objects without the labels of this release. */
  takesOwnership?: boolean | undefined;
  /**
   * Called before each action of a run in the cluster or its record, with a word for it. An error that it throws is the
   * API server's answer. If it never resolves, the run is dead.
   */
  pace?: ((step: string) => Promise<void>) | undefined;
}

export interface FakeHelm extends Helm {
  /** The changing commands that were run, oldest first. */
  readonly runs: string[];
  /** True if any revision became `deployed`. */
  hasDeployed(): boolean;
  /** A `rollback` behind a fence. */
  fencedRollback(options: FencedRollback): Promise<HelmResult>;
}

/** Helm was interrupted by a signal that it can catch. */
class Interrupted extends Error {
  override message = 'context canceled';
}

/**
 * Helm 3 as measured, in the order of writes in its source: an upgrade merges from the newest `deployed` revision, else
 * from the last. A rollback merges from the last one and fails on a live object that the last one lacks. Fields that
 * the base lacks stay. Helm writes a record whole, as it read it at its start.
 */
export function fakeHelm(
  options: FakeHelmOptions,
  storage: FakeStorage,
  cluster: FakeCluster,
  time: SimulatedTime,
): FakeHelm {
  const { release, namespace, chart, major = 3, pace = () => Promise.resolve() } = options;
  const runs: string[] = [];
  let hasDeployed = false;
  let rendered = -1;
  let fence: FencePolicy | undefined;
  let kept: readonly KeptField[] = [];
  const manifest = manifestOf(chart.objects);

  const rendering = (): Rendering => {
    const { renderings = [chart] } = chart;
    const one =
      typeof renderings === 'function' ? renderings(time.now()) : renderings[(rendered += 1) % renderings.length];
    const { objects, hooks = [] } = one ?? chart;
    return { manifest: manifestOf(objects), hooks, config: chart.config ?? {}, chart: chartOf(chart) };
  };

  /** A deleted record is not created again. */
  const write = (record: Revision): void => {
    if (record.status === 'deployed') hasDeployed = true;
    storage.records = storage.records.map((one) =>
      one.revision === record.revision ? { ...record, writtenAt: time.now() } : one,
    );
  };

  const create = (last: Revision | undefined, status: RevisionStatus, content: Content): Revision => {
    const made: Revision = {
      name: release,
      namespace,
      revision: (last?.revision ?? 0) + 1,
      status,
      description: '',
      lastDeployed: time.now().toISOString(),
      config: {},
      notes: '',
      labels: { ...last?.labels },
      writtenAt: time.now(),
      createdAt: time.now(),
      ...(major === 4 ? { applyMethod: 'ssa' } : {}),
      ...content,
    };
    if (storage.records.some(({ revision }) => revision === made.revision)) throw new Error('already exists');
    storage.records.push(made);
    return made;
  };

  const own = (object: KubeObject): KubeObject => {
    const annotations = {
      ...object.metadata.annotations,
      'meta.helm.sh/release-name': release,
      'meta.helm.sh/release-namespace': namespace,
    };
    const labels = { ...object.metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' };
    return { ...object, metadata: { ...object.metadata, namespace, labels, annotations } };
  };

  const writeOf = (verb: FenceWrite['verb'], { apiVersion, kind, metadata }: KubeObject): FenceWrite => ({
    verb,
    apiVersion,
    resource: `${kind.toLowerCase()}s`,
    namespace,
    name: metadata.name,
    isStorage: false,
    isMadeHere: false,
    bodyDigest: '',
    client: 'Helm',
  });

  /** Applies up to `count` objects. Throws the failure. */
  const apply = async (
    base: string,
    target: string,
    step: Step,
    { count = Infinity, isRollback = false, isForced = false } = {},
  ) => {
    const conflicts: string[] = [];
    const isLeft = (object: KubeObject): boolean => fence?.isLeft?.(writeOf('apply', object)) === true;
    const isHeldBack = (object: KubeObject): boolean => fence?.mayDelete(writeOf('delete', object)) === false;
    const before = new Map(objectsOf(base).map((object) => [manifestKey(object, namespace), object]));
    const wanted = new Map(objectsOf(target).map((object) => [manifestKey(object, namespace), object]));
    for (const [key, object] of [...wanted].slice(0, count)) {
      await step(`apply ${objectName(refOf(object))}`);
      const live = cluster.objects.get(key);
      const earlier = before.get(key);
      if (live !== undefined && earlier === undefined) {
        if (isRollback) throw new Error(`no ${object.kind} with the name "${object.metadata.name}" found`);
        const isMarked = live.metadata.annotations?.['meta.helm.sh/release-name'] === release;
        if (!isMarked && options.takesOwnership !== true) {
          throw new Error(`${objectName(refOf(object))} exists and cannot be imported into the current release`);
        }
      }
      if (live !== undefined && isLeft(object)) continue;
      const taken = cluster.taken.get(key);
      if (major === 4 && taken !== undefined && !isForced) {
        const of = `${namespace}/${object.metadata.name} ${object.apiVersion}, Kind=${object.kind}`;
        conflicts.push(`conflict occurred while applying object ${of}: ${conflictWith(taken)}`);
        continue;
      }
      const sent = patchOf(own(object), live, kept);
      cluster.put(live === undefined ? own(object) : (merged(earlier ?? {}, sent, live) as KubeObject), 'helm');
    }
    const refused = [...wanted.values()][count];
    if (refused !== undefined) throw new Error(`cannot patch "${refused.metadata.name}" with kind ${refused.kind}: no`);
    if (conflicts.length > 0) throw new Error(conflicts.join(' && '));
    for (const [key, object] of before) {
      if (wanted.has(key)) continue;
      await step(`remove ${objectName(refOf(object))}`);
      if (!isHeldBack(object)) removeUnlessKept(key);
    }
  };

  const removeUnlessKept = (key: string): void => {
    if (cluster.objects.get(key)?.metadata.annotations?.['helm.sh/resource-policy'] !== 'keep') cluster.take(key);
  };

  /** Helm's own `--wait`: it ends when everything is ready, at the timeout, or on a signal. */
  const wait = async (target: string, timeoutSeconds: number, signal: AbortSignal): Promise<void> => {
    const until = time.elapsed() + timeoutSeconds * 1000;
    const isReady = (): boolean =>
      objectsOf(target).every((object) => {
        const live = cluster.objects.get(manifestKey(object, namespace));
        return live !== undefined && objectStatus(live, time.now()).status === 'Current';
      });
    while (!isReady()) {
      if (signal.aborted) throw new Interrupted();
      if (time.elapsed() >= until) throw new Error('context deadline exceeded');
      await time.wait(Math.min(2000, until - time.elapsed()), signal, false);
    }
  };

  /** Runs the hooks of an event and records their phase. Hooks with a manifest are Jobs and are waited for. */
  const runHooks = async (made: Revision, event: string, until: number, step: Step, isBroken = false) => {
    const note = async (ran: Hook, lastPhase: string): Promise<void> => {
      await step(`note that ${ran.name} is ${lastPhase}`);
      made.hooks = made.hooks.map((one) => (one.name === ran.name ? { ...one, lastPhase } : one));
      write(made);
    };
    for (const each of made.hooks.filter(({ events }) => events.includes(event))) {
      const job = hookObject(each.manifest);
      if (job === undefined) {
        await note(each, isBroken ? 'Failed' : 'Succeeded');
      } else {
        await note(each, 'Running');
        await runJob(own(job), until, step);
        await note(each, 'Succeeded');
        if (isRemoved(job)) cluster.take(objectKey(refOf(own(job))));
      }
    }
  };

  const runJob = async (job: KubeObject, until: number, step: Step): Promise<void> => {
    const key = objectKey(refOf(job));
    await step(`remove the earlier ${objectName(refOf(job))}`);
    cluster.take(key);
    await step(`create ${objectName(refOf(job))}`);
    cluster.put(job);
    for (;;) {
      await time.sleep(500, new AbortController().signal);
      await step(`wait for ${objectName(refOf(job))}`);
      if (time.elapsed() >= until) throw new Error('context deadline exceeded');
      const live = cluster.objects.get(key);
      if (live === undefined) throw new Error(`job ${job.metadata.name} is gone`);
      const { status } = objectStatus(live, time.now());
      if (status === 'Failed') throw new Error(`job ${job.metadata.name} failed: BackoffLimitExceeded`);
      if (status === 'Current') return;
    }
  };

  const failed = (
    message: string,
    reason: NonNullable<HelmResult['failure']>['reason'],
    more: Partial<HelmResult> = {},
  ) => ({
    ...succeeded,
    ok: false,
    exitCode: 1,
    failure: { reason, message },
    ...more,
  });

  /** Records the failure of the run, as far as the API server allows it. */
  const failedAt = async (records: readonly Revision[], thrown: unknown, noting = pace): Promise<HelmResult> => {
    const { message } = thrown as Error;
    for (const record of records) {
      await noting(`note that revision ${record.revision} is ${record.status}`).then(
        () => {
          write(record);
        },
        () => undefined,
      );
    }
    if (thrown instanceof Interrupted) return failed(message, 'Cancelled', { cancelled: true });
    if (message === 'context deadline exceeded') return failed(message, 'TimedOut');
    if (message.includes('Apply failed with')) return failed(message, 'FieldConflict');
    return failed(message, /hooks failed|^job \S+ failed: /.test(message) ? 'HookFailed' : 'ApplyRejected');
  };

  /** Helm's message about the first object whose kind is not served. Helm reads the merge base first. */
  const unmapped = (assumed: readonly DeclaredKind[], base = ''): string | undefined => {
    const isServed = ({ apiVersion, kind }: KubeObject): boolean =>
      cluster.served.has(`${apiVersion}/${kind}`) ||
      assumed.some((each) => each.apiVersion === apiVersion && each.kind === kind);
    for (const [word, objects] of [
      ['current release', objectsOf(base)],
      ['release', chart.objects],
    ] as const) {
      const lost = objects.find((object) => !isServed(object));
      if (lost === undefined) continue;
      return (
        `unable to build kubernetes objects from ${word} manifest: resource mapping not found for name: ` +
        `"${lost.metadata.name}" namespace: "" from "": no matches for kind "${lost.kind}" in version "${lost.apiVersion}"`
      );
    }
    return undefined;
  };

  /** The base of an upgrade. Undefined if Helm would install. */
  const servingManifest = (): string | undefined => {
    const last = storage.records.at(-1);
    const isUpgrade = last !== undefined && last.status !== 'uninstalled';
    return isUpgrade ? (storage.records.findLast(({ status }) => status === 'deployed') ?? last).manifest : undefined;
  };

  const killed = (): HelmResult => failed('', 'HelmFailed', { exitCode: undefined, signal: 'SIGKILL' });

  const uninstall = async (keepHistory: boolean): Promise<HelmResult> => {
    await pace('read the history');
    const read = structuredClone(storage.records);
    const last = read.at(-1);
    if (last === undefined) return failed('release: not found', 'ReleaseMissing');
    if (last.status === 'uninstalled' && keepHistory) {
      return failed(`the release named "${release}" is already deleted`, 'HelmFailed');
    }
    await pace('note that it is uninstalling');
    const going: Revision = { ...last, status: 'uninstalling', description: 'Deletion in progress' };
    write(going);
    if (options.uninstallTrouble !== undefined) return failed('pre-delete hooks failed', 'HookFailed');
    for (const object of objectsOf(last.manifest)) {
      await pace(`remove ${objectName(refOf(object))}`);
      // Helm looks for the policy in the manifest only (measured with 3.14 to 4.3).
      if (object.metadata.annotations?.['helm.sh/resource-policy'] !== 'keep') {
        cluster.take(manifestKey(object, namespace));
      }
    }
    if (keepHistory) {
      await pace('note that it is uninstalled');
      write({ ...going, status: 'uninstalled', description: 'Uninstallation complete' });
      return succeeded;
    }
    for (const { revision } of read) {
      await pace(`remove the record of revision ${revision}`);
      storage.records = storage.records.filter((one) => one.revision !== revision);
      storage.copies.delete(revision);
    }
    return succeeded;
  };

  const helm: FakeHelm = {
    runs,
    hasDeployed: () => hasDeployed,
    async fencedRollback({ target, policy, ...options }) {
      fence = policy;
      ({ kept } = options);
      const result = await helm.rollback({
        ...options,
        revision: target.revision,
        forceConflicts: target.applyMethod === 'ssa',
      });
      fence = undefined;
      kept = [];
      return result;
    },
    capabilities: () =>
      Promise.resolve({
        version: major === 4 ? 'v4.2.3' : 'v3.17.3',
        major,
        minor: major === 4 ? 2 : 17,
      }),
    render: (_signal, assumed = []) => {
      const refused = unmapped(assumed, servingManifest());
      if (refused !== undefined) {
        return Promise.resolve({ ...failed(refused, 'KindNotServed'), said: [`Error: ${refused}`] });
      }
      return Promise.resolve({
        ...succeeded,
        said: [],
        rendering: rendering(),
      });
    },

    rehearse({ records, kept: fields }) {
      const base = records
        .map((record) => record['manifest'])
        .findLast((text) => typeof text === 'string' && text !== '');
      const before = typeof base === 'string' ? base : (servingManifest() ?? '');
      const revision = (storage.records.at(-1)?.revision ?? 0) + 1;
      const { hooks, ...content } = rendering();
      const made = revisionOfRecord({ ...content, hooks: hooks.map((hook) => ({ ...hook, lastPhase: '' })), revision });
      return Promise.resolve({
        rehearsal: fakeRehearsal(cluster, { base: before, wanted: made.manifest, fields }),
        revision: made,
      });
    },

    chartCrds: () => Promise.resolve(chart.crds ?? []),
    crds: () => Promise.resolve(chart.definitions ?? []),

    async upgrade({ timeoutSeconds, wait: waits, createNamespace, forceConflicts = false, kept: fields }, signal) {
      kept = fields;
      const isForced = forceConflicts;
      const flags = [...(createNamespace ? ['--create-namespace'] : []), ...(isForced ? ['--force-conflicts'] : [])];
      runs.push(['upgrade', ...flags].join(' '));
      const trouble = options.upgradeTrouble;
      let made: Revision | undefined;
      try {
        await pace('read the history');
        const read = structuredClone(storage.records);
        const last = read.at(-1);
        if (last?.status.startsWith('pending') === true) {
          return failed('another operation (install/upgrade/rollback) is in progress', 'ReleasePending');
        }
        if (trouble === 'before the revision') return failed('the chart cannot be loaded', 'ChartInvalid');
        const isFirst = last === undefined || last.status === 'uninstalled';
        const event = isFirst ? 'install' : 'upgrade';
        const base = isFirst ? undefined : (read.findLast(({ status }) => status === 'deployed') ?? last);
        if (base !== undefined && !['deployed', 'failed', 'superseded'].includes(base.status)) {
          return failed(`"${release}" has no deployed releases`, 'HelmFailed');
        }
        if (isFirst) {
          for (const crd of chart.crds ?? []) cluster.served.set(`${crd.apiVersion}/${crd.kind}`, crd);
        }
        const refused = unmapped([], base?.manifest);
        if (refused !== undefined) return failed(refused, 'KindNotServed');
        if (isFirst && last !== undefined) {
          await pace('note that what was uninstalled is superseded');
          write({ ...last, status: 'superseded', description: 'superseded by new release' });
        }
        const hooks = (chart.hooks ?? []).map((hook) => ({ ...hook, lastPhase: '' }));
        await pace(`make revision ${(last?.revision ?? 0) + 1}`);
        made = create(last, `pending-${event}`, { manifest, hooks, chart: chartOf(chart) });
        const step: Step = async (what) => {
          await pace(what);
          if (signal.aborted) throw new Interrupted();
        };
        await step('begin');
        const isRefused = trouble === 'pre hook';
        const until = time.elapsed() + timeoutSeconds * 1000;
        await runHooks(made, `pre-${event}`, until, step, isRefused);
        if (isRefused) throw new Error(`pre-${event} hooks failed: job migrate failed`);
        const isHalf = trouble === 'half way' || trouble === 'killed half way';
        try {
          await apply(base?.manifest ?? '', manifest, step, { isForced, ...(isHalf ? { count: 1 } : {}) });
        } catch (thrown) {
          if (trouble === 'killed half way') return killed();
          throw thrown;
        }
        await step('wait');
        if (waits) await wait(manifest, timeoutSeconds, signal);
        if (trouble === 'at the end') throw new Error(`post-${event} hooks failed: job test failed`);
        await runHooks(made, `post-${event}`, until, step);
        if (base !== undefined) {
          await step(`note that revision ${base.revision} is superseded`);
          write({ ...base, status: 'superseded' });
        }
        await step(`note that revision ${made.revision} is deployed`);
        write({ ...made, status: 'deployed', description: `${event} complete` });
        return succeeded;
      } catch (thrown) {
        if (made === undefined) return failedAt([], thrown);
        const { message } = thrown as Error;
        const description = thrown instanceof Interrupted ? `upgrade failed: ${message}` : message;
        return failedAt([{ ...made, status: 'failed', description }], thrown);
      }
    },

    async rollback({ revision, forceConflicts = false }) {
      runs.push(`rollback ${revision}${forceConflicts ? ' --force-conflicts' : ''}`);
      const trouble = options.rollbackTrouble;
      let made: Revision | undefined;
      let last: Revision | undefined;
      try {
        await pace('read the history');
        const read = structuredClone(storage.records);
        const target = read.find((one) => one.revision === revision);
        last = read.at(-1);
        if (target === undefined || last === undefined) return failed('release: not found', 'RollbackTargetMissing');
        await pace(`make revision ${last.revision + 1}`);
        const { manifest: text, hooks, chart: of, config } = target;
        const content = { manifest: text, hooks, chart: of, config };
        made = create(last, 'pending-rollback', content);
        try {
          const count = trouble === undefined ? Infinity : 0;
          await apply(last.manifest, target.manifest, pace, { count, isRollback: true, isForced: forceConflicts });
        } catch (thrown) {
          if (trouble === 'killed half way') return killed();
          throw thrown;
        }
        for (const one of structuredClone(storage.records).filter(({ status }) => status === 'deployed')) {
          await pace(`note that revision ${one.revision} is superseded`);
          write({ ...one, status: 'superseded' });
        }
        await pace(`note that revision ${made.revision} is deployed`);
        write({ ...made, status: 'deployed', description: `Rollback to ${revision}` });
        return succeeded;
      } catch (thrown) {
        if (made === undefined || last === undefined) return failedAt([], thrown);
        const { message } = thrown as Error;
        return failedAt(
          [
            { ...last, status: 'superseded' },
            { ...made, status: 'failed', description: message },
          ],
          thrown,
        );
      }
    },

    async test({ timeoutSeconds, filter }, signal) {
      runs.push(['test', ...filter].join(' '));
      const last = storage.records.at(-1);
      if (last === undefined) return failed('release: not found', 'RollbackTargetMissing');
      const made = structuredClone(last);
      const keepsRecord = filter.length > 0;
      const step: Step = async (what) => {
        // Helm has no handler for signals here: it dies at once.
        if (signal.aborted) throw new Interrupted();
        await pace(what);
      };
      const said: string[] = [];
      const until = time.elapsed() + timeoutSeconds * 1000;
      try {
        for (const each of testsToRun(made.hooks, filter)) {
          const end = async (lastPhase: string): Promise<void> => {
            made.hooks = made.hooks.map((one) => (one.name === each.name ? { ...one, lastPhase } : one));
            if (lastPhase !== 'Running') said.push(`TEST SUITE:     ${each.name}`, `Phase:          ${lastPhase}`);
            await step(`note that ${each.name} is ${lastPhase}`);
            if (!keepsRecord) write(made);
          };
          await end('Running');
          const job = hookObject(each.manifest);
          try {
            if (job !== undefined) await runJob(own(job), until, step);
          } catch (thrown) {
            if (thrown instanceof Interrupted) throw thrown;
            await end('Failed');
            if (job !== undefined && isRemoved(job, 'hook-failed')) cluster.take(objectKey(refOf(own(job))));
            throw thrown;
          }
          await end('Succeeded');
          if (job !== undefined && isRemoved(job)) cluster.take(objectKey(refOf(own(job))));
        }
        return { ...succeeded, stdout: said.join('\n') };
      } catch (thrown) {
        const ended = await failedAt([], thrown);
        return thrown instanceof Interrupted ? ended : { ...ended, stdout: said.join('\n') };
      }
    },

    async uninstall({ keepHistory = false }) {
      runs.push('uninstall');
      try {
        return await uninstall(keepHistory);
      } catch (thrown) {
        return failedAt([], thrown);
      }
    },
  };
  return helm;
}

function revisionOfRecord(content: Content & { revision: number }): Revision {
  return {
    name: '',
    namespace: '',
    status: 'deployed',
    description: '',
    lastDeployed: '',
    config: {},
    notes: '',
    labels: {},
    writtenAt: undefined,
    ...content,
  };
}

type Step = (what: string) => Promise<void>;
type Content = Pick<Revision, 'manifest' | 'hooks' | 'chart'> & Partial<Pick<Revision, 'config'>>;

function isRemoved({ metadata }: KubeObject, policy = 'hook-succeeded'): boolean {
  return (metadata.annotations?.['helm.sh/hook-delete-policy'] ?? '').includes(policy);
}

const succeeded: HelmResult = {
  ok: true,
  exitCode: 0,
  signal: undefined,
  cancelled: false,
  timedOut: false,
  stdout: '',
  durationMs: 10,
};

const known = new Map<string, readonly KubeObject[]>();

/** Manifests are read many times, so the parsed objects must not be changed. */
function objectsOf(manifest: string): readonly KubeObject[] {
  const objects = known.get(manifest) ?? manifestObjects(manifest);
  if (known.size > 1000) known.clear();
  known.set(manifest, objects);
  return objects;
}

export function manifestOf(objects: readonly KubeObject[]): string {
  return objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('');
}

/** What Helm makes of a live object. Throws as the API server refuses a claim that would shrink. */
export function patchOf(object: KubeObject, live: KubeObject | undefined, kept: readonly KeptField[]): KubeObject {
  const own = kept.filter(({ ref }) => objectKey(ref) === objectKey(refOf(object)));
  const sent = withKept(object, 'update', own) as KubeObject;
  if (live !== undefined && withGrownSize(sent, live).words !== undefined) {
    throw new Error(`cannot patch "${live.metadata.name}" with kind ${live.kind}: field can not be less than before`);
  }
  return sent;
}

/**
 * Fields of `base` that `target` lacks are removed, fields of `target` are set, all others stay. Lists are replaced.
 */
export function merged(base: unknown, target: unknown, live: unknown): unknown {
  if (!isFields(target) || !isFields(live)) return target;
  const old = isFields(base) ? base : {};
  const names = new Set([...Object.keys(live), ...Object.keys(target)]);
  const entries = [...names].flatMap((name): [string, unknown][] => {
    if (Object.hasOwn(target, name)) return [[name, merged(old[name], target[name], live[name])]];
    if (!Object.hasOwn(old, name)) return [[name, live[name]]];
    const rest = isFields(old[name]) && isFields(live[name]) ? without(live[name], old[name]) : undefined;
    return rest === undefined || Object.keys(rest).length === 0 ? [] : [[name, rest]];
  });
  return Object.fromEntries(entries);
}

function without(live: Record<string, unknown>, gone: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(live).filter(([name]) => !Object.hasOwn(gone, name)));
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
