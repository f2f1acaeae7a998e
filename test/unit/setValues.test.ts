import assert from 'node:assert/strict';
import { inputReader } from '../../tasks/common/core/inputs/inputs';
import { redactor, secretFinder } from '../../tasks/common/core/text/secrets';
import {
  planValues,
  privateTextFlags,
  privateValuesText,
  type SetFiles,
} from '../../tasks/common/core/inputs/setValues';

const files: SetFiles = {
  kind: (path) => (path.startsWith('there') ? 'file' : 'missing'),
  isAddress: (reference) => reference.startsWith('https://'),
};

interface Given {
  set?: string[];
  setString?: string[];
  setFile?: string[];
  setLiteral?: string[];
}

/** Plans the values as the task does with its inputs. */
function plan(given: Given, ...secrets: string[]) {
  const defaults = { set: '', setString: '', setFile: '', setLiteral: '' };
  const finder = secretFinder(secrets);
  const raw = (name: string): string | undefined => given[name as keyof Given]?.join('\n');
  const read = inputReader(defaults, raw, { secrets: finder, redact: redactor(secrets) });
  const lines = {
    set: read.setLines('set'),
    setString: read.setLines('setString'),
    setFile: read.setLines('setFile'),
    setLiteral: read.setLines('setLiteral'),
  };
  read.finish();
  return planValues(lines, finder, files);
}

/** Returns plain data, because objects without a prototype compare as different. */
function privately(given: Given, ...secrets: string[]): unknown {
  const { values, mistakes } = plan(given, ...secrets);
  assert.deepEqual(mistakes, []);
  return values.privateValues === undefined ? undefined : JSON.parse(privateValuesText(values.privateValues));
}

