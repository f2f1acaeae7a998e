import assert from 'node:assert/strict';
import {
  absence,
  asHelmSends,
  compare,
  compareAlone,
  isImmutable,
  unknownFields,
  withoutFields,
  type DeclaredObject,
} from '../../tasks/common/core/release/drift';
import { differences, missingFields, type Difference } from '../../tasks/common/core/kubernetes/fieldDifferences';
import { pathText } from '../../tasks/common/core/kubernetes/fieldPath';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';

const release = { name: 'shop', namespace: 'prod' };
const marks = {
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'shop', 'meta.helm.sh/release-namespace': 'prod' },
};

function told(found: readonly Difference[]): string[] {
  return found.map(({ path, before: live, after: wanted, order }) => {
    if (order !== undefined) return `${pathText(path)} order`;
    return `${pathText(path)} ${live === undefined ? 'gone' : wanted === undefined ? 'added' : 'differs'}`;
  });
}

describe('drifted fields, by the answer of the API server', () => {
  const cases: readonly (readonly [string, unknown, unknown, unknown, readonly string[]])[] = [
    ['the same in another order of fields', { a: 1, b: [{ c: 2 }] }, { b: [{ c: 2 }], a: 1 }, {}, []],
    ['a number', { replicas: 5 }, { replicas: 2 }, { replicas: 2 }, ['replicas differs']],
    ['a field that is gone', {}, { a: { b: 1 } }, { a: { b: 1 } }, ['a gone']],
    ['a key more in a selector', { s: { a: 'x', b: 'y' } }, { s: { a: 'x' } }, { s: { a: 'x' } }, ['s.b added']],
    [
      'a label that a webhook rewrites each time',
      { metadata: { annotations: { sum: '1', own: 'a' } } },
      { metadata: { annotations: { sum: '2', own: 'b' } } },
      { metadata: { annotations: { own: 'b' } } },
      ['metadata.annotations.own differs'],
    ],
    [
      'the same in a pod template',
      { spec: { template: { metadata: { labels: { a: '1', b: '1' } } } } },
      { spec: { template: { metadata: { labels: { a: '2', b: '2' } } } } },
      { spec: { template: { metadata: { labels: { b: '2' } } } } },
      ['spec.template.metadata.labels.b differs'],
    ],
    [
      'a container behind a sidecar',
      { containers: [{ name: 'side' }, { name: 'web', image: 'b' }] },
      { containers: [{ name: 'web', image: 'a' }, { name: 'side' }] },
      { containers: [{ name: 'web', image: 'a' }] },
      ['containers[name=web].image differs'],
    ],
    [
      'a sidecar that only stands elsewhere in the answer',
      { containers: [{ name: 'side' }, { name: 'web' }] },
      { containers: [{ name: 'web' }, { name: 'side' }] },
      { containers: [{ name: 'web' }] },
      [],
    ],
    [
      'declared items in another order',
      { env: [{ name: 'B' }, { name: 'x' }, { name: 'A' }] },
      { env: [{ name: 'A' }, { name: 'B' }, { name: 'x' }] },
      { env: [{ name: 'A' }, { name: 'B' }] },
      ['env order'],
    ],
    [
      'one port for two protocols, one of them by default',
      {
        ports: [
          { port: 53, protocol: 'UDP' },
          { port: 53, protocol: 'TCP', target: 1 },
        ],
      },
      {
        ports: [
          { port: 53, protocol: 'UDP' },
          { port: 53, protocol: 'TCP', target: 2 },
        ],
      },
      {
        ports: [
          { port: 53, protocol: 'UDP' },
          { port: 53, target: 2 },
        ],
      },
      ['ports[port=53,protocol=TCP].target differs'],
    ],
    [
      'ports in another order, one of them by default',
      {
        ports: [
          { port: 53, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
      },
      {
        ports: [
          { port: 53, protocol: 'UDP' },
          { port: 53, protocol: 'TCP' },
        ],
      },
      { ports: [{ port: 53, protocol: 'UDP' }, { port: 53 }] },
      ['ports order'],
    ],
    [
      'a variable that is there twice, the second one other',
      {
        env: [
          { name: 'A', value: '1' },
          { name: 'A', value: '2' },
        ],
      },
      {
        env: [
          { name: 'A', value: '1' },
          { name: 'A', value: '3' },
        ],
      },
      {},
      ['env differs'],
    ],
    ['a rule more', { rules: [{ a: 1 }, { b: 1 }] }, { rules: [{ a: 1 }] }, { rules: [{ a: 1 }] }, ['rules differs']],
    ['an item more with a key', { l: [{ name: 'a' }, { name: 'b' }] }, { l: [{ name: 'a' }] }, {}, ['l[name=b] added']],
    ['an argument more', { args: ['a', 'b'] }, { args: ['a'] }, { args: ['a'] }, ['args differs']],
    ['an argument twice', { args: ['a', 'a', 'b'] }, { args: ['a', 'b', 'b'] }, {}, ['args differs']],
    ['arguments in another order', { args: ['b', 'a'] }, { args: ['a', 'b'] }, { args: ['a', 'b'] }, ['args order']],
    ['a finalizer of another', { f: ['x', 'a'] }, { f: ['a', 'x'] }, { f: ['a'] }, []],
    ['a list in place of a map', { a: [] }, { a: { b: 1 } }, { a: { b: 1 } }, ['a differs']],
    ['a name with dots', { data: { 'a.b/c': '1' } }, { data: { 'a.b/c': '2' } }, {}, ['data["a.b/c"] differs']],
    ['a number and its text', { a: 1 }, { a: '1' }, { a: '1' }, ['a differs']],
  ];
  for (const [name, live, answer, declared, expected] of cases) {
    it(name, () => {
      assert.deepEqual(told(differences(live, answer, declared)), expected);
    });
  }
});

describe('drifted fields, without the API server', () => {
  const limits = (cpu: unknown): object => ({ resources: { limits: { cpu } } });
  const cases: readonly (readonly [string, unknown, unknown, readonly string[]])[] = [
    ['defaults that were not declared', { a: 1 }, { a: 1, b: 2 }, []],
    ['half a core, in two spellings', limits('0.5'), limits('500m'), []],
    ['a core as a number', limits(1), limits('1'), []],
    ['a gibibyte', limits('1024Mi'), limits('1Gi'), []],
    ['a gigabyte, by exponent', limits('1e9'), limits('1G'), []],
    ['half a core and a whole one', limits('0.5'), limits('1'), ['resources.limits.cpu differs']],
    ['what is no quantity', limits('a'), limits('1'), ['resources.limits.cpu differs']],
    ['texts that would be one amount', { data: { a: '1.0' } }, { data: { a: '1' } }, ['data.a differs']],
    [
      'an environment variable of an amount',
      { env: [{ name: 'A', value: '1.0' }] },
      { env: [{ name: 'A', value: '1' }] },
      ['env[name=A].value differs'],
    ],
    ['declared as empty, and not kept', { a: {}, b: [], c: null, d: '', e: 0, f: false, g: { h: {} } }, {}, []],
    ['declared as null, and there', { a: null }, { a: 1 }, ['a differs']],
    ['declared, and not there', { a: 1 }, {}, ['a gone']],
    ['an item more', { l: [{ name: 'a' }] }, { l: [{ name: 'b' }, { name: 'a' }] }, ['l[name=b] added']],
    ['an item less', { l: [{ name: 'a' }, { name: 'b' }] }, { l: [{ name: 'a' }] }, ['l[name=b] gone']],
    ['items without a key, each with defaults', { l: [{ v: 1 }] }, { l: [{ v: 1, d: 2 }] }, []],
    ['items without a key, one other', { l: [{ v: 1 }, { v: 1 }] }, { l: [{ v: 1 }, { v: 2 }] }, ['l[1].v differs']],
    ['an argument more', { args: ['a'] }, { args: ['a', 'b'] }, ['args differs']],
  ];
  for (const [name, declared, live, expected] of cases) {
    it(name, () => {
      assert.deepEqual(told(missingFields(declared, live)), expected);
    });
  }
});

function deployment(spec: object, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'prod', ...marks, ...metadata },
    spec,
  };
}

