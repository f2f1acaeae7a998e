import assert from 'node:assert/strict';
import {
  crdsAdvice,
  declaredKinds,
  isDeclared,
  kindNames,
  skipsCrds,
  unservedKinds,
} from '../../tasks/common/core/helm/chartCrds';

const toys = `# https://example.org/toys.yaml
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: toys.example.org
spec:
  group: example.org
  names: {kind: Toy, plural: toys, singular: toy}
  scope: Namespaced
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: |-
          A toy: see {{ docs }}

          served: false
        type: object
    served: true
    storage: true
  - schema:
      openAPIV3Schema: {type: object}
    name: v1alpha1
    served: false
    storage: false
`;
const house =
  '{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"houses.example.org"},' +
  '"spec":{"group":"example.org","scope":"Cluster","names":{"kind":"House","plural":"houses"},' +
  '"versions":[{"name":"v1","served":true,"schema":{}},{"name":"v2","served":true,"schema":{}}]}}';
const toy = { apiVersion: 'example.org/v1', kind: 'Toy', plural: 'toys', singular: 'toy', namespaced: true };

describe('the kinds in the crds/ folder of a chart', () => {
  it('are read from block style and from JSON, in each served version', () => {
    assert.deepEqual(declaredKinds(`${toys}\n---\n${house}\n`), [
      toy,
      ...['v1', 'v2'].map((version) => ({
        apiVersion: `example.org/${version}`,
        kind: 'House',
        plural: 'houses',
        singular: 'house',
        namespaced: false,
      })),
    ]);
  });

  it('are read from files without separators between them, as Helm 3 prints them', () => {
    const bare = toys.slice(toys.indexOf('apiVersion'));
    const kinds = (crds: string): string[] => declaredKinds(crds).map(({ kind }) => kind);
    assert.deepEqual(kinds([house, house].join('\n')), ['House', 'House', 'House', 'House']);
    assert.deepEqual(kinds([bare, bare.replaceAll(/\bToy\b/g, 'Doll'), house, bare].join('\n')), [
      ...['Toy', 'Doll', 'House', 'House', 'Toy'],
    ]);
  });

  for (const [what, text] of [
    ['a chart without such a folder', ''],
    ['what is no YAML', '{'],
    ['another object in that folder', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n'],
    ['a definition that lacks its names', toys.replace(/ {2}names.*\n/, '')],
    ['a definition without versions', toys.slice(0, toys.indexOf('  versions:'))],
  ] as const) {
    it(`are none of ${what}`, () => {
      assert.deepEqual(declaredKinds(text), []);
    });
  }

  it('are read quickly from a large schema', () => {
    const schema = `          ${'x'.repeat(80)}\n`.repeat(50_000);
    const large = toys.replace('          served: false\n', schema);
    assert.deepEqual(declaredKinds(large), [toy]);
  });

  it("are read from Helm's message when Helm did not find them, each kind once", () => {
    const line = (name: string, kind: string, version: string): string =>
      `resource mapping not found for name: "${name}" namespace: "" from "": no matches for kind "${kind}" in version "${version}"`;
    const said = `unable to build kubernetes objects from release manifest: [${line('a', 'Toy', 'example.org/v1')}
ensure CRDs are installed first, ${line('b', 'Toy', 'example.org/v1')}
ensure CRDs are installed first, ${line('c', 'House', 'example.org/v3')}]`;
    const missing = unservedKinds(said);
    assert.deepEqual(missing, [
      { kind: 'Toy', apiVersion: 'example.org/v1' },
      { kind: 'House', apiVersion: 'example.org/v3' },
    ]);
    const declared = declaredKinds(`${toys}\n---\n${house}`);
    assert.deepEqual(
      missing.map((kind) => isDeclared(declared, kind)),
      [true, false],
    );
  });

  for (const [flags, isSkipped] of [
    [[], false],
    [['--skip-crds'], true],
    [['--skip-crds=true'], true],
    [['--skip-crds=false'], false],
    [['--skip-crds', '--skip-crds=0'], false],
    [['--skip-crds=F', '--skip-crds'], true],
    [['--skip-schema-validation'], false],
  ] as const) {
    it(`flags [${flags.join(' ')}] ${isSkipped ? 'skip' : 'do not skip'} the kinds`, () => {
      assert.equal(skipsCrds(flags), isSkipped);
    });
  }

  it('the advice names what keeps Helm from installing a kind of the chart, and no other kinds', () => {
    assert.match(
      crdsAdvice([toy], [toy], 'skipped') ?? '',
      /declares Toy in its crds\/ folder, but crds: skip or --skip-crds/,
    );
    assert.match(
      crdsAdvice([toy], [toy], 'upgrade') ?? '',
      /Toy .*reads at the first install .* only: set the input crds to create/,
    );
    assert.equal(crdsAdvice([{ apiVersion: 'example.org/v2', kind: 'Toy' }], [toy], 'upgrade'), undefined);
  });

  it('of many kinds only some are named', () => {
    const kinds = ['A', 'B', 'A', 'C', 'D', 'E', 'F', 'G'].map((kind) => ({ apiVersion: 'x/v1', kind }));
    assert.equal(kindNames(kinds), 'A, B, C, D, E and 2 more');
  });
});
