import assert from 'node:assert/strict';
import fc from 'fast-check';
import { redactSeen } from '../../tasks/common/core/text/foreignText';
import { redactedDocument } from '../../tasks/common/core/text/redactedFields';
import { redactor, secretFinder } from '../../tasks/common/core/text/secrets';

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

  it('two overlapping secrets are masked completely', () => {
    assert.equal(redactor(['abcd', 'cdef'])('xabcdefx'), 'x***x');
    assert.equal(redactor(['abc', 'abcdef'])('xabcdefx'), 'x***x');
  });

  it('a secret of one or two characters is masked only where it is the whole value', () => {
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

  const printable = (most: number): fc.Arbitrary<string> =>
    fc
      .array(fc.integer({ min: 0x20, max: 0x7e }), { minLength: 3, maxLength: most, size: 'max' })
      .map((codes) => String.fromCharCode(...codes));
  const nasty = fc
    .oneof(printable(40), fc.string({ unit: 'grapheme', minLength: 3, maxLength: 60 }), printable(4096))
    // A mask cannot hide what it is made of.
    .filter((text) => text.trim().length >= 3 && !/^\*+$/.test(text.trim()));

  it('no text keeps a secret of any characters and length, even next to masks', () => {
    fc.assert(
      fc.property(fc.array(nasty, { minLength: 1, maxLength: 3 }), fc.array(fc.string()), (secrets, around) => {
        const redact = redactor(secrets);
        const redacted = redact(secrets.map((secret, index) => `${around[index] ?? ''}${secret}`).join(''));
        for (const one of secrets) assert.ok(!redacted.includes(one));
        assert.equal(redact(redacted), redacted);
      }),
      { numRuns: 60 },
    );
  });

  for (const [name, cutAt] of [
    ['at the end of the text', (before: string, part: string) => `${before}${part}`],
    ['before three dots', (before: string, part: string) => `${before}${part} ... and more`],
    ['before an ellipsis', (before: string, part: string) => `${before}${part}… and more`],
    ['before the mark of a long line', (before: string, part: string) => `${before}${part} [... 12 more characters]`],
    ['in the middle of a character', (before: string, part: string) => `${before}${part}\ufffd`],
  ] as const) {
    it(`the beginning of a secret is masked where the text was cut: ${name}`, () => {
      const secret = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl';
      const redact = redactor([secret]);
      for (let length = 16; length < secret.length; length++) {
        const redacted = redact(cutAt('token ', secret.slice(0, length)));
        assert.ok(!redacted.includes('eyJ'), redacted);
        assert.match(redacted, /^token \*\*\*/);
      }
      // Many ordinary words begin with so few characters.
      assert.match(redact(cutAt('token ', secret.slice(0, 15))), /eyJ/);
      // This text was not cut. It only begins like the secret.
      assert.match(redact(`${secret.slice(0, 36)} is not it`), /eyJ/);
    });
  }

  it('the end of a secret is masked where the text was cut from the front, and so is a long middle part', () => {
    const secret = Array.from({ length: 200 }, (_, index) => index.toString(36)).join('');
    const redact = redactor([secret]);
    assert.equal(redact(`${secret.slice(100)} was refused`), '*** was refused');
    assert.equal(redact(`\ufffd${secret.slice(100)} was refused`), '\ufffd*** was refused');
    assert.equal(redact(`it said ...${secret.slice(100)}, no`), 'it said ...***, no');
    assert.equal(redact(secret.slice(100, 180)), '***');
    assert.equal(redact(`${secret.slice(-15)} was refused`), `${secret.slice(-15)} was refused`);
  });

  it('a secret is masked inside the base64 of a longer text', () => {
    for (const before of ['', 'a', 'ab', 'user:']) {
      const encoded = Buffer.from(`${before}correct-horse-battery and more`).toString('base64');
      const masked = redactor(['correct-horse-battery'])(encoded);
      const left = Buffer.from(masked.replaceAll('***', ''), 'base64').toString();
      assert.ok(!left.includes('horse') && masked.includes('***'), masked);
    }
  });

  it('invisible characters hide no secret, neither in the text nor in the secret', () => {
    const redact = redactor(['hunter22', 'pass\u200bword']);
    assert.equal(redactSeen('hunt\u001b[1mer22 and pa\u00adssword', redact), '*** and ***');
    assert.equal(redactSeen('\u001b[1mnothing', redact), '\u001b[1mnothing');
  });

  it('the time grows only linearly with the text, even with many long secrets', () => {
    const secrets = Array.from({ length: 20 }, (_, index) => `${index}-secret-`.repeat(400));
    const redact = redactor(secrets);
    const line = `2026-01-01 line with 1-secret-2 and "x": "${'0123456789abcdef'.repeat(3)}" ...\n`;
    const least = (text: string): number => {
      const times = Array.from({ length: 4 }, () => {
        const before = process.cpuUsage();
        redact(text);
        return process.cpuUsage(before).user;
      });
      return Math.min(...times);
    };
    // Enough text for several ticks of the clock that counts processor time.
    const text = line.repeat(4000);
    least(text);
    // Quadratic time would be 64 times as long.
    const [one, eight] = [least(text), least(text.repeat(8))];
    assert.ok(eight <= 20 * one, `${one} µs, then ${eight} µs`);
  });

  it("a report stays valid JSON, and the task's own values stay in it, for any secrets", () => {
    const own = { planDigest: 'sha256:9119', outcome: 'failed', failedWorkload: 'Deployment/web-911' };
    const report = { task: 'HelmSafeDeploy', ...own, reason: 'Err911', revision: 911, objects: [{ name: 'pin 911' }] };
    const redact = redactor(['911', 'objects', 'failed']);
    const redacted: unknown = JSON.parse(redactedDocument(JSON.stringify(report, undefined, 2), redact));
    assert.deepEqual(redacted, { ...report, objects: [{ name: 'pin ***' }] });
    assert.equal(redactedDocument('# pin 911', redact), '# pin ***');
  });
});
