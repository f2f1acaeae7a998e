import type { KubeObject } from '../../../tasks/common/core/kubernetes';
import { manifestKey, manifestObjects, objectName, refOf } from '../../../tasks/common/core/manifest';
import type { Helm, HelmResult } from '../../../tasks/common/core/ports';
import type { Hook, Revision, RevisionStatus } from '../../../tasks/common/core/release';
import { objectStatus } from '../../../tasks/common/core/status';
import type { FakeCluster } from './fakeCluster';
import type { FakeStorage } from './fakeStorage';
import type { SimulatedTime } from './simulatedTime';

export interface FakeChart {
  version: string;
  objects: readonly KubeObject[];
  hooks?: readonly Hook[];
}

/** Where a run of Helm ends badly. `killed`: by a signal that it cannot catch, with the revision left pending. */
export type HelmTrouble = 'before the revision' | 'pre hook' | 'half way' | 'killed half way' | 'at the end';

function chartOf({ version }: FakeChart): Revision['chart'] {
  return { name: 'shop', version, appVersion: '' };
}

export interface FakeHelmOptions {
  release: string;
  namespace: string;
  chart: FakeChart;
  upgradeTrouble?: HelmTrouble | undefined;
  rollbackTrouble?: 'half way' | 'killed half way' | undefined;
  uninstallTrouble?: 'at the start' | undefined;
}

export interface FakeHelm extends Helm {
  /** What was run that changes something, oldest first. */
  readonly runs: string[];
  /** Whether any revision became `deployed`. */
  hasDeployed(): boolean;
}

/**
 * Helm 3 as measured: an upgrade merges from the newest `deployed` revision, else from the last; a rollback from the
 * last one, and fails on an object that is alive but not in it; fields that the base does not have stay.
 */
