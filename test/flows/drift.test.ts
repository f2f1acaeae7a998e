import assert from 'node:assert/strict';
import { TaskError, type FailureReason } from '../../tasks/common/core/failure';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import type { Cluster } from '../../tasks/common/core/ports';
import { driftOf, liveState, type LiveState } from '../../tasks/common/flows/release/drift';
import { fakeCluster, type FakeCluster } from '../support/fakes/fakeCluster';
import { manifestOf } from '../support/fakes/fakeHelm';
import { recordingAgent } from '../support/fakes/recordingAgent';
import { configMap, deployment, namespace, release } from '../support/fakes/scene';
import { simulatedTime } from '../support/fakes/simulatedTime';

const name = { name: release, namespace };

function secret(id: string, data: Record<string, string>): KubeObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: id }, data };
}

function refusal(reason: FailureReason, message = 'The API server will not.'): TaskError {
  return new TaskError(reason, message);
}

/** Methods that a test may replace, as plain functions. */
type Doors = {
  [Door in 'get' | 'list' | 'dryRunApply' | 'resource']: (
    ...args: Parameters<Cluster[Door]>
  ) => ReturnType<Cluster[Door]>;
};

/** A cluster whose live objects are as Helm made them, with the requests that it received. */
interface Stage {
  cluster: Omit<FakeCluster, keyof Doors> & Doors;
  asked: string[];
  look: (declared: readonly KubeObject[], signal?: AbortSignal) => Promise<LiveState>;
}

function stage(live: readonly KubeObject[]): Stage {
  const cluster: Stage['cluster'] = fakeCluster(simulatedTime());
  for (const object of live) cluster.put(made(object));
  const asked: string[] = [];
  const { get, list, dryRunApply } = cluster;
  cluster.get = (ref, options) => {
    asked.push(`get ${ref.kind}/${ref.name}`);
    return get(ref, options);
  };
  cluster.list = (query) => {
    asked.push(`list ${query.kind} ${query.labelSelector ?? ''}`);
    return list(query);
  };
  cluster.dryRunApply = (object, how) => {
    asked.push(`apply ${object.kind}/${object.metadata.name}`);
    return dryRunApply(object, how);
  };
  const look: Stage['look'] = (declared, signal = new AbortController().signal) =>
    liveState({ agent: recordingAgent(), cluster, signal }, manifestOf(declared), name);
  return { cluster, asked, look };
}

