import assert from 'node:assert/strict';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { TaskError } from '../../tasks/common/core/failure';
import { readGoYaml, readOddYaml } from '../../tasks/common/core/kubernetes/goYaml';
import { readPlainYaml } from '../../tasks/common/core/kubernetes/goYamlEvents';
import { plainValue } from '../../tasks/common/core/kubernetes/goYamlValues';
import { manifestKey, manifestObjects, objectKey } from '../../tasks/common/core/kubernetes/manifest';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';

const names = (manifest: string): string[] =>
  manifestObjects(manifest).map(({ kind, metadata }) => `${kind}/${metadata.name}`);

/**
 * The value of the key `a` beside other keys, as sigs.k8s.io/yaml 1.4 and 1.6 read it. All of these were run through
 * Go.
 */
function valueOf(text: string): unknown {
  const [document] = readGoYaml(`${text}\n`);
  assert.ok(document !== undefined && 'value' in document, JSON.stringify(document));
  return (document.value as Record<string, unknown>)['a'];
}

describe('YAML as Helm reads it', () => {
  const plain: readonly (readonly [string, unknown])[] = [
    ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map((w) => [w, true] as const),
    ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', 'False', 'FALSE'].map((w) => [w, false] as const),
    ...['', '~', 'null', 'Null', 'NULL'].map((w) => [w, null] as const),
    ...['nO', 'oN', 'tRUE', 'nULL', 'yEs', 'NaN', 'inf'].map((w) => [w, w] as const),
    ['0644', 420],
    ['0o14', 12],
    ['0O7', 7],
    ['-0o7', -7],
    ['0o_7', 7],
    ['08', 8],
    ['0888', 888],
    ['09.5', 9.5],
    ['0x1F', 31],
    ['0X1', 1],
    ['-0x1f', -31],
    ['0b11', 3],
    ['0B1', 1],
    ['-0b11', -3],
    ['0b12', '0b12'],
    ['0x', '0x'],
    ['0o8', '0o8'],
    ['1_000', 1000],
    ['1_000.5', 1000.5],
    ['1e1_0', 1e10],
    ['0_', 0],
    ['_1', '_1'],
    ['+1', 1],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', 1000],
    ['1.e+3', 1000],
    ['1e400', '1e400'],
    ['4e2147483648', '4e2147483648'],
    ['12345678901234567890', Number('12345678901234567890')],
    ['0xFFFFFFFFFFFFFFFFF', '0xFFFFFFFFFFFFFFFFF'],
    ...['e3', '.e3', '.', '..', '-.', '+', '._5', '1e', '1.2.3', '1,000', '='].map((w) => [w, w] as const),
    ...['1:30', '190:20:30', '2001-01-01', '2001-12-14t21:59:43.10-05:00', '00:11:22:33:44:55'].map(
      (w) => [w, w] as const,
    ),
  ];
  for (const [text, value] of plain) {
    it(`${text || '(nothing)'} is ${JSON.stringify(value)}`, () => {
      assert.deepEqual(valueOf(`a: ${text}`), value);
      assert.equal(valueOf(`a: ${JSON.stringify(text)}`), text);
    });
  }

  for (const [incident, text, value] of [
    ['of a key that comes twice the last counts', 'a: 1\na: 2', 2],
    ['a flow mapping whose end stands at the margin', 'a: {\n  "b": [\n    1\n]\n}', { b: [1] }],
    [
      'two unindented flow collections, with brackets in their texts',
      'c: {\n"b": "}]"\n}\na: [\n"x\\"]",\nit\'s\n]\nd: 1',
      ['x"]', "it's"],
    ],
    ['an unindented toPrettyJson', 'a: {\n"b": {\n"c": "x"\n},\n  "d": [\n  1\n  ]\n}', { b: { c: 'x' }, d: [1] }],
    ['an anchor that is defined again', 'x: [&v 1, *v, &v 2]\na: *v', 2],
    ['a merge key gives way to what follows it', 'x: &x {p: 1, q: 2}\na:\n  <<: *x\n  q: 3', { p: 1, q: 3 }],
    ['a merge key wins over what stands before it', 'x: &x {p: 1, q: 2}\na:\n  q: 3\n  <<: *x', { p: 1, q: 2 }],
    [
      'of several merged mappings the first counts',
      'x: &x {p: 1}\ny: &y {p: 5, r: 1}\na:\n  <<: [*x, *y]\n  q: 3',
      { p: 1, r: 1, q: 3 },
    ],
    ['a merge key in quotes is a key', 'a: {"<<": 1}', { '<<': 1 }],
    ['keys are texts', 'a: {yes: 1, 0644: 2, 1.5: 3, "n": 4}', { true: 1, '420': 2, '1.5': 3, n: 4 }],
    [
      'a key that objects have already',
      'a: {__proto__: {x: 1}, constructor: 2}',
      JSON.parse('{"__proto__":{"x":1},"constructor":2}'),
    ],
    ['an alias of a list', 'x: &x [1, b]\na: *x', [1, 'b']],
    ['a line of dashes inside a text', 'a: |\n  x\n  ---\n  y\nb: 1', 'x\n---\ny\n'],
    [
      'tags',
      'a: [!!str 1, !!int "1", !!float 1, !!bool "yes", !!binary aGk=, !custom x]',
      ['1', 1, 1, true, 'hi', 'x'],
    ],
    ['a quoted text whose lines begin at the margin', 'b: "x"\na: "l1\nl2\n\nl3"\nc: 1', 'l1 l2\nl3'],
    ['two such texts in single quotes, with quotes inside', "b: 'it''s\nx'\na: 'l1 ''x\nl2'\nc: 1", "l1 'x l2"],
    ['such a text with a quote and a line break that are escaped', 'c: "z"\na: "l\\"1 \\\nl2"', 'l"1 l2'],
    ['such a text in a flow sequence', 'a: ["l1\nl2", b]', ['l1 l2', 'b']],
    ['carriage returns', 'a: x\r\nb: y\r\n', 'x'],
    ['carriage returns in a block', 'a: |\r\n  x\r\n  y\r\n', 'x\ny\n'],
    ['tabs between words', 'a:\tx\t', 'x'],
  ] as const) {
    it(incident, () => {
      assert.deepEqual(valueOf(text), value);
    });
  }

  it('an unindented flow collection of thousands of lines is read in a few passes', () => {
    const entries = Object.fromEntries(Array.from({ length: 3000 }, (_, at) => [`k${at}`, { v: [at] }]));
    const [document] = readGoYaml(`a: ${JSON.stringify(entries, undefined, 2)}\nb: 1\n`);
    assert.ok(document !== undefined && 'value' in document);
    assert.deepEqual(document.value, { a: entries, b: 1 });
  });

  it('many aliases of one large mapping take no longer than one', () => {
    const large = Array.from({ length: 100 }, (_, at) => `  k${at}: {v: ${at}}`).join('\n');
    const users = Array.from({ length: 500 }, (_, at) => `u${at}: *x`).join('\n');
    const [document] = readGoYaml(`x: &x\n${large}\n${users}\n`);
    assert.ok(document !== undefined && 'value' in document);
    assert.equal(Object.keys(document.value as object).length, 501);
  });

  it('unreadable text is reported with its place, and nothing is thrown', () => {
    for (const text of [
      'a: [1',
      'a: *x',
      '&x a: {b: *x',
      'a: &x [*x]',
      '? {a: 1}\n: b',
      'a: "x',
      'a: b: c',
      '<<: 1',
      '\t- a',
    ]) {
      const [document] = readGoYaml(text);
      assert.ok(document !== undefined && 'problem' in document, text);
    }
    fc.assert(fc.property(fc.string({ maxLength: 60 }), (text) => Array.isArray(readGoYaml(text))));
  });

  it('both readers find the same values, in whatever style a document is written', () => {
    const scalar = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.constantFrom(
        '0644',
        'y',
        '<<',
        '',
        ' a',
        'a: b',
        '# c',
        '- x',
        'l1\nl2\n',
        '\n l',
        "it's",
        '*z',
        '{x',
        'long '.repeat(30),
      ),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        scalar,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.string({ maxLength: 8 }), tie('tree'), { maxKeys: 4 }),
      ),
    }));
    const style = fc.record({
      defaultStringType: fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'),
      indent: fc.constantFrom(2, 3, 4),
      indentSeq: fc.boolean(),
      collectionStyle: fc.constantFrom('any', 'flow', 'block'),
      lineWidth: fc.constantFrom(0, 80),
    } as const);
    fc.assert(
      fc.property(fc.record({ a: tree, b: tree }), style, (value, options) => {
        const text = stringify(value, { version: '1.1', ...options });
        const read = readPlainYaml(text);
        if (read !== undefined) assert.deepEqual(readOddYaml(text), read, text);
      }),
      { numRuns: 500 },
    );
  });

  it('every number that a chart can write is read as a number or kept as text', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9abefxoXOBE_.+-]{0,12}$/), (text) => {
        const value = plainValue(text);
        if (typeof value === 'number') assert.ok(Number.isFinite(value));
        else if (typeof value === 'string') assert.equal(value, text);
      }),
    );
  });
});

