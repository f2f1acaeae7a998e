/** The names that a query may use in two braces, for example `{{ namespace }}`. */
export interface Placeholders {
  release: string;
  namespace: string;
  revision: string;
  /** A duration as Prometheus takes it. */
  interval: string;
}

const names = ['release', 'namespace', 'revision', 'interval'] as const;
export const placeholderNames: readonly string[] = names;

/** Only these are words of PromQL. The others stand in quotes. */
const bareNames: ReadonlySet<string> = new Set(['revision', 'interval']);

/** `text` is whole if `problems` is empty. Each problem is a clause without a value. */
export interface Filled {
  text: string;
  problems: readonly string[];
}

const placeholder = /\{\{\s*([^{}\n]{0,60}?)\s*\}\}/y;

/** Fills in a PromQL query. A value is escaped for the string literal, and in a regular expression for that too. */
export function fillQuery(query: string, values: Placeholders): Filled {
  const problems: string[] = [];
  const parts: string[] = [];
  // The last two characters that are no blanks, outside of literals.
  let operator = '';
  let quote = '';
  let isPattern = false;
  for (let at = 0; at < query.length;) {
    placeholder.lastIndex = at;
    const found = placeholder.exec(query);
    if (found !== null) {
      const [whole, name = ''] = found;
      parts.push(
        quote === '' ? bareValue(name, values, problems) : quotedValue(name, values, { quote, isPattern, problems }),
      );
      at += whole.length;
      continue;
    }
    const piece = pieceAt(query, at, quote);
    if (quote === '' && /["'`]/.test(piece)) {
      quote = piece;
      isPattern = operator === '=~' || operator === '!~';
    } else if (piece === quote) quote = '';
    if (quote === '' && piece.trim() !== '') operator = (operator + piece).slice(-2);
    parts.push(piece);
    at += piece.length;
  }
  return { text: parts.join(''), problems };
}

/** A character, an escaped one, or a comment. A quote in a comment begins no literal. */
function pieceAt(query: string, at: number, quote: string): string {
  if (quote === '' && query[at] === '#') {
    const end = query.indexOf('\n', at);
    return query.slice(at, end === -1 ? query.length : end);
  }
  return query.slice(at, at + (quote !== '' && quote !== '`' && query[at] === '\\' ? 2 : 1));
}

function valueOf(name: string, values: Placeholders, problems: string[]): string {
  const known = names.find((each) => each === name);
  if (known !== undefined) return values[known];
  problems.push(`{{ ${name} }} is not known; known are ${names.join(', ')}`);
  return '';
}

function bareValue(name: string, values: Placeholders, problems: string[]): string {
  const value = valueOf(name, values, problems);
  if (value !== '' && !bareNames.has(name)) problems.push(`{{ ${name} }} must stand in quotes`);
  return value;
}

interface Literal {
  quote: string;
  isPattern: boolean;
  problems: string[];
}

function quotedValue(name: string, values: Placeholders, { quote, isPattern, problems }: Literal): string {
  const value = valueOf(name, values, problems);
  const plain = isPattern ? value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&') : value;
  // A literal in backticks has no escapes, and no value has a backtick.
  if (quote === '`') return plain.replaceAll('`', '');
  // Prometheus refuses an escaped quote that is not the one of the literal.
  return plain.replace(/["'\\]/g, (mark) => (mark === '\\' || mark === quote ? `\\${mark}` : mark));
}

/** Fills in an address. */
export function fillAddress(address: string, values: Placeholders): Filled {
  const problems: string[] = [];
  const text = address.replace(/\{\{\s*([^{}\n]{0,60}?)\s*\}\}/g, (_, name: string) =>
    encodeURIComponent(valueOf(name, values, problems)),
  );
  return { text, problems };
}
