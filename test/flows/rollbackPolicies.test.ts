import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import type { Cluster, HelmResult, ReleaseHelm, RollbackHelm } from '../../tasks/common/core/ports';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import type { FakeCluster } from '../support/fakes/fakeCluster';
import { manifestOf } from '../support/fakes/fakeHelm';
import type { FakeStorage } from '../support/fakes/fakeStorage';
import { begin, labels, plan, rollBack, two } from '../support/fakes/rollbackStage';
import {
  chart,
  configMap,
  deployment,
  inNamespace,
  live,
  liveObject,
  revision,
  scene,
  told,
} from '../support/fakes/scene';

const settings = configMap('settings', { mode: 'one' });
const target = chart('1', [settings, deployment('web', '1')]);
const broken = chart('2', [configMap('settings', { mode: 'two' }), deployment('web', 'broken')]);
const keyOf = (object: KubeObject): string => objectKey(refOf(inNamespace(object)));

interface Rolled {
  outcome: string;
  reason: string;
  message: string;
  records: string;
  lines: string;
  /** The ways in which Helm was run for the rollback. */
  helms: readonly ('fenced' | 'not fenced')[];
  cluster: FakeCluster;
  live: readonly string[];
}

interface World {
  cluster: FakeCluster;
  storage: FakeStorage;
}

interface Trouble {
  /** What this Helm does besides, when it has ended its rollback. */
  afterHelm?: (on: World, result: HelmResult) => HelmResult | undefined;
  /** The kinds that the API server does not let the task write. */
  refused?: readonly string[];
}

type Ports = { cluster: Cluster; helm: ReleaseHelm; rollbackHelm: RollbackHelm };

/** The ports of a step, with this trouble. */
function troubled<Start extends Ports>(
  start: Start,
  on: World,
  trouble: Trouble,
  helms: Rolled['helms'][number][],
): Start {
  const { afterHelm = () => undefined, refused = [] } = trouble;
  const allowed = (object: KubeObject): void => {
    if (refused.includes(object.kind)) throw new TaskError('PermissionDenied', `You may not write ${object.kind}.`);
  };
  return {
    ...start,
    cluster: {
      ...start.cluster,
      async apply(object, options) {
        allowed(object);
        return start.cluster.apply(object, options);
      },
      async create(object, options) {
        allowed(object);
        return start.cluster.create(object, options);
      },
    },
    helm: {
      ...start.helm,
      async rollback(options) {
        helms.push('not fenced');
        const result = await start.helm.rollback(options);
        return afterHelm(on, result) ?? result;
      },
    },
    rollbackHelm: {
      ...start.rollbackHelm,
      async rollback(options) {
        helms.push('fenced');
        const { result, fence } = await start.rollbackHelm.rollback(options);
        return { result: afterHelm(on, result) ?? result, fence };
      },
    },
  };
}

const policies: Readonly<
  Record<'automatic' | 'approved', (trouble: Trouble, objects?: typeof target) => Promise<Rolled>>
> = {
  async automatic(trouble, from = target) {
    const on = await scene({ history: [revision(1, 'deployed', from)], live: target.objects, chart: broken });
    const helms: Rolled['helms'][number][] = [];
    const report = await deploy(troubled(on.context, on, trouble, helms));
    const { outcome, reason, message } = report;
    return { outcome, reason, message, helms, cluster: on.cluster, ...seen(on, on.agent) };
  },
  async approved(trouble, from = target) {
    const history = [revision(1, 'superseded', from, { labels }), revision(2, 'deployed', two)];
    const on = await begin({ history });
    const helms: Rolled['helms'][number][] = [];
    const { report, agent } = await rollBack(on, await plan(on), {
      request: { rollbackTimeoutSeconds: 60 },
      through: (start) => troubled(start, on, trouble, helms),
    });
    assert.ok(report !== undefined);
    const { outcome, reason, message } = report.report;
    return { outcome, reason, message, helms, cluster: on.cluster, ...seen(on, agent) };
  },
};

function seen(
  on: World,
  agent: { lines: readonly string[]; warnings: readonly string[] },
): Pick<Rolled, 'records' | 'lines' | 'live'> {
  return {
    records: told(on.storage.records),
    lines: [...agent.lines, ...agent.warnings].join('\n'),
    live: live(on.cluster),
  };
}

const without =
  (object: KubeObject) =>
  ({ cluster }: World): undefined => {
    cluster.take(keyOf(object));
  };

const changing =
  (data: Record<string, string>) =>
  ({ cluster }: World): undefined => {
    const object = liveObject(cluster, settings);
    assert.ok(object !== undefined);
    cluster.put({ ...object, data: { ...(object['data'] as object), ...data } });
  };

const failedHelm = (result: HelmResult): HelmResult => ({
  ...result,
  ok: false,
  exitCode: 1,
  failure: { reason: 'HelmFailed', message: 'this Helm has failed' },
});

/** Helm fails after it has applied the objects, and its revision is failed. */
const failing =
  (gone: KubeObject) =>
  ({ cluster, storage }: World, result: HelmResult): HelmResult => {
    cluster.take(keyOf(gone));
    storage.records = storage.records.map((one) =>
      one === storage.records.at(-1) ? { ...one, status: 'failed' } : one,
    );
    return failedHelm(result);
  };

