import assert from 'node:assert/strict';
import { isAddress, valuesFileProblem, valuesFlagArgument } from '../../tasks/common/core/valuesFile';

describe('values files', () => {
  for (const text of [
    '',
    '---\n',
    '# nothing\n',
    'a: 1\n',
    '{"a": 1}',
    'a: 1\na: 2\n',
    'a: &x {b: 1}\nc:\n  <<: *x\n',
    '\ufeffa: 1\r\n',
  ]) {
    it(`takes ${JSON.stringify(text)}`, () => {
      assert.equal(valuesFileProblem(text), undefined);
    });
  }

  for (const [text, problem] of [
    ['a: [geheim\n', /^is not YAML at line 2, column 1 \(/],
    ['a: 1\n  geheim: 2\n', /line 1, column 4/],
    ['- geheim\n', /no mapping/],
    ['geheim', /no mapping/],
    ['a: {{ geheim }}\n', /key that is a mapping/],
    ['a: *geheim\n', /anchor/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)} and shows nothing of it`, () => {
      const found = valuesFileProblem(text) ?? '';
      assert.match(found, problem);
      assert.doesNotMatch(found, /geheim/);
    });
  }

  it('a comma or a quote in the path of a file does not make two of it', () => {
    assert.equal(valuesFlagArgument('/w/a.yaml'), '/w/a.yaml');
    assert.equal(valuesFlagArgument('/w/a,"b".yaml'), '"/w/a,""b"".yaml"');
  });

  it('an address is told from a path', () => {
    assert.ok(isAddress('https://example.org/v.yaml'));
    assert.ok(isAddress('s3://bucket/v.yaml'));
    assert.ok(!isAddress('C:\\v.yaml'));
    assert.ok(!isAddress('dir/v.yaml'));
  });
});
