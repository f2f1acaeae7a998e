import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import { TaskError } from '../../tasks/common/core/failure';
import type { KubeObject, ObjectRef } from '../../tasks/common/core/kubernetes/object';
import type { KeptObject } from '../../tasks/common/core/release/preexisting';
import type { Cluster, ReleaseStorage } from '../../tasks/common/core/ports';
import type { ListQuery } from '../../tasks/common/core/kubernetes/queries';

const record = {
  name: 'shop',
  version: 1,
  namespace: 'team',
  info: { status: 'deployed', description: 'Install complete', first_deployed: 'then', deleted: '' },
  chart: { metadata: { name: 'shop', version: '1.0.0' }, files: [{ name: 'x', data: 'eA==' }] },
  config: { big: 1.5, text: 'ü' },
  manifest: 'kind: A\n',
  apply_method: 'ssa',
  field_of_tomorrow: { kept: [1, null] },
};

function zipped(value: unknown): string {
  return gzipSync(JSON.stringify(value)).toString('base64');
}

function twice(once: string): string {
  return Buffer.from(once).toString('base64');
}

function stored(kind: 'Secret' | 'ConfigMap', release: string, version: number, data: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind,
    type: 'helm.sh/release.v1',
    metadata: {
      name: `sh.helm.release.v1.${release}.v${String(version)}`,
      namespace: 'team',
      resourceVersion: '1',
      labels: {
        owner: 'helm',
        name: release,
        status: 'deployed',
        version: String(version),
        modifiedAt: '1',
        theirs: 'x',
      },
    },
    data: { release: data },
  };
}

/** Objects by name, with the API server's rule for updates. */
class FakeCluster {
  readonly objects = new Map<string, KubeObject>();
  readonly queries: ListQuery[] = [];
  /** The number of updates that fail because another writer was faster. */
  races = 0;
  updates = 0;

  constructor(...objects: KubeObject[]) {
    for (const object of objects) this.objects.set(object.metadata.name, object);
  }

  get port(): Cluster {
    const answers: Pick<Cluster, 'get' | 'list' | 'create' | 'update' | 'delete'> = {
      get: ({ kind, name }: ObjectRef) => {
        const object = this.objects.get(name);
        return Promise.resolve(object?.kind === kind ? structuredClone(object) : undefined);
      },
      list: (query) => {
        this.queries.push(query);
        return Promise.resolve([...this.objects.values()].filter(({ kind }) => kind === query.kind));
      },
      create: (object) => {
        if (this.objects.has(object.metadata.name)) {
          return Promise.reject(new TaskError('Conflict', 'it is there', { facts: { status: 409 } }));
        }
        this.objects.set(object.metadata.name, object);
        return Promise.resolve(object);
      },
      update: (object) => this.update(object),
      delete: ({ name }) => {
        this.objects.delete(name);
        return Promise.resolve();
      },
    };
    return answers as Cluster;
  }

  private update(object: KubeObject): Promise<KubeObject> {
    this.updates++;
    const { name } = object.metadata;
    const known = this.objects.get(name);
    if (this.races-- > 0 && known !== undefined) {
      const version = `${known.metadata.resourceVersion ?? ''}1`;
      const labels = { ...known.metadata.labels, faster: version };
      this.objects.set(name, { ...known, metadata: { ...known.metadata, resourceVersion: version, labels } });
    }
    if (this.objects.get(name)?.metadata.resourceVersion !== object.metadata.resourceVersion) {
      return Promise.reject(new TaskError('Conflict', 'somebody was faster', { facts: { status: 409 } }));
    }
    this.objects.set(name, object);
    return Promise.resolve(object);
  }
}

function storageOf(
  cluster: FakeCluster,
  driver?: string,
  onNotice: (notice: string) => void = () => undefined,
  redact: (text: string) => string = (text) => text,
): ReleaseStorage {
  return createReleaseStorage(cluster.port, { release: 'shop', namespace: 'team', driver, onNotice, redact });
}

function releaseData(cluster: FakeCluster, version: number): string {
  const object = cluster.objects.get(`sh.helm.release.v1.shop.v${String(version)}`);
  return (object?.['data'] as { release: string }).release;
}