describe('the objects of a manifest', () => {
  const object = (name: string, more = ''): string =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n${more}`;

  it('are read as Helm stores them: sources, comments and empty parts are no objects', () => {
    const manifest = `---\n# Source: web/templates/a.yaml\n${object('a')}---\n# Source: web/templates/none.yaml\n\n---\n# only a comment\n---\nnull\n---\n~\n---\n${object('b')}\n---\n`;
    assert.deepEqual(names(manifest), ['ConfigMap/a', 'ConfigMap/b']);
  });

  it('are none in an empty or blank manifest', () => {
    for (const manifest of ['', '\n', '---\n', '\n---\n---\n# x\n', '   \n']) assert.deepEqual(names(manifest), []);
  });

  it('are read from a chart written on Windows', () => {
    assert.deepEqual(names(`---\n${object('a')}---\n${object('b')}`.replaceAll('\n', '\r\n')), [
      'ConfigMap/a',
      'ConfigMap/b',
    ]);
  });

  it('a text that contains a whole manifest is not read as a manifest', () => {
    const inner = object('inner').replace(/^/gm, '    ');
    assert.deepEqual(names(object('outer', `data:\n  x: |\n    ---\n${inner}\n    ---\n`)), ['ConfigMap/outer']);
  });

  it('a List stands for its items, and so does a list inside a list', () => {
    const list = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } },
        { apiVersion: 'v1', kind: 'List', items: [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'b' } }] },
        null,
        'text',
      ],
    });
    assert.deepEqual(names(list), ['Secret/a', 'Secret/b']);
  });

  it('items of a typed list without a kind get the kind of the list', () => {
    const [role] = manifestObjects(
      'apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleList\nitems:\n- metadata: {name: r}\n  rules: []\n',
    );
    assert.equal(role?.kind, 'Role');
    assert.equal(role.apiVersion, 'rbac.authorization.k8s.io/v1');
  });

  it('an object that only looks like a list is an object', () => {
    assert.deepEqual(names('apiVersion: v1\nkind: AccessList\nmetadata: {name: a}\nspec: {items: [1]}'), [
      'AccessList/a',
    ]);
  });

  it('a document without name, kind or version is no object', () => {
    for (const text of [
      'kind: X\nmetadata: {name: a}',
      'apiVersion: v1\nmetadata: {name: a}',
      'apiVersion: v1\nkind: X',
    ]) {
      assert.deepEqual(names(text), []);
    }
    assert.deepEqual(names('apiVersion: v1\nkind: X\nmetadata: {generateName: a-}'), []);
    assert.deepEqual(names('apiVersion: v1\nkind: X\nmetadata: {name: 12}'), []);
    assert.deepEqual(names('just text\n---\n- a\n- b\n---\n42\n'), []);
  });

  it('an object named e3, y or 0o7 keeps its name where the name is quoted', () => {
    assert.deepEqual(names(object('e3')), ['ConfigMap/e3']);
    assert.deepEqual(names(object('"y"')), ['ConfigMap/y']);
    assert.deepEqual(names(object('"0o7"')), ['ConfigMap/0o7']);
  });

  it('a label that is declared twice is accepted, as Helm accepts it', () => {
    const manifest = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    app: one\n    app: two\n';
    assert.deepEqual(manifestObjects(manifest)[0]?.metadata.labels, { app: 'two' });
  });

  it('invalid YAML is refused with the name of its template', () => {
    const manifest = `---\n# Source: web/templates/a.yaml\n${object('a')}---\n# Source: web/templates/b.yaml\nkind: {\n  x: "never closed\n`;
    assert.throws(
      () => manifestObjects(manifest),
      (error) =>
        error instanceof TaskError && error.reason === 'ChartInvalid' && error.message.includes('web/templates/b.yaml'),
    );
  });

  it('a chart of one megabyte is read', () => {
    const data = Array.from({ length: 40 }, (_, at) => `  key${at}: "${'x'.repeat(1000)}"`).join('\n');
    const manifest = Array.from({ length: 25 }, (_, at) => `---\n${object(`c${at}`, `data:\n${data}\n`)}`).join('');
    assert.equal(manifestObjects(manifest).length, 25);
  });
});

