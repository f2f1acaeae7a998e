import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { down } from '../../scripts/cluster/cluster';
import { waitFor } from '../../scripts/cluster/wait';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { kubeconfigConnection, runDeploy, startDeploy, type DeployEnd, type DeploySpec } from '../support/product';

const timeoutMs = 180_000;
/** This file has a cluster of its own because it restarts the API server. */
const clusterName = 'live-logs';

interface HookPod {
  event: string;
  script: string;
  kind?: 'Job' | 'Pod';
  deletePolicy?: string;
  restartPolicy?: 'Never' | 'OnFailure';
}

describe('live logs', function () {
  this.timeout(timeoutMs);
  let cluster: TestCluster;
  let namespace: string;
  let folder: string;
  let charts = 0;

  before(async function () {
    this.timeout(1_800_000);
    cluster = await testCluster({ name: clusterName });
    folder = await mkdtemp(path.join(tmpdir(), 'live-logs-'));
  });

  beforeEach(async function () {
    if (!cluster.hasRealNode) this.skip();
    namespace = await cluster.namespace('live-logs');
  });

  afterEach(() => cluster.cleanUp(namespace));
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await down(clusterName, () => undefined, new AbortController().signal);
  });

  const podSpec = (script: string, restartPolicy: string): string =>
    `{restartPolicy: ${restartPolicy}, terminationGracePeriodSeconds: 1, containers: [` +
    `{name: main, image: "${cluster.images['busybox'] ?? ''}", command: [sh, -c, ${JSON.stringify(script)}]}]}`;

  const hookManifest = ({ event, script, kind = 'Job', deletePolicy, restartPolicy = 'Never' }: HookPod): string => {
    const policy = deletePolicy === undefined ? '' : `, "helm.sh/hook-delete-policy": "${deletePolicy}"`;
    const metadata = `{name: "{{ .Release.Name }}-${event}", annotations: {"helm.sh/hook": "${event}"${policy}}}`;
    const pod = podSpec(script, restartPolicy);
    return kind === 'Pod'
      ? `apiVersion: v1\nkind: Pod\nmetadata: ${metadata}\nspec: ${pod}\n`
      : `apiVersion: batch/v1\nkind: Job\nmetadata: ${metadata}\nspec: {backoffLimit: 0, template: {spec: ${pod}}}\n`;
  };

  const deploymentManifest = (script: string, replicas = 1): string =>
    `apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: ${String(replicas)}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: ${podSpec(script, 'Always')}
`;

  async function chart(...manifests: string[]): Promise<string> {
    const made = path.join(folder, `chart-${String(++charts)}`);
    await mkdir(path.join(made, 'templates'), { recursive: true });
    await writeFile(path.join(made, 'Chart.yaml'), 'apiVersion: v2\nname: logs\nversion: 1.0.0\n');
    const marker = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}"}\n';
    await writeFile(path.join(made, 'templates', 'all.yaml'), [marker, ...manifests].join('---\n'));
    return made;
  }

  const deploy = async (manifests: string[], spec: Partial<DeploySpec> = {}): Promise<DeployEnd> =>
    runDeploy({ cluster, namespace, chart: await chart(...manifests), ...spec });
  const shown = (end: DeployEnd): string[] =>
    end.log.split('\n').flatMap((line) => / {2}\S+\/main \| (.*)$/.exec(line)?.[1] ?? []);
  const helms = (): [string, string][] => [
    ['3', cluster.helm3],
    ['4', cluster.helm4],
  ];

  it('the log of a hook is shown line by line while the hook runs, and it is complete @real-node', async () => {
    const script = 'echo first line; sleep 15; for i in 1 2 3 4 5; do echo line $i; done; printf last';
    const chartPath = await chart(hookManifest({ event: 'pre-install', script }));
    const { job, end } = startDeploy({ cluster, namespace, chart: chartPath });
    await job.waitForLine(/\| first line/);
    const jobs = await cluster.kubectlJson<{ items: { status: { active?: number } }[] }>(
      'get',
      'jobs',
      '-n',
      namespace,
    );
    assert.equal(jobs.items[0]?.status.active, 1, 'the hook still runs');
    const ended = await end;
    assert.equal(ended.outputs['outcome'], 'deployed', ended.log);
    assert.deepEqual(shown(ended), ['first line', 'line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'last']);
  });

  for (const kind of ['Job', 'Pod'] as const) {
    it(`a ${kind} hook that fails and is then deleted leaves its log and its exit code in the report @real-node`, async () => {
      for (const [major, helm] of helms()) {
        const release = `web${major}`;
        const deletePolicy = 'before-hook-creation,hook-failed,hook-succeeded';
        const script = 'echo the schema is from the future; exit 3';
        const manifest = hookManifest({ event: 'pre-install', script, kind, deletePolicy });
        const end = await deploy([manifest], { helm, release });
        assert.equal(end.outputs['reason'], 'HookFailed', end.log);
        const left = (): Promise<string> => cluster.runKubectl('get', 'jobs,pods', '-n', namespace, '-o', 'name');
        // The garbage collector deletes the pod of a deleted Job.
        await waitFor('all of it to be deleted', async () => (await left()) === '');
        assert.ok(shown(end).includes('the schema is from the future'), end.log);
        const evidence = end.report?.evidence ?? [];
        const log = evidence.find((item) => item.kind === 'log');
        assert.deepEqual(log?.lines, ['the schema is from the future'], end.log);
        assert.match(JSON.stringify(evidence), /exit code 3/);
        assert.match(end.job.step('deploy').summaries.join(), /the schema is from the future/);
      }
    });
  }

  it('the log of a Pod hook that ends and is deleted at once is shown @real-node', async () => {
    const manifest = hookManifest({
      event: 'pre-install',
      script: 'echo quick',
      kind: 'Pod',
      deletePolicy: 'hook-succeeded',
    });
    const end = await deploy([manifest]);
    assert.equal(end.outputs['outcome'], 'deployed', end.log);
    assert.deepEqual(shown(end), ['quick']);
  });

  it('a hook that an earlier run left is not mistaken for the hook of this run with the same name @real-node', async () => {
    const first = await deploy([hookManifest({ event: 'post-install', script: 'echo old words' })]);
    assert.deepEqual(shown(first), ['old words']);
    // The hook of the upgrade has another name and event. The object of the post-install hook still exists.
    const second = await deploy([
      hookManifest({ event: 'post-install', script: 'echo old words' }),
      hookManifest({ event: 'pre-upgrade', script: 'echo new words' }),
    ]);
    assert.deepEqual(shown(second), ['new words']);
    const third = await deploy([hookManifest({ event: 'pre-upgrade', script: 'echo newer words' })]);
    assert.deepEqual(shown(third), ['newer words']);
  });

  it('a hook that prints agent commands and a secret runs no command and shows no secret @real-node', async () => {
    const script = 'echo "##vso[task.complete result=Succeeded]x"; echo "the password is hunter-22-hunter"; exit 1';
    const end = await deploy([hookManifest({ event: 'pre-install', script })], {
      secrets: { password: 'hunter-22-hunter' },
    });
    assert.equal(end.result, 'Failed');
    assert.equal(JSON.stringify(end.job.step('deploy').raw).includes('hunter-22-hunter'), false);
    assert.equal(JSON.stringify(end.report).includes('hunter-22-hunter'), false);
    assert.deepEqual(end.job.step('deploy').violations, []);
  });

  it('without the right to read logs the deploy goes on and names the missing right once @real-node', async () => {
    const token = await deployerWithoutLogs();
    const connection = kubeconfigConnection(await kubeconfigFor(token));
    const hooks = ['pre-install', 'post-install'].map((event) => hookManifest({ event, script: `echo ${event}` }));
    const end = await deploy(hooks, { connection });
    assert.equal(end.outputs['outcome'], 'deployed', end.log);
    assert.deepEqual(shown(end), []);
    assert.equal(end.log.match(/Grant the verb "get" on resource "pods\/log"/g)?.length, 1, end.log);
  });

  async function deployerWithoutLogs(): Promise<string> {
    await cluster.apply(
      namespace,
      `apiVersion: v1
kind: ServiceAccount
metadata: {name: deployer}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer}
rules:
- {apiGroups: ["", apps, batch], resources: [pods, secrets, configmaps, jobs, events, deployments, replicasets], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects: [{kind: ServiceAccount, name: deployer}]
`,
    );
    return (await cluster.runKubectl('create', 'token', 'deployer', '-n', namespace)).trim();
  }

  async function kubeconfigFor(token: string): Promise<string> {
    const file = path.join(folder, `kubeconfig-${String(++charts)}`);
    const args = ['config', 'view', '--raw', '--flatten', '-o', 'json'];
    const config = JSON.parse(await cluster.runKubectl(...args)) as { users: { user: object }[] };
    for (const each of config.users) each.user = { token };
    await writeFile(file, JSON.stringify(config));
    return file;
  }

  it('followLogs shows at most five pods of the new revision and none of the previous one @real-node', async () => {
    const say = (words: string): string => `while true; do echo ${words}; sleep 1; done`;
    const first = await deploy([deploymentManifest(say('old'))], { inputs: { stableFor: '2s' } });
    assert.deepEqual(shown(first), []);
    const second = await deploy([deploymentManifest(say('new'), 7)], {
      inputs: { followLogs: 'true', stableFor: '10s' },
    });
    assert.equal(second.outputs['outcome'], 'deployed', second.log);
    assert.deepEqual([...new Set(shown(second))], ['new']);
    const pods = new Set(second.log.match(/web-\S+(?=\/main \|)/g));
    assert.equal(pods.size, 5);
    assert.match(second.log, /The logs of 5 pods of Deployment\/web are shown, those of more are not/);
  });

  it('followLogs shows each run of a crashing container, and each line once @real-node', async () => {
    const script = 'echo run $(cat /proc/sys/kernel/random/uuid); exit 1';
    const end = await deploy([deploymentManifest(script)], {
      inputs: { followLogs: 'true', graces: 'CrashLoop: 20s' },
    });
    assert.equal(end.result, 'Failed');
    const said = shown(end);
    assert.ok(said.length >= 2, end.log);
    assert.equal(new Set(said).size, said.length, end.log);
  });

  it('followLogs shows at most 500 lines of a container and logs that it stops there @real-node', async () => {
    const end = await deploy([deploymentManifest('seq 1 2000; sleep 1000')], {
      inputs: { followLogs: 'true', stableFor: '10s' },
    });
    assert.equal(end.outputs['outcome'], 'deployed', end.log);
    assert.deepEqual(shown(end).slice(-2), ['500', '(more than 500 lines: the rest is not shown)']);
  });

  it('when the API server restarts while a hook prints, no line is lost or shown twice @real-node', async () => {
    const script = 'for i in $(seq 1 12); do echo line $i; sleep 1; done';
    const chartPath = await chart(hookManifest({ event: 'pre-install', script }));
    const { job, end } = startDeploy({ cluster, namespace, chart: chartPath });
    await job.waitForLine(/\| line 3/);
    await cluster.restartApiServer();
    const ended = await end;
    assert.deepEqual(
      shown(ended),
      Array.from({ length: 12 }, (_, index) => `line ${String(index + 1)}`),
      ended.log,
    );
  });

  it('the timeline has a row for each workload, through failure and rollback @real-node', async () => {
    const good = await deploy([deploymentManifest('sleep 1000')], { inputs: { stableFor: '1s' } });
    const rows = (end: DeployEnd): string[] =>
      end.job.step('deploy').timeline.map(({ name, state, result }) => `${name ?? ''} ${state ?? ''} ${result ?? ''}`);
    assert.deepEqual(rows(good), ['Deployment/web Completed Succeeded'], good.log);
    const bad = await deploy([deploymentManifest('no-such-command', 2)], {
      inputs: { stableFor: '1s', graces: 'CrashLoop: 1s' },
    });
    assert.equal(bad.outputs['outcome'], 'rolledBack', bad.log);
    assert.deepEqual(rows(bad), ['Deployment/web Completed Failed', 'Deployment/web (rollback) Completed Succeeded']);
    assert.match(bad.job.step('deploy').timeline[0]?.currentOperation ?? '', /^CrashLoop: /);
    assert.deepEqual(bad.job.step('deploy').violations, []);
  });

  it('a pre-rollback hook that fails and is then deleted leaves its log in the report @real-node', async () => {
    const refuse = { event: 'pre-rollback', script: 'echo cannot go back; exit 4', deletePolicy: 'hook-failed' };
    const hook = hookManifest(refuse);
    await deploy([deploymentManifest('sleep 1000'), hook], { inputs: { stableFor: '1s' } });
    const end = await deploy([deploymentManifest('no-such-command'), hook], {
      inputs: { stableFor: '1s', graces: 'CrashLoop: 1s' },
    });
    assert.equal(end.outputs['outcome'], 'failed', end.log);
    assert.ok(shown(end).includes('cannot go back'), end.log);
    const logs = end.report?.evidence.filter(({ kind }) => kind === 'log').flatMap(({ lines }) => lines);
    assert.ok(logs?.includes('cannot go back'), end.log);
    assert.match(JSON.stringify(end.report?.evidence), /exit code 4/);
  });
});
