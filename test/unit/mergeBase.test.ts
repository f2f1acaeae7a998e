import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isRecord } from '../../tasks/common/core/kubernetes/json';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { manifestKey, manifestObjects, refOf } from '../../tasks/common/core/kubernetes/manifest';
import { keepReason, leftovers, mergeBase, newcomers, otherOwner } from '../../tasks/common/core/release/mergeBase';

const none: ReadonlySet<string> = new Set();

const manifest = (...objects: unknown[]): string => objects.map((one) => `---\n${JSON.stringify(one)}\n`).join('');

const object = (kind: string, name: string, more: object = {}, apiVersion = 'v1'): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name },
  ...more,
});

const deployment = (podSpec: object, more: object = {}): KubeObject =>
  object('Deployment', 'web', { spec: { template: { spec: podSpec } }, ...more }, 'apps/v1');

function podSpecOf(base: string): Record<string, unknown> {
  const [only] = manifestObjects(base);
  const spec = only?.['spec'] as { template?: { spec?: Record<string, unknown> } } | undefined;
  return spec?.template?.spec ?? {};
}

describe('the merge base for Helm', () => {
  const good = deployment({ containers: [{ name: 'web', image: 'a', env: [{ name: 'A', value: '1' }] }] });
  const rest = (...chain: KubeObject[]): Record<string, unknown> =>
    podSpecOf(
      mergeBase(
        chain.map((one) => manifest(one)),
        manifest(good),
        'shop',
        none,
      ),
    );

  for (const [incident, broken, expected] of [
    ['a node selector', { nodeSelector: { none: 'z' } }, { nodeSelector: { none: 'z' } }],
    ['a toleration', { tolerations: [{ operator: 'Exists' }] }, { tolerations: [{ operator: 'Exists' }] }],
    ['a scheduling gate', { schedulingGates: [{ name: 'x' }] }, { schedulingGates: [{ name: 'x' }] }],
    [
      'a container beside the good one',
      {
        containers: [
          { name: 'web', image: 'b' },
          { name: 'side', image: 'c' },
        ],
      },
      { containers: [{ name: 'side', image: 'c' }] },
    ],
    [
      'a variable beside the good one',
      {
        containers: [
          {
            name: 'web',
            env: [
              { name: 'A', value: '2' },
              { name: 'B', value: '1' },
            ],
          },
        ],
      },
      { containers: [{ name: 'web', env: [{ name: 'B', value: '1' }] }] },
    ],
    [
      'a probe on the good container',
      { containers: [{ name: 'web', readinessProbe: { tcpSocket: { port: 1 } } }] },
      { containers: [{ name: 'web', readinessProbe: { tcpSocket: { port: 1 } } }] },
    ],
    ['only other values: nothing is to go', { containers: [{ name: 'web', image: 'b' }] }, {}],
  ] as const) {
    it(`has what only the broken revision had: ${incident}`, () => {
      assert.deepEqual(rest(good, deployment(broken)), expected);
    });
  }

  it('has what an older broken revision had and the last one leaves out', () => {
    const first = deployment({ nodeSelector: { none: 'z' }, hostNetwork: true });
    assert.deepEqual(rest(good, first, deployment({})), { nodeSelector: { none: 'z' }, hostNetwork: true });
  });

  it('has what an older broken revision had when a template of the last one rendered nothing', () => {
    const first = deployment({
      nodeSelector: { none: 'z' },
      containers: [{ name: 'web', env: [{ name: 'B', value: '1' }] }],
    });
    const second = deployment({ nodeSelector: null, containers: [{ name: 'web', env: null }] });
    assert.deepEqual(rest(good, first, second), {
      nodeSelector: { none: 'z' },
      containers: [{ name: 'web', env: [{ name: 'B', value: '1' }] }],
    });
  });

  it('has the variables of every broken revision, each once', () => {
    const withEnv = (...env: string[]): KubeObject =>
      deployment({ containers: [{ name: 'web', env: env.map((name) => ({ name, value: name })) }] });
    assert.deepEqual(rest(good, withEnv('B', 'C'), withEnv('C', 'D')), {
      containers: [{ name: 'web', env: ['B', 'C', 'D'].map((name) => ({ name, value: name })) }],
    });
  });

  it('does not cause the deletion of a port number that UDP uses too', () => {
    const service = (...protocols: string[]): KubeObject =>
      object('Service', 'dns', { spec: { ports: protocols.map((protocol) => ({ port: 53, protocol })) } });
    const base = mergeBase(
      [manifest(service('TCP')), manifest(service('TCP', 'UDP'))],
      manifest(service('TCP')),
      'shop',
      none,
    );
    assert.deepEqual(manifestObjects(base)[0]?.['spec'], undefined);
  });

  it('does not name finalizers that the desired object has too', () => {
    const withFinalizers = (...finalizers: string[]): KubeObject =>
      object('ConfigMap', 'a', { metadata: { name: 'a', finalizers } });
    const base = mergeBase([manifest(withFinalizers('x', 'y'))], manifest(withFinalizers('x')), 'shop', none);
    assert.deepEqual(manifestObjects(base)[0]?.metadata['finalizers'], ['y']);
  });

  it('has fields with names that every JavaScript object has', () => {
    const data = JSON.parse('{"constructor":"x","toString":"y","__proto__":"z","hasOwnProperty":"q"}') as object;
    const base = mergeBase(
      [
        manifest(object('ConfigMap', 'a')),
        manifest(object('ConfigMap', 'a', { data: { ...data } })),
        manifest(object('ConfigMap', 'a', { data: { b: '1' } })),
      ],
      manifest(object('ConfigMap', 'a', { data: { c: '1' } })),
      'shop',
      none,
    );
    const found = manifestObjects(base)[0]?.['data'] as Record<string, unknown>;
    assert.deepEqual(Object.keys(found).sort(), ['__proto__', 'b', 'constructor', 'hasOwnProperty', 'toString']);
  });

  for (const [kind, apiVersion] of [
    ['Rocket', 'example.com/v1'],
    ['CustomResourceDefinition', 'apiextensions.k8s.io/v1'],
    ['APIService', 'apiregistration.k8s.io/v1'],
    ['DeviceClass', 'resource.k8s.io/v1'],
  ] as const) {
    it(`has no desired field of a ${kind}, because Helm would not send that field`, () => {
      const rocket = (spec: object): string => manifest(object(kind, 'a', { spec }, apiVersion));
      const base = mergeBase(
        [
          rocket({ a: 1, list: [1] }),
          rocket({ a: 2, list: [1, 2], extra: { b: 1 } }),
          rocket({ a: 1, list: [1], deep: { c: 1, d: 1 } }),
        ],
        rocket({ a: 1, list: [1], deep: { c: 1 } }),
        'shop',
        none,
      );
      assert.deepEqual(manifestObjects(base)[0]?.['spec'], { extra: { b: 1 }, deep: { d: 1 } });
    });
  }

  it('names an object as the desired manifest does: by API version and spelling of the namespace', () => {
    const autoscaler = (apiVersion: string, namespace?: string): KubeObject => ({
      apiVersion,
      kind: 'HorizontalPodAutoscaler',
      metadata: namespace === undefined ? { name: 'a' } : { name: 'a', namespace },
    });
    const older = manifest(autoscaler('autoscaling/v2', 'shop'));
    const [bare] = manifestObjects(mergeBase([older], manifest(autoscaler('autoscaling/v1')), 'shop', none));
    assert.deepEqual(bare, autoscaler('autoscaling/v1'));
    const [named] = manifestObjects(
      mergeBase([manifest(autoscaler('autoscaling/v2'))], manifest(autoscaler('autoscaling/v1', 'shop')), 'shop', none),
    );
    assert.deepEqual(named, autoscaler('autoscaling/v1', 'shop'));
  });

  it('has no object that earlier revisions lack, so Helm itself checks the ownership', () => {
    const base = mergeBase([manifest(good)], manifest(good, object('ConfigMap', 'new')), 'shop', none);
    assert.deepEqual(
      manifestObjects(base).map(({ metadata }) => metadata.name),
      ['web'],
    );
  });

  it('has nothing of the spared objects, desired or not', () => {
    const claim = object('PersistentVolumeClaim', 'data');
    const config = object('ConfigMap', 'foreign');
    const spared = new Set([claim, config].map((one) => manifestKey(one, 'shop')));
    const base = mergeBase([manifest(good, claim, config)], manifest(good, config), 'shop', spared);
    assert.deepEqual(
      manifestObjects(base).map(({ kind }) => kind),
      ['Deployment'],
    );
  });

  it('has only name and keep policy of an object that is removed, because a record has little room', () => {
    const policy = { 'helm.sh/resource-policy': 'keep' };
    const large = object('ConfigMap', 'a', {
      metadata: { name: 'a', namespace: 'other', labels: { l: 'x' }, annotations: { ...policy, note: 'x' } },
      data: { blob: 'x'.repeat(1000) },
    });
    const base = mergeBase([manifest(large, object('Secret', 'b', { data: { k: 'x' } }))], '', 'shop', none);
    assert.deepEqual(manifestObjects(base), [
      object('ConfigMap', 'a', { metadata: { name: 'a', namespace: 'other', annotations: policy } }),
      object('Secret', 'b'),
    ]);
  });

  it('has only the field of a long text that is removed', () => {
    const before = object('ConfigMap', 'a', { data: { old: 'x'.repeat(201), short: 'x'.repeat(200), both: '1' } });
    const base = mergeBase(
      [manifest(before)],
      manifest(object('ConfigMap', 'a', { data: { both: '2' } })),
      'shop',
      none,
    );
    assert.deepEqual(manifestObjects(base)[0]?.['data'], { old: '', short: 'x'.repeat(200) });
  });

  it('is empty when there is nothing to merge from', () => {
    assert.equal(mergeBase([], manifest(good), 'shop', none), '');
    assert.equal(mergeBase(['', '---\n# nothing\n'], '', 'shop', none), '');
  });

  it('writes texts so that no reader takes them for a number, a boolean or another line', () => {
    const texts = [
      'yes',
      '0o14',
      '1e3',
      '1:30',
      '2001-01-01',
      '~',
      '',
      ' ',
      '---',
      '---\nkind: X',
      '\u2028a\u0085',
      '\u007f',
      '\ufeff',
      '"',
      '\\',
      '{{ x }}',
      '# x',
      '\t',
      'a\r\nb',
      '😀',
    ];
    const data = Object.fromEntries(texts.map((text, at) => [`k${at}`, text]));
    const base = mergeBase(
      [manifest(object('ConfigMap', 'a', { data }))],
      manifest(object('ConfigMap', 'a')),
      'shop',
      none,
    );
    assert.deepEqual(manifestObjects(base)[0]?.['data'], data);
    // go-yaml refuses or folds these characters when they are not escaped.
    assert.doesNotMatch(base, /[\u007f-\u009f\u2028\u2029\ufeff]/);
  });
});

