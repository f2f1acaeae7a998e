import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { down } from '../../scripts/cluster/cluster';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { acceptFor } from '../../tasks/common/adapters/kubernetes/requests';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import { TaskError } from '../../tasks/common/core/failure';
import type { Follower } from '../../tasks/common/core/ports';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { eventually } from '../support/stubApiServer';
import type { FollowQuery } from '../../tasks/common/core/kubernetes/queries';

const run = promisify(execFile);
const clusterName = 'cluster-adapter';

const configMaps = (namespace: string): FollowQuery => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  namespace,
  keep: ({ metadata }) => metadata.name !== 'kube-root-ca.crt',
});

const configMap = (namespace: string, name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});

const names = (follower: Follower): string =>
  [...follower.snapshot().objects.values()]
    .map(({ metadata }) => metadata.name)
    .sort()
    .join(' ');

const sees = (follower: Follower, expected: string, seconds = 10): Promise<void> =>
  eventually(`the follower sees "${expected}"`, () => names(follower) === expected, seconds);

/** A chart of one ConfigMap and one hook. */
async function writeChart(): Promise<string> {
  const chart = await mkdtemp(path.join(tmpdir(), 'chart-'));
  await mkdir(path.join(chart, 'templates'));
  await writeFile(path.join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: notes\nversion: 1.2.3\nappVersion: "4"\n');
  await writeFile(path.join(chart, 'values.yaml'), 'text: hello\n');
  await writeFile(path.join(chart, 'templates', 'NOTES.txt'), 'Thanks for {{ .Values.text }}\n');
  const hook = 'annotations: {"helm.sh/hook": "pre-upgrade,post-install"}';
  await writeFile(
    path.join(chart, 'templates', 'notes.yaml'),
    `apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {text: "{{ .Values.text }}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-hook", ${hook}}
`,
  );
  return chart;
}

describe('the cluster adapter on a real API server', function () {
  this.timeout(120_000);
  let server: TestCluster;
  let chart: string;
  let namespace: string;
  let connection: ClusterConnection;

  before(async function () {
    this.timeout(1_800_000);
    // This file has a cluster of its own because it restarts the API server. No pod runs here, so no real node is
    // needed.
    server = await testCluster({ name: clusterName, realNode: false, kwokNodes: 0 });
    chart = await writeChart();
    namespace = await server.namespace('cluster-adapter');
    connection = await createCluster(server.kubeconfig);
  });

  after(async () => {
    connection.close();
    await rm(chart, { recursive: true });
    await down(clusterName, () => undefined, new AbortController().signal);
  });

  for (const helm of ['helm3', 'helm4'] as const) {
    for (const driver of ['secret', 'configmap'] as const) {
      it(`${helm}, driver ${driver}: Helm reads a record that we wrote as its own`, async () => {
        const release = `${helm}-${driver}`;
        const helmRun = async (...args: string[]): Promise<string> => {
          const env = { ...process.env, KUBECONFIG: server.kubeconfig, HELM_DRIVER: driver };
          return (await run(server[helm], [...args, '--namespace', namespace], { env })).stdout;
        };
        const history = async (): Promise<{ revision: number; status: string; description: string }[]> =>
          JSON.parse(await helmRun('history', release, '--output', 'json')) as never;
        await helmRun('install', release, chart, '--set', 'large=12345678901234567');
        await helmRun('upgrade', release, chart, '--set', 'text=second');

        const storage = createReleaseStorage(connection, { release, namespace, driver });
        const [first, second] = await storage.history();
        assert.equal(first?.status, 'superseded');
        assert.equal(second?.status, 'deployed');
        assert.equal(second.revision, 2);
        assert.equal(second.notes.trim(), 'Thanks for second');
        assert.deepEqual(second.config, { text: 'second' });
        assert.deepEqual(second.chart, { name: 'notes', version: '1.2.3', appVersion: '4' });
        assert.match(second.manifest, /text: "second"/);
        const hooks = second.hooks.map(({ manifest, startedAt = '', completedAt = '', ...hook }) => ({
          ...hook,
          isWhole: manifest?.includes('kind: ConfigMap'),
          hasRun: startedAt !== '' && startedAt < completedAt,
        }));
        assert.deepEqual(hooks, [
          {
            name: `${release}-hook`,
            kind: 'ConfigMap',
            events: ['pre-upgrade', 'post-install'],
            lastPhase: 'Succeeded',
            isWhole: true,
            hasRun: true,
          },
        ]);

        await storage.update(1, { status: 'deployed', labels: { 'helm-safe-deploy/verified': '1' } });
        await storage.update(2, { status: 'failed', description: 'Judged unhealthy' });
        assert.deepEqual(
          (await history()).map(({ revision, status, description }) => [revision, status, description]),
          [
            [1, 'deployed', 'Install complete'],
            [2, 'failed', 'Judged unhealthy'],
          ],
        );
        await helmRun('rollback', release, '1');
        assert.equal(
          (await connection.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: release }))?.['data']?.[
            'text' as never
          ],
          'hello',
        );
        const after = await storage.history();
        assert.deepEqual(
          after.map(({ status }) => status),
          ['superseded', 'failed', 'deployed'],
        );
        assert.equal(after[0]?.labels['helm-safe-deploy/verified'], '1');
        await helmRun('upgrade', release, chart, '--set', 'text=third');
        await storage.remove(2);
        assert.deepEqual(
          (await history()).map(({ revision }) => revision),
          [1, 3, 4],
        );
        await helmRun('uninstall', release);
        assert.deepEqual(await storage.history(), []);
      });
    }
  }

  it('reads, creates, updates, patches and deletes, and reports why a request is refused', async () => {
    const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'one' };
    assert.equal(await connection.get(ref), undefined);
    const created = await connection.create(configMap(namespace, 'one', { a: '1' }));
    await assert.rejects(connection.create(configMap(namespace, 'one')), { reason: 'Conflict' });
    const updated = await connection.update({ ...created, data: { a: '2' } });
    await assert.rejects(connection.update({ ...created, data: { a: '3' } }), { reason: 'Conflict' });
    const patched = await connection.patch(ref, { data: { b: 'x', a: null } });
    assert.deepEqual(patched['data'], { b: 'x' });
    assert.notEqual(updated.metadata.resourceVersion, patched.metadata.resourceVersion);
    await assert.rejects(connection.delete(ref, { uid: '00000000-0000-0000-0000-000000000000' }), {
      reason: 'Conflict',
    });
    await connection.delete(ref, { uid: created.metadata.uid ?? '' });
    await connection.delete(ref);
    assert.equal(await connection.get(ref), undefined);
    await assert.rejects(connection.create(configMap('no-such-namespace', 'one')), { reason: 'NamespaceMissing' });
    await assert.rejects(connection.create({ ...configMap(namespace, 'Not Valid') }), { reason: 'ApplyRejected' });
    await assert.rejects(connection.update(created), { reason: 'Conflict' });
  });

  it('finds kinds by discovery and reports kinds that are not served', async () => {
    assert.deepEqual(await connection.resource('storage.k8s.io/v1', 'CSIDriver'), {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'CSIDriver',
      plural: 'csidrivers',
      namespaced: false,
    });
    assert.equal(await connection.resource('apps/v1beta1', 'Deployment'), undefined);
    assert.equal(await connection.resource('v1', 'NoSuchKind'), undefined);
    await assert.rejects(connection.list({ apiVersion: 'apps/v1beta1', kind: 'Deployment', namespace }), {
      reason: 'KindNotServed',
    });
  });

  it('every kind in the built-in table is served with the same resource name and scope', async () => {
    const { builtInResources } = await import('../../tasks/common/adapters/kubernetes/resources');
    for (const known of builtInResources()) {
      const path = known.apiVersion === 'v1' ? '/api/v1' : `/apis/${known.apiVersion}`;
      const { resources } = JSON.parse(await server.runKubectl('get', '--raw', path)) as {
        resources: { name: string; kind: string; namespaced: boolean }[];
      };
      const served = resources.find(({ name }) => name === known.plural);
      assert.deepEqual(
        [served?.kind, served?.namespaced],
        [known.kind, known.namespaced],
        `${known.apiVersion} ${known.kind}`,
      );
    }
  });

  describe('a connection with few rights', () => {
    const limited = async (rules: object[]): Promise<ClusterConnection> => {
      const own = await server.namespace('limited');
      await server.apply(
        own,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'List',
          items: [
            { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'few' }, rules },
            {
              apiVersion: 'rbac.authorization.k8s.io/v1',
              kind: 'RoleBinding',
              metadata: { name: 'few' },
              roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'few' },
              subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: own }],
            },
          ],
        }),
      );
      const token = (await server.runKubectl('create', 'token', 'default', '--namespace', own)).trim();
      const config = await server.runKubectl('config', 'view', '--raw', '--minify', '--output', 'json');
      const parsed = JSON.parse(config) as {
        users: { user: object }[];
        contexts: { context: { namespace?: string } }[];
      };
      for (const each of parsed.users) each.user = { token };
      for (const each of parsed.contexts) each.context.namespace = own;
      const file = path.join(chart, 'limited');
      await writeFile(file, JSON.stringify(parsed), { mode: 0o600 });
      return createCluster(file, { onNotice: (notice) => notices.push(notice) });
    };
    const notices: string[] = [];

    it('a missing right is named exactly enough to grant it', async () => {
      const few = await limited([{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'create'] }]);
      const own = few.namespace ?? '';
      await assert.rejects(few.list({ apiVersion: 'v1', kind: 'Secret', namespace: own }), (error) => {
        assert.ok(error instanceof TaskError);
        assert.equal(error.reason, 'PermissionDenied');
        assert.match(
          error.message,
          new RegExp(
            `Grant the verb "list" on resource "secrets" of the core API group, with a Role in namespace "${own}"`,
          ),
        );
        return true;
      });
      const created = await few.create(configMap(own, 'one'));
      await assert.rejects(few.update(created), {
        reason: 'PermissionDenied',
        message: /verb "update" on resource "configmaps"/,
      });
      const rules = (await few.accessRules(own)) ?? [];
      assert.ok(rules.some(({ resources, verbs }) => resources.includes('configmaps') && verbs.includes('create')));

      const follower = await few.follow(
        [configMaps(own), { ...configMaps(own), kind: 'Secret' }],
        new AbortController().signal,
      );
      assert.deepEqual(
        follower.snapshot().unread.map(({ query, reason }) => [query.kind, reason]),
        [['Secret', 'PermissionDenied']],
      );
      await few.create(configMap(own, 'two'));
      await sees(follower, 'one two');
      assert.match(notices.join('\n'), /may not watch configmaps/);
      follower.stop();
      few.close();
      await server.cleanUp(own);
    });
  });

  it('objects are followed with one list and one watch per kind, however many objects change', async () => {
    const own = await server.namespace('followed');
    const since = new Date();
    const stop = new AbortController();
    const follower = await connection.follow([configMaps(own), { ...configMaps(own), kind: 'Secret' }], stop.signal);
    const many = Array.from({ length: 30 }, (_, index) => `n${String(index).padStart(2, '0')}`);
    await Promise.all(many.map((name) => connection.create(configMap(own, name))));
    await sees(follower, many.join(' '));
    for (const name of many.slice(1))
      await connection.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace: own, name });
    await sees(follower, 'n00');
    stop.abort();
    const asked = await server.auditEvents({ since, namespace: own, userAgent: /^helm-safe-deploy/ });
    const reads = asked
      .filter(({ verb }) => verb === 'list' || verb === 'watch')
      .map(({ verb, objectRef }) => `${verb} ${objectRef?.resource ?? ''}`);
    assert.deepEqual(reads.sort(), ['list configmaps', 'list secrets', 'watch configmaps', 'watch secrets']);
    await server.cleanUp(own);
  });

  it('the data of a Secret is not sent when only its metadata is requested', async () => {
    const own = await server.namespace('metadata');
    const ref = { apiVersion: 'v1', kind: 'Secret', namespace: own, name: 'db' };
    const secret = { apiVersion: 'v1', kind: 'Secret', stringData: { password: 'hunter22' } };
    await connection.create({ ...secret, metadata: { name: 'db', namespace: own } });
    const collection = `/api/v1/namespaces/${own}/secrets`;
    const raw = (path: string, form: 'object' | 'list'): Promise<string> =>
      rawAnswer(path, acceptFor({ metadataOnly: true }, form));
    const held = Buffer.from('hunter22').toString('base64');
    for (const [path, form, kind] of [
      [`${collection}/db`, 'object', 'PartialObjectMetadata'],
      [collection, 'list', 'PartialObjectMetadataList'],
      [`${collection}?watch=true&resourceVersion=0&timeoutSeconds=1`, 'object', 'PartialObjectMetadata'],
    ] as const) {
      const answer = await raw(path, form);
      assert.match(answer, new RegExp(`"kind":"${kind}"`));
      assert.equal(answer.includes(held), false);
    }
    const found = await connection.get(ref, { metadataOnly: true });
    assert.deepEqual([found?.kind, found?.metadata.name, found?.['data']], ['Secret', 'db', undefined]);
    const query = { apiVersion: 'v1', kind: 'Secret', namespace: own, metadataOnly: true, keep: () => true };
    const stop = new AbortController();
    const follower = await connection.follow([query], stop.signal);
    await connection.patch(ref, { metadata: { labels: { changed: 'yes' } } });
    const live = () => [...follower.snapshot().objects.values()];
    await eventually('the change is seen', () => live()[0]?.metadata.labels?.['changed'] === 'yes', 10);
    assert.deepEqual([live()[0]?.apiVersion, live()[0]?.kind], ['v1', 'Secret']);
    assert.equal(JSON.stringify(live()).includes(held), false);
    stop.abort();
    await server.cleanUp(own);
  });

  async function rawAnswer(requestPath: string, accept: string): Promise<string> {
    const config = await server.runKubectl('config', 'view', '--raw', '--flatten', '--output=json');
    const { users, clusters } = JSON.parse(config) as {
      users: { user: { token: string } }[];
      clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
    };
    const { server: url = '', 'certificate-authority-data': ca = '' } = clusters[0]?.cluster ?? {};
    const headers = { Accept: accept, Authorization: `Bearer ${users[0]?.user.token ?? ''}` };
    return new Promise((resolve, reject) => {
      const options = { headers, ca: Buffer.from(ca, 'base64') };
      https
        .get(`${url}${requestPath}`, options, (response) => void text(response).then(resolve, reject))
        .on('error', reject);
    });
  }

  it('while the API server restarts, objects stay known, and later changes are seen', async () => {
    const own = await server.namespace('restart');
    const stop = new AbortController();
    await connection.create(configMap(own, 'before'));
    const follower = await connection.follow([configMaps(own)], stop.signal);
    assert.equal(names(follower), 'before');
    await server.stopApiServer();
    await eventually('it is told as unread', () => follower.snapshot().unread.length === 1, 20);
    assert.equal(names(follower), 'before');
    const reading = connection.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: own, name: 'before' });
    await server.startApiServer();
    assert.equal((await reading)?.metadata.name, 'before');
    await connection.create(configMap(own, 'later'));
    await sees(follower, 'before later', 20);
    await eventually('it is read again', () => follower.snapshot().unread.length === 0, 20);
    stop.abort();
  });
});