function made(object: KubeObject): KubeObject {
  const labels = { ...object.metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' };
  const annotations = { 'meta.helm.sh/release-name': release, 'meta.helm.sh/release-namespace': namespace };
  // The API server adds defaults, so that only a dry run tells if an object is as declared.
  return { defaulted: true, ...object, metadata: { ...object.metadata, namespace, labels, annotations } };
}

const many = Array.from({ length: 20 }, (_, index) => configMap(`c${index}`, { a: String(index) }));

describe('detecting drift', () => {
  it('an object that is declared twice has no drift when it matches one of the two declarations', async () => {
    const twice = [configMap('a', { of: 'first' }), configMap('b'), configMap('a', { of: 'last', more: '1' })];
    for (const live of [twice.slice(1), twice.slice(0, 2)]) {
      assert.deepEqual((await stage(live).look(twice)).drifts, []);
    }
    const { drifts } = await stage([configMap('a', { of: 'nobody', more: '1' }), configMap('b')]).look(twice);
    assert.deepEqual(
      drifts.map(({ drift, fields }) => [drift, ...fields.map(({ path }) => path)]),
      [['changed', 'data.of']],
    );
  });

  it("several objects of a kind are read by one list with Helm's label, and Secrets one by one", async () => {
    const objects = [...many, ...['s1', 's2', 's3'].map((id) => secret(id, { a: 'eA==' })), deployment('web', '1')];
    const { asked, look } = stage(objects);
    assert.deepEqual(await look(objects), { drifts: [], held: [], notes: [] });
    assert.deepEqual(
      asked.filter((each) => !each.startsWith('apply')),
      [
        'list ConfigMap app.kubernetes.io/managed-by=Helm',
        'get Secret/s1',
        'get Secret/s2',
        'get Secret/s3',
        'get Deployment/web',
      ],
    );
    assert.equal(asked.filter((each) => each.startsWith('apply')).length, objects.length);
  });

  it('an object with exactly the declared content needs no dry run, and one that differs needs one', async () => {
    const [same, other] = [configMap('same', { a: '1' }), configMap('other', { a: '1' })];
    const { cluster, asked, look } = stage([]);
    const { defaulted: _, ...exact } = made(same);
    cluster.put(exact);
    cluster.put(made(configMap('other', { a: '2' })));
    const { drifts } = await look([same, other]);
    assert.deepEqual(
      drifts.map(({ ref }) => ref.name),
      ['other'],
    );
    assert.deepEqual(
      asked.filter((each) => each.startsWith('apply')),
      ['apply ConfigMap/other'],
    );
  });

  it('at most eight requests run at once, and the results are in the order of the manifest', async () => {
    const { cluster, look } = stage([]);
    let underWay = 0;
    let most = 0;
    cluster.get = async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      return undefined;
    };
    const { drifts } = await look(many);
    assert.deepEqual(
      drifts.map(({ ref, drift }) => [ref.name, drift]),
      many.map(({ metadata }) => [metadata.name, 'missing']),
    );
    assert.equal(most, 8);
  });

  it('without the right to list, each object is read by itself', async () => {
    const { cluster, asked, look } = stage(many);
    cluster.list = () => Promise.reject(refusal('PermissionDenied'));
    assert.deepEqual((await look(many)).drifts, []);
    assert.equal(asked.filter((each) => each.startsWith('get')).length, many.length);
  });

  it('an object that lost the label of the list is read by name before it is reported missing', async () => {
    const { cluster, look } = stage(many);
    const key = objectKey(refOf(made(configMap('c3'))));
    const live = cluster.objects.get(key) ?? assert.fail();
    cluster.objects.set(key, { ...live, metadata: { ...live.metadata, labels: {} } });
    assert.deepEqual(
      (await look(many)).drifts.map(({ drift, fields }) => [drift, ...fields.map(({ path }) => path)]),
      [['changed', 'metadata.labels["app.kubernetes.io/managed-by"]']],
    );
  });

  it('an object that changes between the read and the dry run is read again and not reported as drifted', async () => {
    const object = configMap('c', { a: '1' });
    const { cluster, look } = stage([]);
    let version = 0;
    const state = (): KubeObject => {
      const live = made(configMap('c', { a: '1', counter: String(version) }));
      return { ...live, metadata: { ...live.metadata, uid: 'u', resourceVersion: String(version) } };
    };
    cluster.get = () => Promise.resolve(state());
    cluster.dryRunApply = () => {
      if (version < 3) version++;
      return Promise.resolve(state());
    };
    assert.deepEqual((await look([object])).drifts, []);
  });

  it('an object that keeps changing is judged by the last read', async () => {
    const { cluster, look } = stage([]);
    let version = 0;
    const state = (a: string): KubeObject => {
      const live = made(configMap('c', { a }));
      return { ...live, metadata: { ...live.metadata, uid: 'u', resourceVersion: String(++version) } };
    };
    cluster.get = () => Promise.resolve(state('1'));
    cluster.dryRunApply = () => Promise.resolve(state('2'));
    assert.deepEqual(
      (await look([configMap('c', { a: '2' })])).drifts.map(({ drift }) => drift),
      ['changed'],
    );
  });

  it('an object that was recreated meanwhile is another object and is read again', async () => {
    const { cluster, look } = stage([]);
    const state = (uid: string, a: string): KubeObject => {
      const live = made(configMap('c', { a }));
      return { ...live, metadata: { ...live.metadata, uid } };
    };
    const readings = [state('old', '0'), state('new', '1')];
    cluster.get = () => Promise.resolve(readings.shift());
    cluster.dryRunApply = () => Promise.resolve(state('new', '1'));
    assert.deepEqual((await look([configMap('c', { a: '1' })])).drifts, []);
  });

  it('an object that is deleted between the list and the dry run is missing', async () => {
    const { cluster, look } = stage(many);
    const { dryRunApply } = cluster;
    cluster.dryRunApply = (object, how) => {
      const key = objectKey(refOf(object));
      if (object.metadata.name === 'c3') cluster.objects.delete(key);
      return dryRunApply(object, how);
    };
    assert.deepEqual(
      (await look(many)).drifts.map(({ drift, ref }) => [drift, ref.name]),
      [['missing', 'c3']],
    );
  });

  for (const reason of ['ClusterUnreachable', 'CredentialsRejected', 'CertificateRejected', 'Cancelled'] as const) {
    it(`${reason}: drift detection ends with that error, whichever request it answers`, async () => {
      for (const door of ['get', 'list', 'dryRunApply', 'resource'] as const) {
        const { cluster, look } = stage(many);
        Object.assign(cluster, { [door]: () => Promise.reject(refusal(reason)) });
        const objects = door === 'get' ? [deployment('web', '1')] : many;
        await assert.rejects(look(objects), (error: TaskError) => error.reason === reason, door);
      }
    });
  }

  it('a cancelled step sends no further request', async () => {
    const { cluster, asked, look } = stage(many);
    const stop = new AbortController();
    const { dryRunApply } = cluster;
    cluster.dryRunApply = (object, how) => {
      stop.abort();
      return dryRunApply(object, how);
    };
    await assert.rejects(look(many, stop.signal), (error: TaskError) => error.reason === 'Cancelled');
    assert.ok(asked.filter((each) => each.startsWith('apply')).length <= 8);
  });

  it('objects that may not be read, and kinds that cannot be requested, are reported as unknown', async () => {
    const { cluster, look } = stage([]);
    const { resource } = cluster;
    cluster.unreadable.add('Deployment');
    cluster.resource = (apiVersion, kind) =>
      kind === 'Widget' ? Promise.reject(refusal('Internal')) : resource(apiVersion, kind);
    const widget: KubeObject = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' } };
    const gadget: KubeObject = { apiVersion: 'example.com/v1', kind: 'Gadget', metadata: { name: 'g' } };
    const { drifts } = await look([deployment('web', '1'), widget, gadget]);
    assert.deepEqual(
      drifts.map(({ ref, drift }) => [ref.kind, drift]),
      [
        ['Deployment', 'unknown'],
        ['Widget', 'unknown'],
        ['Gadget', 'missing'],
      ],
    );
  });

  for (const reason of ['PermissionDenied', 'ApplyRejected', 'KindNotServed', 'Conflict', 'Internal'] as const) {
    it(`a dry run refused as ${reason}: the declared fields decide, and the report says so`, async () => {
      const { cluster, look } = stage([configMap('c', { a: '1', b: '2' })]);
      cluster.dryRunApply = () => Promise.reject(refusal(reason, 'The webhook will not.'));
      const same = await look([configMap('c', { a: '1' })]);
      assert.deepEqual(same, {
        drifts: [],
        held: [],
        notes: ['ConfigMap/c was compared by its declared fields alone, without a dry run: The webhook will not.'],
      });
      const { drifts, notes } = await look([configMap('c', { a: '2' })]);
      assert.deepEqual(notes, []);
      assert.match(drifts[0]?.message ?? '', /data\.a differs \(compared without a dry run.*The webhook will not/);
    });
  }

  it('a change that the API server does not allow is drift, even if no field shows it', async () => {
    const { cluster, look } = stage([configMap('c', { a: '1' })]);
    cluster.dryRunApply = () => Promise.reject(refusal('ApplyRejected', 'spec.x: Invalid value: field is immutable'));
    const { drifts } = await look([configMap('c', { a: '1' })]);
    assert.deepEqual(
      drifts.map(({ drift }) => drift),
      ['changed'],
    );
  });

  it('text of a Secret that an API server quotes is not reported', async () => {
    for (const said of ['data: Invalid value: "hunter2": field is immutable', 'data: Invalid value: "hunter2"']) {
      const { cluster, look } = stage([secret('s', { a: 'eA==' })]);
      cluster.dryRunApply = () => Promise.reject(refusal('ApplyRejected', said));
      for (const value of ['eA==', 'eQ==']) {
        assert.doesNotMatch(JSON.stringify(await look([secret('s', { a: value })])), /hunter2|eA==|eQ==/);
      }
    }
  });

  it('all fields that the API server does not know are left out, even when it names them in several answers', async () => {
    const live = configMap('c', { a: '1' });
    const { cluster, look } = stage([live]);
    const { dryRunApply } = cluster;
    cluster.dryRunApply = (object, how) => {
      const unknown = ['one', 'two', 'three'].find((field) => field in object);
      if (unknown === undefined) return dryRunApply(object, how);
      return Promise.reject(refusal('ApplyRejected', `.${unknown}: field not declared in schema`));
    };
    const { drifts, notes } = await look([{ ...live, one: 1, two: 2, three: 3 }]);
    assert.deepEqual(drifts, []);
    assert.equal(notes.length, 3);
  });

  it('answers that name the same field again and again end the loop', async () => {
    const { cluster, look } = stage([configMap('c', { a: '1' })]);
    let count = 0;
    cluster.dryRunApply = () => {
      count++;
      return Promise.reject(refusal('ApplyRejected', '.data.x: field not declared in schema'));
    };
    assert.equal((await look([configMap('c', { a: '1' })])).notes.length, 1);
    assert.ok(count < 20);
  });

  it('fields of other managers and incomplete comparisons are logged, a few of many', async () => {
    const { cluster } = stage(many);
    cluster.dryRunApply = () => Promise.reject(refusal('PermissionDenied'));
    const agent = recordingAgent();
    const signal = new AbortController().signal;
    assert.deepEqual(await driftOf({ agent, cluster, signal }, manifestOf(many), name), []);
    const line = (index: number): string =>
      `ConfigMap/c${index} was compared by its declared fields alone, without a dry run: The API server will not.`;
    assert.deepEqual(agent.lines, [...[0, 1, 2, 3, 4].map(line), 'The same applies to 15 more.']);
  });
});