function wanted(declared: KubeObject): DeclaredObject {
  const { apiVersion, kind, metadata } = declared;
  return { ref: { apiVersion, kind, namespace: 'prod', name: metadata.name }, declared };
}

interface Entry {
  manager: string;
  operation?: string;
  subresource?: string;
  fieldsV1: unknown;
}

const scaled = (entry: Omit<Entry, 'fieldsV1'>): Entry => ({ ...entry, fieldsV1: { 'f:spec': { 'f:replicas': {} } } });

describe('the owner of a difference', () => {
  const verdict = (entries: readonly Entry[]): 'drift' | 'held' => {
    const live = deployment({ replicas: 5 }, { managedFields: entries });
    const answer = deployment({ replicas: 2 });
    const { drift, held } = compare(wanted(answer), live, answer, { release });
    assert.equal(drift === undefined, held.length === 1);
    return drift === undefined ? 'held' : 'drift';
  };
  const cases: readonly (readonly [string, readonly Entry[], 'drift' | 'held'])[] = [
    [
      'an autoscaler',
      [scaled({ manager: 'kube-controller-manager', operation: 'Update', subresource: 'scale' })],
      'held',
    ],
    ['KEDA, to zero', [scaled({ manager: 'keda', operation: 'Update', subresource: 'scale' })], 'held'],
    ['a canary operator that updates', [scaled({ manager: 'flagger', operation: 'Update' })], 'held'],
    ['another that has applied it', [scaled({ manager: 'scaler', operation: 'Apply' })], 'held'],
    ['kubectl scale', [scaled({ manager: 'kubectl', operation: 'Update', subresource: 'scale' })], 'drift'],
    ['kubectl edit', [scaled({ manager: 'kubectl-edit', operation: 'Update' })], 'drift'],
    ['kubectl apply --server-side', [scaled({ manager: 'kubectl', operation: 'Apply' })], 'drift'],
    ['a terminal program', [scaled({ manager: 'k9s', operation: 'Update', subresource: 'scale' })], 'drift'],
    ['a desktop program', [scaled({ manager: 'node-fetch', operation: 'Update' })], 'drift'],
    ['a browser', [scaled({ manager: 'Mozilla', operation: 'Update', subresource: 'scale' })], 'drift'],
    ['Helm by hand', [scaled({ manager: 'helm', operation: 'Apply' })], 'drift'],
    ['nobody that is noted', [], 'drift'],
    ['one whose name is empty', [scaled({ manager: '', operation: 'Apply' })], 'drift'],
    [
      'an autoscaler and a person at once',
      [
        scaled({ manager: 'kube-controller-manager', operation: 'Update', subresource: 'scale' }),
        scaled({ manager: 'kubectl-patch', operation: 'Update' }),
      ],
      'drift',
    ],
    [
      'an autoscaler that has set another field',
      [{ manager: 'kube-controller-manager', operation: 'Update', fieldsV1: { 'f:spec': { 'f:paused': {} } } }],
      'drift',
    ],
    ['rubbish', [{ manager: 'kube-controller-manager', fieldsV1: 'x' }], 'drift'],
  ];
  for (const [name, entries, expected] of cases) {
    it(`replicas set by ${name}: ${expected}`, () => {
      assert.equal(verdict(entries), expected);
    });
  }

  const verdictOf = (path: string, entry: Omit<Entry, 'fieldsV1'>): 'drift' | 'held' => {
    const fieldsV1 = { 'f:spec': { [`f:${path}`]: {} } };
    const live = deployment({ [path]: { a: 1 } }, { managedFields: [{ ...entry, fieldsV1 }] });
    const answer = deployment({ [path]: { a: 2 } });
    return compare(wanted(answer), live, answer, { release }).drift === undefined ? 'held' : 'drift';
  };

  it('a field belongs to the manager that applied it or scaled it, not to one that updated it', () => {
    assert.equal(verdictOf('size', { manager: 'operator', operation: 'Apply' }), 'held');
    assert.equal(verdictOf('size', { manager: 'operator', operation: 'Update', subresource: 'scale' }), 'held');
    assert.equal(verdictOf('size', { manager: 'operator', operation: 'Update' }), 'drift');
  });

  it('a map that is replaced as a whole has one owner, also for added keys', () => {
    assert.equal(verdictOf('selector', { manager: 'kube-controller-manager', operation: 'Update' }), 'held');
    assert.equal(verdictOf('selector', { manager: 'kubectl-patch', operation: 'Update' }), 'drift');
  });

  it('the manager that created a map does not own a field in it that another manager set', () => {
    const managedFields = [
      { manager: 'helm', operation: 'Update', fieldsV1: { 'f:data': {} } },
      { manager: 'kube-controller-manager', operation: 'Update', fieldsV1: { 'f:data': { 'f:a': {} } } },
    ];
    const map = (a: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'web', ...marks, managedFields },
      data: { a },
    });
    assert.equal(compare(wanted(map('1')), map('2'), map('1'), { release }).drift, undefined);
  });

  it('a CA that a controller writes into a webhook belongs to the controller, the failure policy does not', () => {
    const fields = { 'f:clientConfig': { 'f:caBundle': {} }, 'f:failurePolicy': {} };
    const managedFields = [
      {
        manager: 'cainjector',
        operation: 'Update',
        fieldsV1: { 'f:webhooks': { 'k:{"name":"b"}': { 'f:name': {} }, 'k:{"name":"a"}': fields } },
      },
    ];
    const object = (caBundle: string, failurePolicy: string): KubeObject => ({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'web', ...marks, managedFields },
      webhooks: [{ name: 'a', clientConfig: { caBundle }, failurePolicy }],
    });
    const answer = object('Cg==', 'Fail');
    const { drift, held } = compare(wanted(answer), object('eA==', 'Ignore'), answer, { release });
    assert.deepEqual(
      drift?.fields.map(({ path, owners }) => [path, ...owners.map(({ manager }) => manager)]),
      [['webhooks[name=a].failurePolicy', 'cainjector']],
    );
    assert.equal(held.length, 1);
  });

  it('a list that is replaced as a whole has one owner for all items', () => {
    const entry = { manager: 'kube-controller-manager', operation: 'Update', fieldsV1: { 'f:rules': {} } };
    const role = (verb: string): KubeObject => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'web', ...marks, managedFields: [entry] },
      rules: [{ verbs: [verb] }],
    });
    assert.equal(compare(wanted(role('get')), role('list'), role('get'), { release }).drift, undefined);
  });
});

