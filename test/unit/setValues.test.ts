import assert from 'node:assert/strict';
import type { InputLine } from '../../tasks/common/core/inputs';
import { secretFinder } from '../../tasks/common/core/secrets';
import { planValues, privateValuesText, valueFlags, type SetFiles } from '../../tasks/common/core/setValues';

const files: SetFiles = {
  kind: (path) => (path.startsWith('there') ? 'file' : 'missing'),
  isAddress: (reference) => reference.startsWith('https://'),
};

interface Given {
  set?: string[];
  setString?: string[];
  setFile?: string[];
}

function linesOf(input: string, texts: readonly string[] = []): InputLine[] {
  return texts.map((text, index) => ({ input, text, number: index + 1 }));
}

function plan({ set, setString, setFile }: Given, ...secrets: string[]) {
  return planValues(
    { set: linesOf('set', set), setString: linesOf('setString', setString), setFile: linesOf('setFile', setFile) },
    secretFinder(secrets),
    files,
  );
}

/** As plain data: objects without a prototype compare as others. */
function privately(given: Given, ...secrets: string[]): unknown {
  const { values, mistakes } = plan(given, ...secrets);
  assert.deepEqual(mistakes, []);
  return values.privateValues === undefined ? undefined : JSON.parse(privateValuesText(values.privateValues));
}

