import { fromBase64 } from '../text/base64';

/** The message is a code. */
export class Unreadable extends Error {}

export const coreTag = 'tag:yaml.org,2002:';

/** `tag` is complete, as in `tag:yaml.org,2002:int`. */
export function scalarValue(text: string, isPlain: boolean, tag: string | undefined): unknown {
  if (tag === undefined) return isPlain ? plainValue(text) : text;
  const name = tag.startsWith(coreTag) ? tag.slice(coreTag.length) : '';
  if (name === 'binary') return binaryText(text);
  return ['int', 'float', 'bool', 'null'].includes(name) ? plainValue(text) : text;
}

export function fieldName(key: unknown): string {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean') return String(key);
  throw new Unreadable('KEY_IS_NO_TEXT');
}

/** The fields that a merge key takes from its value, the decisive ones last. */
export function mergedFields(value: unknown): [string, unknown][] {
  // Earlier sources take precedence.
  const sources = Array.isArray(value) ? value.toReversed() : [value];
  return sources.flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null) throw new Unreadable('MERGE_OF_NO_MAP');
    return Object.entries(one);
  });
}

function binaryText(text: string): string {
  try {
    return fromBase64(text);
  } catch {
    throw new Unreadable('NO_BASE64');
  }
}

const words: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((word) => [word, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
]);

export function plainValue(text: string): string | number | boolean | null {
  const word = words.get(text);
  if (word !== undefined) return word;
  if (/^\.[0-9]/.test(text)) return floatValue(text) ?? text;
  if (!/^[-+0-9]/.test(text)) return text;
  const plain = text.replaceAll('_', '');
  return integerValue(plain) ?? floatValue(plain) ?? text;
}

/** Follows Go's ParseInt and ParseUint with base 0: a number beyond int64 and uint64 is not an integer. */
function integerValue(text: string): number | undefined {
  const [, sign = '', prefix = '', digits = ''] =
    /^([-+]?)(0[xX](?=[0-9a-fA-F]+$)|0[bB](?=[01]+$)|0[oO]?(?=[0-7]+$))?([0-9a-fA-F]+)$/.exec(text) ?? [];
  if (digits === '' || (prefix === '' && !/^(?:0|[1-9][0-9]*)$/.test(digits))) return undefined;
  const mark = prefix === '' || /^0[xXbBoO]$/.test(prefix) ? prefix.toLowerCase() : '0o';
  const size = BigInt(mark + digits);
  const most = sign === '' ? 2n ** 64n - 1n : sign === '-' ? 2n ** 63n : 2n ** 63n - 1n;
  if (size > most) return undefined;
  return Number(sign === '-' ? -size : size);
}

function floatValue(text: string): number | undefined {
  if (!/^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
