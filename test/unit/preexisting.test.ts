import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import {
  candidates,
  firstDeclared,
  fitting,
  isOlder,
  isPreexisting,
  kept,
  mayBeKept,
  restoration,
  type Restoration,
} from '../../tasks/common/core/release/preexisting';
import type { Hook } from '../../tasks/common/core/release/release';
import { chart, configMap, revision } from '../support/fakes/scene';
import { manifestOf } from '../support/fakes/fakeHelm';

const release = { name: 'shop', namespace: 'prod' };
const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}Z`;
const marks = { 'meta.helm.sh/release-name': 'shop', 'meta.helm.sh/release-namespace': 'prod' };
const helm = (fieldsV1: object) => ({ manager: 'helm', operation: 'Apply', fieldsV1 });
const other = (manager: string, fieldsV1: object, subresource = '') => ({
  manager,
  operation: 'Update',
  ...(subresource === '' ? {} : { subresource }),
  fieldsV1,
});

/** A live object. */
function object(kind: string, fields: object, metadata: object = {}): KubeObject {
  const apiVersion = kind === 'Deployment' ? 'apps/v1' : kind === 'Job' ? 'batch/v1' : 'v1';
  return {
    apiVersion,
    kind,
    metadata: { name: 'x', namespace: 'prod', uid: 'u1', resourceVersion: '1', creationTimestamp: at(1), ...metadata },
    ...fields,
  };
}

describe('pre-existing objects', () => {
  const hook = (name: string, ...events: string[]): Hook => ({
    name,
    kind: 'ConfigMap',
    events,
    lastPhase: '',
    manifest: manifestOf([configMap(name)]),
  });
  const v1 = chart('1', [configMap('a')], [hook('old-hook', 'pre-upgrade')]);
  const v2 = chart('2', [configMap('a'), configMap('b')]);

  const searches: [what: string, history: Parameters<typeof candidates>[1], good: 0 | 1, wanted: string[]][] = [
    ['a first install: all of it', [], 0, ['a', 'b', 'old-hook', 'new-hook']],
    ['an upgrade: what the last good revision has not', [revision(1, 'deployed', v1)], 1, ['b', 'new-hook']],
    [
      'after a failed revision: what the last good one has not, too',
      [revision(1, 'deployed', v1), revision(2, 'failed', v2)],
      1,
      ['b', 'new-hook'],
    ],
    [
      'an install after an uninstall: all of it',
      [revision(1, 'uninstalled', v1)],
      0,
      ['a', 'b', 'old-hook', 'new-hook'],
    ],
  ];
  for (const [what, history, good, wanted] of searches) {
    it(`the candidates at ${what}`, () => {
      const hooks = [hook('old-hook', 'pre-install'), hook('new-hook', 'pre-upgrade'), hook('probe', 'test')];
      const rendering = { manifest: manifestOf(v2.objects), hooks };
      const found = candidates(rendering, history, good === 0 ? undefined : history[0], 'prod');
      assert.deepEqual(
        found.map(({ object: { metadata } }) => metadata.name),
        wanted,
      );
    });
  }

  it('the first revision that declares an object counts', () => {
    const history = [revision(1, 'deployed', v1), revision(2, 'failed', v2), revision(3, 'failed', v2)];
    const first = firstDeclared(history, 'prod');
    assert.deepEqual(
      [...first.values()].map((each) => each.revision),
      [1, 2],
    );
  });

  const began = { createdAt: new Date(at(5)) };
  const ages: [what: string, created: string | undefined, since: { createdAt?: Date } | undefined, isOld: boolean][] = [
    ['made before the revision', at(4), began, true],
    ['made in the second of the revision', at(5), began, false],
    ['made after the revision', at(6), began, false],
    ['of no known age', undefined, began, false],
    ['of a revision of no known age', at(4), {}, false],
    ['of no revision', at(4), undefined, false],
  ];
  for (const [what, creationTimestamp, since, isOld] of ages) {
    it(`an object ${what} is ${isOld ? '' : 'not '}older`, () => {
      assert.equal(isOlder(object('ConfigMap', {}, { creationTimestamp }), since), isOld);
    });
  }

  const owners: [what: string, live: KubeObject, hasRevision: boolean, known: string[], wanted: boolean][] = [
    [
      'declared by no revision, though with the marks of this release',
      object('ConfigMap', {}, { annotations: marks }),
      false,
      [],
      true,
    ],
    ['without marks', object('ConfigMap', {}, { creationTimestamp: at(9) }), true, [], true],
    [
      'of another release',
      object('ConfigMap', {}, { annotations: { ...marks, 'meta.helm.sh/release-name': 'other' } }),
      true,
      [],
      true,
    ],
    ['taken over by a failed revision', object('ConfigMap', {}, { annotations: marks }), true, [], true],
    [
      'created by a failed revision',
      object('ConfigMap', {}, { annotations: marks, creationTimestamp: at(9) }),
      true,
      [],
      false,
    ],
    [
      'that a run has noted by its uid',
      object('ConfigMap', {}, { annotations: marks, creationTimestamp: at(9) }),
      true,
      ['u1'],
      true,
    ],
  ];
  for (const [what, live, hasRevision, known, wanted] of owners) {
    it(`an object ${what} is ${wanted ? '' : 'not '}pre-existing`, () => {
      assert.equal(isPreexisting(live, hasRevision ? began : undefined, release, new Set(known)), wanted);
    });
  }

  it('as many objects as fit are kept, the small ones first', () => {
    assert.deepEqual([...fitting(['large', 'small', 'middle'], [90, 10, 50], 60)], ['small', 'middle']);
    assert.deepEqual([...fitting(['large'], [90], 60)], []);
  });

  it('a Secret of another namespace is not copied to where others may read it', () => {
    const secret = (namespace: string) => kept(object('Secret', {}, { namespace }), 'object');
    assert.equal(mayBeKept(secret('prod'), 'prod'), true);
    assert.equal(mayBeKept(secret('vault'), 'prod'), false);
    assert.equal(mayBeKept(kept(object('ConfigMap', {}, { namespace: 'vault' }), 'object'), 'prod'), true);
  });
});

describe('restoring a pre-existing object', () => {
  const secretBefore = object('Secret', { data: { password: 'cA==', user: 'aGFuZA==' } }, { labels: { team: 'a' } });
  const deploymentBefore = object('Deployment', {
    spec: { replicas: 3, template: { spec: { containers: [{ name: 'main', image: 'hand:1' }] } } },
  });
  const taken = { annotations: marks, labels: { team: 'a', 'app.kubernetes.io/managed-by': 'Helm' } };
  const on = { uid: 'u1', resourceVersion: '2' };

  const cases: [what: string, before: KubeObject, live: KubeObject | undefined, wanted: Restoration][] = [
    [
      'what Helm has not touched stays',
      secretBefore,
      { ...secretBefore, metadata: { ...secretBefore.metadata, resourceVersion: '7' } },
      { action: 'nothing' },
    ],
    [
      'content and marks go back; what was not there is removed',
      secretBefore,
      object('Secret', { data: { user: 'Y2hhcnQ=', extra: 'eA==', password: 'bmV3' } }, { ...on, ...taken }),
      {
        action: 'patch',
        patch: {
          data: { password: 'cA==', user: 'aGFuZA==', extra: null },
          metadata: { labels: { 'app.kubernetes.io/managed-by': null }, annotations: null, ...on },
        },
        metadata: { metadata: { labels: { 'app.kubernetes.io/managed-by': null }, annotations: null, ...on } },
      },
    ],
    [
      'marks that somebody had put on by hand stay',
      object('Secret', { data: { a: 'MQ==' } }, taken),
      object('Secret', { data: { a: 'Mg==' } }, { ...on, ...taken }),
      { action: 'patch', patch: { data: { a: 'MQ==' }, metadata: on }, metadata: { metadata: on } },
    ],
    [
      'the marks of another release come back',
      object('ConfigMap', {}, { annotations: { 'meta.helm.sh/release-name': 'other' } }),
      object('ConfigMap', {}, { ...on, annotations: { 'meta.helm.sh/release-name': 'shop' } }),
      {
        action: 'patch',
        patch: { metadata: { annotations: { 'meta.helm.sh/release-name': 'other' }, ...on } },
        metadata: { metadata: { annotations: { 'meta.helm.sh/release-name': 'other' }, ...on } },
      },
    ],
    [
      'the replicas that an autoscaler has set since, the note of a controller and the label of a person stay',
      deploymentBefore,
      object(
        'Deployment',
        {
          spec: { replicas: 7, template: { spec: { containers: [{ name: 'main', image: 'chart:1' }] } } },
          status: { replicas: 7 },
        },
        {
          ...on,
          labels: { person: 'x' },
          annotations: { 'deployment.kubernetes.io/revision': '2' },
          managedFields: [
            helm({
              'f:spec': {
                'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"main"}': { 'f:image': {} } } } },
              },
            }),
            other('kube-controller-manager', { 'f:spec': { 'f:replicas': {} } }, 'scale'),
            other('kube-controller-manager', {
              'f:metadata': { 'f:annotations': { 'f:deployment.kubernetes.io/revision': {} } },
            }),
            other('kubectl', { 'f:metadata': { 'f:labels': { 'f:person': {} } } }),
          ],
        },
      ),
      {
        action: 'patch',
        patch: { spec: { template: { spec: { containers: [{ name: 'main', image: 'hand:1' }] } } }, metadata: on },
        metadata: { metadata: on },
      },
    ],
    [
      'replicas that Helm has set go back',
      deploymentBefore,
      object(
        'Deployment',
        { spec: { ...(deploymentBefore['spec'] as object), replicas: 1 } },
        { ...on, managedFields: [helm({ 'f:spec': { 'f:replicas': {} } })] },
      ),
      { action: 'patch', patch: { spec: { replicas: 3 }, metadata: on }, metadata: { metadata: on } },
    ],
    [
      'a missing object is created again without the fields of the API server',
      { ...secretBefore, type: 'Opaque' },
      undefined,
      {
        action: 'create',
        object: {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'x', namespace: 'prod', labels: { team: 'a' } },
          data: { password: 'cA==', user: 'aGFuZA==' },
          type: 'Opaque',
        },
      },
    ],
    [
      'a claim that is gone is not made again',
      object('PersistentVolumeClaim', {}),
      undefined,
      { action: 'leave', why: 'it is gone, and a new one would be empty' },
    ],
    [
      'a Job that is gone does not run again',
      object('Job', {}),
      undefined,
      { action: 'leave', why: 'it is gone, and a new one would run again' },
    ],
    [
      'an object that somebody created again is not changed',
      secretBefore,
      object('Secret', { data: {} }, { ...on, uid: 'u2' }),
      { action: 'leave', why: 'somebody has deleted it and created a new one' },
    ],
    [
      'an object that Helm created again (--force) is restored',
      object('ConfigMap', { data: { a: '1' } }),
      object('ConfigMap', { data: { a: '2' } }, { uid: 'u2', resourceVersion: '2', annotations: marks }),
      {
        action: 'patch',
        patch: { data: { a: '1' }, metadata: { annotations: null, uid: 'u2', resourceVersion: '2' } },
        metadata: { metadata: { annotations: null, uid: 'u2', resourceVersion: '2' } },
      },
    ],
    [
      'what is being deleted is left alone',
      secretBefore,
      object('Secret', {}, { ...on, deletionTimestamp: at(9) }),
      { action: 'leave', why: 'it is being deleted' },
    ],
    [
      'what the chart made immutable is replaced',
      object('ConfigMap', { data: { a: '1' } }),
      object('ConfigMap', { data: { a: '2' }, immutable: true }, { ...on, annotations: marks }),
      {
        action: 'replace',
        uid: 'u1',
        object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'prod' }, data: { a: '1' } },
      },
    ],
  ];
  for (const [what, before, live, wanted] of cases) {
    it(what, () => {
      assert.deepEqual(restoration(kept(before, 'object'), live), wanted);
    });
  }

  it('a Job that Helm replaced by a hook is not changed, and the report names it', () => {
    const live = object('Job', {}, { uid: 'u2', annotations: marks });
    const { action } = restoration(kept(object('Job', {}), 'hook'), live);
    assert.equal(action, 'leave');
  });
});
