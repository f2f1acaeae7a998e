import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import { verifiedLabel } from '../../tasks/common/core/release/history';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { planDeploy } from '../../tasks/common/flows/deploy/planDeploy';
import {
  chart,
  claim,
  configMap,
  deployment,
  hook,
  live,
  revision,
  scene,
  type Scene,
  type Setting,
} from '../support/fakes/scene';
import { rehearsal } from '../support/rollbackScene';
import { assertPlan } from '../support/planSchema';
import { assertReport } from '../support/reportSchema';

const web = deployment('web', 'good');
const one = chart(
  '1.0.0',
  [web, configMap('settings', { text: 'one' }), configMap('old')],
  [hook('migrate', 'pre-upgrade')],
);
const two = chart(
  '2.0.0',
  [web, configMap('settings', { text: 'two' }), configMap('new')],
  [hook('migrate', 'pre-upgrade')],
);
const verified = { labels: { [verifiedLabel]: '1' } };
const deployed = { history: [revision(1, 'deployed', one, verified)], live: one.objects };

const changing =
  /^(storage\.(update|remove|keep|drop)|cluster\.(create|update|patch|apply|delete)$|helm\.(upgrade|rollback|uninstall|test))/;

/** Plans, and proves that the plan changes nothing but the kept plan. */
async function plan(on: Scene): Promise<ChangePlan> {
  const before = structuredClone([on.storage.records, [...on.cluster.objects.values()]]);
  const { plan: made, report } = await planDeploy(on.context);
  assertReport(report);
  assert.ok(made !== undefined, report.message);
  assertPlan(made);
  assert.deepEqual([on.storage.records, [...on.cluster.objects.values()]], before);
  assert.deepEqual(
    on.calls.filter((call) => changing.test(call)),
    [],
  );
  assert.equal(report.planDigest, made.digest);
  return made;
}

function fates({ objects }: ChangePlan): string[] {
  return objects.map(({ kind, name, fate }) => `${kind}/${name} ${fate}`);
}

function codes({ findings }: ChangePlan): string[] {
  return findings.map(({ code }) => code).filter((code) => code !== 'HooksNotRehearsed');
}

describe('the plan of a deploy', () => {
  const cases: [title: string, setting: Setting, risk: string, fates: string[], codes: string[]][] = [
    [
      'an upgrade shows what becomes of each object',
      { ...deployed, chart: two },
      'low',
      ['Deployment/web kept', 'ConfigMap/settings patched', 'ConfigMap/new created', 'ConfigMap/old deleted'],
      [],
    ],
    [
      'the deployed chart again changes nothing',
      { ...deployed, chart: one },
      'none',
      ['Deployment/web kept', 'ConfigMap/settings kept', 'ConfigMap/old kept'],
      [],
    ],
    [
      'a release that does not exist is installed',
      { chart: two },
      'low',
      ['Deployment/web created', 'ConfigMap/settings created', 'ConfigMap/new created'],
      ['FirstInstall'],
    ],
    [
      'a release whose run was killed is planned as if that run was gone',
      {
        history: [revision(1, 'superseded', one, verified), revision(2, 'pending-upgrade', two)],
        live: one.objects,
        chart: two,
      },
      'high',
      ['Deployment/web kept', 'ConfigMap/settings patched', 'ConfigMap/new created', 'ConfigMap/old deleted'],
      ['ReleasePending', 'AfterFailure'],
    ],
    [
      'a first install that died is removed and installed again',
      { history: [revision(1, 'pending-install', one)], live: [web], chart: one },
      'high',
      ['Deployment/web kept', 'ConfigMap/settings created', 'ConfigMap/old created'],
      ['ReleasePending', 'InstalledAgain', 'NotForeseen'],
    ],
    [
      'a claim that the chart drops stays',
      {
        history: [revision(1, 'deployed', chart('1.0.0', [web, claim('data')]), verified)],
        live: [web, claim('data')],
        chart: chart('2.0.0', [web]),
      },
      'none',
      ['Deployment/web kept', 'PersistentVolumeClaim/data orphaned'],
      ['Orphaned'],
    ],
    [
      'a claim that the chart drops is deleted with deleteData',
      {
        history: [revision(1, 'deployed', chart('1.0.0', [web, claim('data')]), verified)],
        live: [web, claim('data')],
        chart: chart('2.0.0', [web]),
        request: { deleteData: true },
      },
      'high',
      ['Deployment/web kept', 'PersistentVolumeClaim/data deleted'],
      ['DeletesPersistentVolumeClaim'],
    ],
  ];
  for (const [title, setting, risk, expected, found] of cases) {
    it(title, async () => {
      const on = await scene(setting);
      const made = await plan(on);
      assert.deepEqual(fates(made).sort(), [...expected].sort());
      assert.deepEqual(codes(made), found);
      assert.equal(made.risk, risk);
    });
  }

  it('a deploy that would change nothing runs no hook, and says so', async () => {
    const on = await scene({ ...deployed, chart: one });
    const made = await plan(on);
    assert.deepEqual(
      made.hooks.map(({ willRun }) => willRun),
      [false],
    );
    assert.match(on.agent.lines.join('\n'), /Not changed: 3 objects/);
  });

  it('a namespace that does not exist makes the plan unforeseen, and nothing is kept', async () => {
    const on = await scene({ chart: two, request: { createNamespace: true } });
    on.cluster.take('/Namespace//prod');
    const made = await plan(on);
    assert.deepEqual(codes(made), ['NotForeseen', 'FirstInstall']);
    assert.equal(on.plans.stored.size, 0);
    const again = await plan(on);
    assert.equal(again.digest, made.digest);
  });
});

