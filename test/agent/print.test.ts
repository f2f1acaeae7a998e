import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { logPrinter } from '../support/agent/index';
import { createLineSplitter } from '../support/agent/lines';
import { lineKind } from '../support/agent/log';

function print(texts: readonly string[], options: Parameters<typeof logPrinter>[1]): string {
  const stream = new PassThrough();
  const printer = logPrinter(stream, options);
  texts.forEach((text, index) => {
    printer({ number: index + 1, at: new Date(0), step: 's', stage: 'main', kind: lineKind(text), text });
  });
  return String(stream.read());
}

describe('the printed run page', () => {
  const page = [
    '##[section]Starting: Deploy',
    '##[group]Observe',
    'revision 3',
    '##[endgroup]',
    '##[error]broken',
    'not ##[group] here',
  ];

  it('groups are indented and named, tags are removed, and kinds are words without colours', () => {
    assert.equal(print(page, {}), 'Starting: Deploy\n▾ Observe\n  revision 3\nError: broken\nnot ##[group] here\n');
  });

  it('a group that was never closed ends with the step', () => {
    assert.equal(print(['##[group]a', 'b', '##[section]Finishing: x', 'c'], {}), '▾ a\n  b\nFinishing: x\nc\n');
  });

  it('colours and timestamps are printed on request', () => {
    const text = print(['##[error]broken'], { colour: true, timestamps: true });
    assert.equal(text, '1970-01-01T00:00:00.000Z \u001b[31mError: broken\u001b[0m\n');
  });
});

describe('the line reader', () => {
  it('gives the same lines however the bytes are cut', () => {
    const piece = fc.constantFrom('a', 'ö', '€', '\n', '\r', '\r\n', '##vso[');
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.nat(40)), (pieces, cuts) => {
        const bytes = Buffer.from(pieces.join(''));
        const whole = createLineSplitter();
        const expected = [...whole.push(bytes), ...whole.end()];
        const splitter = createLineSplitter();
        const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const lines = places.slice(1).flatMap((end, index) => splitter.push(bytes.subarray(places[index], end)));
        assert.deepEqual([...lines, ...splitter.end()], expected);
      }),
    );
  });

  it('ends a line at LF, CRLF and CR, and gives an unended last line', () => {
    const splitter = createLineSplitter();
    assert.deepEqual(splitter.push(Buffer.from('a\nb\r\nc\rd\r')), ['a', 'b', 'c']);
    assert.deepEqual(splitter.push(Buffer.from('\n\ne')), ['d', '']);
    assert.deepEqual(splitter.end(), ['e']);
  });
});
