import assert from 'node:assert/strict';
import type { FencedWrite, FenceWrite } from '../../tasks/common/core/helm/fence';
import { fencePolicy, unplannedDeletions } from '../../tasks/common/core/rollbackPlan/execution/fencePolicy';
import {
  deployment,
  hook,
  live,
  object,
  plan,
  rehearsal,
  revision,
  verified,
  web,
  write,
} from '../support/rollbackScene';

const quota = object('ResourceQuota', 'limit');
const settings = object('ConfigMap', 'new', { data: { a: '1' } });
const warn = hook('Job', 'warn', ['pre-rollback'], 'Succeeded', { spec: { backoffLimit: 1 } });
const target = revision(1, 'superseded', [web('shop:1')], { labels: verified(1), hooks: [warn] });
const writes = [
  write('changed', live(web('shop:1')), { bodyDigest: 'as rehearsed' }),
  write('deleted', live(quota)),
  write('deleted', live(settings)),
];
const made = plan({
  history: [target, revision(2, 'deployed', [web('shop:2'), quota, settings])],
  live: [live(web('shop:2')), live(quota), live(settings)],
  writes,
});
const policy = fencePolicy({ plan: made, rehearsal: rehearsal(writes), target, storage: 'Secret' });

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
    bodyDigest: 'another',
    client: 'Helm/4.1.4',
    ...more,
  };
}

describe('the writes that Helm may do during an approved rollback', () => {
  it('deletes only objects that restrain others, its hooks and its own new objects', () => {
    assert.ok(policy.mayDelete(asked('delete', 'resourcequotas', 'limit')));
    assert.ok(policy.mayDelete(asked('delete', 'jobs', 'warn')));
    assert.ok(policy.mayDelete(asked('delete', 'pods', 'hook', { isMadeHere: true })));
    assert.ok(!policy.mayDelete(asked('delete', 'configmaps', 'new')), 'The task deletes it at the end.');
    assert.ok(!policy.mayDelete(asked('delete', 'deployments', 'web')));
    assert.ok(!policy.mayDelete(asked('delete', 'deployments', undefined)));
  });

  it('writes only objects that the target declares, its hooks and its own records', () => {
    assert.ok(policy.mayWrite(asked('apply', 'deployments', 'web')));
    assert.ok(policy.mayWrite(asked('create', 'jobs', 'warn')));
    assert.ok(policy.mayWrite(asked('update', 'secrets', 'sh.helm.release.v1.web.v2', { isStorage: true })));
    assert.ok(policy.mayWrite(asked('create', 'secrets', undefined)), 'A record that is sent as protobuf.');
    assert.ok(!policy.mayWrite(asked('create', 'configmaps', undefined)));
    assert.ok(!policy.mayWrite(asked('patch', 'deployments', 'other')));
    assert.ok(!policy.mayWrite(asked('update', 'secrets', 'tls')));
  });

  it('a subresource is not the object itself, and Helm may delete no record of its own', () => {
    assert.ok(!policy.mayWrite(asked('patch', 'deployments', 'web', { subresource: 'scale' })));
    assert.ok(!policy.mayWrite(asked('create', 'serviceaccounts', 'web', { subresource: 'token' })));
    const record = { isStorage: true, isMadeHere: true };
    assert.ok(!policy.mayDelete(asked('delete', 'secrets', 'sh.helm.release.v1.web.v3', record)));
  });

  it('writes to its own new objects only what was rehearsed', () => {
    assert.ok(!policy.mayWrite(asked('patch', 'configmaps', 'mine', { isMadeHere: true })));
  });

  const compared = (write: FenceWrite, wouldBe = live(web('shop:1'))): string => {
    const compare = policy.comparing(write);
    return compare === undefined ? 'not compared' : (compare(wouldBe) ?? 'the same');
  };
  const changed = (field: object) => live(web('shop:1', field));

  it('repeats the rehearsal: the same request, or one with the same result', () => {
    const same = asked('patch', 'deployments', 'web', { bodyDigest: 'as rehearsed' });
    assert.equal(compared(same), 'not compared');
    assert.equal(compared({ ...same, verb: 'apply' }), 'the same');
    assert.equal(compared(asked('patch', 'deployments', 'web')), 'the same');
    assert.match(compared(asked('patch', 'deployments', 'web'), changed({ replicas: 0 })), /\(spec\.replicas\)$/);
    const host = live(deployment('web', { hostNetwork: true, containers: [{ name: 'web', image: 'shop:1' }] }));
    assert.match(compared(asked('patch', 'deployments', 'web'), host), /hostNetwork/);
    const record = asked('update', 'secrets', 'sh.helm.release.v1.web.v3', { isStorage: true });
    assert.equal(compared(record), 'not compared');
  });

  it('makes a hook as the target declares it, whatever metadata Helm adds', () => {
    const sent = object('Job', 'warn', { spec: { backoffLimit: 1 } }, 'batch/v1');
    const job = (more: object): FenceWrite => asked('create', 'jobs', 'warn', { sent: { ...sent, ...more } });
    const noted = { metadata: { name: 'warn', labels: { 'app.kubernetes.io/managed-by': 'Helm' } } };
    assert.equal(compared(job(noted)), 'the same');
    assert.equal(compared({ ...job(noted), verb: 'apply' }), 'the same', 'Helm 4 applies it.');
    assert.match(compared({ ...job({ spec: { backoffLimit: 2 } }), verb: 'apply' }), /not the hook/);
    assert.match(compared(job({ spec: { backoffLimit: 1, template: {} } })), /not the hook/);
    assert.match(compared({ ...job({}), verb: 'patch' }), /not the hook/);
  });

  it('of the deletions held back, only those that the plan does not do itself are reported', () => {
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
