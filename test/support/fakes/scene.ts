import type { DeployRequest } from '../../../tasks/common/core/inputs/deployRequest';
import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../../tasks/common/core/kubernetes/manifest';
import type { Hook, Revision, RevisionStatus } from '../../../tasks/common/core/release/release';
import type { DeployStart } from '../../../tasks/common/core/releaseContext';
import { sha256 } from '../rollbackScene';
import { disturbedPorts, type Disturbance } from './disturbance';
import { fakeCluster, type FakeCluster } from './fakeCluster';
import { fakeHelm, manifestOf, type FakeChart, type FakeHelm, type FakeHelmOptions } from './fakeHelm';
import { fakePlanStore, type FakePlanStore } from './fakePlanStore';
import { fakeRollbackHelm, type Rehearsed } from './fakeRollbackHelm';
import { fakeStorage, type FakeStorage } from './fakeStorage';
import { recordingAgent, type RecordingAgent } from './recordingAgent';
import { simulatedTime, type SimulatedTime } from './simulatedTime';

export const release = 'shop';
export const namespace = 'prod';

export function deployment(name: string, tag: string, pod: object = {}): KubeObject {
  const containers = [
    { name: 'main', image: `registry.example/${name}:${tag}`, readinessProbe: { tcpSocket: { port: 80 } } },
  ];
  const template = { metadata: { labels: { app: name } }, spec: { containers, ...pod } };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name }, spec: { replicas: 1, template } };
}

export function configMap(name: string, data: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}

export function claim(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name }, spec: {} };
}

export function hook(name: string, ...events: string[]): Hook {
  return { name, kind: 'Job', events, lastPhase: '' };
}

export function chart(version: string, objects: readonly KubeObject[], hooks: readonly Hook[] = []): FakeChart {
  return { version, objects, hooks };
}

export function revision(
  number: number,
  status: RevisionStatus,
  of: FakeChart,
  more: Partial<Revision> = {},
): Revision {
  return {
    name: release,
    namespace,
    revision: number,
    status,
    description: '',
    lastDeployed: '2025-12-31T00:00:00Z',
    chart: { name: 'shop', version: of.version, appVersion: '' },
    manifest: manifestOf(of.objects),
    config: {},
    notes: '',
    hooks: of.hooks ?? [],
    labels: {},
    writtenAt: new Date('2025-12-31T00:00:00Z'),
    createdAt: new Date('2025-12-31T00:00:00Z'),
    ...more,
  };
}

export interface Setting {
  history?: readonly Revision[];
  /** The objects in the cluster that belong to this release. */
  live?: readonly KubeObject[];
  /** The objects in the cluster that belong to no release. */
  foreign?: readonly KubeObject[];
  chart: FakeChart;
  helm?: Partial<FakeHelmOptions>;
  /** The rehearsal of the rollback. */
  rehearsed?: Rehearsed;
  request?: Partial<DeployRequest>;
  disturbance?: Disturbance | undefined;
}

export interface Scene {
  context: DeployStart;
  agent: RecordingAgent;
  cluster: FakeCluster;
  storage: FakeStorage;
  helm: FakeHelm;
  plans: FakePlanStore;
  time: SimulatedTime;
  cancel: AbortController;
  /** Names of the calls of the ports. */
  calls: readonly string[];
  /** The time in milliseconds and the number of calls at the moment of the cancel. */
  cancelledAt: { elapsed: number; calls: number } | undefined;
  /** What has been awaited once it is there: all that lies in the cluster, ready. */
}

