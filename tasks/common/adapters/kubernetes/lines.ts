/**
 * Yields the complete lines of a stream. A last line without a line feed was cut off and is not yielded. Throws
 * RangeError for a line longer than `maxBytes`.
 */
export async function* byteLines(stream: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, from);
      const part = chunk.subarray(from, end < 0 ? chunk.length : end);
      size += part.length;
      if (size > maxBytes) throw new RangeError(`a line of over ${maxBytes} bytes`);
      parts.push(part);
      if (end < 0) break;
      from = end + 1;
      const line = Buffer.concat(parts, size).toString('utf8');
      parts = [];
      size = 0;
      if (line.trim() !== '') yield line;
    }
  }
}

/** Cuts lines to `maxBytes`. A last line without a line feed is not whole. */
export async function* boundedLines(
  stream: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<{ text: string; isWhole: boolean }> {
  let parts: Buffer[] = [];
  let size = 0;
  let isOpen = false;
  for await (const chunk of stream) {
    let from = 0;
    while (from < chunk.length) {
      const end = chunk.indexOf(0x0a, from);
      const part = chunk.subarray(from, end < 0 ? chunk.length : end).subarray(0, maxBytes - size);
      // A copy does not keep the whole chunk in memory.
      if (part.length > 0) parts.push(end < 0 ? Buffer.from(part) : part);
      size += part.length;
      isOpen = end < 0;
      if (end < 0) break;
      from = end + 1;
      yield { text: textOf(parts, size === maxBytes), isWhole: true };
      parts = [];
      size = 0;
    }
  }
  if (isOpen) yield { text: textOf(parts, size === maxBytes), isWhole: false };
}

/** Drops the half character that a cut may leave at the end. */
function textOf(parts: readonly Buffer[], isCut: boolean): string {
  const text = Buffer.concat(parts).toString('utf8');
  return isCut ? text.replace(/\ufffd$/, '') : text;
}