it('the plan of 500 objects reads each kind once, and sends no dry run of its own', async () => {
  const objects = (text: string): KubeObject[] =>
    Array.from({ length: 500 }, (_, index) =>
      index % 2 === 0 ? configMap(`c${index}`, { text }) : deployment(`d${index}`, text),
    );
  const [before, after] = [chart('1.0.0', objects('one')), chart('2.0.0', objects('two'))];
  const on = await scene({ history: [revision(1, 'deployed', before, verified)], live: before.objects, chart: after });
  const made = await plan(on);
  assert.equal(made.objects.filter(({ fate }) => fate === 'patched').length, 500);
  const count = (name: string): number => on.calls.filter((call) => call === name).length;
  assert.ok(count('cluster.list') <= 12, `${count('cluster.list')} lists`);
  assert.ok(count('cluster.get') <= 2, `${count('cluster.get')} reads of one object`);
  assert.equal(count('cluster.dryRunApply'), 0);
  assert.equal(count('helm.render') + count('helm.rehearse'), 2);
});

it('a plan whose rehearsal fails names all objects with fields that cannot be changed', async () => {
  const on = await scene({ ...deployed, chart: two });
  const { cluster, helm } = on.context;
  const message = 'spec.selector: Invalid value: field is immutable';
  const context = {
    ...on.context,
    helm: {
      ...helm,
      rehearse: () => Promise.resolve({ rehearsal: rehearsal([], { outcome: 'failed', exitCode: 1, message }) }),
    },
    cluster: {
      ...cluster,
      dryRunApply: (...asked: Parameters<typeof cluster.dryRunApply>) =>
        asked[0].kind === 'ConfigMap'
          ? cluster.dryRunApply(...asked)
          : Promise.reject(new TaskError('ApplyRejected', message)),
    },
  };
  const { plan: made, report } = await planDeploy(context);
  assert.deepEqual([report.outcome, report.reason], ['refused', 'PlanRefused']);
  const refused = made?.findings.filter(({ code }) => code === 'WriteRefused').map(({ object }) => object);
  assert.deepEqual(refused, ['Deployment/web']);
});

