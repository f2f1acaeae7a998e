import { inflateSync } from 'node:zlib';
import zopfli from '@gfx/zopfli';
import crc32 from 'crc-32';
import UPNG from 'upng-js';

/** The same picture with at most `colours` colours, as a PNG with a palette that is compressed as well as can be. */
export async function smallPng(png: Buffer, colours: number): Promise<Buffer> {
  const decoded = UPNG.decode(png.buffer.slice(png.byteOffset, png.byteOffset + png.byteLength) as ArrayBuffer);
  const encoded = UPNG.encode(UPNG.toRGBA8(decoded), decoded.width, decoded.height, colours);
  return recompressed(Buffer.from(encoded));
}

const compression = {
  numiterations: 15,
  verbose: false,
  verbose_more: false,
  blocksplitting: true,
  blocksplittinglast: false,
  blocksplittingmax: 15,
};

/** The chunks of a PNG, see section 5 of its specification. All data of the picture goes into one chunk. */
async function recompressed(png: Buffer): Promise<Buffer> {
  const chunks: { type: string; data: Buffer }[] = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  const pixels = inflateSync(Buffer.concat(chunks.flatMap(({ type, data }) => (type === 'IDAT' ? [data] : []))));
  const before = chunks.filter(({ type }) => type !== 'IDAT' && type !== 'IEND');
  const data = Buffer.from(await zopfli.zlibAsync(pixels, compression));
  const parts = [...before, { type: 'IDAT', data }, { type: 'IEND', data: Buffer.alloc(0) }];
  return Buffer.concat([png.subarray(0, 8), ...parts.map(chunk)]);
}

function chunk({ type, data }: { type: string; data: Buffer }): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeInt32BE(crc32.buf(body));
  return Buffer.concat([length, body, checksum]);
}
