import assert from 'node:assert/strict';
import { isAddress, checkValuesFile, valuesFlagArgument } from '../../tasks/common/core/inputs/valuesFile';

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
      assert.equal(checkValuesFile(text).problem, undefined);
    });
  }

  for (const [text, problem] of [
    ['a: [geheim\n', /^is not YAML at line 2, column 1 \(/],
    ['a: 1\n  geheim: 2\n', /line 1, column 4/],
    ['- geheim\n', /not a mapping/],
    ['geheim', /not a mapping/],
    ['a: {{ geheim }}\n', /key that is a mapping/],
    ['a: *geheim\n', /anchor/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)} and shows nothing of it`, () => {
      const found = checkValuesFile(text).problem ?? '';
      assert.match(found, problem);
      assert.doesNotMatch(found, /geheim/);
    });
  }

  for (const [text, documents] of [
    ['a: 1\n---\nb: 2\n', 2],
    ['a: 1\n---\nb: 2\n---\nc: 3\n', 3],
    ['null\n---\nb: 2\n', 2],
    ['a: 1\n---\n', 0],
    ['# about\n---\na: 1\n...\n', 0],
    ['---\na: |\n  x\n  ---\n  y\n', 0],
  ] as const) {
    it(`${documents} documents that Helm 3 and 4 read in different ways: ${JSON.stringify(text)}`, () => {
      const { warning } = checkValuesFile(text);
      if (documents === 0) assert.equal(warning, undefined);
      else assert.match(warning ?? '', new RegExp(`^holds ${documents} YAML documents: Helm 3`));
    });
  }

  it('a comma or a quote in the path of a file does not split it', () => {
    assert.equal(valuesFlagArgument('/w/a.yaml'), '/w/a.yaml');
    assert.equal(valuesFlagArgument('/w/a,"b".yaml'), '"/w/a,""b"".yaml"');
  });

  it('an address is distinguished from a path', () => {
    assert.ok(isAddress('https://example.org/v.yaml'));
    assert.ok(isAddress('s3://bucket/v.yaml'));
    assert.ok(!isAddress('C:\\v.yaml'));
    assert.ok(!isAddress('dir/v.yaml'));
  });
});
