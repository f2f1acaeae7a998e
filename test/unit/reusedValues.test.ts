import assert from 'node:assert/strict';
import { reusedValuesSentence, reusesValues } from '../../tasks/common/core/inputs/reusedValues';

const nothing = { valueFiles: [], values: { argv: [], privateTexts: [] }, extraArguments: [] };
const something = { ...nothing, valueFiles: ['/w/a.yaml'] };

describe('values that Helm reuses from the last revision', () => {
  for (const [name, given, expected] of [
    ['no values at all', nothing, true],
    ['no values and --reset-values', { ...nothing, extraArguments: ['--reset-values'] }, false],
    ['a values file', something, false],
    [
      'a secret list item only',
      { ...nothing, values: { argv: [], privateTexts: [{ key: 'a[0]', text: 'x' }] } },
      false,
    ],
    ['--reuse-values', { ...something, extraArguments: ['--reuse-values'] }, true],
    ['--reset-then-reuse-values=true', { ...something, extraArguments: ['--reset-then-reuse-values=true'] }, true],
  ] as const) {
    it(`${name}: ${expected ? 'reused' : 'not reused'}`, () => {
      assert.equal(reusesValues(given), expected);
    });
  }

  const reusing = { ...something, extraArguments: ['--reuse-values'] };
  const config = { image: { tag: '1', name: 'web' }, list: [{ a: 1 }], old: true, empty: {} };

  it('names the values that this run does not set, even if it sets a part of them', () => {
    const sentence = reusedValuesSentence(reusing, [['image', 'tag'], ['list']], config) ?? '';
    assert.match(
      sentence,
      /^Helm takes 3 values from .* \(--reuse-values\): image\.name, old, empty\. .*--reset-values/,
    );
    assert.equal(reusedValuesSentence(reusing, [['image'], ['list'], ['old'], ['empty']], config), undefined);
  });

  it('all of them are named when no value is set, at most ten', () => {
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`v${index}`, index]));
    const sentence = reusedValuesSentence(nothing, [], many) ?? '';
    assert.match(sentence, /^Helm takes 12 values .*\(it gives none\): v0, .*v9 and 2 more\./);
  });

  it('nothing is logged when Helm reuses none, or when not all given values are known', () => {
    assert.equal(reusedValuesSentence(something, [], config), undefined);
    assert.equal(reusedValuesSentence(reusing, undefined, config), undefined);
  });
});