describe('the key of an object within its release', () => {
  const key = (apiVersion: string, namespace?: string | null): string =>
    manifestKey({ apiVersion, kind: 'X', metadata: { name: 'a', namespace } } as unknown as KubeObject, 'shop');

  it('is the same in every version of its API', () => {
    assert.equal(key('autoscaling/v1'), key('autoscaling/v2'));
    assert.equal(key('v1'), '/X/shop/a');
    assert.notEqual(key('extensions/v1beta1'), key('networking.k8s.io/v1'));
  });

  it('is the same with and without the namespace of the release', () => {
    assert.equal(key('v1', 'shop'), key('v1'));
    assert.equal(key('v1', ''), key('v1'));
    assert.equal(key('v1', null), key('v1'));
    assert.notEqual(key('v1', 'other'), key('v1'));
  });

  it('does not confuse a namespace with a name', () => {
    assert.notEqual(
      objectKey({ apiVersion: 'v1', kind: 'X', namespace: 'a', name: 'b' }),
      objectKey({ apiVersion: 'v1', kind: 'X', name: 'a/b' }),
    );
  });
});

describe('a document that was parsed before', () => {
  const valueIn = (text: string, index = 0): unknown => {
    const document = readGoYaml(text)[index];
    return document !== undefined && 'value' in document ? document.value : undefined;
  };
  const shop = 'kind: ConfigMap\ndata: &data {a: {b: [1]}}\nmore: *data\n';

  it('is not parsed again, wherever it stands, and cannot be changed', () => {
    const first = valueIn(shop) as { data: { a: { b: number[] } } };
    assert.equal(valueIn(shop), first);
    assert.equal(valueIn(`a: 1\n---\n${shop}---\nc: 3\n`, 1), first);
    assert.throws(() => first.data.a.b.push(2), TypeError);
    assert.deepEqual(valueIn(shop), { kind: 'ConfigMap', data: { a: { b: [1] } }, more: { a: { b: [1] } } });
  });

  it('reports its mistake at its present line', () => {
    const wrong = 'a: [1\n';
    const lineOf = (text: string) => readGoYaml(text).flatMap((one) => ('line' in one ? [one.line] : []));
    const [line = 0] = lineOf(wrong);
    assert.ok(line > 0);
    assert.deepEqual(lineOf(`b: 1\n---\n${wrong}`), [line + 2]);
  });
});
