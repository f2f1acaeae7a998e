import assert from 'node:assert/strict';
import { itemKeyOf, mergeKeyOf } from '../../tasks/common/core/kubernetes/listKeys';
import { cluster as testCluster } from '../support/cluster';

interface Property {
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

interface OpenApi {
  readonly definitions: Readonly<Record<string, { readonly properties?: Readonly<Record<string, Property>> }>>;
}

/** Nobody declares a status. Helm sends CustomResourceDefinitions in a JSON merge patch, and a CSINode is no chart's. */
const neverDeclared = /Status$|\.JSONSchemaProps$|\.CSINodeSpec$/;

describe('the keys of lists', () => {
  it('are those of the API server', async () => {
    const cluster = await testCluster();
    const { definitions } = JSON.parse(await cluster.runKubectl('get', '--raw', '/openapi/v2')) as OpenApi;
    const lists = Object.entries(definitions)
      .filter(([name]) => !neverDeclared.test(name))
      .flatMap(([name, { properties = {} }]) => Object.entries(properties).map((each) => [name, ...each] as const));
    const found = { patch: 0, map: 0 };
    for (const [definition, field, property] of lists) {
      const patch = property['x-kubernetes-patch-merge-key'];
      const keys = property['x-kubernetes-list-map-keys'] ?? [];
      const itemWith = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, 'x']));
      if (patch !== undefined) {
        found.patch += 1;
        assert.equal(mergeKeyOf(field, [itemWith([patch])]), patch, `${definition}.${field}`);
      }
      if (keys.length > 0) {
        found.map += 1;
        assert.deepEqual(itemKeyOf(field, [[itemWith(keys)]]), keys, `${definition}.${field}`);
      }
    }
    assert.ok(found.patch > 20 && found.map > 20, JSON.stringify(found));
  });
});