/** Waits until the cluster is at rest before the story begins. */
export async function scene(setting: Setting): Promise<Scene> {
  const time = simulatedTime();
  const agent = recordingAgent();
  const cluster = fakeCluster(time);
  const storage = fakeStorage(setting.history ?? []);
  const helm = fakeHelm({ release, namespace, chart: setting.chart, ...setting.helm }, storage, cluster, time);
  cluster.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace }, status: { phase: 'Active' } });
  for (const object of setting.live ?? []) cluster.put(owned(object), 'helm');
  for (const object of setting.foreign ?? []) cluster.put(inNamespace(object));
  await time.sleep(5000, new AbortController().signal);
  const cancel = new AbortController();
  const plans = fakePlanStore();
  const made: Scene = {
    context: undefined as unknown as DeployStart,
    agent,
    cluster,
    storage,
    helm,
    plans,
    time,
    cancel,
    calls: [],
    cancelledAt: undefined,
  };
  const ports = disturbedPorts(setting.disturbance, () => {
    made.cancelledAt = { elapsed: time.elapsed(), calls: ports.calls.length };
    cancel.abort();
  });
  made.calls = ports.calls;
  made.context = {
    agent,
    cluster: ports.wrap('cluster', cluster),
    storage: ports.wrap('storage', storage),
    helm: ports.wrap('helm', helm),
    rollbackHelm: ports.wrap('rollbackHelm', fakeRollbackHelm(setting.rehearsed, helm)),
    sha256,
    plans: ports.wrap('plans', plans),
    newSalt: () => 'salt',
    clock: time,
    phases: [],
    namespace,
    signal: cancel.signal,
    guard: { alive: () => undefined },
    holder: { identity: 'pipeline 1', link: 'https://dev.example/1', process: 'machine/1/1', run: '' },
    isProcessGone: () => false,
    request: { ...plainRequest, ...setting.request },
  };
  return made;
}

export const plainRequest: DeployRequest = {
  action: 'deploy',
  maxPlanAgeSeconds: 90_000,
  connection: { type: 'none' },
  createNamespace: false,
  releaseName: release,
  chart: { kind: 'path', reference: '/w/shop' },
  dependencyUpdate: false,
  chartLogins: {},
  valueFiles: ['/w/values.yaml'],
  values: { argv: [], privateTexts: [] },
  extraArguments: [],
  givenPaths: [],
  warnings: [],
  timeoutSeconds: 300,
  rollbackTimeoutSeconds: 300,
  onFailure: 'rollback',
  historyMax: 10,
  lock: 'off',
  lockTimeoutSeconds: 300,
  onInterrupted: 'rollback',
  cleanupTimeoutSeconds: 240,
  assumeAbandonedAfterSeconds: 900,
  recreateFailedInstall: true,
  forceUpgrade: false,
  deleteData: false,
  cleanupOnFail: false,
  rollout: { failFast: true, graces: {}, statusRules: [], logLines: 50, followLogs: false },
};

export function inNamespace(object: KubeObject): KubeObject {
  return { ...object, metadata: { ...object.metadata, namespace } };
}

export function owned(object: KubeObject, by = release): KubeObject {
  const annotations = {
    ...object.metadata.annotations,
    'meta.helm.sh/release-name': by,
    'meta.helm.sh/release-namespace': namespace,
  };
  const labels = { ...object.metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' };
  return inNamespace({ ...object, metadata: { ...object.metadata, labels, annotations } });
}

/** `1 superseded, 2 deployed+verified`: Helm's statuses and our marks. */
export function told(records: readonly Revision[]): string {
  return records
    .map(({ revision: number, status, labels }) => {
      const marks = ['verified', 'reserved', 'unhealthy'].filter(
        (mark) => labels[`helm-safe-deploy/${mark}`] === String(number),
      );
      const isBroken = labels['helm-safe-deploy/broken']?.startsWith(`${number}_`) === true && status !== 'failed';
      return [`${number} ${status}`, ...marks, ...(isBroken ? ['broken'] : [])].join('+');
    })
    .join(', ');
}

/** The live objects of kinds that a chart has, in the release's namespace, by `Kind/name`. */
export function live(cluster: FakeCluster): string[] {
  const made = new Set(['ReplicaSet', 'Pod', 'Namespace', 'Event']);
  return [...cluster.objects.values()]
    .filter(({ kind }) => !made.has(kind))
    .map(({ kind, metadata }) => `${kind}/${metadata.name}`)
    .sort();
}

export function liveObject(cluster: FakeCluster, object: KubeObject): KubeObject | undefined {
  return cluster.objects.get(objectKey(refOf(inNamespace(object))));
}