describe('the leftovers of an earlier revision', () => {
  const configMap = (name: string, more: object = {}): KubeObject => object('ConfigMap', name, more);

  it('are what the desired manifest lacks, with a flag that shows if the good revision had it', () => {
    const found = leftovers(
      [manifest(configMap('kept'), configMap('dropped')), manifest(configMap('kept'), configMap('bad'))],
      manifest(configMap('kept'), configMap('dropped')),
      manifest(configMap('kept')),
      'shop',
    );
    assert.deepEqual(
      found.map(({ object: one, wasGood }) => [one.metadata.name, wasGood]),
      [
        ['dropped', true],
        ['bad', false],
      ],
    );
  });

  it('are listed once, in the form of the last revision', () => {
    const found = leftovers(
      [manifest(configMap('a', { v: 1 })), manifest(configMap('a', { v: 2 }))],
      undefined,
      '',
      'shop',
    );
    assert.deepEqual(
      found.map((one) => [one.object['v'], one.wasGood]),
      [[2, false]],
    );
  });

  it('do not include objects that only moved to another API version or named their namespace', () => {
    const older = manifest(object('HorizontalPodAutoscaler', 'a', {}, 'autoscaling/v2'));
    const wanted = manifest({
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'a', namespace: 'shop' },
    });
    assert.deepEqual(leftovers([older], older, wanted, 'shop'), []);
  });

  it('newcomers are objects of a broken and of the desired revision that the good one lacks', () => {
    const found = newcomers(
      [manifest(configMap('a')), manifest(configMap('a'), configMap('b'), configMap('c'))],
      manifest(configMap('a')),
      manifest(configMap('a'), configMap('b'), configMap('d')),
      'shop',
    );
    assert.deepEqual(
      found.map(({ key }) => key),
      ['/ConfigMap/shop/b'],
    );
  });
});