export function fakeHelm(
  options: FakeHelmOptions,
  storage: FakeStorage,
  cluster: FakeCluster,
  time: SimulatedTime,
): FakeHelm {
  const { release, namespace, chart } = options;
  const runs: string[] = [];
  let hasDeployed = false;
  const manifest = manifestOf(chart.objects);

  const setStatus = (revision: number, status: RevisionStatus, description = ''): void => {
    storage.records = storage.records.map((record) =>
      record.revision === revision ? { ...record, status, description: description || record.description } : record,
    );
  };

  const setDeployed = (revision: number, description: string): void => {
    hasDeployed = true;
    setStatus(revision, 'deployed', description);
  };

  const record = (status: RevisionStatus, content: Pick<Revision, 'manifest' | 'hooks' | 'chart'>): Revision => {
    const last = storage.records.at(-1);
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
      ...content,
    };
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

  /** Applies up to `count` objects; answers what went wrong. */
  const apply = (base: string, target: string, count: number, isRollback: boolean): string | undefined => {
    const before = new Map(manifestObjects(base).map((object) => [manifestKey(object, namespace), object]));
    const wanted = new Map(manifestObjects(target).map((object) => [manifestKey(object, namespace), object]));
    for (const [key, object] of [...wanted].slice(0, count)) {
      const live = cluster.objects.get(key);
      const earlier = before.get(key);
      if (live !== undefined && earlier === undefined) {
        if (isRollback) return `no ${object.kind} with the name "${object.metadata.name}" found`;
        if (live.metadata.annotations?.['meta.helm.sh/release-name'] !== release) {
          return `${objectName(refOf(object))} exists and cannot be imported into the current release`;
        }
      }
      cluster.put(live === undefined ? own(object) : (merged(earlier ?? {}, own(object), live) as KubeObject));
    }
    if (count < wanted.size) return 'admission webhook refused the request';
    for (const key of before.keys()) if (!wanted.has(key)) removeUnlessKept(key);
    return undefined;
  };

  const removeUnlessKept = (key: string): void => {
    if (cluster.objects.get(key)?.metadata.annotations?.['helm.sh/resource-policy'] !== 'keep') cluster.take(key);
  };

  /** What Helm's own `--wait` does: until everything is ready, the time is over, or a signal comes. */
  const wait = async (target: string, timeoutSeconds: number, signal: AbortSignal): Promise<string | undefined> => {
    const until = time.elapsed() + timeoutSeconds * 1000;
    const isReady = (): boolean =>
      manifestObjects(target).every((object) => {
        const live = cluster.objects.get(manifestKey(object, namespace));
        return live !== undefined && objectStatus(live, time.now()).status === 'Current';
      });
    while (!isReady()) {
      if (signal.aborted) return 'context canceled';
      if (time.elapsed() >= until) return 'context deadline exceeded';
      await time.wait(Math.min(2000, until - time.elapsed()), signal, false);
    }
    return undefined;
  };

  const runHooks = (made: Revision, event: string, phase: 'Succeeded' | 'Failed'): void => {
    storage.records = storage.records.map((one) =>
      one.revision !== made.revision
        ? one
        : {
            ...one,
            hooks: one.hooks.map((hook) => (hook.events.includes(event) ? { ...hook, lastPhase: phase } : hook)),
          },
    );
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

  return {
    runs,
    hasDeployed: () => hasDeployed,
    capabilities: () =>
      Promise.resolve({
        version: 'v3.17.3',
        major: 3,
        upgradeFlags: new Set<string>(),
      }),
    render: () =>
      Promise.resolve({
        ...succeeded,
        rendering: { manifest, hooks: chart.hooks ?? [], config: {}, chart: chartOf(chart) },
      }),

    async upgrade({ timeoutSeconds, wait: waits }, signal) {
      runs.push('upgrade');
      const trouble = options.upgradeTrouble;
      await Promise.resolve();
      const last = storage.records.at(-1);
      if (last?.status.startsWith('pending') === true) {
        return failed('another operation (install/upgrade/rollback) is in progress', 'ReleasePending');
      }
      if (trouble === 'before the revision') return failed('the chart cannot be loaded', 'ChartInvalid');
      const isFirst = last === undefined || last.status === 'uninstalled';
      const event = isFirst ? 'install' : 'upgrade';
      const base = isFirst ? undefined : (storage.records.findLast(({ status }) => status === 'deployed') ?? last);
      const made = record(`pending-${event}`, {
        manifest,
        hooks: (chart.hooks ?? []).map((hook) => ({ ...hook, lastPhase: '' })),
        chart: chartOf(chart),
      });
      await Promise.resolve();
      const isInterrupted = (): boolean => signal.aborted;
      const interrupted = (): HelmResult => {
        setStatus(made.revision, 'failed', `${event} failed: context canceled`);
        return failed('context canceled', 'Cancelled', { cancelled: true });
      };
      if (isInterrupted()) return interrupted();
      if (trouble === 'pre hook') {
        runHooks(made, `pre-${event}`, 'Failed');
        setStatus(made.revision, 'failed', `pre-${event} hooks failed: job migrate failed`);
        return failed(`pre-${event} hooks failed: job migrate failed`, 'HookFailed');
      }
      runHooks(made, `pre-${event}`, 'Succeeded');
      const isHalf = trouble === 'half way' || trouble === 'killed half way';
      const problem = apply(base?.manifest ?? '', manifest, isHalf ? 1 : chart.objects.length, false);
      if (trouble === 'killed half way') return failed('', 'Internal', { exitCode: undefined, signal: 'SIGKILL' });
      if (problem !== undefined) {
        setStatus(made.revision, 'failed', problem);
        return failed(problem, 'ApplyRejected');
      }
      await Promise.resolve();
      const waited = waits ? await wait(manifest, timeoutSeconds, signal) : undefined;
      if (isInterrupted()) return interrupted();
      if (waited !== undefined) {
        setStatus(made.revision, 'failed', waited);
        return failed(waited, 'TimedOut');
      }
      if (trouble === 'at the end') {
        setStatus(made.revision, 'failed', `post-${event} hooks failed: job test failed`);
        return failed(`post-${event} hooks failed: job test failed`, 'HookFailed');
      }
      runHooks(made, `post-${event}`, 'Succeeded');
      if (base !== undefined) setStatus(base.revision, 'superseded');
      setDeployed(made.revision, `${event} complete`);
      return succeeded;
    },

    async rollback({ revision }) {
      runs.push(`rollback ${revision}`);
      await Promise.resolve();
      const target = storage.records.find((one) => one.revision === revision);
      const last = storage.records.at(-1);
      if (target === undefined || last === undefined) return failed('release: not found', 'RollbackTargetMissing');
      const made = record('pending-rollback', { manifest: target.manifest, hooks: target.hooks, chart: target.chart });
      const trouble = options.rollbackTrouble;
      const count = trouble === undefined ? Infinity : 0;
      const problem = apply(last.manifest, target.manifest, count, true);
      await Promise.resolve();
      if (trouble === 'killed half way') return failed('', 'Internal', { exitCode: undefined, signal: 'SIGKILL' });
      if (problem !== undefined) {
        setStatus(last.revision, 'superseded');
        setStatus(made.revision, 'failed', problem);
        return failed(problem, 'ApplyRejected');
      }
      for (const one of storage.records.filter(({ status }) => status === 'deployed'))
        setStatus(one.revision, 'superseded');
      setStatus(last.revision, 'superseded');
      setDeployed(made.revision, `Rollback to ${revision}`);
      return succeeded;
    },

    async uninstall() {
      runs.push('uninstall');
      await Promise.resolve();
      const last = storage.records.at(-1);
      if (last === undefined) return failed('release: not found', 'ReleaseMissing');
      if (options.uninstallTrouble !== undefined) return failed('pre-delete hooks failed', 'HookFailed');
      for (const object of manifestObjects(last.manifest)) removeUnlessKept(manifestKey(object, namespace));
      storage.records = [];
      return succeeded;
    },
  };
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

export function manifestOf(objects: readonly KubeObject[]): string {
  return objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('');
}

/** Fields of `base` that `target` does not have go, those of `target` come, all others stay; lists are replaced. */
function merged(base: unknown, target: unknown, live: unknown): unknown {
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
