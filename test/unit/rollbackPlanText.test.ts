import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { planMarkdown } from '../../tasks/common/core/rollbackPlan/document/markdown';
import { gateInstructions, planSummary, summaryLimit } from '../../tasks/common/core/rollbackPlan/document/summary';
import { planJson, readPlan } from '../../tasks/common/core/rollbackPlan/document/document';
import {
  changesNothing,
  helmMayDelete,
  helmMayWrite,
  mayHaveTrappedPods,
  ownDeletions,
} from '../../tasks/common/core/rollbackPlan/execution/execution';
import { imageChanges } from '../../tasks/common/core/rollbackPlan/objects/images';
import { quantity } from '../../tasks/common/core/kubernetes/quantity';
import { pathText } from '../../tasks/common/core/kubernetes/fieldPath';
import { isAsDeclared, isMadeUpAnew } from '../../tasks/common/core/rollbackPlan/model/changes';
import { kindsToResolve, liveObjects, liveQueries, servedKey } from '../../tasks/common/core/rollbackPlan/model/places';
import type { ChangePlan, ServedKind } from '../../tasks/common/core/rollbackPlan/model/types';
import {
  hook,
  live,
  object,
  plan,
  revision,
  sha256,
  strict,
  verified,
  web,
  write,
  type Scene,
} from '../support/rollbackScene';

const config = object('ConfigMap', 'settings', { data: { mode: 'a' } });

function deleting(objects: readonly KubeObject[], more: Scene = {}): ChangePlan {
  return plan({
    history: [
      revision(1, 'superseded', [web('app:1')], {
        labels: verified(1),
        hooks: [hook('Job', 'drain', ['pre-rollback']), hook('Job', 'migrate', ['pre-upgrade'])],
      }),
      revision(2, 'failed', [web('app:2'), ...objects], { description: 'Upgrade "web" failed: timed out' }),
    ],
    live: [live(web('app:2')), ...objects.map((one) => live(one))],
    writes: [write('changed', live(web('app:1'))), ...objects.map((one) => write('deleted', live(one)))],
    ...more,
  });
}

