import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { isSameContent, planDigest } from '../../tasks/common/core/rollbackPlan/model/digest';
import { isSameDigest, planJson, readPlan } from '../../tasks/common/core/rollbackPlan/document/document';
import { planRollback } from '../../tasks/common/core/rollbackPlan/planRollback';
import { planDifferences } from '../../tasks/common/core/rollbackPlan/execution/differences';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
import {
  fatesOf,
  helm,
  hook,
  inputsOf,
  live,
  manifest,
  object,
  objectOf,
  plan,
  rehearsal,
  revision,
  sha256,
  strict,
  verified,
  web,
  write,
  type Scene,
} from '../support/rollbackScene';

const settings = (mode: string): KubeObject => object('ConfigMap', 'settings', { data: { mode } });
const extra = object('ConfigMap', 'extra', { data: { a: '1' } });
const missing = object('ConfigMap', 'missing', { data: { a: '1' } });
const quota = object('ResourceQuota', 'limits', { spec: { hard: { pods: '1' } } });
const claim = object('PersistentVolumeClaim', 'data');
const job = object('Job', 'once', { spec: { ttlSecondsAfterFinished: 60 } }, 'batch/v1');
const secret = (password: string): KubeObject =>
  object('Secret', 'login', { type: 'Opaque', data: { password: btoa(password) } });
const database = (image: string): KubeObject =>
  object(
    'StatefulSet',
    'db',
    { spec: { replicas: 2, template: { spec: { containers: [{ name: 'db', image }] } } } },
    'apps/v1',
  );
const autoscaler = object(
  'HorizontalPodAutoscaler',
  'web',
  { spec: { maxReplicas: 9, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } } },
  'autoscaling/v2',
);
const app = (image: string, replicas: number): KubeObject => web(image, { replicas });

const target = [app('app:1', 1), database('db:1'), settings('a'), secret('old'), autoscaler, missing, job];
const last = [app('app:2', 1), database('db:2'), settings('b'), secret('new'), autoscaler, extra, quota, claim, job];

interface World {
  now: Date;
  replicas: number;
  image: string;
  mode: string;
  password: string;
  noise: (one: KubeObject) => KubeObject;
  pods: readonly KubeObject[];
  isJobGone: boolean;
  isReversed: boolean;
  more: Scene;
  without: readonly string[];
  instead: readonly KubeObject[];
}

const quiet: World = {
  now: new Date('2026-08-20T12:00:00Z'),
  replicas: 4,
  image: 'app:2',
  mode: 'b',
  password: 'new',
  noise: (one) => one,
  pods: [],
  isJobGone: false,
  isReversed: false,
  more: {},
  without: [],
  instead: [],
};

/** The same release with a change in its surroundings. */
function planIn(change: Partial<World> = {}): ChangePlan {
  const world = { ...quiet, ...change };
  const { noise, replicas, image, mode, password } = world;
  const before = [
    live(app(image, replicas)),
    live(database('db:2')),
    live(settings(mode)),
    live(secret(password)),
    live(autoscaler),
    live(extra),
    live(quota),
    live(claim, { annotations: { 'helm.sh/resource-policy': 'keep' } }),
    ...(world.isJobGone ? [] : [live(job)]),
  ]
    .filter(({ metadata }) => !world.without.includes(metadata.name))
    .map(
      (one) =>
        world.instead.find(({ metadata, kind }) => metadata.name === one.metadata.name && kind === one.kind) ?? one,
    );
  // The API server answers a dry run with the present object and the patched fields.
  const after = (one: KubeObject): KubeObject => noise(live(one));
  const writes = [
    write('changed', after(app('app:1', 1))),
    write('changed', after(database('db:1'))),
    write('changed', after(settings('a'))),
    write('changed', after(secret('old'))),
    write('created', after(missing)),
    ...(world.isJobGone ? [write('created', after(job))] : []),
    write('deleted', live(extra)),
    write('deleted', live(quota)),
  ];
  const history = [
    revision(1, 'superseded', target, { labels: verified(1), hooks: [hook('Job', 'drain', ['pre-rollback'])] }),
    revision(2, 'deployed', last),
  ];
  return plan({
    history,
    live: world.isReversed ? before.map(noise).toReversed() : before.map(noise),
    writes: world.isReversed ? [...writes.slice(0, -2).toReversed(), ...writes.slice(-2)] : writes,
    pods: world.pods,
    now: world.now,
    ...world.more,
  });
}

