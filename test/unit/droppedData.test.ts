import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { droppedData, isForUsToDelete, ownsClaims, reasonToKeep } from '../../tasks/common/core/release/droppedData';
import { claim, configMap, inNamespace, owned, revision } from '../support/fakes/scene';
import { manifestOf } from '../support/fakes/fakeHelm';

const namespace = 'prod';
const release = { name: 'shop', namespace };
const custom = (name: string): KubeObject => ({ apiVersion: 'example.com/v1', kind: 'Database', metadata: { name } });
const definition: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'databases.example.com' },
};
const own: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
const of = (...objects: KubeObject[]) => ({ version: '1', objects });

describe('dropped data are objects that may hold data and that the new manifest lacks', () => {
  const history = [
    revision(1, 'superseded', of(own, definition, claim('old'), configMap('x'))),
    revision(2, 'failed', of(claim('failed'), claim('old'))),
    revision(3, 'deployed', of(custom('db'), claim('kept'))),
  ];

  it('in the order of their deletion, with who declared them', () => {
    const found = droppedData(history, manifestOf([claim('kept')]), namespace);
    assert.deepEqual(
      found.map(({ object, wasGood, first }) => [object.metadata.name, wasGood, first.revision]),
      [
        ['db', true, 3],
        ['old', true, 1],
        ['failed', false, 2],
        ['databases.example.com', true, 1],
        ['prod', true, 1],
      ],
    );
  });

  it('not from before an uninstall', () => {
    const uninstalled = [revision(1, 'uninstalled', of(claim('old'))), revision(2, 'deployed', of(configMap('x')))];
    assert.deepEqual(droppedData(uninstalled, '', namespace), []);
  });
});

describe('an object is deleted only if it certainly belongs to the release', () => {
  const first = { ...revision(2, 'failed', of(claim('data'))), createdAt: new Date('2026-01-02') };
  const live = (marks: object, by?: string): KubeObject => {
    const object = by === undefined ? inNamespace(claim('data')) : owned(claim('data'), by);
    return { ...object, metadata: { ...object.metadata, creationTimestamp: '2026-01-03T00:00:00Z', ...marks } };
  };
  const rows: readonly [string, KubeObject, boolean, boolean][] = [
    ['of the release', live({}, 'shop'), true, true],
    ['without marks, of a good revision', live({}), true, true],
    ['without marks, of a failed revision', live({}), false, false],
    ['of a failed revision', live({}, 'shop'), false, true],
    ['older than the failed revision', live({ creationTimestamp: '2026-01-01T00:00:00Z' }, 'shop'), false, false],
    ['of another release', live({}, 'other'), true, false],
    ['that goes already', live({ deletionTimestamp: '2026-01-03T00:00:00Z' }, 'shop'), true, false],
    ['with the policy keep', live({ annotations: { 'helm.sh/resource-policy': 'keep' } }), true, false],
    ['with a controller', live({ ownerReferences: [{ controller: true }] }, 'shop'), true, false],
  ];
  for (const [title, object, wasGood, expected] of rows) {
    it(`an object ${title}: ${expected ? 'deleted' : 'left alone'}`, () => {
      assert.equal(isForUsToDelete({ wasGood, first }, object, release), expected);
    });
  }
});

describe('a custom resource owns claims', () => {
  const owner = { ...custom('db'), metadata: { name: 'db', uid: 'u1' } };
  const by = (uid: string, object: KubeObject): KubeObject => ({
    ...object,
    metadata: {
      ...object.metadata,
      uid: `${uid}-child`,
      ownerReferences: [{ apiVersion: 'v1', kind: 'K', name: 'n', uid }],
    },
  });
  const set: KubeObject = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'db' }, spec: {} };
  const withTemplates = { ...set, spec: { volumeClaimTemplates: [{ metadata: { name: 'data' } }] } };
  const rows: readonly [string, KubeObject[], KubeObject[], boolean][] = [
    ['none', [claim('other')], [set], false],
    ['directly', [by('u1', claim('data'))], [], true],
    ['of another owner', [by('u2', claim('data'))], [], false],
    ['through a StatefulSet', [by('u1-child', claim('data'))], [by('u1', set)], true],
    ['by the templates of its StatefulSet', [claim('data-db-0')], [by('u1', withTemplates)], true],
    ['by the templates of a StatefulSet of another owner', [], [by('u2', withTemplates)], false],
  ];
  for (const [title, claims, sets, expected] of rows) {
    it(title, () => {
      assert.equal(ownsClaims(owner, claims, sets), expected);
    });
  }
});

describe('dropped data is kept unless the chart and the inputs ask for its deletion', () => {
  const base = { namespace, wasGood: true, deleteData: false };
  const at = (object: KubeObject) => ({
    ref: { apiVersion: object.apiVersion, kind: object.kind, name: object.metadata.name },
  });
  const rows: readonly [string, Parameters<typeof reasonToKeep>[0], RegExp | undefined][] = [
    ['a claim', { ...base, ...at(claim('data')) }, /^it may hold data; deleteData: true deletes it$/],
    ['a claim with deleteData', { ...base, ...at(claim('data')), deleteData: true }, undefined],
    ['the own namespace with deleteData', { ...base, ...at(own), deleteData: true }, /it contains the release itself/],
    ['a custom resource without claims', { ...base, ...at(custom('db')), hasClaims: false }, undefined],
    ['a custom resource with claims', { ...base, ...at(custom('db')), hasClaims: true }, /owns claims.*deleteData/],
    ['a custom resource with claims and deleteData', { ...base, ...at(custom('db')), deleteData: true }, undefined],
    ['a custom resource with unknown claims', { ...base, ...at(custom('db')) }, /could not be read/],
    [
      'a custom resource that only a failed revision declared',
      { ...base, ...at(custom('db')), wasGood: false, hasClaims: false },
      /only a revision that failed declared it; deleteData/,
    ],
    ['a definition', { ...base, ...at(definition) }, /may hold data; deleteData/],
    [
      'a definition without objects and deleteData',
      { ...base, ...at(definition), deleteData: true, instances: 0 },
      undefined,
    ],
    [
      'a definition with objects and deleteData',
      { ...base, ...at(definition), deleteData: true, instances: 3 },
      /are 3 objects/,
    ],
    ['a definition with unknown objects', { ...base, ...at(definition), deleteData: true }, /could not be counted/],
  ];
  for (const [title, facts, expected] of rows) {
    it(`${title}: ${expected === undefined ? 'deleted' : 'kept'}`, () => {
      const reason = reasonToKeep(facts);
      if (expected === undefined) assert.equal(reason, undefined);
      else assert.match(reason ?? '', expected);
    });
  }
});
