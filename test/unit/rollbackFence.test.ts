import assert from 'node:assert/strict';
import type { FencedWrite, FenceWrite } from '../../tasks/common/core/fence';
import { fencePolicy, unplannedDeletions } from '../../tasks/common/core/rollbackPlan/fencePolicy';
import { hook, live, object, plan, revision, verified, web, write } from '../support/rollbackScene';

const quota = object('ResourceQuota', 'limit');
const settings = object('ConfigMap', 'new', { data: { a: '1' } });
const made = plan({
  history: [
    revision(1, 'superseded', [web('shop:1')], { labels: verified(1), hooks: [hook('Job', 'warn', ['pre-rollback'])] }),
    revision(2, 'deployed', [web('shop:2'), quota, settings]),
  ],
  live: [live(web('shop:2')), live(quota), live(settings)],
  writes: [write('changed', live(web('shop:1'))), write('deleted', live(quota)), write('deleted', live(settings))],
});
const policy = fencePolicy(made, 'Secret');

function asked(
  verb: FenceWrite['verb'],
  resource: string,
  name: string | undefined,
  more: Partial<FenceWrite> = {},
): FenceWrite {
  const apiVersion = resource === 'deployments' ? 'apps/v1' : resource === 'jobs' ? 'batch/v1' : 'v1';
  return {
    verb,
    apiVersion,
    resource,
    namespace: 'shop',
    ...(name === undefined ? {} : { name }),
    isStorage: false,
    isMadeHere: false,
    client: 'Helm/4.1.4',
    ...more,
  };
}

describe('what Helm is let do in the execution of a plan', () => {
  it('deletes what only restrains, its hooks and what it has made itself; nothing else', () => {
    assert.ok(policy.mayDelete(asked('delete', 'resourcequotas', 'limit')));
    assert.ok(policy.mayDelete(asked('delete', 'jobs', 'warn')));
    assert.ok(policy.mayDelete(asked('delete', 'pods', 'hook', { isMadeHere: true })));
    assert.ok(!policy.mayDelete(asked('delete', 'configmaps', 'new')), 'The task deletes it at the end.');
    assert.ok(!policy.mayDelete(asked('delete', 'deployments', 'web')));
    assert.ok(!policy.mayDelete(asked('delete', 'deployments', undefined)));
  });

  it('writes what the target declares, its hooks and its own records; nothing else', () => {
    assert.ok(policy.mayWrite(asked('apply', 'deployments', 'web')));
    assert.ok(policy.mayWrite(asked('create', 'jobs', 'warn')));
    assert.ok(policy.mayWrite(asked('update', 'secrets', 'sh.helm.release.v1.web.v2', { isStorage: true })));
    assert.ok(policy.mayWrite(asked('create', 'secrets', undefined)), 'A record that is sent as protobuf.');
    assert.ok(!policy.mayWrite(asked('create', 'configmaps', undefined)));
    assert.ok(!policy.mayWrite(asked('patch', 'deployments', 'other')));
    assert.ok(!policy.mayWrite(asked('update', 'secrets', 'tls')));
  });

  it('of what was held back, only what the plan does not delete itself is told', () => {
    const held = (kind: string, name: string): FencedWrite => ({
      verb: 'delete',
      ref: { apiVersion: kind === 'Deployment' ? 'apps/v1' : 'v1', kind, namespace: 'shop', name },
      resource: '',
      client: 'Helm/4.1.4',
    });
    const heldBack = [held('ConfigMap', 'new'), held('Deployment', 'web')];
    assert.deepEqual(
      unplannedDeletions(made, { heldBack }).map(({ ref }) => ref.name),
      ['web'],
    );
  });
});
