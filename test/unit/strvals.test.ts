import assert from 'node:assert/strict';
import { parseLiteralLine, parseSetLine, type SetGrammar } from '../../tasks/common/core/inputs/strvals';

function assigned(line: string, grammar: SetGrammar = {}): unknown {
  const parsed = parseSetLine(line, grammar);
  if ('problem' in parsed) return parsed.problem;
  return parsed.assignments.map(({ path, value }) => [path, value]);
}

describe('the grammar of --set', () => {
  for (const [line, expected] of [
    ['a=b', [[['a'], 'b']]],
    ['a.b.c=d', [[['a', 'b', 'c'], 'd']]],
    [
      'a=true,b=FALSE,c=null',
      [
        [['a'], true],
        [['b'], false],
        [['c'], null],
      ],
    ],
    [
      'a=0,b=5,c=-5,d=+5,e=007,f=1.5,g=1e3',
      [
        [['a'], 0n],
        [['b'], 5n],
        [['c'], -5n],
        [['d'], 5n],
        [['e'], '007'],
        [['f'], '1.5'],
        [['g'], '1e3'],
      ],
    ],
    [
      'a=9223372036854775807,b=9223372036854775808',
      [
        [['a'], 9223372036854775807n],
        [['b'], '9223372036854775808'],
      ],
    ],
    ['a={1,x,true}', [[['a'], [1n, 'x', true]]]],
    ['a={}', [[['a'], ['']]]],
    [
      'a={1,2}b=3',
      [
        [['a'], [1n, 2n]],
        [['b'], 3n],
      ],
    ],
    ['a=', [[['a'], '']]],
    ['a=b\\,c', [[['a'], 'b,c']]],
    ['a\\.b=c', [[['a.b'], 'c']]],
    ['a=b=c', [[['a'], 'b=c']]],
    ['a="b"', [[['a'], '"b"']]],
    ['a=b\\', [[['a'], 'b']]],
    [
      'a[0]=x,a[1].b=y',
      [
        [['a', 0], 'x'],
        [['a', 1, 'b'], 'y'],
      ],
    ],
    ['a[0][1]=x', [[['a', 0, 1], 'x']]],
    ['a=\\{x', [[['a'], '{x']]],
    [
      'a=😀,b=x',
      [
        [['a'], '😀'],
        [['b'], 'x'],
      ],
    ],
  ] as const) {
    // prettier-ignore
    it(line, () => {
      assert.deepEqual(assigned(line), expected);
    });
  }

  it('--set-string makes every value a text', () => {
    assert.deepEqual(assigned('a=true,b=5,c={null,1}', { asString: true }), [
      [['a'], 'true'],
      [['b'], '5'],
      [['c'], ['null', '1']],
    ]);
  });

  for (const line of [
    'a',
    'a=b,c',
    'a,b=c',
    'a={x',
    'a[0',
    'a[x]=1',
    'a[-1]=1',
    'a[65537]=1',
    'a[0]x=1',
    `${'a.'.repeat(31)}b=1`,
  ]) {
    it(`names the mistake in ${line.slice(0, 10)} without showing the line`, () => {
      const problem = assigned(line);
      assert.equal(typeof problem, 'string');
    });
  }

  for (const [line, secret, expected] of [
    ['a=x\\y', 'x\\y', [[['a'], 'x\\y']]],
    ['a=x,b=1', 'x,b=1', [[['a'], 'x,b=1']]],
    ['a={x,y}', '{x,y}', [[['a'], '{x,y}']]],
    ['a={p,{x}},b=1', '{x}', [[['a'], ['p', '{x}']], [['b'], 1n]]],
    ['a.k.=[0].b=1', 'k.=[0]', [[['a', 'k.=[0]', 'b'], 1n]]],
    ['a=\\\\x', '\\x', [[['a'], '\\x']]],
    ['a=true', 'true', [[['a'], true]]],
  ] as const) {
    it(`no character in a verbatim part is special: ${line}`, () => {
      const start = line.indexOf(secret);
      assert.deepEqual(assigned(line, { verbatim: [[start, start + secret.length]] }), expected);
    });
  } // prettier-ignore
});

describe('the grammar of --set-literal', () => {
  const literal = (line: string, ...verbatim: [number, number][]): unknown => {
    const parsed = parseLiteralLine(line, verbatim);
    return 'problem' in parsed ? parsed.problem : parsed.assignments.map(({ path, value }) => [path, value]);
  };

  for (const [line, expected] of [
    ['a=x,b=\\y"{}', [[['a'], 'x,b=\\y"{}']]],
    ['a=true', [[['a'], 'true']]],
    ['a=', [[['a'], '']]],
    ['a.b[1]=1=2', [[['a', 'b', 1], '1=2']]],
    ['a[1].b=c', [[['a', 1, 'b'], 'c']]],
    ['a\\.b=1', [[['a\\', 'b'], '1']]],
    ['a,b=1', [[['a,b'], '1']]],
  ] as const) {
    it(line, () => {
      assert.deepEqual(literal(line), expected);
    });
  }

  it('a verbatim part of a key is one name', () => {
    assert.deepEqual(literal('a.b=c.d=1', [2, 7]), [[['a', 'b=c.d'], '1']]);
  });

  for (const line of ['a', 'a[x]=1', 'a[-1]=1', 'a[0', 'a[0]b=1']) {
    it(`names the mistake in ${line}`, () => {
      assert.equal(typeof literal(line), 'string');
    });
  }
});