describe('objects that stay although they are not desired', () => {
  const release = { name: 'web', namespace: 'shop' };
  const ours = { 'meta.helm.sh/release-name': 'web', 'meta.helm.sh/release-namespace': 'shop' };
  const live = (kind: string, apiVersion: string, annotations: object = ours, more: object = {}): KubeObject =>
    object(kind, 'a', { metadata: { name: 'a', annotations, ...more } }, apiVersion);
  const reason = (one: KubeObject, wasGood = false): string => keepReason(refOf(one), one, release, wasGood) ?? 'goes';

  for (const [kind, apiVersion, expected] of [
    ['ConfigMap', 'v1', /^goes$/],
    ['Deployment', 'apps/v1', /^goes$/],
    ['ClusterRole', 'rbac.authorization.k8s.io/v1', /^goes$/],
    ['StorageClass', 'storage.k8s.io/v1', /^goes$/],
    ['ReferenceGrant', 'gateway.networking.k8s.io/v1', /custom resource/],
    ['VolumeSnapshot', 'snapshot.storage.k8s.io/v1', /custom resource/],
    ['Rocket', 'example.com/v1', /custom resource/],
    ['PersistentVolumeClaim', 'v1', /data/],
    ['PersistentVolume', 'v1', /data/],
    ['Namespace', 'v1', /data/],
    ['CustomResourceDefinition', 'apiextensions.k8s.io/v1', /data/],
    ['CustomResourceDefinition', 'apiextensions.k8s.io/v1beta1', /data/],
  ] as const) {
    it(`a ${kind} that only a broken revision had: ${String(expected)}`, () => {
      assert.match(reason(live(kind, apiVersion)), expected);
    });
  }

  it('a claim of the good revision is removed if the chart drops it', () => {
    assert.equal(reason(live('PersistentVolumeClaim', 'v1'), true), 'goes');
  });

  it('an object with a keep policy stays, in any spelling and from any revision', () => {
    for (const policy of ['keep', ' Keep ']) {
      const one = live('ConfigMap', 'v1', { ...ours, 'helm.sh/resource-policy': policy });
      assert.match(reason(one), /keep/);
      assert.match(reason(one, true), /keep/);
    }
    assert.equal(reason(live('ConfigMap', 'v1', { ...ours, 'helm.sh/resource-policy': 'delete' })), 'goes');
  });

  it('an object that another release owns now stays', () => {
    const other = live('ConfigMap', 'v1', { ...ours, 'meta.helm.sh/release-name': 'other' });
    assert.match(reason(other), /release other in namespace shop/);
    assert.match(reason(other, true), /release other in namespace shop/);
    const sameName = live('ConfigMap', 'v1', { ...ours, 'meta.helm.sh/release-namespace': 'second' });
    assert.match(reason(sameName), /release web in namespace second/);
  });

  it('an object that somebody created before the broken revision stays', () => {
    assert.match(reason(live('ConfigMap', 'v1', {})), /no Helm release/);
    assert.match(reason(object('ConfigMap', 'a')), /no Helm release/);
    assert.equal(reason(live('ConfigMap', 'v1', {}), true), 'goes');
  });

  it('an object that a controller has taken over stays', () => {
    const owner = { apiVersion: 'example.com/v1', kind: 'Rocket', name: 'r', uid: '1' };
    const taken = live('ConfigMap', 'v1', ours, { ownerReferences: [{ ...owner, controller: true }] });
    assert.match(reason(taken), /Rocket\/r/);
    assert.equal(reason(live('ConfigMap', 'v1', ours, { ownerReferences: [owner] })), 'goes');
  });

  it('an object belongs to the release only with both annotations', () => {
    assert.equal(otherOwner(live('ConfigMap', 'v1'), release), undefined);
    assert.equal(otherOwner(live('ConfigMap', 'v1', { 'meta.helm.sh/release-name': 'web' }), release), undefined);
    assert.equal(otherOwner(live('ConfigMap', 'v1', {}), release), 'no Helm release');
  });
});