describe('a plan for its approver', () => {
  const made = deleting([config], { deployedBy: { 2: 'run 20260820.3' } });
  const text = planMarkdown(made);

  it('shows the risk first, and the changes on one screen', () => {
    const overview = text.slice(0, text.indexOf('<details>'));
    assert.match(
      overview,
      /^## Rollback of release web in namespace shop to revision 1: risk low\n\n\*\*Risk low\.\*\* The plan has no warnings\./,
    );
    assert.ok(overview.split('\n').length <= 25, overview);
    assert.match(
      overview,
      /\| Now \| 2, web 1\.2\.0, application 2\.2, failed, deployed at 2026-08-20T10:02:00Z by run 20260820\.3 \|/,
    );
    assert.match(
      overview,
      /\| Target \| 1, web 1\.1\.0, application 2\.1, superseded, deployed at .*, seen healthy \|/,
    );
    assert.match(overview, /\| Objects \| 1 deleted, 1 patched \|/);
    assert.match(overview, /\| Deleted \| ConfigMap\/settings \|/);
    assert.match(overview, /\| Images \| Deployment\/web: app:2 becomes app:1 \|/);
    assert.match(overview, /\| Pods restart \| Deployment\/web \|/);
    assert.match(overview, /\| Hooks that run \| Job\/drain \(pre-rollback\) \|/);
    assert.match(overview, /\| Helm \| v3\.17\.3 \(a known release\), rehearsed \|/);
    assert.ok(overview.includes(made.digest));
  });

  it('contains the differences, folded', () => {
    assert.match(text, /<details>\n<summary>Patched \(1\)<\/summary>/);
    assert.match(text, /\n```diff\n@@ .*\n(.*\n)*- {8}- image: app:2\n\+ {8}- image: app:1\n/);
    assert.equal(text.split('<details>').length, text.split('</details>').length);
  });

  it('shows how the present revision failed', () => {
    assert.match(text, /Revisions that are left behind \(1\)/);
    assert.match(text, /Upgrade "web" failed: timed out/);
  });

  it('stays on one screen with two hundred warnings', () => {
    const many = Array.from({ length: 200 }, (_, index) => object('Thing', `t${index}`, {}, 'example.com/v1'));
    const big = planMarkdown(deleting(many));
    const overview = big.slice(0, big.indexOf('<details>'));
    assert.match(overview, /\*\*Refused\.\*\* The task refuses this rollback: 201 findings forbid it\./);
    assert.ok(overview.split('\n').length <= 32, overview);
    assert.match(overview, /- and 193 more, below/);
    assert.match(overview, /Thing\/t0, .* and 194 more/);
  });

  it('keeps a megabyte of differences out of the page', () => {
    const large = (text_: string): KubeObject =>
      object('ConfigMap', 'big', {
        data: Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`k${index}`, text_.repeat(50)])),
      });
    const big = plan({
      history: [
        revision(1, 'superseded', [large('a')], { labels: verified(1) }),
        revision(2, 'deployed', [large('b')]),
      ],
      live: [live(large('b'))],
      writes: [write('changed', live(large('a')))],
    });
    assert.ok(big.objects[0]?.diff.length === 300 && big.objects[0].diffCut > 1000);
    assert.match(planMarkdown(big), /\(and \d+ more lines\)/);
    assert.ok(planMarkdown(big).length < 250_000);
  });

  it('compares two entirely different objects quickly', () => {
    const lines = (seed: number): string =>
      Array.from({ length: 20_000 }, (_, index) => `${(index * seed) % 7919}`).join('\n');
    const wild = (seed: number): KubeObject => object('ConfigMap', 'wild', { data: { a: lines(seed) } });
    const big = plan({
      history: [revision(1, 'superseded', [wild(31)], { labels: verified(1) }), revision(2, 'deployed', [wild(17)])],
      live: [live(wild(17))],
      writes: [write('changed', live(wild(31)))],
    });
    const { diff, diffCut } = big.objects[0] ?? { diff: [], diffCut: 0 };
    assert.match(diff[0] ?? '', /^@@ -5,19999 \+5,19999 @@$/);
    assert.deepEqual([diff.filter((line) => line.startsWith('-')).length, diff.length], [149, 299]);
    assert.ok(diffCut > 39_000);
  });
});

describe('hostile text in a plan', () => {
  const hostile =
    '</details><script>alert(1)</script> [x](https://evil.example) `code` ##vso[task.setvariable]x $(secret) | \u0007';
  const made = deleting([object('Thing', hostile, {}, 'example.com/v1')], {
    policy: { ...strict, allow: ['DeletesCustomResource'] },
    deployedBy: { 2: hostile },
  });

  it('cannot break out of the page for the approver', () => {
    const outside = planMarkdown(made).replace(/```diff\n[\s\S]*?\n```/g, '');
    assert.ok(!outside.includes('<script>'));
    assert.ok(!/[^\\]\[x\]/.test(outside) && !outside.includes('https://'));
    assert.ok(!outside.includes('##vso['));
    assert.equal(outside.split('</details>').length, outside.split('<details>').length);
  });

  it('cannot break out of its code block', () => {
    const fence = (image: string): KubeObject =>
      object('ConfigMap', 'fence', { data: { text: `\`\`\`\n</details>\n# ${image}` } });
    const broken = planMarkdown(
      plan({
        history: [
          revision(1, 'superseded', [fence('a')], { labels: verified(1) }),
          revision(2, 'deployed', [fence('b')]),
        ],
        live: [live(fence('b'))],
        writes: [write('changed', live(fence('a')))],
      }),
    );
    assert.match(broken, /\n````diff\n[\s\S]*\n````\n/);
  });

  it('is no macro of the pipeline in the summary', () => {
    assert.ok(!planSummary(made).includes('$('));
    assert.ok(planSummary(made).includes('$ (secret)'));
  });
});

