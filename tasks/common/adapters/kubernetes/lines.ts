/**
 * The lines of a stream of bytes as they get complete, without their line feed. Cut at bytes, so that a character
 * split over two pieces stays whole. Throws RangeError for a line longer than `maxBytes`. A last line without a line
 * feed is not given: it was cut off.
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