describe('a deploy with the digest of its plan', () => {
  async function planned(setting: Setting): Promise<{ on: Scene; digest: string }> {
    const on = await scene(setting);
    return { on, digest: (await plan(on)).digest };
  }

  const again = async ({ on, digest }: { on: Scene; digest: string }, more: Partial<Setting> = {}) => {
    const other = await scene({ ...deployed, chart: two, ...more });
    const context = {
      ...on.context,
      ...(more.chart === undefined ? {} : { helm: other.context.helm }),
      request: { ...on.context.request, planDigest: digest.replace('sha256:', '') },
    };
    return deploy(context);
  };

  it('deploys what the plan says', async () => {
    const first = await planned({ ...deployed, chart: two });
    const report = await again(first);
    assert.equal(report.outcome, 'deployed', report.message);
    assert.equal(report.planDigest, first.digest);
    assert.deepEqual(live(first.on.cluster), ['ConfigMap/new', 'ConfigMap/settings', 'Deployment/web']);
  });

  it('refuses another chart, another state of the cluster, and an unknown digest, and changes nothing', async () => {
    const setByHand = async (on: Scene): Promise<void> => {
      const found = [...on.cluster.objects.values()].find(({ metadata }) => metadata.name === 'settings');
      on.cluster.put({ ...found, data: { text: 'by hand' } } as unknown as KubeObject, 'kubectl');
      await Promise.resolve();
    };
    const first = await planned({ ...deployed, chart: two });
    const records = structuredClone(first.on.storage.records);
    const other = await again(first, { chart: chart('3.0.0', two.objects, two.hooks) });
    assert.deepEqual([other.outcome, other.reason], ['refused', 'PlanChanged'], other.message);
    assert.match(other.message, /The chart was shop 2\.0\.0 in the plan and is shop 3\.0\.0 now/);
    const unknown = await again({ ...first, digest: 'f'.repeat(64) });
    assert.deepEqual([unknown.outcome, unknown.reason], ['refused', 'PlanMissing'], unknown.message);
    await setByHand(first.on);
    const changed = await again(first);
    assert.deepEqual([changed.outcome, changed.reason], ['refused', 'PlanChanged'], changed.message);
    assert.match(changed.differences?.join(' ') ?? '', /ConfigMap\/settings/);
    assert.deepEqual(first.on.storage.records, records);
  });

  it('refuses a plan that is too old', async () => {
    const first = await planned({ ...deployed, chart: two, request: { maxPlanAgeSeconds: 60 } });
    await first.on.time.sleep(120_000, new AbortController().signal);
    const report = await again(first);
    assert.deepEqual([report.outcome, report.reason], ['refused', 'PlanExpired'], report.message);
  });

  it('accepts a time to the second in the chart', async () => {
    const renderings = (now: Date) => ({ objects: [configMap('settings', { at: now.toISOString().slice(0, 19) })] });
    const first = await planned({ ...deployed, chart: { version: '2.0.0', objects: [], renderings } });
    await first.on.time.sleep(60_000, new AbortController().signal);
    const report = await again(first);
    assert.notEqual(report.reason, 'PlanChanged', report.message);
  });

  it('accepts what the chart makes up at each rendering', async () => {
    const rendering = (password: string, name: string) => ({
      objects: [
        web,
        { ...configMap('login'), kind: 'Secret', stringData: { password, user: 'web' } },
        configMap(`run-${name}`, { name }),
      ],
      hooks: [],
    });
    const made = {
      version: '2.0.0',
      objects: [],
      renderings: [rendering('a', 'x'), rendering('b', 'y'), rendering('c', 'z')],
    };
    const first = await planned({ ...deployed, chart: made });
    const { plan: shown } = await planDeploy(first.on.context);
    const generated = shown?.objects.filter(({ generated: fields }) => fields.length > 0);
    assert.deepEqual(
      generated?.map(({ kind, generated: fields }) => [kind, fields]),
      [
        ['Secret', ['stringData.password']],
        ['ConfigMap', ['metadata.name', 'data.name']],
      ],
    );
    const report = await again(first);
    assert.notEqual(report.reason, 'PlanChanged', report.message);
  });
});
