import assert from 'node:assert/strict';
import type { Revision } from '../../tasks/common/core/release/release';
import { testsChanged, whatChanged, type Rendering } from '../../tasks/common/core/release/unchanged';

const web = (image: string): string =>
  `---\n# Source: shop/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {image: ${image}}\n`;
const settings = '---\n# Source: shop/templates/s.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n';
const migrate = (image: string): string =>
  `apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-upgrade}}\nspec: {image: ${image}}`;
const seed = 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: seed}';

const hook = (manifest: string): Rendering['hooks'][number] => ({ name: 'x', kind: 'Job', events: [], manifest });

const deployed: Revision = {
  name: 'shop',
  namespace: 'prod',
  revision: 3,
  status: 'deployed',
  description: '',
  lastDeployed: '',
  chart: { name: 'shop', version: '1.2.0', appVersion: '7' },
  manifest: web('one') + settings,
  config: { image: { tag: 'one' }, list: [1, { a: 2 }], big: 1000000, none: null },
  notes: 'notes of the last time',
  hooks: [migrate('one'), seed].map((manifest) => ({ ...hook(manifest), lastPhase: 'Succeeded' })),
  labels: {},
  writtenAt: undefined,
};

const rendering: Rendering = {
  chart: { name: 'shop', version: '1.2.0', appVersion: '7' },
  manifest: web('one') + settings,
  config: { none: null, big: 1e6, list: [1, { a: 2 }], image: { tag: 'one' } },
  hooks: [seed, migrate('one')].map(hook),
};

describe('comparing a deploy with the last revision', () => {
  it('the same commit again changes nothing, in any order of hooks and values', () => {
    assert.deepEqual(whatChanged({ rendering, deployed }), []);
  });

  const cases: readonly (readonly [string, Partial<Rendering>, readonly string[]])[] = [
    ['another image', { manifest: web('two') + settings }, ['the manifest (Deployment/web differs)']],
    ['an object more', { manifest: `${web('one') + settings}---\n${seed}\n` }, ['the manifest (Job/seed is new)']],
    ['an object less', { manifest: web('one') }, ['the manifest (ConfigMap/settings is gone)']],
    ['a comment, blank lines and separators', { manifest: `\n---\n${web('one')}\n# note\n---\n${settings}\n\n` }, []],
    ['the objects in another order', { manifest: settings + web('one') }, ['the manifest (the text alone)']],
    ['a manifest that cannot be read', { manifest: '{' }, ['the manifest (it cannot be read)']],
    ['a hook with another image', { hooks: [hook(seed), hook(migrate('two'))] }, ['the hooks (Job/migrate differs)']],
    ['no hooks any more', { hooks: [] }, ['the hooks (Job/migrate is gone, Job/seed is gone)']],
    ['a hook twice', { hooks: [hook(seed), hook(seed), hook(migrate('one'))] }, ['the hooks (Job/seed differs)']],
    [
      'a chart version that renders the same',
      { chart: { name: 'shop', version: '1.2.1', appVersion: '7' } },
      ['the chart (shop 1.2.1 of app version 7, deployed is shop 1.2.0 of app version 7)'],
    ],
    [
      'another app version',
      { chart: { name: 'shop', version: '1.2.0', appVersion: '' } },
      ['the chart (shop 1.2.0, deployed is shop 1.2.0 of app version 7)'],
    ],
    [
      'values that render the same',
      { config: { ...rendering.config, image: { tag: 'two' } } },
      ['the values (image.tag)'],
    ],
    [
      'a value that is no longer set',
      { config: { list: [1, { a: 2 }], big: 1e6, none: null } },
      ['the values (image)'],
    ],
    ['a value that is null no more', { config: { ...rendering.config, none: '' } }, ['the values (none)']],
    ['a number that has become a text', { config: { ...rendering.config, big: '1000000' } }, ['the values (big)']],
    ['one item of a list', { config: { ...rendering.config, list: [1, { a: 3 }] } }, ['the values (list)']],
    [
      'many values',
      { config: { ...rendering.config, a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 } },
      ['the values (a, b, c, d, e and 1 more)'],
    ],
  ];
  for (const [name, change, expected] of cases) {
    it(name, () => {
      assert.deepEqual(whatChanged({ rendering: { ...rendering, ...change }, deployed }), expected);
    });
  }

  const one = (manifest: string, deployedManifest: string): string[] =>
    whatChanged({ rendering: { ...rendering, manifest }, deployed: { ...deployed, manifest: deployedManifest } });
  const text = (data: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text}\ndata:\n${data}`;

  it('an empty line or a comment inside a text of an object is a change', () => {
    const before = text('  a: |\n    one\n    two\n');
    assert.deepEqual(one(text('  a: |\n    one\n\n    two\n'), before), ['the manifest (ConfigMap/text differs)']);
    assert.deepEqual(one(text('  a: |\n    one\n    # x\n    two\n'), before), [
      'the manifest (ConfigMap/text differs)',
    ]);
  });

  it('numbers that are too long for a comparison by value are compared by text', () => {
    assert.deepEqual(one(text('  a: 9007199254740993\n'), text('  a: 9007199254740992\n')), [
      'the manifest (the text alone)',
    ]);
  });

  const testPod = (name: string, more = ''): Rendering['hooks'][number] => ({
    name,
    kind: 'Pod',
    events: ['test-success'],
    manifest: `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: ${name}}}\nspec: {args: [${name}.prod${more}]}\n`,
  });
  const testCases: readonly (readonly [string, Rendering['hooks'], boolean])[] = [
    ['the same', [testPod('t-a1b2c')], false],
    ['another name, wherever it stands', [testPod('t-zzzzz')], false],
    ['other arguments', [testPod('t-a1b2c', ', --all')], true],
    ['one more', [testPod('t-a1b2c'), testPod('u')], true],
    ['none', [], true],
    ['a comment more', [{ ...testPod('t-a1b2c'), manifest: `# note\n${testPod('t-a1b2c').manifest ?? ''}` }], false],
    ['a hook of the deploy beside them', [testPod('t-a1b2c'), { ...hook(seed), events: ['pre-upgrade'] }], false],
  ];
  for (const [name, hooks, isChanged] of testCases) {
    it(`tests, ${name}: ${isChanged ? 'changed' : 'no change'}`, () => {
      assert.equal(testsChanged(hooks, [testPod('t-a1b2c')]), isChanged);
    });
  }

  it('tests do not count, but a hook that also runs at other events does', () => {
    const both = { ...testPod('t'), events: ['test', 'post-upgrade'] };
    const changes = (hooks: Rendering['hooks']): string[] =>
      whatChanged({ rendering: { ...rendering, hooks: [...rendering.hooks, ...hooks] }, deployed });
    assert.deepEqual(changes([testPod('t')]), []);
    assert.deepEqual(changes([both]), ['the hooks (Pod/t is new)']);
  });

  it('shows only the place of a change, never a value', () => {
    const changed = whatChanged({
      rendering: {
        ...rendering,
        config: { password: 'hunter2' },
        manifest: web('hunter2'),
        hooks: [hook(migrate('hunter2'))],
      },
      deployed,
    });
    assert.equal(changed.length, 3);
    assert.doesNotMatch(changed.join(), /hunter2/);
  });
});
