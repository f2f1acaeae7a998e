/**
 * A secret shorter than this is not looked for inside other text: `1` or `no` stand in every line, and masking them
 * would make text unreadable without hiding anything. As the whole of a value it still counts, see `secretFinder`.
 */
export const shortestSecret = 3;

const mask = '***';

/**
 * The spellings in which a secret may turn up: itself, its lines, base64, and as URI, JSON, shell and Go quote them.
 * Without those that are too short, without doubles, longest first.
 */
export function secretForms(secrets: readonly string[]): string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    const trimmed = secret.trim();
    for (const whole of [secret, trimmed, withoutQuotes(trimmed)]) {
      for (const form of spellings(whole)) forms.add(form);
    }
    for (const line of trimmed.split(/[\r\n]+/)) {
      for (const form of spellings(line.trim())) forms.add(form);
    }
  }
  return [...forms].filter((form) => form.trim().length >= shortestSecret).sort((a, b) => b.length - a.length);
}

function spellings(text: string): string[] {
  if (text.trim().length < shortestSecret) return [];
  const encoded = base64(text);
  const json = JSON.stringify(text).slice(1, -1);
  return [
    text,
    encoded,
    encoded.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''),
    uriEncoded(text),
    json,
    // Go escapes these three in JSON, and a JSON text may stand in another one
    json.replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026'),
    JSON.stringify(json).slice(1, -1),
    text.replaceAll('%', '%AZP25').replaceAll('\r', '%0D').replaceAll('\n', '%0A'),
    text.replaceAll("'", "''"),
    text.replaceAll("'", "'\\''"),
    text.replace(/[\\,.={}[\]]/g, '\\$&'),
    text.replace(/[\\,]/g, '\\$&'),
    htmlEscaped(text),
  ];
}

function withoutQuotes(text: string): string {
  return /^(["'])(.*)\1$/s.exec(text)?.[2] ?? text;
}

/** Of the text's UTF-8. */
export function base64(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function uriEncoded(text: string): string {
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, '\ufffd'));
}

function htmlEscaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&#34;');
}

/** Where secrets stand in a text: [start, end), merged where they overlap, in order. */
function secretRanges(text: string, forms: readonly string[]): [number, number][] {
  const found: [number, number][] = [];
  for (const form of forms) {
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) found.push([at, at + form.length]);
  }
  found.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const range of found) {
    const last = merged.at(-1);
    if (last === undefined || range[0] > last[1]) merged.push(range);
    else last[1] = Math.max(last[1], range[1]);
  }
  return merged;
}

/** Replaces every secret, in every spelling, by `***`. Overlapping secrets go as one. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const forms = secretForms(secrets);
  return (text) => {
    let redacted = '';
    let from = 0;
    for (const [start, end] of secretRanges(text, forms)) {
      redacted += text.slice(from, start) + mask;
      from = end;
    }
    return redacted + text.slice(from);
  };
}

/** Redacts the strings inside a JSON text, so that it stays JSON; any other text is redacted as a whole. */
export function redactDocument(text: string, redact: (text: string) => string): string {
  const parsed = parseJson(text);
  if (parsed === undefined) return redact(text);
  const indent = /^[[{]\n( +)/.exec(text)?.[1] ?? '';
  return JSON.stringify(redactValue(parsed.value, redact), undefined, indent) + (text.endsWith('\n') ? '\n' : '');
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function redactValue(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((item) => redactValue(item, redact));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [redact(key), redactValue(item, redact)]));
}

/** Finds the job's secrets in what a user wrote. */
export interface SecretFinder {
  /** Where secrets stand inside the text, merged and in order. */
  ranges(text: string): readonly (readonly [number, number])[];
  /** Whether the text contains a secret; a secret too short to be looked for counts when it is the whole text. */
  isIn(text: string): boolean;
  /** Where whole secrets of any length stand exactly as they are, in no order; they may overlap. */
  occurrences(text: string): readonly (readonly [number, number])[];
}

export function secretFinder(secrets: readonly string[]): SecretFinder {
  const forms = secretForms(secrets);
  const wholes = new Set(secrets.flatMap((secret) => [secret, secret.trim()]).filter((secret) => secret.trim() !== ''));
  return {
    ranges: (text) => secretRanges(text, forms),
    isIn: (text) => wholes.has(text) || forms.some((form) => text.includes(form)),
    occurrences: (text) => [...wholes].flatMap((secret) => occurrencesOf(secret, text)),
  };
}

function occurrencesOf(secret: string, text: string): [number, number][] {
  const found: [number, number][] = [];
  for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) found.push([at, at + secret.length]);
  return found;
}