describe('the images of a plan', () => {
  const containers = (...images: string[]): object => ({
    containers: images.map((image, index) => ({ name: `c${index}`, image })),
  });
  const cases: readonly [string, object, object, string[]][] = [
    [
      'a Deployment',
      { template: { spec: containers('a:2') } },
      { template: { spec: containers('a:1') } },
      ['c0 a:2 a:1'],
    ],
    [
      'one of two containers',
      { template: { spec: containers('a', 'b:2') } },
      { template: { spec: containers('a', 'b:1') } },
      ['c1 b:2 b:1'],
    ],
    [
      'a CronJob, in an init container',
      { jobTemplate: { spec: { template: { spec: { initContainers: [{ name: 'i', image: 'x:2' }] } } } } },
      { jobTemplate: { spec: { template: { spec: { initContainers: [{ name: 'i', image: 'x:1' }] } } } } },
      ['i x:2 x:1'],
    ],
    [
      'a container that comes',
      { template: { spec: containers('a') } },
      { template: { spec: containers('a', 'b') } },
      [],
    ],
  ];
  for (const [title, before, after, expected] of cases) {
    it(title, () => {
      const changes = imageChanges(object('Any', 'x', { spec: before }), object('Any', 'x', { spec: after }));
      assert.deepEqual(
        changes.map(({ container, from, becomes }) => `${container} ${from} ${becomes}`),
        expected,
      );
    });
  }
});

/** A rollback in an emergency: a hot fix, a Secret, hooks. */
function night(before: readonly KubeObject[] = [], after: readonly KubeObject[] = []): ChangePlan {
  const secret = (stringData: object): KubeObject => object('Secret', 'login', { stringData });
  const settings = (mode: string): KubeObject => object('ConfigMap', 'settings', { data: { mode } });
  const report = object('CronJob', 'report', {}, 'batch/v1');
  const [good, bad] = [
    secret({ password: 'hunter2-good' }),
    secret({ password: 'hunter2-bad', token: 'hunter2-token' }),
  ];
  const stored = (declared: KubeObject): KubeObject => {
    const { stringData, ...rest } = declared;
    const data = Object.entries(stringData as Record<string, string>).map(([name, value]) => [name, btoa(value)]);
    return live({ ...rest, type: 'Opaque', data: Object.fromEntries(data) as unknown });
  };
  return plan({
    history: [
      revision(1, 'superseded', [web('app:1', { replicas: 3 }), good, settings('a'), report, ...before], {
        labels: verified(1),
        hooks: [hook('Job', 'drain', ['pre-rollback']), hook('Job', 'warm', ['post-rollback'])],
      }),
      revision(2, 'failed', [web('app:2', { replicas: 3 }), bad, settings('b'), object('ConfigMap', 'new'), ...after]),
    ],
    live: [
      live(web('app:2', { replicas: 5 })),
      stored(bad),
      live(settings('b')),
      live(object('ConfigMap', 'new')),
      ...after.map((one) => live(one)),
    ],
    writes: [
      write('changed', live(web('app:1', { replicas: 3 }))),
      write('changed', stored(good)),
      write('changed', live(settings('a'))),
      write('created', live(report)),
      ...before.map((one) => write('changed', live(one))),
      write('deleted', live(object('ConfigMap', 'new'))),
    ],
  });
}

