import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { isUnchangedByApply } from '../../tasks/common/core/kubernetes/sameContent';

const metadata = { name: 'web', namespace: 'shop', labels: { a: '1' } };
const applied: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { text: 'x' } };
const server = { uid: 'u', resourceVersion: '5', creationTimestamp: '2026-01-01T00:00:00Z', managedFields: [] };

function live(change: Partial<KubeObject>, marks: object = {}): KubeObject {
  return { ...applied, ...change, metadata: { ...metadata, ...server, ...marks } };
}

const names = { kind: 'Thing', plural: 'things' };
const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }];
const kind = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
const definition: KubeObject = { ...kind, metadata: { name: 'things.example.com' }, spec: { names, versions } };
const storedSpec = {
  conversion: { strategy: 'None' },
  names: { ...names, singular: 'thing', listKind: 'ThingList' },
  versions,
};
const stored = (spec: object): KubeObject => ({
  ...kind,
  metadata: { name: 'things.example.com', ...server, finalizers: ['customresourcecleanup.apiextensions.k8s.io'] },
  spec,
  status: { conditions: [] },
});

const rows: readonly [string, KubeObject, KubeObject, boolean][] = [
  ['the same content', applied, live({}), true],
  ['a status', applied, live({ status: { ready: true } }), true],
  [
    'labels and annotations of others',
    applied,
    live({}, { labels: { a: '1', b: '2' }, annotations: { c: '3' } }),
    true,
  ],
  ['finalizers of others', applied, live({}, { finalizers: ['example.com/keep'] }), true],
  ['another value', applied, live({ data: { text: 'y' } }), false],
  ['a value that nobody declared', applied, live({ data: { text: 'x', more: 'y' } }), false],
  ['a field that nobody declared', applied, live({ immutable: true }), false],
  ['another label', applied, live({}, { labels: { a: '2' } }), false],
  ['a label that is gone', applied, live({}, { labels: undefined }), false],
  ['another name', applied, live({}, { name: 'other' }), false],
  ['another namespace', applied, live({}, { namespace: 'other' }), false],
  ['another API version', applied, live({ apiVersion: 'v2' }), false],
  ['a deletion', applied, live({}, { deletionTimestamp: '2026-01-01T00:00:00Z' }), false],
  [
    'declared finalizers that are gone',
    { ...applied, metadata: { ...metadata, finalizers: ['a/b'] } },
    live({}),
    false,
  ],
  ['a definition with the defaults of the API server', definition, stored(storedSpec), true],
  ['a definition with another version', definition, stored({ ...storedSpec, versions: [] }), false],
  [
    'a definition with another list kind',
    definition,
    stored({ ...storedSpec, names: { ...names, listKind: 'X' } }),
    false,
  ],
  ['a definition with a conversion', definition, stored({ ...storedSpec, conversion: { strategy: 'Webhook' } }), false],
];

describe('an apply certainly changes nothing only of a live object with exactly the applied content', () => {
  for (const [title, sent, found, expected] of rows) {
    it(`live with ${title}: ${expected ? 'certain' : 'not certain'}`, () => {
      assert.equal(isUnchangedByApply(sent, found), expected);
    });
  }
});
