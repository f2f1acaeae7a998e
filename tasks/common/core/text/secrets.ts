import { base64 } from './base64';
import { splitLines, withoutUnseen } from './foreignText';
import { textFinder, type Range } from './textFinder';

/** Shorter secrets are not searched for inside other text: masking each `1` or `no` would make the text unreadable. */
export const shortestSecret = 3;

const mask = '***';

/** Returns all spellings in which the secrets may appear, without those that are too short to search for. */
export function secretForms(secrets: readonly string[]): string[] {
  const forms = new Set<string>();
  const add = (text: string): void => {
    for (const form of spellings(text)) forms.add(form);
  };
  for (const secret of new Set(secrets)) {
    const trimmed = secret.trim();
    for (const whole of new Set([secret, trimmed, withoutQuotes(trimmed), withoutUnseen(trimmed)])) add(whole);
    const lines = splitLines(trimmed);
    if (lines.length > 1) lines.forEach((line) => { add(line.trim()); }); // prettier-ignore
  }
  return [...forms].filter((form) => form.trim().length >= shortestSecret);
}

function spellings(text: string): string[] {
  if (text.trim().length < shortestSecret) return [];
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [
    text,
    ...base64Spellings(text),
    uriEncoded(text),
    json,
    ascii,
    // Go escapes these three characters in JSON. A JSON text may also be quoted inside another JSON text.
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

/** Shorter fragments of base64 occur in any text by chance. Unit: characters. */
const shortestInside = 8;

/** Returns the base64 of the text alone and inside the base64 of a longer text, in both alphabets. */
function base64Spellings(text: string): string[] {
  const alone = base64(text);
  const inside = [0, 1, 2].map((offset) => base64Inside(text, offset)).filter((part) => part.length >= shortestInside);
  return [alone, alone.replace(/(?<!=)=+$/, ''), ...inside].flatMap((each) => [
    each,
    each.replaceAll('+', '-').replaceAll('/', '_'),
  ]);
}

/** Returns the base64 characters that depend on this text alone after `offset` bytes (modulo 3) of other text. */
function base64Inside(text: string, offset: number): string {
  const encoded = base64('\0'.repeat(offset) + text).replace(/(?<!=)=+$/, '');
  const bits = 8 * (offset + new TextEncoder().encode(text).length);
  return encoded.slice(Math.ceil((8 * offset) / 6), Math.floor(bits / 6));
}

function withoutQuotes(text: string): string {
  return /^(["'])(.*)\1$/s.exec(text)?.[2] ?? text;
}

function uriEncoded(text: string): string {
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, '\ufffd'));
}

function htmlEscaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&#34;');
}

/** Replaces every secret by `***`, in every spelling and also where it was cut. */
export type Redact = (text: string) => string;

/** Redaction repeats until nothing changes, because the text around a mask can spell a secret again. */
const redactionsAtMost = 8;

export function redactor(secrets: readonly string[]): Redact {
  return maskingRedactor(secretForms(secrets));
}

export function maskingRedactor(forms: readonly string[]): Redact {
  const finder = textFinder(forms);
  const redactOnce = (text: string): string => masked(text, finder.rangesWithParts(text));
  return (text) => {
    let redacted = redactOnce(text);
    for (let before = text, count = 1; redacted !== before && count < redactionsAtMost; count++) {
      before = redacted;
      redacted = redactOnce(before);
    }
    return redacted;
  };
}

function masked(text: string, ranges: readonly Range[]): string {
  if (ranges.length === 0) return text;
  const kept = ranges.map(([start], index) => text.slice(ranges[index - 1]?.[1] ?? 0, start));
  return `${kept.map((part) => part + mask).join('')}${text.slice(ranges.at(-1)?.[1] ?? 0)}`;
}

/** Finds the secrets of the job in text that a user wrote. */
export interface SecretFinder {
  /** Returns the ranges of secrets, merged and in order. */
  ranges(text: string): readonly Range[];
  /** Returns true if the text contains a secret, or is as a whole a secret that is too short to be searched for. */
  isIn(text: string): boolean;
  /** Returns the exact occurrences of whole secrets of any length. They are unordered and may overlap. */
  occurrences(text: string): readonly (readonly [number, number])[];
}

export function secretFinder(secrets: readonly string[]): SecretFinder {
  const finder = textFinder(secretForms(secrets));
  const wholes = new Set(secrets.flatMap((secret) => [secret, secret.trim()]).filter((secret) => secret.trim() !== ''));
  return {
    ranges: (text) => finder.ranges(text),
    isIn: (text) => wholes.has(text) || finder.ranges(text).length > 0,
    occurrences: (text) => [...wholes].flatMap((secret) => occurrencesOf(secret, text)),
  };
}

function occurrencesOf(secret: string, text: string): [number, number][] {
  const found: [number, number][] = [];
  for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) found.push([at, at + secret.length]);
  return found;
}
