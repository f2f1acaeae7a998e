import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { pathText, valueAt, withValueAt } from '../../tasks/common/core/kubernetes/fieldPath';
import { changesOf } from '../../tasks/common/core/kubernetes/fieldDifferences';
import { isSameContent } from '../../tasks/common/core/rollbackPlan/model/digest';
import { manifestReader } from '../../tasks/common/core/rollbackPlan/model/places';
import { deployPolicy, type ChangePlan, type DeployFacts } from '../../tasks/common/core/rollbackPlan/model/types';
import { planMarkdown } from '../../tasks/common/core/rollbackPlan/document/markdown';
import { planSummary } from '../../tasks/common/core/rollbackPlan/document/summary';
import { planDifferences } from '../../tasks/common/core/rollbackPlan/execution/differences';
import {
  generatedFields,
  generatedValue,
  withoutGenerated,
} from '../../tasks/common/core/rollbackPlan/objects/generated';
import { planChange } from '../../tasks/common/core/rollbackPlan/planRollback';
import type { RehearsedWrite } from '../../tasks/common/core/helm/rehearsal';
import { assertPlan } from '../support/planSchema';
import {
  deployment,
  hook,
  inputsOf,
  live,
  manifest,
  object,
  rehearsal,
  revision,
  sha256,
  verified,
  web,
  write,
} from '../support/rollbackScene';

const nothing: DeployFacts = {
  hookEvents: ['pre-upgrade', 'post-upgrade'],
  isSame: false,
  definitions: [],
  unforeseen: '',
  dropped: new Map(),
  generated: { objects: new Map(), hooks: new Map() },
  quotas: [],
  fixed: [],
};

interface Deploy {
  before?: readonly KubeObject[];
  /** What is live, if it is not as declared before. */
  found?: readonly KubeObject[];
  after: readonly KubeObject[];
  writes?: readonly RehearsedWrite[];
  hooks?: ReturnType<typeof hook>[];
  facts?: Partial<DeployFacts>;
  /** Another rendering of the same chart. */
  again?: readonly KubeObject[];
  outcome?: { outcome: 'failed'; message: string };
}

const seal = (text: string): string => sha256(`salt ${text}`);

function planOf({
  before = [],
  found = before.map((one) => live(one)),
  after,
  writes,
  hooks = [],
  facts,
  again,
  outcome,
}: Deploy): ChangePlan {
  const present = before.length === 0 ? undefined : revision(1, 'deployed', [...before], { labels: verified(1) });
  const target = revision(2, 'pending-upgrade', [...after], { hooks });
  const inputs = inputsOf({ history: [...(present === undefined ? [] : [present]), target], live: found, writes: [] });
  const reading = { read: manifestReader(), namespace: 'shop', served: inputs.served };
  const other = again === undefined ? target : { manifest: manifest(...again), hooks };
  const done =
    writes ??
    after.map((one) =>
      write(found.some(({ metadata }) => metadata.name === one.metadata.name) ? 'changed' : 'created', live(one)),
    );
  const made = planChange(
    {
      ...inputs,
      change: 'deploy',
      toRevision: 2,
      policy: deployPolicy,
      history: present === undefined ? [] : [present],
      rehearsal: rehearsal(done, outcome),
      seal,
      deploy: { ...nothing, generated: generatedFields(target, other, reading), ...facts },
    },
    {
      ...(present === undefined ? {} : { present }),
      target,
      passed: present === undefined ? [] : [present],
      findings: [],
    },
  );
  assertPlan(made);
  return made;
}

function told({ findings }: ChangePlan): string[] {
  return findings.map(({ code, severity }) => `${severity} ${code}`);
}

const settings = (text: string): KubeObject => object('ConfigMap', 'settings', { data: { text } });
const login = (password: string): KubeObject => object('Secret', 'login', { stringData: { password, user: 'web' } });