describe('the summary of a plan', () => {
  it('names risk, target, deletions, restarts and the digest', () => {
    const made = deleting([config]);
    const lines = planSummary(made).split('\n');
    assert.equal(lines[0], '**Rollback of release web in namespace shop to revision 1: risk low**');
    assert.ok(lines.includes('- Deleted: ConfigMap/settings'));
    assert.ok(lines.includes('- Images: Deployment/web: app:2 becomes app:1'));
    assert.ok(lines.includes('- Pods restart: Deployment/web'));
    assert.equal(lines.at(-1), `- Digest ${made.digest}`);
  });

  it('has at most 4000 characters for any plan', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, maxLength: 120, unit: 'binary' }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        (names, times) => {
          const things = names.map((name, index) =>
            object('Thing', `${name.repeat(times)}$(${index}`, {}, 'example.com/v1'),
          );
          const made = deleting(things);
          const text = planSummary(made);
          assert.ok(text.length <= summaryLimit, String(text.length));
          assert.ok(text.endsWith(`- Digest ${made.digest}`));
          assert.ok(!text.includes('$('));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('comes after the cause in the instructions of a gate, which have at most 3600 characters', () => {
    const things = Array.from({ length: 60 }, (_, index) => object('Thing', `thing-${index}`, {}, 'example.com/v1'));
    const made = deleting(things);
    const block = ['```', ...Array<string>(30).fill('x'.repeat(60)), '```'].join('\n');
    const cases: [cause: string, begins: string][] = [
      ['', planSummary(made, '', 3600)],
      ['**Deployment/web is not ready** $(secret)', '**Deployment/web is not ready** $ (secret)\n\n**'],
      [`**why**\n\n${block}\n\nmore`, '**why**\n\n**'],
      ['##vso[task.complete result=Succeeded]', '#'],
      ['y'.repeat(9000), planSummary(made, '', 3600)],
    ];
    for (const [cause, begins] of cases) {
      const text = gateInstructions(made, cause);
      assert.ok(text.length <= 3600, String(text.length));
      assert.ok(!text.includes('##vso[') && !text.includes('$('), text);
      assert.ok(text.startsWith(begins), text.slice(0, 200));
      assert.ok(text.endsWith(`- Digest ${made.digest}`));
    }
  });

  it('the first screen names the changed keys of Secrets, and never a value', () => {
    const [screen = ''] = planMarkdown(night()).split('<details>');
    assert.match(screen, /^\| Secrets \| Secret\/login: password changed, token removed \|$/m);
    assert.doesNotMatch(screen, /hunter2|aHVudGVyMg/);
  });

  it('gives the number of warnings that did not fit', () => {
    const many = Array.from({ length: 60 }, (_, index) => object('Thing', `thing-${index}`, {}, 'example.com/v1'));
    const lines = planSummary(deleting(many)).split('\n');
    assert.match(lines[2] ?? '', /^- Refused, DeletesCustomResource: Thing\/thing-0 is deleted/);
    assert.match(lines[5] ?? '', /^- Refused, DeletesCustomResource, too: Thing\/thing-3, .* and \d+ more$/);
    assert.match(lines[6] ?? '', /^- Refused, TooManyDeletions: The rollback deletes 60 objects/);
    assert.match(lines[7] ?? '', /^- Now: revision 2/);
  });

  it('names hooks, objects, fields with both values, hot fixes, keys of Secrets without values, and the page', () => {
    const lines = planSummary(night(), 'https://dev.azure.com/fabrikam/shop/_build/results?buildId=7').split('\n');
    for (const expected of [
      '- Target: revision 1, web 1.1.0, application 2.1, superseded, deployed at 2026-08-20T10:01:00Z, seen healthy',
      '- Hooks that run, unrehearsed: Job/drain (pre-rollback), Job/warm (post-rollback)',
      '- Objects: 1 deleted, 1 created, 3 patched',
      '- Deleted: ConfigMap/new',
      '- Images: Deployment/web: app:2 becomes app:1',
      '- Manual change undone, Deployment/web: spec.replicas is 5, becomes 3',
      '- Patched, Secret/login: key password changed; key token removed',
      '- Patched, ConfigMap/settings: data.mode from "b" to "a"',
      '- Created: CronJob/report',
      '- Full plan: https://dev.azure.com/fabrikam/shop/_build/results?buildId=7',
    ]) {
      assert.ok(lines.includes(expected), `${expected}\n\nis not in\n\n${lines.join('\n')}`);
    }
    assert.ok(!lines.includes('- Patched, Deployment/web'), 'Its image and its hot fix say it.');
    assert.ok(!lines.join().includes('hunter2') && !lines.join().includes('aHVudGVyMg'));
  });

  it('leaves out the least important lines whole, and uses the space', () => {
    const settings = (mode: string): KubeObject[] =>
      Array.from({ length: 90 }, (_, index) =>
        object('ConfigMap', `settings-${index}`, { data: { mode: mode.repeat(20), level: mode } }),
      );
    const text = planSummary(night(settings('a'), settings('b')));
    const lines = text.split('\n');
    assert.ok(text.length > summaryLimit - 300 && text.length <= summaryLimit, String(text.length));
    assert.match(lines.at(-3) ?? '', /^- and \d+ more lines in the full plan$/);
    for (const start of [
      'Hooks that run',
      'Deleted: ConfigMap/new',
      'Manual change undone',
      'Patched, Secret/login',
      'Created',
    ]) {
      assert.ok(
        lines.some((line) => line.startsWith(`- ${start}`)),
        `${start}\n\n${text}`,
      );
    }
    for (const line of lines.filter((each) => each.startsWith('- Patched, ConfigMap'))) {
      assert.match(line, /^- Patched, ConfigMap\/settings(-\d+)?: data\..* to "[ab]+"$/);
    }
  });

  it('names a hundred workloads in one line', () => {
    const workloads = Array.from({ length: 100 }, (_, index) => `deployment/${'x'.repeat(240)}-${index}`);
    const made = deleting([config]);
    const many: ChangePlan = { ...made, subject: { kind: 'workloads', namespace: 'shop', workloads } };
    assert.ok(planSummary(many).endsWith(`- Digest ${made.digest}`));
  });
});

describe('the orders that the execution gets from a plan', () => {
  const made = deleting([
    object('Namespace', 'other'),
    config,
    object('Service', 'front'),
    object('Deployment', 'side', {}, 'apps/v1'),
    object('CustomResourceDefinition', 'things.example.com', {}, 'apiextensions.k8s.io/v1'),
    object('Thing', 'one', {}, 'example.com/v1'),
    object('NetworkPolicy', 'deny', {}, 'networking.k8s.io/v1'),
  ]);

  it("include the task's own deletions by uid, serving objects first and restraining objects last", () => {
    assert.deepEqual(
      ownDeletions(made).map(({ ref, uid }) => `${ref.kind} ${uid}`),
      [
        'Thing uid-Thing-one',
        'Service uid-Service-front',
        'Deployment uid-Deployment-side',
        'ConfigMap uid-ConfigMap-settings',
        'CustomResourceDefinition uid-CustomResourceDefinition-things.example.com',
        'Namespace uid-Namespace-other',
      ],
    );
  });

  it("include Helm's allowed deletions: restraining objects and the hooks that run", () => {
    assert.deepEqual(helmMayDelete(made), [
      { ref: { apiVersion: 'networking.k8s.io/v1', name: 'deny', namespace: 'shop' }, resource: 'networkpolicies' },
      { ref: { apiVersion: 'batch/v1', name: 'drain', namespace: 'shop' }, resource: 'jobs' },
    ]);
  });

  it("include Helm's allowed writes: the target's objects and the hooks that run", () => {
    assert.deepEqual(
      helmMayWrite(made).map(({ ref, resource }) => `${resource}/${ref.name}`),
      ['deployments/web', 'jobs/drain'],
    );
  });

  it('name the StatefulSets whose pods may have to be deleted', () => {
    const set = (image: string): KubeObject =>
      object('StatefulSet', 'db', { spec: { template: { spec: { containers: [{ name: 'db', image }] } } } }, 'apps/v1');
    const stateful = plan({
      history: [revision(1, 'superseded', [set('1')], { labels: verified(1) }), revision(2, 'deployed', [set('2')])],
      live: [live(set('2'))],
      writes: [write('changed', live(set('1')))],
    });
    assert.deepEqual(mayHaveTrappedPods(stateful), [
      { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace: 'shop', name: 'db' },
    ]);
  });
});

describe('the reads that a plan needs', () => {
  const target = revision(
    1,
    'superseded',
    [object('HorizontalPodAutoscaler', 'web', {}, 'autoscaling/v1'), config, object('Namespace', 'n')],
    {
      hooks: [hook('Job', 'drain', ['pre-rollback'])],
    },
  );
  const last = revision(2, 'deployed', [
    object('HorizontalPodAutoscaler', 'web', {}, 'autoscaling/v2'),
    object('ConfigMap', 'settings', {}),
    { ...config, metadata: { name: 'there', namespace: 'elsewhere' } },
    object('CronJob', 'gone', {}, 'batch/v1beta1'),
  ]);

  it('are each kind once, including the kinds of hooks', () => {
    assert.deepEqual(kindsToResolve([target, last]).map(servedKey), [
      'autoscaling/v1/HorizontalPodAutoscaler',
      'v1/ConfigMap',
      'v1/Namespace',
      'autoscaling/v2/HorizontalPodAutoscaler',
      'batch/v1beta1/CronJob',
      'batch/v1/Job',
    ]);
  });

  it('are one list for each kind and namespace, in the version of the target', () => {
    const served = new Map<string, ServedKind>(
      kindsToResolve([target, last]).map((kind) => [
        servedKey(kind),
        kind.kind === 'CronJob'
          ? { isServed: false }
          : { isServed: true, namespaced: kind.kind !== 'Namespace', plural: '' },
      ]),
    );
    assert.deepEqual(
      liveQueries([target, last], 'shop', served).map(({ apiVersion, kind, namespace }) => [
        apiVersion,
        kind,
        namespace,
      ]),
      [
        ['autoscaling/v1', 'HorizontalPodAutoscaler', 'shop'],
        ['v1', 'ConfigMap', 'shop'],
        ['v1', 'Namespace', undefined],
        ['v1', 'ConfigMap', 'elsewhere'],
      ],
    );
  });

  it('keep the version that was requested first', () => {
    const [v1, v2] = [
      live(object('HorizontalPodAutoscaler', 'web', {}, 'autoscaling/v1')),
      live(object('HorizontalPodAutoscaler', 'web', {}, 'autoscaling/v2')),
    ];
    assert.deepEqual(
      [...liveObjects([[v1], [v2]]).values()].map(({ apiVersion }) => apiVersion),
      ['autoscaling/v1'],
    );
  });
});

describe("declared values and the API server's spelling of them", () => {
  for (const [declared, value, same] of [
    ['1000m', '1', true],
    ['0.1', '100m', true],
    ['1Gi', '1024Mi', true],
    ['1e3', '1k', true],
    ['1Gi', '1G', false],
    [80, '80', true],
    ['a', 'b', false],
    [null, undefined, true],
    [[], undefined, true],
    [{ a: 1 }, { a: 1, added: true }, true],
    [{ a: { b: '' } }, {}, true],
    [{ a: 2 }, { a: 1 }, false],
    [[1, 2], [1], false],
    ['', 'x', false],
  ] as const) {
    it(`${JSON.stringify(declared)} is ${same ? '' : 'not '}${JSON.stringify(value)}`, () => {
      assert.equal(isAsDeclared(declared, value), same);
    });
  }

  it('a word is no quantity', () => {
    for (const text of ['', 'm', '1x', 'Ki', '1.2.3', '--1', '1e3Ki']) assert.equal(quantity(text), undefined);
  });

  it('only labels make a field of a Job one that the API server chooses, never the name of an item', () => {
    const env = { item: { name: 'controller-uid' }, by: ['name'] };
    assert.equal(isMadeUpAnew(['spec', 'template', 'metadata', 'labels', 'controller-uid'], 'Job'), true);
    assert.equal(isMadeUpAnew(['spec', 'template', 'spec', 'containers', 0, 'env', env, 'value'], 'Job'), false);
  });

  it('paths can be parsed', () => {
    assert.equal(
      pathText([
        'spec',
        'containers',
        { item: { name: 'web', image: 'app:1' }, by: ['name'] },
        'args',
        0,
        'app.properties',
      ]),
      'spec.containers[name=web].args[0]["app.properties"]',
    );
  });
});

describe('a plan that is kept in the cluster', () => {
  const large = (text: string): KubeObject =>
    object('ConfigMap', 'big', {
      data: Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, text.repeat(50)])),
    });
  const made = plan({
    history: [
      revision(1, 'superseded', [large('a'), web('app:1')], { labels: verified(1) }),
      revision(2, 'deployed', [large('b'), web('app:2')]),
    ],
    live: [live(large('b')), live(web('app:2'))],
    writes: [write('changed', live(large('a'))), write('changed', live(web('app:1')))],
  });

  it('is read back as it was written', () => {
    assert.deepEqual(readPlan(planJson(made), made.digest, sha256), { plan: made, isTimeProven: true });
  });
});

describe('a plan in which nothing changes', () => {
  it('is recognised as already done', () => {
    const same = plan({
      history: [revision(1, 'superseded', [config], { labels: verified(1) }), revision(2, 'deployed', [config])],
      live: [live(config)],
    });
    assert.ok(changesNothing(same));
    assert.ok(!changesNothing(deleting([config])));
  });
});