describe('drift of one object', () => {
  const live = deployment({ replicas: 2 }, { uid: 'u', resourceVersion: '7', generation: 3 });

  it('counters of the API server are no drift', () => {
    const answer = { ...deployment({ replicas: 2 }, { uid: 'u', generation: 4 }), status: { replicas: 0 } };
    assert.deepEqual(compare(wanted(answer), live, answer, { release }), { drift: undefined, held: [] });
  });

  it('images and numbers are shown, other texts are not', () => {
    const one = deployment({ replicas: 2, paused: false, image: 'x:1', command: ['--password=one'], key: 'one' });
    const other = deployment({ replicas: 3, paused: true, image: 'x:2', command: ['--password=two'], key: 'two' });
    assert.equal(
      compare(wanted(other), one, other, { release }).drift?.message,
      'Deployment/web in namespace prod: spec.replicas is 2, not 3, spec.paused is false, not true, ' +
        'spec.image is x:1, not x:2, spec.command differs, spec.key differs.',
    );
  });

  it('of many fields some are shown and the rest is counted', () => {
    const fields = (value: number): object =>
      Object.fromEntries(Array.from('abcdefghijkl').map((name) => [name, value]));
    const { drift } = compare(wanted(live), deployment(fields(1)), deployment(fields(2)), { release });
    assert.equal(drift?.fields.length, 12);
    assert.match(drift.message, /spec\.h is 1, not 2 and 4 more fields differ\.$/);
  });

  it('a manager with an endless name is shortened', () => {
    const managedFields = [{ manager: 'kubectl'.repeat(50), operation: 'Update', fieldsV1: { 'f:spec': {} } }];
    const { drift } = compare(wanted(live), deployment({ a: 1 }, { managedFields }), deployment({ a: 2 }), { release });
    assert.ok((drift?.message.length ?? 0) < 200, drift?.message);
  });

  it('an object of another release is reported as such, with its differences but without the labels of its release', () => {
    const annotations = { ...marks.annotations, 'meta.helm.sh/release-name': 'other' };
    const theirs = deployment({ replicas: 9 }, { annotations });
    const answer = deployment({ replicas: 2 });
    const { drift } = compare(wanted(answer), theirs, answer, { release });
    assert.equal(drift?.drift, 'foreign');
    assert.equal(
      drift.message,
      'Deployment/web in namespace prod belongs to release other in namespace prod, and spec.replicas is 9, not 2.',
    );
  });

  it('no sentence contains a value of a Secret, neither text nor number', () => {
    const secret = (value: unknown): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'web', namespace: 'prod', ...marks },
      data: { image: value },
    });
    const { drift } = compare(wanted(secret('b25l')), secret('dHdv'), secret('b25l'), { release });
    assert.equal(drift?.message, 'Secret/web in namespace prod: data.image differs.');
  });

  it('a Secret compared without a dry run: stringData is compared with data', () => {
    const secret = (fields: object): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'web', namespace: 'prod', ...marks },
      ...fields,
    });
    const declared = wanted(secret({ data: { a: 'b25l', b: 'b25l' }, stringData: { b: 'grün' } }));
    const same = secret({ data: { a: 'b25l', b: 'Z3LDvG4=', other: 'x' }, type: 'Opaque' });
    assert.equal(compareAlone(declared, same, { release }, 'no').drift, undefined);
    const changed = secret({ data: { a: 'b25l', b: 'eA==' } });
    assert.deepEqual(
      compareAlone(declared, changed, { release }, 'no').drift?.fields.map(({ path }) => path),
      ['data.b'],
    );
  });

  it('an object that is being deleted is reported as such, whatever its fields, with and without a dry run', () => {
    const ending = deployment({ replicas: 2 }, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    for (const found of [
      compare(wanted(live), ending, live, { release }),
      compareAlone(wanted(live), ending, { release }, 'no'),
    ]) {
      assert.equal(found.drift?.message, 'Deployment/web in namespace prod is being deleted.');
    }
  });

  it('undeclared fields are no drift when an object is compared without a dry run', () => {
    const theirs = deployment({ replicas: 2, paused: false }, { finalizers: ['x'], ownerReferences: [] });
    assert.deepEqual(compareAlone(wanted(deployment({ replicas: 2 })), theirs, { release }, 'no'), {
      drift: undefined,
      held: [],
    });
  });

  it('a value that somebody changed in one of two variables of the same name is drift without a dry run', () => {
    // So the API server records a list with two items of the same key (measured with 1.35.4).
    const fields = { 'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"main"}': { 'f:env': {} } } } } };
    const manager = { manager: 'helm', operation: 'Update', fieldsV1: { 'f:spec': fields } };
    const twins = (second: string): KubeObject => {
      const env = [{ name: 'A', value: '1' }, { name: 'A', value: second }]; // prettier-ignore
      return deployment({ template: { spec: { containers: [{ name: 'main', env }] } } }, { managedFields: [manager] });
    };
    const { drift } = compareAlone(wanted(twins('2')), twins('3'), { release }, 'no');
    assert.deepEqual(
      drift?.fields.map(({ path }) => path),
      ['spec.template.spec.containers[name=main].env[1].value'],
    );
    assert.equal(compareAlone(wanted(twins('2')), twins('2'), { release }, 'no').drift, undefined);
  });

  it('a Job that removes itself after its end is not missing, any other Job is', () => {
    const job = (spec: object): DeclaredObject =>
      wanted({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'once' }, spec });
    assert.equal(absence(job({ ttlSecondsAfterFinished: 0 })).drift, undefined);
    assert.equal(absence(job({})).drift?.drift, 'missing');
  });
});