describe('what a chart makes up at each rendering', () => {
  const reading = { read: manifestReader(), namespace: 'shop', served: new Map() };
  const fieldsOf = (one: readonly KubeObject[], other: readonly KubeObject[]): Record<string, string[]> => {
    const found = generatedFields(
      { manifest: manifest(...one), hooks: [] },
      { manifest: manifest(...other), hooks: [] },
      reading,
    );
    return Object.fromEntries([...found.objects].map(([key, paths]) => [key, paths.map(pathText)]));
  };
  const named = (name: string, data: object): KubeObject => object('ConfigMap', name, { data });
  const cases: [title: string, one: KubeObject[], other: KubeObject[], expected: Record<string, string[]>][] = [
    ['nothing, from equal renderings', [settings('a'), login('a')], [settings('a'), login('a')], {}],
    ['a password', [login('a')], [login('b')], { '/Secret/shop/login': ['stringData.password'] }],
    [
      'the name of an object, and where it occurs',
      [named('run-a', { id: 'a', mode: 'x' })],
      [named('run-b', { id: 'b', mode: 'x' })],
      { '/ConfigMap/shop/run-a': ['metadata.name', 'data.id'] },
    ],
    [
      'an object that only one rendering has',
      [settings('a'), named('run-a', {})],
      [settings('a')],
      { '/ConfigMap/shop/run-a': ['metadata.name'] },
    ],
    [
      'an environment variable, by the name of its container',
      [web('a')],
      [deployment('web', { containers: [{ name: 'web', image: 'b' }] })],
      { 'apps/Deployment/shop/web': ['spec.template.spec.containers[name=web].image'] },
    ],
  ];
  for (const [title, one, other, expected] of cases) {
    it(`is ${title}`, () => {
      assert.deepEqual(fieldsOf(one, other), expected);
    });
  }

  it('is replaced at its place, in the data of a Secret too', () => {
    const stored = object('Secret', 'login', { data: { password: 'YQ==', user: 'd2Vi' } });
    const hidden = withoutGenerated(stored, [['stringData', 'password']]);
    assert.deepEqual(hidden['data'], { password: generatedValue, user: 'd2Vi' });
    assert.deepEqual(stored['data'], { password: 'YQ==', user: 'd2Vi' }, 'the object itself stays');
  });

  it('a value is set at every path at which two objects differ, and nowhere else', () => {
    const value = fc.letrec((tie) => ({
      tree: fc.oneof(
        fc.integer({ max: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('tree'), { maxKeys: 3 }),
        fc.array(fc.integer({ max: 3 }), { maxLength: 3 }),
      ),
    })).tree;
    fc.assert(
      fc.property(value, value, (one, other) => {
        const paths = changesOf(one, other)
          .filter(({ before }) => before !== undefined)
          .map(({ path }) => path);
        const [here, there] = [one, other].map((each) =>
          paths.reduce<unknown>((rest, path) => withValueAt(rest, path, 'x'), each),
        );
        for (const path of paths) assert.equal(valueAt(here, path), 'x');
        const left = changesOf(here, there).filter(({ before, after }) => before !== undefined && after !== undefined);
        assert.deepEqual(left, []);
      }),
    );
  });

  it('does not change the content of a plan, which still has its place', () => {
    const made = (password: string, again: string): ChangePlan =>
      planOf({ before: [login('old')], after: [login(password)], again: [login(again)] });
    const [one, other] = [made('a', 'b'), made('c', 'd')];
    assert.ok(isSameContent(one, other));
    assert.deepEqual(one.objects[0]?.generated, ['stringData.password']);
    assert.ok(told(one).includes('note NewAtEachDeploy'));
    assert.ok(!isSameContent(one, made('a', 'a')), 'a password that stays is covered by the digest');
    assert.ok(!planMarkdown(one).includes('YQ=='));
  });

  it('a made-up name does not change the content of a plan', () => {
    const made = (name: string, again: string): ChangePlan =>
      planOf({ after: [named(name, { name })], again: [named(again, { name: again })] });
    assert.ok(isSameContent(made('run-a', 'run-b'), made('run-c', 'run-d')));
    assert.deepEqual(planDifferences(made('run-a', 'run-b'), made('run-c', 'run-d'), new Date()), []);
  });
});

describe('the plan of a deploy', () => {
  it('has the words of a deploy everywhere', () => {
    const made = planOf({
      before: [settings('a'), object('ConfigMap', 'old')],
      found: [live(settings('by hand')), live(object('ConfigMap', 'old'))],
      after: [settings('b')],
      writes: [write('changed', live(settings('b'))), write('deleted', live(object('ConfigMap', 'old')))],
    });
    const text = `${planMarkdown(made)}\n${planSummary(made)}`;
    assert.doesNotMatch(text, /rollback|target/i);
    assert.match(text, /Deploy of release web in namespace shop, chart web 1\.2\.0: risk/);
    assert.match(text, /The present revision declares it, the chart does not/);
  });

  it('is never taken for the plan of a rollback', () => {
    const made = planOf({ before: [settings('a')], after: [settings('b')] });
    const other: ChangePlan = { ...made, change: 'rollback' };
    assert.ok(!isSameContent(made, other));
    assert.deepEqual(planDifferences(made, other, new Date()), [
      'The plan is that of a deploy, and this step would do a rollback.',
    ]);
  });

  it('says that a field cannot be changed', () => {
    const message = 'cannot patch "web" with kind Service: spec.clusterIP: Invalid value: field is immutable';
    const made = planOf({
      before: [settings('a')],
      after: [settings('b')],
      writes: [],
      outcome: { outcome: 'failed', message },
    });
    assert.equal(made.risk, 'refused');
    assert.match(made.findings[0]?.message ?? '', /the real deploy would fail too.*cannot be changed in place/);
  });

  it('names the objects with fixed fields that Helm did not get to', () => {
    const outcome = { outcome: 'failed', message: 'no' } as const;
    const fixed = [{ object: 'Job/once', message: 'Job.batch "once" is invalid: spec.template: field is immutable' }];
    const made = planOf({ before: [settings('a')], after: [settings('b')], writes: [], outcome, facts: { fixed } });
    const found = made.findings.find(({ object: named }) => named === 'Job/once');
    assert.match(found?.message ?? '', /^The API server refuses to change Job\/once: .*cannot be changed in place/);
    assert.equal(found?.code, 'WriteRefused');
  });

  const quota = (hard: object, used: object, more: object = {}): KubeObject =>
    object('ResourceQuota', 'small', {
      metadata: { name: 'small', namespace: 'shop' },
      spec: { hard, ...more },
      status: { hard, used },
    });
  const pods = (replicas: number, image = 'app:1', more: object = {}): KubeObject =>
    deployment(
      'web',
      { containers: [{ name: 'web', image, resources: { requests: { cpu: '500m' } } }] },
      { replicas, ...more },
    );
  const recreate = { strategy: { type: 'Recreate' } };
  const quotas: [title: string, before: KubeObject[], after: KubeObject, quota: KubeObject, expected: string[]][] = [
    [
      'pods that are added',
      [pods(2)],
      pods(4),
      quota({ pods: '10' }, { pods: '2' }),
      ['note QuotaUse: 10 of pods: 2 are used, 4 after the deploy.'],
    ],
    [
      'pods that have no room',
      [pods(2)],
      pods(4),
      quota({ pods: '3' }, { pods: '2' }),
      ['warning QuotaExceeded: 3 of pods: 2 are used, 4 after the deploy.'],
    ],
    [
      'a rolling update that has no room',
      [pods(2)],
      pods(2, 'app:2'),
      quota({ 'requests.cpu': '1' }, { 'requests.cpu': '1' }),
      ['warning QuotaExceeded: 1 of requests.cpu: 1 are used, 1 after the deploy, and 1.5 while pods are replaced.'],
    ],
    ['pods that are recreated', [pods(2)], pods(2, 'app:2', recreate), quota({ pods: '2' }, { pods: '2' }), []],
    [
      'a new workload',
      [settings('a')],
      pods(1),
      quota({ pods: '2' }, {}),
      ['note QuotaUse: 2 of pods: 0 are used, 1 after the deploy.'],
    ],
    [
      'fewer pods than before, over the quota',
      [pods(4)],
      pods(3),
      quota({ pods: '2' }, { pods: '4' }),
      ['note QuotaUse: 2 of pods: 4 are used, 3 after the deploy.'],
    ],
    [
      'a quota for some pods only',
      [pods(2)],
      pods(4),
      quota({ pods: '3' }, { pods: '2' }, { scopes: ['BestEffort'] }),
      [],
    ],
    ['resources that no pod has', [pods(2)], pods(4), quota({ services: '1' }, { services: '1' }), []],
  ];
  for (const [title, before, after, limits, expected] of quotas) {
    it(`computes a quota: ${title}`, () => {
      const made = planOf({ before, after: [after], facts: { quotas: [limits] } });
      const found = made.findings.filter(({ code }) => code.startsWith('Quota'));
      assert.deepEqual(
        found.map(({ code, severity, message }) => `${severity} ${code}: ${message.replace(/^.* allows /, '')}`),
        expected,
      );
    });
  }

  it('runs its hooks, unless it changes nothing', () => {
    const hooks = [hook('Job', 'migrate', ['pre-upgrade']), hook('Job', 'first', ['pre-install'])];
    const one = { before: [settings('a')], hooks };
    const running = planOf({ ...one, after: [settings('b')], facts: { isSame: true } });
    assert.deepEqual(
      running.hooks.map(({ name, willRun }) => [name, willRun]),
      [['migrate', true]],
    );
    const same = planOf({ ...one, after: [settings('a')], writes: [], facts: { isSame: true } });
    assert.deepEqual(
      same.hooks.map(({ name, willRun }) => [name, willRun]),
      [['migrate', false]],
    );
    assert.equal(same.risk, 'none');
    const other = planOf({ ...one, after: [settings('a')], writes: [], facts: { isSame: false } });
    assert.deepEqual([other.hooks[0]?.willRun, other.risk], [true, 'low']);
  });
});
