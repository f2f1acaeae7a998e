import assert from 'node:assert/strict';
import fc from 'fast-check';
import { lineReader, neutralise, showLine, shownLineLimit, splitLines } from '../../tasks/common/core/text/foreignText';
import { redactor } from '../../tasks/common/core/text/secrets';

/** Returns true if the agent could take the line for a command, by the broadest reading of its comparison. */
function agentSees(line: string): boolean {
  const seen = line.replace(/[^\P{Cc}\t]|\p{Cf}|\p{Default_Ignorable_Code_Point}/gu, '');
  return /##vso\[|##\[/iu.test(seen);
}

const pieces = fc.constantFrom(
  '#', '##', '###', 'vso[', 'VSO[', 'v', 'so[', 'vſo[', '[', '[error]', '##vso[task.setvariable variable=x]y', '##[group]',
  '\r', '\n', '\r\n', '\u0000', '\u0007', '\u001b', '\u001b[', '\u001b[31m', '\u001b]0;t\u0007', '\u009b', '\u00ad', '\u200b', '\u200d',
  '\ufeff', '\ufe0f', '\u2028', '\u0085', '\t', ' ', 'é', '😀', 'x', '***', ']', '%0A', '%5D',
); // prettier-ignore
const foreign = fc
  .array(fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 30 })
  .map((all) => all.join(''));

function inChunks(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.slice(start, at[index] ?? bytes.length));
}

function readAll(chunks: readonly Uint8Array[], limit?: number): string[] {
  const reader = lineReader(limit);
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()];
}

describe('foreign text', () => {
  it('a chart that prints a command in pieces forms no command, however the text is chunked', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 8 });
    fc.assert(
      fc.property(foreign, cuts, (text, at) => {
        const lines = readAll(inChunks(new TextEncoder().encode(text), at)).map((line) =>
          showLine(line, (same) => same),
        );
        for (const line of lines) {
          assert.ok(!agentSees(line), JSON.stringify(line));
          assert.doesNotMatch(line, /[^\P{Cc}\t]/u);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('the chunking changes nothing: the lines are the same as from one piece', () => {
    fc.assert(
      fc.property(foreign, fc.array(fc.nat(), { maxLength: 8 }), (text, at) => {
        const bytes = new TextEncoder().encode(text);
        const whole = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        assert.deepEqual(readAll(inChunks(bytes, at)), whole === '' ? [] : splitLines(whole));
      }),
      { numRuns: 2000 },
    );
  });

  it('neutralising twice gives the same as neutralising once', () => {
    fc.assert(fc.property(foreign, (text) => {
      assert.equal(neutralise(neutralise(text)), neutralise(text));
    })); // prettier-ignore
  });

  for (const [name, line, shown] of [
    ['a command at the start', '##vso[task.complete result=Succeeded]', '# #vso[task.complete result=Succeeded]'],
    ['a command in the middle, in capitals', 'log: ##VSO[task.x]', 'log: # #VSO[task.x]'],
    ['a run of signs', '#####vso[x', '#### #vso[x'],
    ['a soft hyphen that the agent does not see', '##\u00advso[x', '# #vso[x'],
    ['a joiner that is a mark, not a format', '##\u034fvso[x', '# #vso[x'],
    ['a formatting prefix', '##[error]boo', '# #[error]boo'],
    ['a heading that is nothing to the agent', '## vso [x] #1', '## vso [x] #1'],
    ['colours', '\u001b[1;31mred\u001b[0m text', 'red text'],
    ['a terminal title', '\u001b]0;title\u0007text', 'text'],
    ['a command behind a colour', '#\u001b[0m#vso[x', '# #vso[x'],
    ['nothing special', 'Release "shop" has been upgraded. 100 %', 'Release "shop" has been upgraded. 100 %'],
    ['other scripts', 'Grüße, 世界\t😀', 'Grüße, 世界\t😀'],
  ] as const) {
    it(name, () => {
      assert.equal(neutralise(line), shown);
    });
  }

  it('an endless line takes no more memory than its limit, and the next line is whole', () => {
    const reader = lineReader(10);
    assert.deepEqual(reader.push(Buffer.from('x'.repeat(1000))), []);
    assert.deepEqual(reader.push(Buffer.from('y\r')), ['xxxxxxxxxx']);
    assert.deepEqual(reader.push(Buffer.from('\nnext')), []);
    assert.deepEqual(reader.end(), ['next']);
    assert.deepEqual(reader.end(), []);
  });

  it('a long line is cut and shows how much is missing', () => {
    const shown = showLine('x'.repeat(shownLineLimit + 5), (same) => same);
    assert.equal(shown, `${'x'.repeat(shownLineLimit)} [... 5 more characters]`);
  });

  it('a secret at the cut, in colours, or with a command in it is masked before the line is changed', () => {
    const redact = redactor(['s3cret##[x]', 'longer-secret-value']);
    assert.equal(showLine('a s3cret##[x] b', redact), 'a *** b');
    assert.equal(showLine('a longer-\u001b[1msecret\u001b[0m-value b', redact), 'a *** b');
    assert.equal(showLine('a pw\u00adsecret b', redactor(['pw\u00adsecret'])), 'a *** b');
    const atCut = showLine(`${'x'.repeat(shownLineLimit - 8)}longer-secret-value and more`, redact);
    assert.doesNotMatch(atCut, /longer/);
  });

  it('an emoji split by a chunk stays an emoji', () => {
    const bytes = new TextEncoder().encode('a😀b\n');
    assert.deepEqual(readAll([bytes.slice(0, 2), bytes.slice(2, 4), bytes.slice(4)]), ['a😀b']);
  });
});
