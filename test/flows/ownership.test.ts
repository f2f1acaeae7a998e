import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { served, settings, works } from '../support/fakes/adoption';
import { liveObject, namespace, owned, scene, type Scene, type Setting } from '../support/fakes/scene';

const helm = { takesOwnership: true };
const taking = (...from: { name: string; namespace?: string }[]) => ({ takeOwnership: { from } });
const theirs = owned(settings, 'other');

function recordOf(name: string, status: string, place = namespace): KubeObject {
  const labels = { owner: 'helm', name, status };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `sh.helm.release.v1.${name}.v1`, namespace: place, labels },
  };
}

async function play(setting: Partial<Setting>, records: readonly KubeObject[] = [], disturb?: (on: Scene) => void) {
  const on = await scene({ ...served, chart: works, helm, foreign: [settings], ...setting });
  for (const record of records) on.cluster.put(record);
  disturb?.(on);
  const report = await deploy(on.context);
  return { on, report, log: on.agent.lines.join('\n') };
}

describe('a deploy that takes objects over', () => {
  it('an object of nobody is taken', async () => {
    const { on, report } = await play({ request: taking() });
    assert.equal(report.outcome, 'deployed', report.message);
    assert.deepEqual(liveObject(on.cluster, settings)?.['data'], { text: 'chart', mine: '1' });
  });

  for (const [what, records] of [
    ['without a record', []],
    ['that was uninstalled and kept its history', [recordOf('other', 'uninstalled')]],
    ['of which another namespace has a record', [recordOf('other', 'deployed', 'elsewhere')]],
  ] as const) {
    it(`an object of a release ${what} is taken, and the log names the release`, async () => {
      const { report, log } = await play({ foreign: [theirs], request: taking() }, records);
      assert.equal(report.outcome, 'deployed', report.message);
      assert.match(log, /takes ConfigMap\/settings from release other in namespace prod, of which Helm has no record/);
    });
  }

  for (const status of ['deployed', 'failed', 'pending-upgrade'] as const) {
    it(`an object of a release that is ${status} is not taken, and nothing is changed`, async () => {
      const { on, report } = await play({ foreign: [theirs], request: taking() }, [recordOf('other', status)]);
      assert.deepEqual(
        [report.outcome, report.reason, report.failedWorkload],
        ['refused', 'ObjectOwned', 'ConfigMap/settings'],
      );
      assert.match(report.message, /from release other in namespace prod, and that release still lives\. Helm was not/);
      assert.match(report.advice, /takeOwnershipFrom/);
      assert.deepEqual(on.helm.runs, []);
      assert.deepEqual(liveObject(on.cluster, settings)?.['data'], settings['data']);
    });
  }

  for (const [from, isTaken] of [
    [{ name: 'other' }, true],
    [{ name: 'other', namespace: 'prod' }, true],
    [{ name: 'other', namespace: 'elsewhere' }, false],
    [{ name: 'another' }, false],
  ] as const) {
    const named = [from.namespace ?? [], from.name].flat().join('/');
    it(`takeOwnershipFrom: ${named} ${isTaken ? 'takes' : 'does not take'} from a release that lives`, async () => {
      const setting = { foreign: [theirs], request: taking(from) };
      const { on, report } = await play(setting, [recordOf('other', 'deployed')]);
      assert.equal(report.outcome, isTaken ? 'deployed' : 'refused', report.message);
      assert.equal(/Remove the object from the chart of release other/.test(on.agent.warnings.join()), isTaken);
    });
  }

  it('if the records may not be read, the release counts as living', async () => {
    const { report } = await play({ foreign: [theirs], request: taking() }, [], (on) => {
      const { cluster } = on.context;
      on.context.cluster = {
        ...cluster,
        list: (query, keep) =>
          query.labelSelector === 'owner=helm,name=other'
            ? Promise.reject(new TaskError('PermissionDenied', 'You may not list Secrets.'))
            : cluster.list(query, keep),
      };
    });
    assert.deepEqual([report.outcome, report.reason], ['refused', 'ObjectOwned']);
    assert.match(report.message, /not known whether that release still lives \(You may not list Secrets\)/);
  });

  it('the flag in the arguments takes from every release, as before', async () => {
    const request = { extraArguments: ['--take-ownership'] };
    const { report } = await play({ foreign: [theirs], request }, [recordOf('other', 'deployed')]);
    assert.equal(report.outcome, 'deployed');
  });

  describe('with server-side apply', () => {
    const key = `/ConfigMap/${namespace}/settings`;
    const byHelm4: Partial<Setting> = {
      history: served.history.map((one) => ({ ...one, applyMethod: 'ssa' as const })),
      helm: { ...helm, major: 4 },
    };

    it('fields of the object that is taken over are taken too', async () => {
      const { on, report } = await play({ ...byHelm4, request: taking() }, [], ({ cluster }) => {
        cluster.taken.set(key, { field: 'data.text', manager: 'kubectl-create' });
      });
      assert.equal(report.outcome, 'deployed', report.message);
      assert.deepEqual(on.helm.runs, ['upgrade --force-conflicts']);
    });

    it('a conflict in another object is refused as before', async () => {
      const { report } = await play({ ...byHelm4, request: taking() }, [], ({ cluster }) => {
        cluster.taken.set(`/ConfigMap/${namespace}/own`, { field: 'data.a', manager: 'kubectl-edit' });
      });
      assert.deepEqual(
        [report.outcome, report.reason, report.failedWorkload],
        ['refused', 'FieldConflict', 'ConfigMap/own'],
      );
    });
  });
});
