/**
 * A library for Windows (PE32+, x64) without any code: its one function is another library's. Programs of Go need
 * ProcessPrng of bcryptprimitives.dll, which Wine before 9.0 does not have.
 * See "PE Format" in Microsoft's documentation.
 *
 * @param forwardsTo library and function, such as `advapi32.SystemFunction036`
 */
export function forwardingDll(library: string, functionName: string, forwardsTo: string): Buffer {
  const file = Buffer.alloc(2 * fileAlignment);
  writeHeaders(file);
  writeExports(file.subarray(fileAlignment), { library, functionName, forwardsTo });
  return file;
}

const fileAlignment = 0x200;
const sectionAlignment = 0x1000;
const exportDirectorySize = 40;

function writeHeaders(file: Buffer): void {
  const peHeader = 0x40;
  file.write('MZ', 0, 'latin1');
  file.writeUInt32LE(peHeader, 0x3c);
  file.write('PE', peHeader, 'latin1');

  const coff = file.subarray(peHeader + 4);
  const optionalHeaderSize = 240;
  coff.writeUInt16LE(0x8664, 0); // x64
  coff.writeUInt16LE(1, 2); // sections
  coff.writeUInt16LE(optionalHeaderSize, 16);
  coff.writeUInt16LE(0x2022, 18); // executable, large addresses, library

  const optional = coff.subarray(20);
  optional.writeUInt16LE(0x20b, 0); // PE32+
  optional.writeUInt32LE(fileAlignment, 8); // initialized data
  optional.writeUInt32LE(sectionAlignment, 20); // base of code
  optional.writeBigUInt64LE(0x180000000n, 24); // image base
  optional.writeUInt32LE(sectionAlignment, 32);
  optional.writeUInt32LE(fileAlignment, 36);
  optional.writeUInt16LE(6, 40); // system version
  optional.writeUInt16LE(6, 48); // subsystem version
  optional.writeUInt32LE(2 * sectionAlignment, 56); // image
  optional.writeUInt32LE(fileAlignment, 60); // headers
  optional.writeUInt16LE(3, 68); // console subsystem
  optional.writeUInt16LE(0x100, 70); // no execution of data
  for (const offset of [72, 80, 88, 96]) optional.writeBigUInt64LE(0x1000n, offset); // stack and heap
  optional.writeUInt32LE(16, 108); // directories, the first of which are the exports
  optional.writeUInt32LE(sectionAlignment, 112);
  optional.writeUInt32LE(fileAlignment, 116);

  const section = optional.subarray(optionalHeaderSize);
  section.write('.rdata', 0, 'latin1');
  section.writeUInt32LE(fileAlignment, 8);
  section.writeUInt32LE(sectionAlignment, 12);
  section.writeUInt32LE(fileAlignment, 16);
  section.writeUInt32LE(fileAlignment, 20);
  section.writeUInt32LE(0x40000040, 36); // initialized data, readable
}

function writeExports(
  section: Buffer,
  { library, functionName, forwardsTo }: { library: string; functionName: string; forwardsTo: string },
): void {
  const functions = exportDirectorySize;
  const names = functions + 4;
  const ordinals = names + 4;
  let end = ordinals + 2;
  const text = (value: string): number => {
    const start = end;
    end += section.write(`${value}\0`, start, 'latin1');
    return sectionAlignment + start;
  };
  section.writeUInt32LE(text(library), 12);
  section.writeUInt32LE(1, 16); // first ordinal
  section.writeUInt32LE(1, 20); // functions
  section.writeUInt32LE(1, 24); // names
  section.writeUInt32LE(sectionAlignment + functions, 28);
  section.writeUInt32LE(sectionAlignment + names, 32);
  section.writeUInt32LE(sectionAlignment + ordinals, 36);
  // An address inside the exports is a text: the place to look instead.
  section.writeUInt32LE(text(forwardsTo), functions);
  section.writeUInt32LE(text(functionName), names);
}