describe("values for Helm's command line", () => {
  it('lines without a secret go to the command line unchanged', () => {
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

  it('a secret goes to the private file, and the rest of its line stays', () => {
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
    [
      'a secret that looks like another key',
      { set: ['a=hunter2,extra=1'] },
      'hunter2,extra=1',
      { a: 'hunter2,extra=1' },
    ],
    ['a secret with a backslash', { set: ['a=Passw\\Ord!x'] }, 'Passw\\Ord!x', { a: 'Passw\\Ord!x' }],
    ['a secret that looks like a list', { set: ['a={abc-def}'] }, '{abc-def}', { a: '{abc-def}' }],
    ['such a secret inside a list', { set: ['a={x,{a,b}}'] }, '{a,b}', { a: ['x', '{a,b}'] }],
    ['a secret of two characters', { set: ['a=\\x,b.c=ok'] }, '\\x', { a: '\\x' }],
    [
      'a secret of several lines',
      { set: ['x=1', 'tls.key=-A-\nb/=\n-C-', 'y=2'] },
      '-A-\nb/=\n-C-',
      { tls: { key: '-A-\nb/=\n-C-' } },
    ],
    [
      'its line breaks of Windows, and its last one',
      { setString: ['k=-A-\r\nb\r\n'] },
      '-A-\r\nb\r\n',
      { k: '-A-\r\nb\r\n' },
    ],
    ['a secret whose last line break the line has not', { set: ['a=abc', 'b=1'] }, 'abc\n', { a: 'abc' }],
    ['blanks at its edges', { set: ['a= x y '] }, ' x y ', { a: ' x y ' }],
    ['a key that looks like a path', { set: ['hosts.a.b=c=1x'] }, 'a.b=c', { hosts: { 'a.b=c': '1x' } }],
    ['what the run would have replaced', { set: ['a=x$(HOME)y'] }, 'x$(HOME)y', { a: 'x$(HOME)y' }],
    ['all assignments in one secret', { set: ['a=x\\,y,b={z}'] }, 'a=x\\,y,b={z}', { a: 'x,y', b: ['z'] }],
    ['lines of assignments in one secret', { set: ['a=x', 'b.c=y', 'd=1'] }, 'a=x\nb.c=y', { a: 'x', b: { c: 'y' } }],
    ['a secret that is a boolean', { set: ['a=true'] }, 'true', { a: true }],
    ['a text that is a short number', { setString: ['a=12'] }, '12', { a: '12' }],
    ['a secret as it is, for setLiteral', { setLiteral: ['a.b=x,\\{y}'] }, 'x,\\{y}', { a: { b: 'x,\\{y}' } }],
    [
      'names of the language',
      { set: ['__proto__.x=hunter22', 'constructor=hunter22'] },
      'hunter22',
      JSON.parse('{"__proto__":{"x":"hunter22"},"constructor":"hunter22"}'),
    ],
  ] as const) {
    // prettier-ignore
    it(name, () => {
      assert.deepEqual(privately({ ...given } as unknown as Given, secret), expected);
    });
  }

  it('a secret in a list item, or over an earlier line, becomes a private --set-file', () => {
    const { values, mistakes } = plan(
      { set: ['a[0].p=hunter22', 'b=x', 'b=hunter22'], setFile: ['c=there'] },
      'hunter22',
    );
    assert.deepEqual(mistakes, []);
    assert.deepEqual(values.privateTexts, [
      { key: 'a[0].p', text: 'hunter22' },
      { key: 'b', text: 'hunter22' },
    ]);
    assert.deepEqual(values.argv, ['--set', 'b=x', '--set-file', 'c=there']);
    assert.deepEqual(privateTextFlags(values, ['/t/1', '/t,2']), [
      '--set-file',
      'a[0].p=/t/1',
      '--set-file',
      'b=/t\\,2',
    ]);
  });

  it('a private text has its key in the form of --set-file, even if it came from setLiteral', () => {
    const { values, mistakes } = plan({ setFile: ['l[1]=there'], setLiteral: ['a,\\b.l[0]=hunter22'] }, 'hunter22');
    assert.deepEqual(mistakes, []);
    assert.deepEqual(values.privateTexts, [{ key: 'a\\,\\\\b.l[0]', text: 'hunter22' }]);
  });

  for (const secret of ['1', '12', '0', '-1']) {
    it(`a whole number of fewer than three characters hides nothing and stays in place: ${secret}`, () => {
      const { values, mistakes } = plan({ set: [`replicas=${secret}`, `l[0]=${secret}`, `m={${secret},x}`] }, secret);
      assert.deepEqual(mistakes, []);
      assert.deepEqual(values, {
        argv: ['--set', `replicas=${secret}`, '--set', `l[0]=${secret}`, '--set', `m={${secret},x}`],
        privateTexts: [],
      });
    });
  }

  it('setLiteral wins over all others and takes a line literally', () => {
    const { values, mistakes } = plan({ set: ['a=hunter22'], setLiteral: ['a=x,\\y={1}'] }, 'hunter22');
    assert.deepEqual(mistakes, []);
    assert.deepEqual(values, { argv: ['--set-literal', 'a=x,\\y={1}'], privateTexts: [] });
  });

  it('an empty list item keeps its comma when its successor is removed, because Helm would drop it', () => {
    assert.deepEqual(plan({ set: ['m[0].n=,a=hunter22', 'x=,b=hunter22'] }, 'hunter22').values.argv, [
      '--set',
      'm[0].n=,',
      '--set',
      'x=,',
    ]);
  });

  it('a secret that a later line replaces is passed to nobody', () => {
    const { values, mistakes } = plan({ set: ['a.b=hunter22', 'a=plain'] }, 'hunter22');
    assert.deepEqual(mistakes, []);
    assert.deepEqual(values, { argv: ['--set', 'a=plain'], privateTexts: [] });
  });

  for (const [name, given, expected] of [
    ['a whole number', { set: ['pin=123456789'] }, /^set, line 1.*setString/],
    ['a whole number in a list', { set: ['pins={123456789}'] }, /valueFiles/],
    ['a whole number of three', { set: ['a=1', 'b=123456789'] }, /^set, line 2.*float.*make the variable not secret/],
    ['a whole number at an index', { set: ['pins[0]=123456789'] }, /item of a list.*setString.*valueFiles/],
    ['an overlap that comes later', { set: ['a=123456789x', 'a.b=1'] }, /same key.*valueFiles/],
    ['an item that Helm drops at the end of a line', { set: ['m[0].a=123456789x', 'm[0].b='] }, /same key/],
    ['the path of a file', { setFile: ['a=there/123456789'] }, /^setFile, line 1.*path/],
    ['a key without a name', { set: ['a..b=123456789'] }, /without a name/],
    ['a comma before it', { set: ['a=b,123456789'] }, /key has no value.*comma.*values file/],
    ['alone on a line', { set: ['123456789'] }, /key has no value/],
  ] as const) {
    it(`refused, with the alternative: ${name}`, () => {
      const { mistakes, values } = plan({ ...given } as unknown as Given, '123456789');
      assert.equal(mistakes.length, 1);
      const [mistake] = mistakes;
      assert.match(`${mistake?.input ?? ''}: ${mistake?.problem ?? ''}`, expected);
      assert.doesNotMatch(JSON.stringify(values.argv) + (mistake?.problem ?? ''), /123456789/);
    });
  }

  it('every wrong line and every missing file is named', () => {
    const { mistakes } = plan({ set: ['ok=1', 'bad', 'a={x'], setFile: ['f=gone', 'g=https://example.org/x', 'h=-'] });
    assert.deepEqual(mistakes.map(({ input, holds }) => [input, holds]), [
      ['set, line 2', undefined],
      ['set, line 3', undefined],
      ['setFile, line 1', 'gone'],
      ['setFile, line 3', '-'],
    ]); // prettier-ignore
  });

  for (const [name, given, expected] of [
    ['--set before it', { set: ['--set a=1'] }, /begins with a flag/],
    ['-f before it', { setString: ['-f a=1'] }, /begins with a flag/],
    ['--set-string inside it', { set: ['a=1 --set-string b=2'] }, /second --set/],
    ['quotes around all of it', { set: ['"a=1"'] }, /key begins with a quote/],
    ['quotes around a name', { set: ["a.'b\\.c'=1"] }, /key begins with a quote/],
    ['a blank after the comma', { set: ['a=1, b=2'] }, /blank/],
    ['a blank before the equals sign', { set: ['a =1'] }, /blank/],
    ['a path of Windows', { set: ['a=C:\\dir'] }, /backslash.*setLiteral/],
    ['a path of Windows to a file', { setFile: ['a=certs\\ca.pem'] }, /backslash.*write \//],
    ['a regular expression', { setString: ['a=x\\d+'] }, /backslash.*setLiteral/],
    ['quotes that were to hold a comma', { set: ['a="x,b=y"'] }, /quotes do not protect a comma/],
  ] as const) {
    it(`refused, because it must be a mistake: ${name}`, () => {
      const { mistakes } = plan({ ...given } as unknown as Given);
      assert.equal(mistakes.length, 1);
      assert.match(mistakes[0]?.problem ?? '', expected);
    });
  }

  for (const [name, given, expected] of [
    ['quotes around the value', { set: ['a="x"', 'b=y'] }, /^set, line 1: the quotes.*setLiteral/],
    ['quotes around a secret', { set: ["a='hunter22'"] }, /quotes/],
    ['quotes around an item', { set: ['a={"x","y"}'] }, /quotes/],
    ['a blank before the value', { setString: ['a= x'] }, /blank/],
  ] as const) {
    it(`accepted with a warning, because it may be intended: ${name}`, () => {
      const { mistakes, warnings } = plan({ ...given } as unknown as Given, 'hunter22');
      assert.deepEqual(mistakes, []);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', expected);
    });
  }

  for (const [name, given] of [
    ['in setLiteral all of it is meant', { setLiteral: ['a="x"', 'b=C:\\dir --set c=d', 'e= f'] }],
    ['in a secret all of it is meant', { set: ['a=hunter22', 'b= hunter22'] }],
    ['escaped commas, dots and backslashes', { set: ['a\\.b=c\\,d\\\\e,f=\\{g\\}'] }],
    ['quotes inside', { set: ['a=5" x 7"', "b=it's"] }],
  ] as const) {
    it(`accepted without a message: ${name}`, () => {
      const { mistakes, warnings } = plan({ ...given } as unknown as Given, ' hunter22', '"C:\\dir"', 'hunter22');
      assert.deepEqual({ mistakes, warnings }, { mistakes: [], warnings: [] });
    });
  }
});
