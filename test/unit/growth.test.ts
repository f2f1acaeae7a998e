import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { labelSelector } from '../../tasks/common/adapters/gateway/labelSelector';
import { declaredKinds } from '../../tasks/common/core/helm/chartCrds';
import { parseDuration } from '../../tasks/common/core/inputs/duration';
import { showLine } from '../../tasks/common/core/text/foreignText';
import { blamedObject, helmFailureReason, helmMessage, withoutObjects } from '../../tasks/common/core/helm/helmFailure';
import { manifestObjects } from '../../tasks/common/core/kubernetes/manifest';
import { quantity } from '../../tasks/common/core/kubernetes/quantity';
import { cell } from '../../tasks/common/core/text/markdown';
import { textDiff } from '../../tasks/common/core/text/textDiff';
import { redactor } from '../../tasks/common/core/text/secrets';
import { checkValuesFile } from '../../tasks/common/core/inputs/valuesFile';
import { isNestedTooDeep } from '../../tasks/common/core/kubernetes/yamlDepth';

const sources = path.resolve('tasks');

interface Found {
  where: string;
  regExp: RegExp;
}

function sourceFiles(): string[] {
  const files = fs.readdirSync(sources, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts'));
}

function regularExpressions(file: string): Found[] {
  const text = fs.readFileSync(path.join(sources, file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: Found[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/');
      const regExp = new RegExp(node.text.slice(1, end), node.text.slice(end + 1));
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push({ where: `line ${line + 1}: ${node.text}`, regExp });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const classes: Readonly<Record<string, string>> = {
  w: 'a',
  S: 'a',
  d: '1',
  D: 'a',
  s: ' ',
  W: ' ',
  b: '',
  B: '',
  n: '\n',
  t: '\t',
};

/** A text that the expression roughly matches: one character for each class, the first of several alternatives. */
function sample(source: string): string {
  let text = source
    .replace(/\[\^(?:\\.|[^\]\\])*\]/g, 'a')
    .replace(/\[\\?(.)(?:\\.|[^\]\\])*\]/g, '$1')
    .replace(/\\u([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)))
    .replace(/\\[pP]\{[^}]*\}/g, 'a')
    .replace(/\(\?<?[=!][^()]*\)/g, '')
    .replace(/\\([a-zA-Z])/g, (_, name: string) => classes[name] ?? '')
    .replace(/(?<!\\)[*+?]\??|(?<!\\)\{\d+,?\d*\}|[$^]/g, '');
  for (let before = ''; before !== text;) {
    before = text;
    text = text.replace(/(?<!\\)\((?:\?:|\?<\w+>)?((?:\\.|[^()|\\])*)(?:\|(?:\\.|[^()\\])*)?\)/g, '$1');
  }
  return text.replace(/\\(.)/g, '$1');
}

const everywhere = Array.from('aZ1 \t"\\/.-_=[({<#:@,`\n\u001b');

/**
 * Units that are repeated to find a slow expression: a character, two of the characters that the expression names, or a
 * beginning of its match.
 */
function units({ source }: RegExp): string[] {
  const named = [...new Set(source.replace(/\\[a-zA-Z]\d*/g, ''))].filter((each) => !/[a-zA-Z?*+^$|]/.test(each));
  const pairs = named.flatMap((one) => [...named, 'a', '1', ' '].flatMap((other) => [one + other, other + one]));
  const whole = source
    .split('|')
    .flatMap((part) => [sample(part)])
    .concat(sample(source));
  const beginnings = whole.flatMap((each) => Array.from(each, (_, index) => each.slice(0, index + 1)));
  return [...new Set([...everywhere, ...named, ...pairs, ...beginnings])].filter((unit) => unit !== '');
}

/** Texts on which the whole expression may fail late. */
function* texts(regExp: RegExp): Generator<(length: number) => string> {
  const beginnings = [
    '',
    '"',
    ...regExp.source
      .split('|')
      .map(sample)
      .flatMap((each) => [each, each.slice(0, -1)]),
  ];
  for (const unit of units(regExp)) {
    const isCharacter = unit.length === 1;
    for (const begin of isCharacter ? beginnings : ['']) {
      for (const end of ['', '\u0001']) yield (length) => begin + unit.repeat(length / unit.length) + end;
    }
  }
}

/** Processor time, so other programs on the machine do not count. */
function milliseconds(act: () => unknown): number {
  const { user, system } = process.cpuUsage();
  act();
  const used = process.cpuUsage({ user, system });
  return (used.user + used.system) / 1000;
}

/** `act` processes a text of the given length. */
function growsTooFast(act: (length: number) => unknown, length: number, belowMs: number): boolean {
  const isOnce = (): boolean => {
    const took = milliseconds(() => act(length));
    return took > belowMs && took > 2.5 * milliseconds(() => act(length / 2));
  };
  // A single measurement may include a garbage collection.
  return isOnce() && isOnce() && isOnce();
}

const unnoticedMs = 1.5;

/** Tries longer and longer texts, so that an expression with cubic time is found before it takes minutes. */
function isSlow(regExp: RegExp, text: (length: number) => string): boolean {
  const act = (length: number): string => text(length).replace(regExp, '');
  return [300, 3000].some((length) => growsTooFast(act, length, unnoticedMs));
}

function slowOnes(found: readonly Found[]): string[] {
  return found.flatMap(({ where, regExp }) => {
    const text = [...texts(regExp)].find((each) => isSlow(regExp, each));
    return text === undefined ? [] : [`${where} is slow for ${JSON.stringify(text(200))}`];
  });
}

const readers: Readonly<Record<string, (text: string) => unknown>> = {
  'a cell of a table': cell,
  'a quantity': quantity,
  'a duration': parseDuration,
  'a line of the log': (text) => showLine(text, redactor(['hunter2hunter2hunter2'])),
  'words of Helm': (text) => [helmFailureReason(`Error: ${text}`), helmMessage(text), withoutObjects(text)],
  'the object in words of Helm': (message) => blamedObject({ reason: 'ApplyRejected', message }),
  'a manifest': manifestObjects,
  'a value in a manifest': (text) =>
    manifestObjects(`kind: A\napiVersion: v1\nmetadata: {name: a}\ndata:\n  a: ${text}\n`),
  'a values file': checkValuesFile,
  'definitions of a chart': declaredKinds,
  'the difference of two texts': (text) => textDiff({ a: text }, { a: `${text}b` }),
  'a selector': labelSelector,
};

const hostile = [
  '1',
  'a',
  ' ',
  '"',
  '\\\\',
  '[',
  '{',
  '<',
  '`',
  '- ',
  '\n',
  '\t',
  '*',
  '_',
  'a: ',
  '{"a":1}\n',
  '"a": [\n',
  '---\n',
  '&a ',
  '.a',
  '/',
  '|\n',
  '://',
  'Invalid value: ',
  ' object a/b',
];

describe('nested collections', () => {
  const kinds: Readonly<Record<string, (depth: number) => string>> = {
    '[': (depth) => 'a: ' + '['.repeat(depth) + ']'.repeat(depth),
    'only begun': (depth) => '{"a":['.repeat(depth / 2),
    '-': (depth) => '- '.repeat(depth),
    'further and further in': (depth) =>
      Array.from({ length: depth }, (_, level) => `${' '.repeat(level)}a:\n`).join(''),
    'lists in mappings': (depth) =>
      Array.from({ length: depth / 2 }, (_, level) => `${'  '.repeat(level)}${level > 0 ? '- ' : ''}a:\n`).join(''),
  };
  for (const [kind, text] of Object.entries(kinds)) {
    it(`${kind}: refused with a message where the parser would end the process`, () => {
      assert.equal(isNestedTooDeep(text(300)), false);
      for (const depth of [700, 30_000]) {
        if (depth > 1000 && kind.includes('in')) continue;
        assert.throws(() => manifestObjects(text(depth)), /nested deeper/);
        assert.match(checkValuesFile(text(depth)).problem ?? '', /nested deeper/);
      }
    });
  }

  it('text with brackets and lines of dashes does not count as nesting', () => {
    const text = `a: |\n${`  ${'-'.repeat(500)} ["{[\n`.repeat(500)}b: "${'['.repeat(500)}"`;
    assert.equal(isNestedTooDeep(text), false);
  });
});

describe('foreign text is read in time that grows with its length', function () {
  this.timeout(180_000);
  for (const [what, read] of Object.entries(readers)) {
    it(what, () => {
      const slow = hostile.filter((unit) =>
        growsTooFast((length) => attempt(read, unit.repeat(length / unit.length)), 16_000, 150),
      );
      assert.deepEqual(slow, []);
    });
  }
});

/** A meaningless text may be refused. */
function attempt(read: (text: string) => unknown, text: string): unknown {
  try {
    return read(text);
  } catch (thrown) {
    return thrown;
  }
}

describe('no regular expression takes more than 2.5 times as long for twice the text', function () {
  this.timeout(180_000);

  for (const file of sourceFiles()) {
    const found = regularExpressions(file);
    if (found.length === 0) continue;
    it(file, () => {
      assert.deepEqual(slowOnes(found), []);
    });
  }
});
