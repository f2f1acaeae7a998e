import assert from 'node:assert/strict';
import { isRecord } from '../../tasks/common/core/kubernetes/json';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { instancesQuery, type Instances } from '../../tasks/common/core/rollbackPlan/model/definitions';
import { planDifferences } from '../../tasks/common/core/rollbackPlan/execution/differences';
import { writerWords } from '../../tasks/common/core/rollbackPlan/execution/writers';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
import { live, object, plan, revision, sha256, strict, verified, write, type Scene } from '../support/rollbackScene';

type Fields = Readonly<Record<string, unknown>>;

function merged(base: unknown, change: unknown): unknown {
  if (!isRecord(base) || !isRecord(change)) return change;
  const fields = Object.keys({ ...base, ...change }).map((name) => [
    name,
    Object.hasOwn(change, name) ? merged(base[name], change[name]) : base[name],
  ]);
  return Object.fromEntries(fields);
}

const container = (image: string, more: Fields = {}): Fields => ({ name: 'web', image, ...more });
const web = (image: string, more: Fields = {}): KubeObject =>
  object(
    'Deployment',
    'web',
    { spec: { replicas: 1, template: { spec: { containers: [container(image, more)] } } } },
    'apps/v1',
  );
const settings = (mode: string): KubeObject => object('ConfigMap', 'settings', { data: { mode } });
const old = object('ConfigMap', 'old', { data: { list: 'a' } });
const login = (value: string): KubeObject =>
  object('Secret', 'login', { type: 'Opaque', data: { password: btoa(value) } });
const seal = (text: string): string => sha256(`salt ${text}`);

interface Hand {
  /** Merged into the live Deployment and into the result of the rehearsal. */
  web?: Fields;
  container?: Fields;
  settings?: Fields;
  old?: Fields;
  login?: string;
}

/** The same release after manual changes. */
function planned(hand: Hand = {}, more: Scene = {}): ChangePlan {
  const after = merged(live(web('app:1', hand.container)), hand.web ?? {}) as KubeObject;
  return plan({
    history: [
      revision(1, 'superseded', [web('app:1'), settings('a'), object('ConfigMap', 'kept', { data: { x: '1' } })], {
        labels: verified(1),
      }),
      revision(2, 'deployed', [
        web('app:2'),
        settings('b'),
        old,
        login('secret-one'),
        object('ConfigMap', 'kept', { data: { x: '1' } }),
      ]),
    ],
    live: [
      merged(live(web('app:2', hand.container)), hand.web ?? {}) as KubeObject,
      merged(live(settings('b')), hand.settings ?? {}) as KubeObject,
      merged(live(old), hand.old ?? {}) as KubeObject,
      live(login(hand.login ?? 'secret-one')),
      live(object('ConfigMap', 'kept', { data: { x: '1' } })),
    ],
    writes: [
      write('changed', after),
      write('changed', live(settings('a'))),
      write('deleted', live(old)),
      write('deleted', live(login('secret-one'))),
    ],
    seal,
    ...more,
  });
}