describe('a declared object as Helm sends it', () => {
  it('has the labels of its release and its namespace, and no field that only the API server writes', () => {
    const declared = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'web',
        creationTimestamp: null,
        resourceVersion: '1',
        uid: 'u',
        managedFields: [],
        labels: { a: 'b', 'app.kubernetes.io/managed-by': 'chart' },
        annotations: null,
        finalizers: ['x'],
      },
      data: { a: 'b' },
      status: {},
    } as unknown as KubeObject;
    assert.deepEqual(asHelmSends(wanted(declared), release), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'web',
        namespace: 'prod',
        finalizers: ['x'],
        labels: { a: 'b', ...marks.labels },
        annotations: marks.annotations,
      },
      data: { a: 'b' },
    });
  });

  it('has no namespace when its kind is cluster-scoped', () => {
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x', namespace: 'prod' } };
    const sent = asHelmSends({ ref: { apiVersion: 'v1', kind: 'Namespace', name: 'x' }, declared: object }, release);
    assert.ok(!('namespace' in sent.metadata));
  });
});

describe('the refusal of a dry run by the API server', () => {
  it('names the fields that the API server does not know', () => {
    const message =
      'failed to create typed patch object (p/odd; apps/v1, Kind=Deployment): errors:\n' +
      '  .spec.replica: field not declared in schema\n' +
      '  .spec.template.spec.containers[name="a:b"].restart: field not declared in schema';
    assert.deepEqual(unknownFields(message), ['spec.replica', 'spec.template.spec.containers.restart']);
    assert.deepEqual(unknownFields('spec.x: field is immutable'), []);
  });

  it('unknown fields are left out in every item of a list, and nothing else is', () => {
    const object = { ...deployment({ l: [{ a: 1, b: 2 }, { a: 1 }, 7], a: 1 }), x: 1 };
    const rest = withoutFields(object, ['spec.l.a', 'x', 'none.at.all', 'spec.a.b']);
    assert.deepEqual(rest, deployment({ l: [{ b: 2 }, {}, 7], a: 1 }));
  });

  for (const message of [
    'Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ["10.0.0.1"]: may not change once set',
    'Deployment.apps "web" is invalid: spec.selector: Invalid value: {}: field is immutable',
    'StatefulSet.apps "s" is invalid: spec: Forbidden: updates to statefulset spec for fields other than a are forbidden',
    'PersistentVolumeClaim "d" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests',
    'RoleBinding "a" is invalid: roleRef: Invalid value: {}: cannot change roleRef',
    'PriorityClass "a" is invalid: value: Forbidden: may not be changed in an update.',
    'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than image',
  ]) {
    it(`shows a change that is not allowed: ${message.slice(0, 60)}`, () => {
      assert.ok(isImmutable(message));
    });
  }

  it('other refusals are not read as forbidden changes', () => {
    for (const message of [
      'deployments.apps "web" is forbidden: User "u" cannot patch resource "deployments"',
      'admission webhook "a" denied the request: no',
      'pods "a" is forbidden: exceeded quota: q',
    ]) {
      assert.ok(!isImmutable(message), message);
    }
  });
});