describe('values on their way to Helm', () => {
  it('lines without a secret go to the command line as they are', () => {
    const { values, mistakes } = plan(
      { set: ['a=1,b=2', 'c[0]=x'], setString: ['d=1'], setFile: ['e=there'] },
      'hunter22',
    );
    assert.deepEqual(mistakes, []);
    assert.deepEqual(values.argv, [
      '--set',
      'a=1,b=2',
      '--set',
      'c[0]=x',
      '--set-string',
      'd=1',
      '--set-file',
      'e=there',
    ]);
    assert.equal(values.privateValues, undefined);
  });

  it('a secret goes to the private file, the rest of its line stays', () => {
    const given = { set: ['host=db,password=x-hunter22,port=5432'] };
    assert.deepEqual(privately(given, 'hunter22'), { password: 'x-hunter22' });
    assert.deepEqual(plan(given, 'hunter22').values.argv, ['--set', 'host=db', '--set', 'port=5432']);
  });

  for (const [name, given, secret, expected] of [
    ['a secret with escaped commas', { set: ['a=p\\,w\\,d'] }, 'p,w,d', { a: 'p,w,d' }],
    [
      'a secret in base64',
      { set: [`a=${Buffer.from('hunter22').toString('base64')}`] },
      'hunter22',
      { a: 'aHVudGVyMjI=' },
    ],
    ['a secret as a list item', { set: ['a.b={x,hunter22,true}'] }, 'hunter22', { a: { b: ['x', 'hunter22', true] } }],
    ['a secret in a key', { set: ['auth.hunter22=on'] }, 'hunter22', { auth: { hunter22: 'on' } }],
    ['a number as text', { setString: ['pin=123456'] }, '123456', { pin: '123456' }],
    ['leading zeros are text anyway', { set: ['pin=0123456'] }, '0123456', { pin: '0123456' }],
    ['a secret that is true', { set: ['a=TRUE'] }, 'TRUE', { a: true }],
    ['a secret that is null', { set: ['a=null'] }, 'null', { a: null }],
    ['a short secret as the whole value', { set: ['a=ab', 'b=abc'] }, 'ab', { a: 'ab' }],
    ['one line of a secret of several', { set: ['key=MIIBabc'] }, 'BEGIN\nMIIBabc\nEND', { key: 'MIIBabc' }],
    ['a secret that the line breaks in two', { set: ['a=one,two=three'] }, 'one,two=three', { a: 'one', two: 'three' }],
    [
      'names of the language',
      { set: ['__proto__.x=hunter22', 'constructor=hunter22'] },
      'hunter22',
      JSON.parse('{"__proto__":{"x":"hunter22"},"constructor":"hunter22"}'),
    ],
  ] as const) {
    // prettier-ignore
    it(name, () => {
      const { set, setString } = given as unknown as Given;
      assert.deepEqual(privately({ set: [...(set ?? [])], setString: [...(setString ?? [])] }, secret), expected);
    });
  }

  it('a secret in a list item, or over an earlier line, goes as a private --set-file', () => {
    const { values, mistakes } = plan(
      { set: ['a[0].p=hunter22', 'b=x', 'b=hunter22'], setFile: ['c=there'] },
      'hunter22',
    );
    assert.deepEqual(mistakes, []);
    assert.deepEqual(values.privateTexts, [
      { key: 'a[0].p', text: 'hunter22' },
      { key: 'b', text: 'hunter22' },
    ]);
    const written = { values: '/t/v.yaml', texts: ['/t/1', '/t,2'] };
    assert.deepEqual(valueFlags(['/w/a,b.yaml'], values, written), [
      '--values', '"/w/a,b.yaml"', '--values', '/t/v.yaml', '--set-file', 'a[0].p=/t/1', '--set-file', 'b=/t\\,2',
      '--set', 'b=x', '--set-file', 'c=there',
    ]); // prettier-ignore
  });

  it('an empty list item keeps its comma when what follows it is taken away: Helm would drop it', () => {
    assert.deepEqual(plan({ set: ['m[0].n=,a=hunter22', 'x=,b=hunter22'] }, 'hunter22').values.argv, [
      '--set',
      'm[0].n=,',
      '--set',
      'x=,',
    ]);
  });

  it('a secret that a later line replaces reaches nobody', () => {
    const { values, mistakes } = plan({ set: ['a.b=hunter22', 'a=plain'] }, 'hunter22');
    assert.deepEqual(mistakes, []);
    assert.deepEqual(values, { argv: ['--set', 'a=plain'], privateTexts: [] });
  });

  for (const [name, given, expected] of [
    ['a whole number', { set: ['pin=123456789'] }, /^set, line 1.*setString/],
    ['a whole number in a list', { set: ['pins={123456789}'] }, /valueFiles/],
    ['a whole number at an index', { set: ['pins[0]=123456789'] }, /item of a list.*setString.*valueFiles/],
    ['an overlap that comes later', { set: ['a=123456789x', 'a.b=1'] }, /same key.*valueFiles/],
    ['an item that Helm drops at the end of a line', { set: ['m[0].a=123456789x', 'm[0].b='] }, /same key/],
    ['the path of a file', { setFile: ['a=there/123456789'] }, /^setFile, line 1.*path/],
    ['a key without a name', { set: ['a..b=123456789'] }, /without a name/],
    ['a comma that cuts it', { set: ['a=b,123456789'] }, /key has no value.*comma.*values file/],
  ] as const) {
    it(`refused with what to use instead: ${name}`, () => {
      const { mistakes, values } = plan({ ...given } as unknown as Given, '123456789');
      assert.equal(mistakes.length, 1);
      const [mistake] = mistakes;
      assert.match(`${mistake?.input ?? ''}: ${mistake?.problem ?? ''}`, expected);
      assert.doesNotMatch(JSON.stringify(values.argv) + (mistake?.problem ?? ''), /123456789/);
    });
  }

  it('every bad line is named, and files that do not exist', () => {
    const { mistakes } = plan({ set: ['ok=1', 'bad', 'a={x'], setFile: ['f=gone', 'g=https://example.org/x', 'h=-'] });
    assert.deepEqual(mistakes.map(({ input, holds }) => [input, holds]), [
      ['set, line 2', undefined],
      ['set, line 3', undefined],
      ['setFile, line 1', 'gone'],
      ['setFile, line 3', '-'],
    ]); // prettier-ignore
  });
});
