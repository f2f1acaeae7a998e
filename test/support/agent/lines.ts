import { StringDecoder } from 'node:string_decoder';

/** Splits a byte stream into lines as .NET's reader does: at LF, CRLF and a lone CR. */
export interface LineSplitter {
  push(chunk: Buffer): string[];
  /** The text after the last line end. */
  end(): string[];
}

export function createLineSplitter(): LineSplitter {
  const decoder = new StringDecoder('utf8');
  let pending = '';
  const cut = (): string[] => {
    // A CR at the very end may be the first half of a CRLF, so it has to wait.
    const held = pending.endsWith('\r') ? '\r' : '';
    const parts = pending.slice(0, pending.length - held.length).split(/\r\n|\r|\n/);
    pending = (parts.pop() ?? '') + held;
    return parts;
  };
  const push = (chunk: Buffer): string[] => {
    pending += decoder.write(chunk);
    return cut();
  };
  const end = (): string[] => {
    const rest = pending + decoder.end();
    pending = '';
    if (rest === '') return [];
    const parts = rest.split(/\r\n|\r|\n/);
    return parts.at(-1) === '' ? parts.slice(0, -1) : parts;
  };
  return { push, end };
}