describe('a refusal because something changed since the plan', () => {
  const cases: readonly [string, Hand, string][] = [
    [
      'a pause',
      { web: { spec: { paused: true } } },
      'Deployment/web was changed since the plan: spec.paused is true (was absent)',
    ],
    [
      'resources',
      { container: { resources: { limits: { memory: '1Gi' } } } },
      'Deployment/web was changed since the plan: spec.template.spec.containers[name=web].resources.limits.memory is "1Gi" (was absent)',
    ],
    [
      'a variable',
      { container: { env: [{ name: 'MODE', value: 'hot' }] } },
      'Deployment/web was changed since the plan: spec.template.spec.containers[name=web].env[name=MODE].name is "MODE" (was absent); spec.template.spec.containers[name=web].env[name=MODE].value is "hot" (was absent)',
    ],
    [
      'replicas',
      { web: { spec: { replicas: 4 } } },
      'Deployment/web was changed since the plan: spec.replicas is 4 (was 1)',
    ],
    [
      'an overwritten field',
      { settings: { data: { mode: 'hand' } } },
      'ConfigMap/settings was changed since the plan: data.mode is "hand" (was "b")',
    ],
    [
      'a field of a deleted object',
      { old: { data: { list: 'a b' } } },
      'ConfigMap/old was changed since the plan: data.list is "a b" (was "a")',
    ],
    [
      'a Secret that is deleted',
      { login: 'secret-two' },
      'Secret/login was changed since the plan: data.password has another value (not shown)',
    ],
  ];
  for (const [what, hand, words] of cases) {
    it(`names the field with its old and new value: ${what}`, () => {
      const [first = ''] = planDifferences(planned(), planned(hand), new Date());
      assert.ok(first.startsWith(words), first);
      assert.ok(!first.includes('secret-') && !first.includes(btoa('secret-two')));
    });
  }

  it('reads the fields of a plan of an earlier version, which names items without their key', () => {
    const old = JSON.parse(JSON.stringify(planned()).replaceAll('[name=', '[')) as ChangePlan;
    assert.notDeepEqual(old, planned());
    assert.deepEqual(planDifferences(old, planned(), new Date()), []);
    const hot = planned({ container: { env: [{ name: 'MODE', value: 'hot' }] } });
    assert.deepEqual(planDifferences(old, hot, new Date()), planDifferences(planned(), hot, new Date()));
  });

  it('names who set the field, and when', () => {
    const told = planDifferences(planned(), planned({ web: { spec: { replicas: 4 } } }), new Date(), (_, path) =>
      path === 'spec.replicas' ? 'by kubectl-scale at 2026-08-20T03:12:05Z' : '',
    );
    assert.match(told[0] ?? '', /spec\.replicas is 4 \(was 1\), by kubectl-scale at 2026-08-20T03:12:05Z\./);
  });

  it('names the field of an object that should have been kept', () => {
    const before = planned({}, {});
    const [first = ''] = planDifferences(
      before,
      {
        ...before,
        objects: before.objects.map((one) =>
          one.name === 'kept'
            ? {
                ...one,
                fate: 'patched' as const,
                changes: [{ path: 'data.x', from: '"hand"', becomes: '"1"' }],
                fields: [{ path: 'data.x', value: '"hand"', valueDigest: 'd' }],
              }
            : one,
        ),
      },
      new Date(),
    );
    assert.equal(first, 'ConfigMap/kept was to be kept, and would be patched now: data.x is "hand" (was "1").');
  });

  it('names causes before their effects', () => {
    const gone = planned({}, { unserved: ['apps/v1/Deployment'] });
    assert.match(planDifferences(planned(), gone, new Date())[0] ?? '', /^New refusal RemovedApi: /);
    const pruned = planned({}, { history: [revision(2, 'deployed', [web('app:2'), settings('b'), old])] });
    const told = planDifferences(planned(), pruned, new Date());
    assert.match(told[0] ?? '', /^New refusal TargetMissing: /);
    assert.match(told[1] ?? '', /The target was revision 1 and is none now/);
    assert.ok(!told.some((one) => /no longer concerns it/.test(one)), told.join('\n'));
  });
});

