import assert from 'node:assert/strict';
import { expandText, type Expanded } from '../support/pipelines/expand';
import { evaluate, parseExpression, type Value } from '../support/pipelines/expression';

const parameters = { name: 'Shop', empty: '', yes: true, count: 3, list: ['a', 'b'], map: { x: '1' } };

describe('an expression of Azure Pipelines', () => {
  const cases: [text: string, value: Value][] = [
    ["eq(parameters.name, 'shop')", true],
    ["eq(parameters.empty, '')", true],
    ["ne(parameters.name, 'Shop')", false],
    ['eq(true, parameters.yes)', true],
    ["eq(parameters['name'], 'Shop')", true],
    ['parameters.missing', null],
    ["eq(parameters.missing, '')", true],
    ["in('b', 'a', 'B')", true],
    ["notIn('b', 'a', 'B')", false],
    ['gt(parameters.count, 2)', true],
    ['le(parameters.count, 2)', false],
    ['not(or(false, and(true, false)))', true],
    ["or(true, gt('x', 1))", true],
    ['length(parameters.list)', 2],
    ['length(parameters.map)', 1],
    ["format('{0}-{1}', 'a', parameters.count)", 'a-3'],
    ["replace('a-b-c', '-', '_')", 'a_b_c'],
    ["'it''s'", "it's"],
  ];
  for (const [text, value] of cases) {
    it(`${text} is ${JSON.stringify(value)}`, () => {
      assert.deepEqual(evaluate(parseExpression(text), { names: { parameters } }), value);
    });
  }

  for (const text of ["unknown('a')", 'nothing.there', 'and(true', "eq('a' 'b')", 'a ? b : c', "gt('x', 1)", '']) {
    it(`${text} is refused`, () => {
      assert.throws(() => evaluate(parseExpression(text), { names: { parameters } }));
    });
  }
});

function expanded(text: string, given: Record<string, Value> = {}): Expanded {
  return expandText(text, '/nowhere/azure-pipelines.yml', { parameters: given });
}

describe('the expander of pipelines', () => {
  const declared = `parameters:
  - { name: flag, type: boolean, default: false }
  - { name: names, type: object, default: [a, b] }
  - { name: more, type: object, default: {} }
  - { name: mode, type: string, default: one, values: [one, two] }
  - { name: count, type: number, default: 3 }
`;
  const cases: [what: string, text: string, given: Record<string, Value>, result: Expanded][] = [
    ['takes the branch that holds', "x:\n  - ${{ if eq(parameters.mode, 'two') }}:\n      - a\n  - ${{ elseif parameters.flag }}:\n      - b\n  - ${{ else }}:\n      - c", { flag: true }, { x: ['b'] }], // prettier-ignore
    ['takes else where nothing holds', 'x:\n  ${{ if parameters.flag }}:\n    a: 1\n  ${{ else }}:\n    b: 2', {}, { x: { b: '2' } }], // prettier-ignore
    ['repeats a list for each item', 'x:\n  - ${{ each name in parameters.names }}:\n      - is: ${{ name }}', {}, { x: [{ is: 'a' }, { is: 'b' }] }], // prettier-ignore
    ['repeats over a mapping', 'x:\n  ${{ each pair in parameters.more }}:\n    ${{ pair.key }}: <${{ pair.value }}>', { more: { k: 'v' } }, { x: { k: '<v>' } }], // prettier-ignore
    ['inserts a mapping', 'x:\n  a: 1\n  ${{ insert }}: ${{ parameters.more }}', { more: { b: '2' } }, { x: { a: '1', b: '2' } }], // prettier-ignore
    ['writes booleans as the service does', 'x: ${{ parameters.flag }}, ${{ parameters.count }}', {}, { x: 'False, 3' }], // prettier-ignore
    ['puts the items of a list into the list around', 'x:\n  - 0\n  - ${{ parameters.names }}', {}, { x: ['0', 'a', 'b'] }], // prettier-ignore
  ];
  for (const [what, text, given, result] of cases) {
    it(what, () => {
      assert.deepEqual(expanded(declared + text, given), result);
    });
  }

  const refused: [what: string, text: string, given?: Record<string, Value>][] = [
    ['a parameter that nobody declares', 'x: 1', { other: 'x' }],
    ['a parameter without a value', 'parameters:\n  - name: x\ny: ${{ parameters.x }}'],
    ['a value that is not in the list', declared, { mode: 'three' }],
    ['a text for a number', declared, { count: 'many' }],
    ['a text for a boolean', declared, { flag: 'perhaps' }],
    ['a type that is not known', 'parameters:\n  - { name: x, type: rocket, default: a }'],
    ['a directive that is not known', 'x:\n  ${{ unless true }}:\n    a: 1'],
    ['else without if', 'x:\n  ${{ else }}:\n    a: 1'],
    ['a key that is given twice', 'x:\n  a: 1\n  a: 2'],
    ['a key that an insert gives again', `${declared}x:\n  b: 1\n  \${{ insert }}: \${{ parameters.more }}`, { more: { b: '2' } }], // prettier-ignore
    ['an anchor', 'x: &a\n  b: 1\ny: *a'],
    ['an expression that is not closed', 'x: a ${{ parameters.b'],
    ['a variable that templates do not get', "x: ${{ variables['Build.BuildId'] }}"],
    ['a template of an unknown repository', 'steps:\n  - template: a.yml@nowhere'],
    ['a key beside a template', 'steps:\n  - template: a.yml\n    condition: always()'],
  ];
  for (const [what, text, given] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => expanded(text, given));
    });
  }
});