const another = ({ storage }: World): undefined => {
  const manifest = manifestOf([settings]);
  storage.records = storage.records.map((one) => (one === storage.records.at(-1) ? { ...one, manifest } : one));
};

const ends = ({ outcome, reason }: Rolled): string => `${outcome} ${reason}`.trim();
/** An automatic rollback has the reason of the deploy that has failed. */
const done = { automatic: 'rolledBack ImageInvalidName', approved: 'rolledBack' };
const failed = (reason: string): Record<keyof typeof policies, string> => ({
  automatic: 'failed ImageInvalidName',
  approved: `failed ${reason}`,
});

describe('a rollback by each of the two policies', function () {
  this.timeout(60_000);

  for (const policy of ['automatic', 'approved'] as const) {
    const run = policies[policy];
    const last = (revisionOf: string): RegExp => new RegExp(`${revisionOf}$`);

    it(`${policy}: Helm runs ${policy === 'approved' ? 'through the fence' : 'without a fence'}`, async () => {
      const rolled = await run({});
      assert.equal(ends(rolled), done[policy], rolled.message);
      assert.deepEqual(rolled.helms, [policy === 'approved' ? 'fenced' : 'not fenced']);
    });

    it(`${policy}: an object that Helm left out is created again`, async () => {
      const rolled = await run({ afterHelm: without(settings) });
      assert.equal(ends(rolled), done[policy], rolled.message);
      assert.ok(rolled.live.includes('ConfigMap/settings'));
      assert.match(rolled.lines, /were applied again: ConfigMap\/settings/);
      assert.match(rolled.records, last('3 deployed\\+verified'));
    });

    it(`${policy}: an object that Helm left out and that cannot be created again fails the rollback`, async () => {
      const rolled = await run({ afterHelm: without(settings), refused: ['ConfigMap'] });
      assert.equal(ends(rolled), failed('ProofFailed')[policy], rolled.message);
      assert.match(rolled.message, /Revision 3 was made, but .*ConfigMap\/settings/);
      // The same step resumes an approved rollback that is not yet proven, so its revision is not marked.
      assert.match(rolled.records, last(policy === 'approved' ? '3 deployed' : '3 failed\\+unhealthy'));
    });

    it(`${policy}: a field that is not as declared is set again`, async () => {
      const rolled = await run({ afterHelm: changing({ mode: 'three' }) });
      assert.equal(ends(rolled), done[policy], rolled.message);
      assert.deepEqual(liveObject(rolled.cluster, settings)?.['data'], { mode: 'one' });
    });

    it(`${policy}: a field that cannot be set again ${policy === 'approved' ? 'fails' : 'does not fail'} the rollback`, async () => {
      const rolled = await run({ afterHelm: changing({ mode: 'three' }), refused: ['ConfigMap'] });
      assert.equal(ends(rolled), policy === 'approved' ? 'failed ProofFailed' : done.automatic, rolled.message);
    });

    it(`${policy}: a field that nobody declares and no rehearsal has shown ${policy === 'approved' ? 'fails' : 'does not fail'} the rollback`, async () => {
      const rolled = await run({ afterHelm: changing({ own: 'yes' }) });
      assert.equal(ends(rolled), policy === 'approved' ? 'failed ProofFailed' : done.automatic, rolled.message);
      assert.match(rolled.records, last(policy === 'approved' ? '3 failed\\+unhealthy' : '3 deployed\\+verified'));
    });

    it(`${policy}: a Helm that makes another revision than the target fails the rollback`, async () => {
      const rolled = await run({ afterHelm: another });
      assert.equal(ends(rolled), failed('ProofFailed')[policy], rolled.message);
      assert.match(rolled.message, /its new revision 3 is not what revision 1, the target, declares/);
      assert.match(rolled.records, last('3 failed\\+unhealthy'));
    });

    it(`${policy}: objects that a failing Helm has removed are created again`, async () => {
      const rolled = await run({ afterHelm: failing(deployment('web', '1')) });
      assert.equal(ends(rolled), failed('HelmFailed')[policy], rolled.message);
      assert.match(rolled.message, /this Helm has failed.* made again: Deployment\/web/);
      assert.ok(rolled.live.includes('Deployment/web'));
      assert.match(rolled.records, last('3 failed'));
    });

    it(`${policy}: a Helm that fails after its revision is deployed does not fail the rollback`, async () => {
      const rolled = await run({ afterHelm: (_, result) => failedHelm(result) });
      assert.equal(ends(rolled), done[policy], rolled.message);
      assert.match(rolled.lines, /Helm made revision 3 and failed then: this Helm has failed/);
    });

    it(`${policy}: a target whose pods stay unhealthy fails the rollback`, async () => {
      const sick = chart('1', [settings, deployment('web', 'broken', { priority: 1 })]);
      const rolled = await run({}, sick);
      assert.match(ends(rolled), /^failed /, rolled.message);
      assert.match(rolled.records, last('3 failed\\+unhealthy'));
      if (policy === 'approved') {
        assert.match(rolled.message, /Not deleted, because it is not healthy: ConfigMap\/new/);
        assert.ok(rolled.live.includes('ConfigMap/new'));
      }
    });
  }
});