describe("Helm's storage", () => {
  const secret = (version: number, data: string = twice(zipped({ ...record, version }))): KubeObject =>
    stored('Secret', 'shop', version, data);

  for (const [driver, kind] of [
    [undefined, 'Secret'],
    ['', 'Secret'],
    ['secrets', 'Secret'],
    ['configmap', 'ConfigMap'],
    ['configmaps', 'ConfigMap'],
  ] as const) {
    it(`HELM_DRIVER ${driver === undefined ? 'unset' : `"${driver}"`} reads and writes ${kind}s as Helm does`, async () => {
      const encode = kind === 'Secret' ? twice : (once: string): string => once;
      const cluster = new FakeCluster(stored(kind, 'shop', 1, encode(zipped(record))));
      const storage = storageOf(cluster, driver);
      assert.equal(storage.kind, kind);
      assert.deepEqual(
        (await storage.history()).map(({ revision, status }) => [revision, status]),
        [[1, 'deployed']],
      );
      assert.deepEqual(cluster.queries, [
        { apiVersion: 'v1', kind, namespace: 'team', labelSelector: 'owner=helm,name=shop' },
      ]);

      await storage.update(1, { status: 'failed', description: 'not ready' });
      const data = releaseData(cluster, 1);
      const once = kind === 'Secret' ? Buffer.from(data, 'base64').toString('utf8') : data;
      const written = JSON.parse(gunzipSync(Buffer.from(once, 'base64')).toString('utf8')) as unknown;
      assert.deepEqual(written, { ...record, info: { ...record.info, status: 'failed', description: 'not ready' } });
    });
  }

  for (const driver of ['sql', 'memory', 'Secret']) {
    it(`HELM_DRIVER "${driver}" is refused`, () => {
      assert.throws(
        () => storageOf(new FakeCluster(), driver),
        (error) =>
          error instanceof TaskError && error.reason === 'StorageUnsupported' && error.message.includes(driver),
      );
    });
  }

  it('revisions are in numerical order, without those of other releases', async () => {
    const foreign = stored('Secret', 'shop.v1', 3, twice(zipped({ ...record, name: 'shop.v1' })));
    const cluster = new FakeCluster(secret(10), secret(9), foreign);
    assert.deepEqual(
      (await storageOf(cluster).history()).map(({ revision }) => revision),
      [9, 10],
    );
  });

  it('an uncompressed record, as early Helm wrote it, is read', async () => {
    const cluster = new FakeCluster(secret(1, twice(Buffer.from(JSON.stringify(record)).toString('base64'))));
    assert.equal((await storageOf(cluster).history())[0]?.chart.version, '1.0.0');
  });

  it('the labels get the new status, by which Helm searches, and foreign labels stay', async () => {
    const cluster = new FakeCluster(secret(1));
    await storageOf(cluster).update(1, {
      status: 'superseded',
      labels: { 'helm-safe-deploy/verified': '1', theirs: undefined },
    });
    const { modifiedAt, ...labels } = cluster.objects.get('sh.helm.release.v1.shop.v1')?.metadata.labels ?? {};
    assert.deepEqual(labels, {
      owner: 'helm',
      name: 'shop',
      status: 'superseded',
      version: '1',
      'helm-safe-deploy/verified': '1',
    });
    assert.ok(Number(modifiedAt) > 1_600_000_000);
  });

  it('adding a mark leaves status, manifest and values unchanged', async () => {
    const cluster = new FakeCluster(secret(1));
    const storage = storageOf(cluster);
    const [before] = await storage.history();
    await storage.update(1, { labels: { mark: 'x' } });
    const [after] = await storage.history();
    assert.deepEqual({ ...after, labels: {} }, { ...before, labels: {} });
    assert.equal(after?.labels['status'], 'deployed');
  });

  it('when another writer changes the record at the same time, both changes are kept', async () => {
    const cluster = new FakeCluster(secret(1));
    cluster.races = 2;
    await storageOf(cluster).update(1, { labels: { ours: 'y' } });
    assert.equal(cluster.updates, 3);
    const labels = cluster.objects.get('sh.helm.release.v1.shop.v1')?.metadata.labels;
    assert.equal(labels?.['ours'], 'y');
    assert.equal(labels['faster'], '111');
  });

  it('a description that quotes a secret is read without the secret, and any change writes it so', async () => {
    const info = { ...record.info, description: 'Upgrade failed: Invalid value: "hunter22"' };
    const cluster = new FakeCluster(secret(1, twice(zipped({ ...record, info }))));
    const storage = storageOf(cluster, undefined, undefined, (text) => text.replaceAll('hunter22', '***'));
    const [before] = await storage.history();
    assert.equal(before?.description, 'Upgrade failed: Invalid value: "***"');
    assert.equal(before.describesSecret, true);
    await storage.update(1, {});
    const written = gunzipSync(Buffer.from(Buffer.from(releaseData(cluster, 1), 'base64').toString(), 'base64'));
    const expected = { ...record, info: { ...info, description: 'Upgrade failed: Invalid value: "***"' } };
    assert.deepEqual(JSON.parse(written.toString()), expected);
    assert.equal((await storage.history())[0]?.describesSecret, undefined);
  });

  it('an update that always loses ends with Conflict', async () => {
    const cluster = new FakeCluster(secret(1));
    cluster.races = Infinity;
    await assert.rejects(storageOf(cluster).update(1, {}), { reason: 'Conflict' });
  });

  it('a record that was pruned meanwhile is named', async () => {
    await assert.rejects(storageOf(new FakeCluster()).update(7, { status: 'failed' }), {
      reason: 'Conflict',
      message:
        /revision 7 of release shop: its record Secret\/sh\.helm\.release\.v1\.shop\.v7 in namespace team is gone/,
    });
  });

  it('a revision is removed', async () => {
    const cluster = new FakeCluster(secret(1), secret(2));
    await storageOf(cluster).remove(1);
    assert.deepEqual([...cluster.objects.keys()], ['sh.helm.release.v1.shop.v2']);
  });

  it('the files of crds/ are read from the chart in the record, and no others', async () => {
    const data = (text: string): string => Buffer.from(text).toString('base64');
    const files = [
      { name: 'crds/toys.yaml', data: data('kind: Töy') },
      { name: 'README.md', data: data('read me') },
      { name: 'crds/broken.yaml', data: '!' },
      'text',
    ];
    const whole = { ...record, chart: { ...record.chart, files } };
    const cluster = new FakeCluster(stored('Secret', 'shop', 1, twice(zipped(whole))));
    assert.deepEqual(await storageOf(cluster).crdFiles(1), ['kind: Töy']);
    assert.deepEqual(await storageOf(cluster).crdFiles(2), []);
  });

  it('the copy of a record names its original, is no revision, belongs to it and is never overwritten', async () => {
    const cluster = new FakeCluster(secret(1), secret(2));
    const storage = storageOf(cluster);
    await storage.keepCopy(2);
    await storage.update(2, { manifest: 'kind: Edited\n' });
    await storage.keepCopy(2);
    assert.equal((await storage.copyOf(2))?.manifest, record.manifest);
    assert.equal(await storage.copyOf(1), undefined);
    assert.deepEqual(
      (await storage.history()).map(({ revision }) => revision),
      [1, 2],
    );
    const copy = cluster.objects.get('helm-safe-deploy.copy.shop.v2') ?? assert.fail();
    assert.equal(copy.metadata.labels?.['owner'], undefined);
    assert.equal(copy.metadata.ownerReferences?.[0]?.name, 'sh.helm.release.v1.shop.v2');
    await storage.dropCopy(2);
    assert.deepEqual([...cluster.objects.keys()], ['sh.helm.release.v1.shop.v1', 'sh.helm.release.v1.shop.v2']);
  });

  const password = (data: Record<string, string>, name = 'password'): KeptObject => ({
    object: { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'team', uid: name }, data },
    purpose: 'object',
  });

  for (const driver of ['secret', 'configmap']) {
    it(`driver ${driver}: copies of objects are kept in one Secret, never overwritten, are no revision, and are deleted`, async () => {
      const cluster = new FakeCluster();
      const storage = storageOf(cluster, driver);
      const first = password({ password: 'b25jZQ==' });
      assert.deepEqual(await storage.keepObjects([first]), []);
      assert.deepEqual(await storage.keepObjects([password({ password: 'bmV3' }), password({}, 'other')]), []);
      assert.deepEqual(await storage.keptObjects(), [first, password({}, 'other')]);
      assert.deepEqual(await storage.history(), []);
      const [[name, object] = assert.fail(), ...others] = [...cluster.objects];
      assert.equal(name, 'helm-safe-deploy.preexisting.shop');
      assert.equal(object.kind, 'Secret');
      assert.equal(object.metadata.labels?.['owner'], undefined);
      assert.deepEqual(others, []);
      await storage.dropObjects();
      assert.equal(cluster.objects.size, 0);
      assert.deepEqual(await storage.keptObjects(), []);
    });
  }

  it('objects that are too large are reported, and the others are kept', async () => {
    const storage = storageOf(new FakeCluster());
    const large = password({ key: randomBytes(1_000_000).toString('base64') }, 'large');
    assert.deepEqual(await storage.keepObjects([large]), [large]);
    assert.deepEqual(await storage.keepObjects([large, password({})]), [large]);
    assert.deepEqual(await storage.keptObjects(), [password({})]);
    const half = (name: string) => password({ key: randomBytes(600_000).toString('base64') }, name);
    assert.equal((await storage.keepObjects([half('one'), half('two')])).length, 1);
    assert.equal((await storage.keptObjects()).length, 2);
  });

  it('foreign data in that Secret is ignored', async () => {
    const data = {
      a: 'rubbish',
      b: zipped({ object: { kind: 'Secret' }, purpose: 'object' }),
      c: zipped(password({})),
    };
    const name = 'helm-safe-deploy.preexisting.shop';
    const cluster = new FakeCluster({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'team' }, data });
    assert.deepEqual(await storageOf(cluster).keptObjects(), [password({})]);
  });

  it('a revision has the creation time of its record', async () => {
    const object = secret(1);
    object.metadata.creationTimestamp = '2026-01-01T00:00:05Z';
    const [revision] = await storageOf(new FakeCluster(object)).history();
    assert.deepEqual(revision?.createdAt, new Date('2026-01-01T00:00:05Z'));
  });

  it('parts of a merge base that Helm does not read are left out for a while and restored afterwards', async () => {
    const large = { ...record, chart: { ...record.chart, templates: [{ name: 't', data: 'eA==' }], values: { a: 1 } } };
    const told = { ...large, info: { ...large.info, notes: 'read me' } };
    const cluster = new FakeCluster(stored('Secret', 'shop', 1, twice(zipped(told))));
    const storage = storageOf(cluster);
    const inside = (): Record<string, unknown> => {
      const data = cluster.objects.get('sh.helm.release.v1.shop.v1')?.['data'] as { release: string };
      const once = Buffer.from(data.release, 'base64').toString('latin1');
      return JSON.parse(gunzipSync(Buffer.from(once, 'base64')).toString('utf8')) as Record<string, unknown>;
    };
    await storage.keepCopy(1);
    await storage.update(1, { manifest: 'kind: Base\n', bulk: 'left out' });
    assert.deepEqual(inside()['chart'], { metadata: record.chart.metadata, values: { a: 1 } });
    assert.equal((inside()['info'] as { notes?: string }).notes, undefined);
    await storage.update(1, { status: 'superseded' });
    await storage.update(1, { manifest: record.manifest, bulk: 'from copy' });
    assert.deepEqual(inside(), { ...told, info: { ...told.info, status: 'superseded' } });
  });

  for (const [kind, driver] of [
    ['Secret', 'secret'],
    ['ConfigMap', 'configmap'],
  ] as const) {
    it(`the space for a record in a ${kind} is checked before the record is written`, async () => {
      const random = (bytes: number): string => randomBytes(bytes).toString('base64');
      const once = zipped(record);
      const object = stored(kind, 'shop', 1, kind === 'Secret' ? twice(once) : once);
      const storage = storageOf(new FakeCluster(object), driver);
      // Random bytes do not compress: base64 in JSON grows, gzip takes that back, and base64 comes once more.
      assert.equal(await storage.fits(1, { manifest: random(760 * 1024) }), true);
      assert.equal(await storage.fits(1, { manifest: random(790 * 1024) }), false);
    });
  }

  it('data that was read before the right to write was lost is not written', async () => {
    const cluster = new FakeCluster(secret(1));
    const lost = storageOf(cluster).update(1, { description: 'late' }, () => Promise.reject(new Error('lost')));
    await assert.rejects(lost, /lost/);
    assert.equal(cluster.updates, 0);
  });

  const bomb = gzipSync(Buffer.alloc(101 * 1024 * 1024, ' ')).toString('base64');
  const broken: [string, string | undefined, RegExp][] = [
    ['nothing in it', undefined, /it has no data "release"/],
    ['a cut archive', twice(zipped(record).slice(0, 60)), /it cannot be unpacked/],
    ['no JSON', twice(gzipSync('password: SECRET').toString('base64')), /it does not hold JSON/],
    ['JSON that is no release', twice(zipped(['SECRET'])), /it holds no release/],
    ['a record that unpacks to over 100 MiB', twice(bomb), /it is over 100 MiB when unpacked/],
  ];
  for (const [what, data, why] of broken) {
    it(`${what}: the newest record is reported by name, without its content`, async () => {
      const object = secret(2);
      object['data'] = data === undefined ? null : { release: data };
      await assert.rejects(storageOf(new FakeCluster(secret(1), object)).history(), (error) => {
        assert.ok(error instanceof TaskError);
        assert.equal(error.reason, 'RecordUnreadable');
        assert.match(
          error.message,
          /^Helm's record Secret\/sh\.helm\.release\.v1\.shop\.v2 in namespace team cannot be read/,
        );
        assert.match(error.message, why);
        assert.doesNotMatch(error.message, /SECRET/);
        return true;
      });
    });
  }

  it('an older record that cannot be read is reported, is never a target, and does not stop the deploy', async () => {
    const notices: string[] = [];
    const cluster = new FakeCluster(secret(1, 'rubbish'), secret(2));
    const history = await storageOf(cluster, '', (notice) => notices.push(notice)).history();
    assert.deepEqual(
      history.map(({ revision, status }) => [revision, status]),
      [
        [1, 'unknown'],
        [2, 'deployed'],
      ],
    );
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? '', /shop\.v1 in namespace team cannot be read/);
  });
});