describe('custom resources that are removed with their definition', () => {
  const definition = object(
    'CustomResourceDefinition',
    'toys.example.com',
    {
      spec: { group: 'example.com', names: { kind: 'Toy', plural: 'toys' }, versions: [{ name: 'v1', served: true }] },
    },
    'apiextensions.k8s.io/v1',
  );
  const toy = (name: string, uid = `uid-${name}`): KubeObject => ({
    apiVersion: 'example.com/v1',
    kind: 'Toy',
    metadata: { name, namespace: 'shop', uid },
  });
  const going = (instances: Instances | undefined): ChangePlan =>
    plan({
      history: [
        revision(1, 'superseded', [settings('a')], { labels: verified(1) }),
        revision(2, 'deployed', [settings('a'), definition]),
      ],
      live: [live(settings('a')), live(definition)],
      writes: [write('deleted', live(definition))],
      policy: { ...strict, allow: ['DeletesCustomResourceDefinition'] },
      ...(instances === undefined ? {} : { instances: new Map([['toys.example.com', instances]]) }),
      seal,
    });

  for (const [what, instances, words] of [
    [
      'are named',
      [toy('b'), toy('a')],
      /There are 2 objects now: Toy\/a in namespace shop, Toy\/b in namespace shop\.$/,
    ],
    ['are none', [], /There are none now\.$/],
    ['may not be read', 'unread', /The task could not read which objects of that kind exist\.$/],
  ] as const) {
    it(what, () => {
      assert.match(going(instances).findings[0]?.message ?? '', words);
    });
  }

  it('created since the plan change the digest and are named; the same for removed and recreated ones', () => {
    const before = going([toy('a')]);
    const differences = (instances: Instances): string[] => planDifferences(before, going(instances), new Date());
    assert.deepEqual(differences([toy('a')]), []);
    assert.deepEqual(differences([toy('a'), toy('late'), toy('later')]), [
      '2 objects that would be deleted with CustomResourceDefinition/toys.example.com were created since the plan: Toy/late in namespace shop, Toy/later in namespace shop.',
    ]);
    assert.match(
      differences([])[0] ?? '',
      /^1 object that would be deleted with .* was deleted since the plan: Toy\/a in namespace shop\.$/,
    );
    assert.equal(differences([toy('a', 'other')]).length, 1);
  });

  it('are read in a served version, as metadata only', () => {
    assert.deepEqual(instancesQuery(definition), { apiVersion: 'example.com/v1', kind: 'Toy', metadataOnly: true });
    assert.equal(instancesQuery(object('CustomResourceDefinition', 'x', { spec: { versions: [] } })), undefined);
  });
});

describe('the manager of a field', () => {
  const object_: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'web',
      labels: { 'example.com/tier': 'front' },
      managedFields: [
        {
          manager: 'helm',
          operation: 'Apply',
          time: '2026-08-20T01:00:00Z',
          fieldsV1: {
            'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"web"}': { 'f:image': {} } } } } },
          },
        },
        {
          manager: 'kubectl-edit',
          operation: 'Update',
          time: '2026-08-20T03:00:00Z',
          fieldsV1: {
            'f:metadata': { 'f:labels': { 'f:example.com/tier': {} } },
            'f:spec': {
              'f:paused': {},
              'f:template': {
                'f:spec': {
                  'f:containers': {
                    'k:{"name":"web"}': { 'f:env': { 'k:{"name":"MODE"}': { 'f:value': {} } } },
                  },
                },
              },
            },
          },
        },
        {
          manager: 'kube-controller-manager',
          subresource: 'status',
          operation: 'Update',
          time: '2026-08-20T09:00:00Z',
        },
      ] as KubeObject['metadata']['managedFields'] & object,
    },
    spec: {
      paused: true,
      template: { spec: { containers: [{ name: 'web', image: 'a', env: [{ name: 'MODE', value: 'x' }] }] } },
    },
  };
  for (const [field, words] of [
    ['spec.paused', 'by kubectl-edit at 2026-08-20T03:00:00Z'],
    ['metadata.labels["example.com/tier"]', 'by kubectl-edit at 2026-08-20T03:00:00Z'],
    ['spec.template.spec.containers[name=web].env[name=MODE].value', 'by kubectl-edit at 2026-08-20T03:00:00Z'],
    ['spec.template.spec.containers[web].image', 'by helm at 2026-08-20T01:00:00Z'],
    ['spec.template.spec.containers[name=web].image', 'by helm at 2026-08-20T01:00:00Z'],
    ['spec.gone', 'last written by kubectl-edit at 2026-08-20T03:00:00Z'],
    ['spec.template.spec.containers[name=gone].image', 'last written by kubectl-edit at 2026-08-20T03:00:00Z'],
  ] as const) {
    it(`${field}: ${words}`, () => {
      assert.equal(writerWords(object_, field), words);
    });
  }
});
