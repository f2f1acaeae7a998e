/**
 * Text that somebody else wrote (Helm, a chart, an event, a pod) on its way to the log.
 *
 * The agent takes every line of a task's output for a possible command: it looks for `##vso[` anywhere in the line,
 * by the culture's comparison, which skips characters that cannot be seen (soft hyphen, zero width space), and its
 * page formats lines that start with `##[`.
 */

/** A line longer than this is cut when it is shown. Characters. */
export const shownLineLimit = 8192;

/** What a line reader keeps of one line; the rest is dropped on arrival. Far above what is shown, see `showLine`. */
export const readLineLimit = 262_144;

// CSI sequences, OSC and the other string sequences (up to BEL or ST, or to the end of the line), two-character escapes
const escapeSequences = new RegExp(
  '\\u001b\\[[0-?]*[ -/]*[@-~]|\\u009b[0-?]*[ -/]*[@-~]|' +
    '(?:\\u001b[\\]PX^_]|[\\u009d\\u0090\\u0098\\u009e\\u009f])[^\\u0007\\u001b\\u009c]*(?:\\u0007|\\u001b\\\\|\\u009c)?|' +
    '\\u001b[ -/]*[0-~]',
  'gu',
);

// Controls, formats and everything else that is not seen; a tab stays.
const unseen = /[^\P{Cc}\t]|\p{Cf}|\p{Default_Ignorable_Code_Point}/gu;

// `iu` folds case as Unicode does: the long s is an s, as it may be to the agent.
const commandStart = /(?<=#)#(?=\[|vso\[)/giu;

/** One line as it may be printed: nothing in it is a command, an escape sequence or unseen. Idempotent. */
export function neutralise(line: string): string {
  return withoutUnseen(line).replace(commandStart, ' #');
}

/** The text up to a number of characters, with a mark where more was cut off. */
export function clipped(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit).replace(/[\ud800-\udbff]$/, '')} ...`;
}

/** Text cut into lines where the agent would cut it: LF, CR or both. A last line break makes no empty line. */
export function splitLines(text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * The text without secrets, those too that show only when what is not seen is taken out of it. Where there are none of
 * those it stays as it is.
 */
export function redactSeen(text: string, redact: (text: string) => string): string {
  const redacted = redact(text);
  const seen = redacted.split(/(\r\n|\r|\n)/).map((part, index) => (index % 2 === 1 ? part : withoutUnseen(part)));
  const joined = seen.join('');
  if (joined === redacted) return redacted;
  const clean = redact(joined);
  return clean === joined ? redacted : clean;
}

/**
 * One line as it is shown. Redacted before anything is taken out of it or cut off: half a secret is hard to
 * find, and one that has escape sequences in it shows only without them.
 */
export function showLine(line: string, redact: (text: string) => string): string {
  const shown = redact(neutralise(redactSeen(line, redact)));
  if (shown.length <= shownLineLimit) return shown;
  const kept = shown.slice(0, shownLineLimit).replace(/[\ud800-\udbff]$/, '');
  return `${kept} [... ${shown.length - kept.length} more characters]`;
}

/** One line without escape sequences and without characters that are not seen. */
export function withoutUnseen(line: string): string {
  return line.replace(escapeSequences, '').replace(unseen, '');
}

/** Cuts a stream of bytes into lines. What it gives is raw: for the log it goes through `showLine`. */
export interface LineReader {
  /** The lines that this chunk ended. */
  push(chunk: Uint8Array): string[];
  /** The last line, if the stream did not end with a line break. */
  end(): string[];
}

/**
 * A reader for UTF-8 in chunks of any size. Invalid bytes become U+FFFD. Of a line longer than `limit` characters the
 * rest is dropped, so that a child that never ends its line cannot take all memory.
 */
export function lineReader(limit: number = readLineLimit): LineReader {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let pending = '';
  let lastWasReturn = false;

  const extend = (text: string): void => {
    if (pending.length < limit) pending += text.slice(0, limit - pending.length);
  };

  const take = (text: string): string[] => {
    const lines: string[] = [];
    let start = 0;
    for (const { 0: lineBreak, index } of text.matchAll(/\r|\n/g)) {
      const joinsReturn = lineBreak === '\n' && lastWasReturn && index === start;
      if (!joinsReturn) {
        extend(text.slice(start, index));
        lines.push(pending);
        pending = '';
      }
      lastWasReturn = lineBreak === '\r';
      start = index + 1;
    }
    if (start < text.length) {
      extend(text.slice(start));
      lastWasReturn = false;
    }
    return lines;
  };

  return {
    push: (chunk) => take(decoder.decode(chunk, { stream: true })),
    end: () => {
      const lines = take(decoder.decode());
      if (pending !== '') lines.push(pending);
      pending = '';
      return lines;
    },
  };
}