const base = planIn();

function expectSame(made: ChangePlan): void {
  const differences = planDifferences(base, made, made.createdAt === '' ? new Date(0) : new Date(made.createdAt));
  assert.ok(isSameContent(base, made), differences.join('\n'));
  assert.equal(made.digest === base.digest, made.createdAt === base.createdAt, 'The digest is of the time, too.');
  assert.deepEqual(planDifferences(base, made, new Date(made.createdAt)), []);
}

describe('the content of a plan stays the same', () => {
  it('for a plan with every kind of change', () => {
    assert.deepEqual(fatesOf(base), {
      'Deployment/web': 'patched',
      'StatefulSet/db': 'patched',
      'ConfigMap/settings': 'patched',
      'Secret/login': 'patched',
      'HorizontalPodAutoscaler/web': 'kept',
      'ConfigMap/missing': 'created',
      'Job/once': 'kept',
      'ConfigMap/extra': 'deleted',
      'ResourceQuota/limits': 'deleted',
      'PersistentVolumeClaim/data': 'keptByPolicy',
    });
    assert.match(base.digest, /^sha256:[0-9a-f]{64}$/);
  });

  const text = fc.string({ minLength: 1, maxLength: 12 });
  const noise = fc.record({
    resourceVersion: text,
    generation: fc.nat(),
    status: fc.dictionary(text, fc.oneof(text, fc.nat())),
    revision: fc.nat(),
    time: fc.date({ noInvalidDate: true, min: new Date('2020-01-01'), max: new Date('2040-01-01') }),
  });

  it('when fields change by themselves: status, resourceVersion, generation, managedFields, bookkeeping, time', () => {
    fc.assert(
      fc.property(
        noise,
        fc.integer({ min: 1, max: 50 }),
        fc.boolean(),
        ({ time, revision: count, status, ...metadata }, replicas, isReversed) => {
          const noisy = (one: KubeObject): KubeObject => ({
            ...one,
            status: { ...status, observedGeneration: metadata.generation },
            metadata: {
              ...one.metadata,
              ...metadata,
              creationTimestamp: time.toISOString(),
              managedFields: [{ manager: 'kube-controller-manager', operation: 'Update', time: time.toISOString() }],
              annotations: {
                ...one.metadata.annotations,
                'deployment.kubernetes.io/revision': String(count),
                'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(status),
                'autoscaling.alpha.kubernetes.io/current-metrics': String(count),
              },
            },
          });
          expectSame(planIn({ noise: noisy, now: time, replicas, isReversed }));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('while a crash-looping StatefulSet gets stuck pods, which the plan still mentions', () => {
    const pod: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'db-0',
        namespace: 'shop',
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-StatefulSet-db' }],
      },
      status: { conditions: [{ type: 'Ready', status: 'False' }] },
    };
    const made = planIn({ pods: [pod] });
    expectSame(made);
    assert.deepEqual(made.trappedPods, ['db-0']);
  });

  it('when a Job is gone because its time was over', () => {
    expectSame(planIn({ isJobGone: true }));
  });

  it('when the certificate authority that a controller inserts is renewed', () => {
    const webhook = (caBundle: string): KubeObject =>
      object(
        'ValidatingWebhookConfiguration',
        'check',
        { webhooks: [{ name: 'a', clientConfig: { caBundle } }] },
        'admissionregistration.k8s.io/v1',
      );
    const digest = (caBundle: string): string =>
      plan({
        history: [
          revision(1, 'superseded', [webhook('')], { labels: verified(1) }),
          revision(2, 'deployed', [webhook('')]),
        ],
        live: [live(webhook(caBundle))],
        writes: [write('changed', live(webhook('')))],
      }).digest;
    assert.equal(digest('one'), digest('two'));
  });

  it('when a Secret value that is overwritten anyway is rotated again', () => {
    const first = planIn({ password: 'rotated' });
    assert.equal(first.digest, planIn({ password: 'rotated again' }).digest);
    assert.notEqual(first.digest, base.digest);
  });

  const changedBetween = (before: KubeObject, after: KubeObject): ChangePlan =>
    plan({
      history: [
        revision(1, 'superseded', [settings('a'), app('app:1', 1)], { labels: verified(1) }),
        revision(2, 'deployed', [settings('a'), app('app:2', 1)]),
      ],
      live: [before, live(app('app:2', 1))],
      writes: [write('changed', after), write('changed', live(app('app:1', 1)))],
    });

  it('when a controller writes an annotation between the read and the rehearsal', () => {
    const at = (time: string): KubeObject => live(settings('a'), { annotations: { 'example.com/heartbeat': time } });
    const made = changedBetween(at('12:00:00'), at('12:00:01'));
    assert.equal(fatesOf(made)['ConfigMap/settings'], 'kept');
    assert.equal(made.digest, changedBetween(live(settings('a')), at('12:00:02')).digest);
    assert.equal(made.digest, changedBetween(live(settings('a')), live(settings('a'))).digest);
  });

  it('when a controller writes an undeclared field between the read and the rehearsal', () => {
    const service = (port: number): KubeObject => object('Service', 'web', { spec: { ports: [{ port }] } });
    const digest = (health: number): string =>
      plan({
        history: [
          revision(1, 'superseded', [service(80)], { labels: verified(1) }),
          revision(2, 'deployed', [service(81)]),
        ],
        live: [live({ ...service(81), spec: { ports: [{ port: 81 }], healthCheckNodePort: health } })],
        writes: [write('changed', live({ ...service(80), spec: { ports: [{ port: 80 }], healthCheckNodePort: 7 } }))],
      }).digest;
    assert.equal(digest(1), digest(2));
  });

  it('when somebody restarts the pods with kubectl rollout restart', () => {
    const digest = (restartedAt?: string): string => {
      const restarted = (image: string): KubeObject => {
        const one = app(image, 1);
        if (restartedAt === undefined) return live(one);
        const { template, ...spec } = one['spec'] as { template: { metadata: object } };
        const annotations = { 'kubectl.kubernetes.io/restartedAt': restartedAt };
        return live({
          ...one,
          spec: { ...spec, template: { ...template, metadata: { ...template.metadata, annotations } } },
        });
      };
      return plan({
        history: [
          revision(1, 'superseded', [app('app:1', 1)], { labels: verified(1) }),
          revision(2, 'deployed', [app('app:2', 1)]),
        ],
        live: [restarted('app:2')],
        writes: [write('changed', restarted('app:1'))],
      }).digest;
    };
    assert.equal(digest('2026-08-20T11:00:00Z'), digest());
    assert.equal(digest('2026-08-20T11:00:00Z'), digest('2026-08-20T12:00:00Z'));
  });

  it('when a workload with undeclared replicas is scaled', () => {
    const digest = (replicas: number): string => {
      const scaled = live(web('app:2', { replicas }));
      return plan({
        history: [
          revision(1, 'superseded', [web('app:1')], { labels: verified(1) }),
          revision(2, 'deployed', [web('app:2')]),
        ],
        live: [scaled],
        writes: [write('changed', live(web('app:1', { replicas })))],
      }).digest;
    };
    assert.equal(digest(3), digest(8));
  });

  it('when pods may be deleted now and nothing in the plan concerns pods', () => {
    const digest = (allowPodDelete: boolean): string =>
      plan({
        history: [revision(1, 'superseded', [extra], { labels: verified(1) }), revision(2, 'deployed', [extra])],
        live: [live(extra)],
        policy: { ...strict, allowPodDelete },
      }).digest;
    assert.equal(digest(true), digest(false));
  });

  it('when a person names the same target in another way', () => {
    expectSame(planIn({ more: { toRevision: 1 } }));
    expectSame(planIn({ more: { toRevision: 'previous' } }));
  });
});

describe('the digest of a plan changes', () => {
  const third = revision(3, 'deployed', last, { lastDeployed: '2026-08-20T11:56:00Z' });
  const history = [
    revision(1, 'superseded', target, { labels: verified(1), hooks: [hook('Job', 'drain', ['pre-rollback'])] }),
    revision(2, 'deployed', last),
  ];
  const [first = third, second = third] = history;
  const altered = (objects: readonly KubeObject[]): Scene => ({
    history: [{ ...first, manifest: manifest(...objects) }, second],
  });
  const cases: readonly [string, Partial<World>, RegExp][] = [
    [
      'another run deployed',
      { more: { history: [first, { ...second, status: 'superseded' }, third], deployedBy: { 3: 'run 20260820.3' } } },
      /^Revision 3 was deployed 4 min ago by run 20260820\.3 from web 1\.3\.0\.$/,
    ],
    [
      'another run is deploying',
      { more: { history: [...history, { ...third, status: 'pending-upgrade' }] } },
      /^Revision 3 was deployed 4 min ago .*\(pending-upgrade\)\.$/,
    ],
    [
      'the present revision was removed from the history',
      { more: { history: [first, { ...second, revision: 3 }] } },
      /Revision 3 was deployed/,
    ],
    [
      'the target was judged unhealthy meanwhile',
      {
        more: {
          history: [{ ...first, labels: { 'helm-safe-deploy/unhealthy': '1' } }, second],
          toRevision: 1,
          policy: { ...strict, allowUnverifiedTarget: true },
        },
      },
      /was verified and is unhealthy/,
    ],
    [
      "the target's record was altered",
      { more: altered([app('evil:1', 1), ...target.slice(1)]) },
      /Deployment\/web was changed since the plan/,
    ],
    [
      "an object was added to the target's record",
      { more: altered([...target, object('ConfigMap', 'new')]) },
      /ConfigMap\/new would be created now, and was not in the plan/,
    ],
    [
      "a hook of the target's record was altered",
      {
        more: {
          history: [
            { ...first, hooks: [hook('Job', 'drain', ['pre-rollback'], 'Succeeded', { spec: { x: 1 } })] },
            second,
          ],
        },
      },
      /hook Job\/drain \(pre-rollback\) has changed/,
    ],
    [
      'a hook was added',
      { more: { history: [{ ...first, hooks: [...first.hooks, hook('Job', 'new', ['post-rollback'])] }, second] } },
      /hook Job\/new \(post-rollback\) runs now/,
    ],
    [
      'an image was changed by hand',
      { image: 'app:hotfix' },
      /Deployment\/web was changed since the plan: spec\.template\.spec\.containers\[name=web\]\.image is "app:hotfix"/,
    ],
    [
      'a ConfigMap was changed by hand',
      { mode: 'c' },
      /ConfigMap\/settings was changed since the plan: data\.mode is "c"/,
    ],
    ['a Secret was changed by hand', { password: 'third' }, /Secret\/login was changed since the plan/],
    [
      'a Secret was changed to the value of the target',
      { password: 'old' },
      /Secret\/login was to be patched, and would be kept now/,
    ],
    [
      'a StatefulSet was scaled by hand',
      { instead: [live({ ...database('db:2'), spec: { ...(database('db:2')['spec'] as object), replicas: 5 } })] },
      /StatefulSet\/db was changed since the plan: spec\.replicas is 5/,
    ],
    [
      'an object of the target was deleted by hand',
      { without: ['settings'] },
      /ConfigMap\/settings was to be patched, and would be created now/,
    ],
    [
      'an object to delete was deleted and created again',
      { instead: [live(extra, { uid: 'another' })] },
      /ConfigMap\/extra was deleted and created again/,
    ],
    [
      'an object was taken by another release',
      { instead: [live(settings('b'), { owner: 'other' })] },
      /ConfigMap\/settings was to be patched, and would be taken over now/,
    ],
    [
      'an object to delete belongs to another release now',
      { instead: [live(extra, { owner: 'other' })] },
      /ConfigMap\/extra belongs to release other/,
    ],
    [
      'a claim may be deleted now',
      { instead: [live(claim)], more: { writes: undefined as never } },
      /PersistentVolumeClaim\/data was to be kept by its policy/,
    ],
    [
      'Helm has another version',
      { more: { helm: helm('v4.1.4') } },
      /made with Helm v3\.17\.3, this step has v4\.1\.4/,
    ],
    [
      'Helm is not a known release',
      { more: { helm: { ...helm(), from: 'unknown', problem: 'x' }, policy: { ...strict, allowUnknownHelm: true } } },
      /provenance of Helm was release and is unknown/,
    ],
    ['maxDeletions is lower now', { more: { policy: { ...strict, maxDeletions: 1 } } }, /New refusal TooManyDeletions/],
    [
      'pods may be deleted',
      { more: { policy: { ...strict, allowPodDelete: true } } },
      /allowPodDelete was false in the plan and is true now/,
    ],
    [
      'it is another release',
      { more: { release: 'web2' } },
      /The plan is for release web in namespace shop, this step for release web2/,
    ],
  ];
  for (const [incident, world, words] of cases) {
    it(`when ${incident}`, () => {
      const { more, ...rest } = world;
      const { writes: _, ...scene } = more ?? {};
      const made = planIn({ ...rest, more: scene });
      assert.notEqual(made.digest, base.digest);
      const told = planDifferences(base, made, new Date('2026-08-20T12:00:00Z'));
      assert.ok(
        told.some((sentence) => words.test(sentence)),
        told.join('\n'),
      );
    });
  }

  it('for another namespace or release with the same objects', () => {
    const { subject } = base;
    assert.ok(subject.kind === 'release');
    for (const other of [
      { ...subject, namespace: 'other' },
      { ...subject, release: 'other' },
    ]) {
      assert.notEqual(planDigest({ ...base, subject: other }, sha256), base.digest);
    }
  });

  it('when several runs deployed, and each of them is reported', () => {
    const fourth = revision(4, 'deployed', last, { lastDeployed: '2026-08-20T11:59:00Z' });
    const made = planIn({ more: { history: [...history, { ...third, status: 'superseded' }, fourth] } });
    const told = planDifferences(base, made, new Date('2026-08-20T12:00:00Z'));
    assert.match(told[0] ?? '', /^Revision 4 was deployed 1 min ago/);
    assert.match(told[1] ?? '', /^Revision 3 was deployed 4 min ago/);
  });

  it('when the rehearsal does something else', () => {
    const failing = rehearsal([], { outcome: 'failed', message: 'no' });
    const made = planIn({ more: { rehearsal: failing } });
    assert.ok(
      planDifferences(base, made, new Date()).some((one) => /The rehearsal was completed, and is failed now/.test(one)),
    );
  });

  it('when a manual addition to a pod would survive the rollback', () => {
    const withEnv = (one: KubeObject): KubeObject => {
      if (one.kind !== 'StatefulSet') return one;
      const spec = structuredClone(one['spec']) as { template: { spec: { containers: [{ env?: unknown }] } } };
      spec.template.spec.containers[0].env = [{ name: 'DEBUG', value: '1' }];
      return { ...one, spec };
    };
    const made = planIn({ noise: withEnv });
    assert.notEqual(made.digest, base.digest);
  });

  it('together with the text: one digest has one text, another digest has another', () => {
    for (const image of ['app:2', 'app:3']) {
      for (const mode of ['b', 'c']) {
        for (const without of [[], ['settings'], ['extra']]) {
          const made = planIn({ image, mode, without });
          assert.equal(planDifferences(base, made, new Date(0)).length === 0, made.digest === base.digest);
        }
      }
    }
  });
});

describe('no value of a Secret is in a plan', () => {
  const secretText = fc
    .stringMatching(/^[a-z0-9"\\/ _-]{8,40}$/)
    .filter((text) => text.trim().length >= 8 && /[a-z]{2}.*\d|\d.*[a-z]{2}/.test(text));

  it('wherever the chart put it, in clear or in base64', () => {
    fc.assert(
      fc.property(secretText, secretText, fc.boolean(), fc.boolean(), (one, other, isPlain, isLeaky) => {
        const made = (value: string): KubeObject =>
          object(
            'Secret',
            'login',
            isPlain ? { stringData: { value } } : { type: 'Opaque', data: { value: btoa(value) } },
          );
        const leak = (value: string): KubeObject => settings(isLeaky ? value : 'x');
        const stored = (value: string): KubeObject =>
          live(object('Secret', 'login', { type: 'Opaque', data: { value: btoa(value) } }));
        const text = JSON.stringify(
          plan({
            history: [
              revision(1, 'superseded', [made(one), leak(one)], { labels: verified(1) }),
              revision(2, 'failed', [made(other), leak(other)], {
                description: `Upgrade "web" failed: ${isLeaky ? other : ''}`,
              }),
            ],
            live: [stored(other), live(leak(other))],
            writes: [write('changed', stored(one)), write('changed', live(leak(one)))],
          }),
        );
        for (const value of [one, other]) {
          const inJson = JSON.stringify(value.trim()).slice(1, -1);
          assert.ok(!text.includes(inJson), `${value} in ${text}`);
          assert.ok(!text.includes(btoa(value)));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('a kept plan', () => {
  const text = planJson(base);

  it('is read as it was written', () => {
    assert.deepEqual(readPlan(text, base.digest, sha256), { plan: base, isTimeProven: true });
  });

  it('has the same digest with and without its prefix, in any case', () => {
    assert.ok(isSameDigest(base.digest, ` ${base.digest.slice(7).toUpperCase()}\n`));
    assert.ok(!isSameDigest('', ''));
    assert.ok(!isSameDigest(base.digest, `${base.digest.slice(0, -1)}x`));
  });

  for (const [incident, change, words] of [
    ['is cut', (plain: string) => plain.slice(0, 200), /it is not a JSON object/],
    [
      'has a later schema version',
      (plain: string) => plain.replace('"schemaVersion": 1', '"schemaVersion": 2'),
      /schemaVersion is 2/,
    ],
    [
      'has a fate that does not exist',
      (plain: string) => plain.replace('"fate": "deleted"', '"fate": "lost"'),
      /this task did not write it/,
    ],
    [
      'was changed by somebody: less is deleted',
      (plain: string) => plain.replace('"fate": "deleted"', '"fate": "kept"'),
      /it was changed/,
    ],
    [
      'was changed by somebody: nothing is refused',
      (plain: string) => plain.replace('"JobMayRunAgain"', '"Orphaned"'),
      /it was changed/,
    ],
    [
      'has a number in the place of a difference',
      (plain: string) => plain.replace(/"diff": \[\]/, '"diff": 5'),
      /this task did not write it/,
    ],
    [
      'was changed by somebody: it was made before an old approval',
      (plain: string) => plain.replace('"createdAt": "2026-08-20T12', '"createdAt": "2026-08-20T09'),
      /it was changed/,
    ],
    ['has another digest', (plain: string) => plain, /its digest is sha256:/],
  ] as const) {
    it(`is refused if it ${incident}`, () => {
      const expected = incident === 'has another digest' ? sha256('another') : base.digest;
      const read = readPlan(change(text), expected, sha256);
      assert.match('problem' in read ? read.problem : '', words);
    });
  }

  it('never makes its reader throw, whatever stands in its place', () => {
    fc.assert(
      fc.property(
        fc.json(),
        fc.constantFrom('subject', 'objects', 'hooks', 'findings', 'target', 'helm', 'passed'),
        (value, field) => {
          readPlan(value, base.digest, sha256);
          readPlan(JSON.stringify({ ...base, [field]: JSON.parse(value) as unknown }), base.digest, sha256);
        },
      ),
    );
  });

  it('has a digest of its own content', () => {
    assert.equal(planDigest(base, sha256), base.digest);
    assert.ok(planRollback(inputsOf({ history: [] })).digest !== base.digest);
    assert.equal(objectOf(base, 'ConfigMap/extra').uid, 'uid-ConfigMap-extra');
  });
});