describe('for any revisions', () => {
  const kinds: readonly (readonly [string, readonly string[]])[] = [
    ['Deployment', ['apps/v1']],
    ['HorizontalPodAutoscaler', ['autoscaling/v1', 'autoscaling/v2']],
    ['ConfigMap', ['v1']],
    ['Rocket', ['example.com/v1', 'example.com/v2']],
  ];
  const field = fc.constantFrom(
    'a',
    'b',
    'containers',
    'env',
    'ports',
    'finalizers',
    'nodeSelector',
    'constructor',
    '__proto__',
  );
  const item = fc.record(
    { name: fc.constantFrom('x', 'y', 'z'), containerPort: fc.constantFrom(1, 2), v: fc.constantFrom(1, 'yes', null) },
    { requiredKeys: [] },
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<unknown>(1, 2, 'yes', '0o7', '', null, true),
      fc.array(item, { maxLength: 3 }),
      fc.array(fc.constantFrom('p', 'q'), { maxLength: 3 }),
      fc.dictionary(field, tie('value'), { maxKeys: 3 }),
    ),
  }));
  const anyObject = fc
    .tuple(
      fc.constantFrom(...kinds),
      fc.nat(),
      fc.constantFrom('one', 'two'),
      fc.constantFrom(undefined, 'shop', 'other'),
      fc.dictionary(field, value, { maxKeys: 3 }),
    )
    .map(([[kind, versions], at, name, namespace, spec]) => ({
      apiVersion: versions[at % versions.length] ?? 'v1',
      kind,
      metadata: namespace === undefined ? { name } : { name, namespace },
      spec,
    }));
  const anyManifest = fc
    .uniqueArray(anyObject, { maxLength: 5, selector: (one) => manifestKey(one as KubeObject, 'shop') })
    .map((objects) => manifest(...objects));
  const scene = fc.record({ chain: fc.array(anyManifest, { minLength: 1, maxLength: 3 }), wanted: anyManifest });
  /** All manifests here are JSON, which is faster to read than YAML. */
  const keyed = (text: string): Map<string, KubeObject> =>
    new Map(
      text
        .split('---\n')
        .filter((part) => part !== '')
        .map((part) => JSON.parse(part) as KubeObject)
        .map((one) => [manifestKey(one, 'shop'), one]),
    );
  const runs = { numRuns: 60 };

  it('Helm reads the base as it was meant', () => {
    fc.assert(
      fc.property(scene, ({ chain, wanted }) => {
        const base = mergeBase(chain, wanted, 'shop', none);
        assert.deepEqual(manifestObjects(base), [...keyed(base).values()]);
      }),
      runs,
    );
  });

  /** The paths of the mapping fields of `value`. Empty mappings do not count. */
  function paths(of: unknown, prefix: readonly string[] = []): string[][] {
    if (!isRecord(of)) return [[...prefix]];
    return Object.entries(of).flatMap(([name, inner]) => paths(inner, [...prefix, name]));
  }

  function at(of: unknown, path: readonly string[]): unknown {
    let found = of;
    for (const name of path) {
      if (!isRecord(found) || !Object.hasOwn(found, name)) return undefined;
      found = found[name];
    }
    return found === undefined ? 'there' : (found ?? 'there');
  }

  /** Returns true if the desired object declares the field, or has something other than a mapping on the path to it. */
  function isDeclared(wish: unknown, path: readonly string[]): boolean {
    let found = wish;
    for (const name of path) {
      if (!isRecord(found)) return true;
      if (!Object.hasOwn(found, name)) return false;
      found = found[name];
    }
    return true;
  }

  it('every object is in the base, under the name of the desired manifest, and no other object is', () => {
    fc.assert(
      fc.property(scene, ({ chain, wanted }) => {
        const base = keyed(mergeBase(chain, wanted, 'shop', none));
        const wishes = keyed(wanted);
        const known = new Set(chain.flatMap((text) => [...keyed(text).keys()]));
        assert.deepEqual(new Set(base.keys()), known);
        for (const [key, one] of base) {
          const wish = wishes.get(key);
          if (wish === undefined) continue;
          assert.equal(one.apiVersion, wish.apiVersion);
          assert.equal(one.metadata.namespace, wish.metadata.namespace);
          assert.equal(one.metadata.name, wish.metadata.name);
        }
      }),
      runs,
    );
  });

  it('every field that some revision has and the desired manifest lacks is in the base', () => {
    fc.assert(
      fc.property(scene, ({ chain, wanted }) => {
        const base = keyed(mergeBase(chain, wanted, 'shop', none));
        const wishes = keyed(wanted);
        for (const text of chain) {
          for (const [key, one] of keyed(text)) {
            const wish = wishes.get(key);
            for (const path of paths(one['spec'], ['spec'])) {
              if (wish === undefined || isDeclared(wish, path)) continue;
              // A mapping in one revision that is a list in another has no fields to compare.
              const isMixed = chain.some((other) => {
                const holder = keyed(other).get(key);
                return path.some((_, depth) => depth > 0 && Array.isArray(at(holder, path.slice(0, depth))));
              });
              if (!isMixed) assert.notEqual(at(base.get(key), path), undefined, `${key} ${path.join('.')}`);
            }
          }
        }
      }),
      runs,
    );
  });

  it('a field of the desired manifest is in the base only as a mapping or list with something to remove', () => {
    fc.assert(
      fc.property(scene, ({ chain, wanted }) => {
        const base = keyed(mergeBase(chain, wanted, 'shop', none));
        for (const [key, wish] of keyed(wanted)) {
          const one = base.get(key);
          if (one?.['spec'] === undefined) continue;
          for (const path of paths(one['spec'], ['spec'])) {
            const wished = at(wish, path);
            assert.ok(!isDeclared(wish, path) || Array.isArray(wished), `${key} ${path.join('.')}`);
            if (Array.isArray(wished)) assert.notDeepEqual(at(one, path), wished);
          }
        }
      }),
      runs,
    );
  });

  it('every undesired item that is merged by its name is in the base', () => {
    fc.assert(
      fc.property(scene, ({ chain, wanted }) => {
        const base = keyed(mergeBase(chain, wanted, 'shop', none));
        const wishes = keyed(wanted);
        const names = (one: KubeObject | undefined): string[] => {
          const items = at(one, ['spec', 'containers']);
          const isNamed = Array.isArray(items) && items.every((each) => isRecord(each) && 'name' in each);
          return isNamed ? items.map((each: { name: string }) => each.name) : [];
        };
        const lists = (key: string): unknown[] =>
          [...chain, wanted].map((text) => at(keyed(text).get(key), ['spec', 'containers'])).filter(Array.isArray);
        for (const text of chain) {
          for (const [key, one] of keyed(text)) {
            const allNamed = lists(key)
              .flat()
              .every((each) => isRecord(each) && 'name' in each);
            const isPlain = [...chain, wanted].every((other) => {
              const holder = keyed(other).get(key);
              const items = at(holder, ['spec', 'containers']);
              return items === undefined || Array.isArray(items);
            });
            if (!allNamed || !isPlain || !wishes.has(key)) continue;
            const wished = names(wishes.get(key));
            const found = names(base.get(key));
            for (const name of names(one)) assert.ok(wished.includes(name) || found.includes(name), `${key} ${name}`);
          }
        }
      }),
      runs,
    );
  });

  it('spared objects are not in the base, and all others are as if nothing were spared', () => {
    fc.assert(
      fc.property(scene, fc.array(fc.nat({ max: 9 })), ({ chain, wanted }, picks) => {
        const whole = keyed(mergeBase(chain, wanted, 'shop', none));
        const keys = [...whole.keys()];
        const spared = new Set(picks.flatMap((pick) => keys[pick] ?? []));
        const base = keyed(mergeBase(chain, wanted, 'shop', spared));
        for (const key of spared) whole.delete(key);
        assert.deepEqual(base, whole);
      }),
      runs,
    );
  });
});
