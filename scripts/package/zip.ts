import { createHash } from 'node:crypto';
import zopfli from '@gfx/zopfli';
import crc32 from 'crc-32';

/** Values of the zip format, see section 4.3 of APPNOTE.TXT. */
const format = {
  localHeader: 0x04034b50,
  directoryHeader: 0x02014b50,
  end: 0x06054b50,
  /** Version 2.0, the first one with DEFLATE. */
  version: 20,
  stored: 0,
  deflated: 8,
  /** 1 January 1980, the first day that the format can say. */
  date: 0x0021,
} as const;

const compression = {
  // More iterations take longer, and save a thousandth.
  numiterations: 1,
  verbose: false,
  verbose_more: false,
  blocksplitting: true,
  blocksplittinglast: false,
  blocksplittingmax: 15,
};

interface Entry {
  name: Buffer;
  content: Uint8Array;
  packed: Uint8Array;
  method: number;
  checksum: number;
}

/**
 * Writes a zip archive with the files in the given order. The bytes depend on names and contents alone: zopfli is one
 * WebAssembly program on every machine, while the zlib of Node differs between versions. Zopfli also makes the archive
 * smaller than libraries for zip archives do, and those take no data that is compressed already.
 */
export async function zip(files: readonly (readonly [name: string, content: Uint8Array])[]): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of files) {
    const entry = await entryOf(name, content);
    const header = Buffer.concat([number(format.localHeader, 4), headerFields(entry), number(0, 2), entry.name]);
    directory.push(directoryEntry(entry, offset));
    parts.push(header, Buffer.from(entry.packed));
    offset += header.length + entry.packed.length;
  }
  const listing = Buffer.concat(directory);
  const counts = [0, 0, files.length, files.length].map((count) => number(count, 2));
  const end = [number(format.end, 4), ...counts, number(listing.length, 4), number(offset, 4), number(0, 2)];
  return Buffer.concat([...parts, listing, ...end]);
}

/** Compressed files by the hash of their content. The tasks have some files in common. */
const known = new Map<string, Uint8Array>();

async function deflated(content: Uint8Array): Promise<Uint8Array> {
  const key = createHash('sha256').update(content).digest('hex');
  const bytes = known.get(key) ?? (await zopfli.deflateAsync(content, compression));
  known.set(key, bytes);
  return bytes;
}

async function entryOf(name: string, content: Uint8Array): Promise<Entry> {
  const smaller = await deflated(content);
  const isSmaller = smaller.length < content.length;
  return {
    name: Buffer.from(name),
    content,
    packed: isSmaller ? smaller : content,
    method: isSmaller ? format.deflated : format.stored,
    checksum: crc32.buf(content) >>> 0,
  };
}

/** The fields that the header of a file and its entry in the directory have in common. */
function headerFields({ name, content, packed, method, checksum }: Entry): Buffer {
  return Buffer.concat([
    ...[format.version, 0, method, 0, format.date].map((value) => number(value, 2)),
    ...[checksum, packed.length, content.length].map((value) => number(value, 4)),
    number(name.length, 2),
  ]);
}

function directoryEntry(entry: Entry, offset: number): Buffer {
  // Extra field, comment, disk, internal attributes (two bytes each), and external attributes: all zero.
  const zeros = Buffer.alloc(12);
  const header = [number(format.directoryHeader, 4), number(format.version, 2), headerFields(entry)];
  return Buffer.concat([...header, zeros, number(offset, 4), entry.name]);
}

function number(value: number, bytes: number): Buffer {
  const field = Buffer.alloc(bytes);
  field.writeUIntLE(value, 0, bytes);
  return field;
}
