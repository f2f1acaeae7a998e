import assert from 'node:assert/strict';
import fc from 'fast-check';
import { redactDocument, redactor, secretFinder } from '../../tasks/common/core/secrets';

describe('secrets', () => {
  const secret = 'p@ss"w,ö\\r<d>/1';
  for (const [name, spelled] of [
    ['as it is', secret],
    ['base64', Buffer.from(secret).toString('base64')],
    ['base64 for addresses', Buffer.from(secret).toString('base64url')],
    ['percent-encoded', encodeURIComponent(secret)],
    ['inside JSON', JSON.stringify({ a: secret })],
    ['inside JSON as Go writes it', '"p@ss\\"w,ö\\\\r\\u003cd\\u003e/1"'],
    ['escaped for --set', secret.replaceAll('\\', '\\\\').replaceAll(',', '\\,')],
  ] as const) {
    it(`is masked: ${name}`, () => {
      const masked = redactor([secret])(`before ${spelled} after`);
      assert.match(masked, /^before .*\*\*\*.* after$/);
      assert.doesNotMatch(masked, /p(@|%40)ss|cEBzcyJ3/);
    });
  }

  it('a secret of several lines is masked line by line', () => {
    const key = '-----BEGIN KEY-----\nMIIBabcdef\nZZYYXX\n-----END KEY-----\n';
    const masked = redactor([key])('one MIIBabcdef, two ZZYYXX');
    assert.equal(masked, 'one ***, two ***');
  });

  it('of two secrets that overlap nothing is left', () => {
    assert.equal(redactor(['abcd', 'cdef'])('xabcdefx'), 'x***x');
    assert.equal(redactor(['abc', 'abcdef'])('xabcdefx'), 'x***x');
  });

  it('a secret of one or two characters masks nothing in other text, but counts as a whole value', () => {
    assert.equal(redactor(['1', 'no'])('revision 1 is not known'), 'revision 1 is not known');
    const finder = secretFinder(['1', '']);
    assert.ok(finder.isIn('1'));
    assert.ok(!finder.isIn('list[1]=x'));
    assert.ok(!finder.isIn(''));
  });

  it('no text keeps a secret, whatever surrounds it', () => {
    const word = fc
      .string({ unit: 'grapheme', minLength: 3, maxLength: 20 })
      .filter((text) => text.trim().length >= 3 && !text.includes('*'));
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 4 }),
        fc.string(),
        fc.string(),
        (secrets, before, after) => {
          const redact = redactor(secrets);
          for (const one of secrets) assert.ok(!redact(before + one + after).includes(one));
        },
      ),
    );
  });

  it('a report stays JSON when a secret is a number or stands in a key', () => {
    const report = JSON.stringify({ revision: 12345, note: 'pin 12345', nested: [{ tokenabc: 'x' }] }, undefined, 2);
    const redacted: unknown = JSON.parse(redactDocument(report, redactor(['12345', 'tokenabc'])));
    assert.deepEqual(redacted, { revision: 12345, note: 'pin ***', nested: [{ '***': 'x' }] });
    assert.equal(redactDocument('# pin 12345', redactor(['12345'])), '# pin ***');
  });
});
