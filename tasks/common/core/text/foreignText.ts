/**
 * Prepares text that others wrote (Helm, a chart, an event, a pod) for the log. The agent searches every line for
 * `##vso[` with a comparison that skips invisible characters, and the log page formats lines that start with `##[`.
 */

/** Longer lines are cut when they are shown. Unit: characters. */
export const shownLineLimit = 8192;

/** A line reader drops the rest of a longer line. Unit: characters. */
export const readLineLimit = 262_144;

// CSI sequences, OSC and the other string sequences (up to BEL or ST, or to the end of the line), two-character escapes
const escapeSequences = new RegExp(
  '\\u001b\\[[0-?]*[ -/]*[@-~]|\\u009b[0-?]*[ -/]*[@-~]|' +
    '(?:\\u001b[\\]PX^_]|[\\u009d\\u0090\\u0098\\u009e\\u009f])[^\\u0007\\u001b\\u009c]*(?:\\u0007|\\u001b\\\\|\\u009c)?|' +
    '\\u001b[ -/]*[0-~]',
  'gu',
);

const unseen = /[^\P{Cc}\t]|\p{Cf}|\p{Default_Ignorable_Code_Point}/gu;

// With the flags `iu`, the long s counts as an s, because the agent may fold case in this way too.
const commandStart = /(?<=#)#(?=\[|vso\[)/giu;

/** Removes commands, escape sequences and invisible characters from a line, so that it is safe to print. Idempotent. */
export function neutralise(line: string): string {
  return withoutUnseen(line).replace(commandStart, ' #');
}

/** Cuts the text at `limit` characters and marks the cut with `...`. */
export function clipped(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit).replace(/[\ud800-\udbff]$/, '')} ...`;
}

/** Cuts the beginning, so that `limit` characters are left. */
export function clippedFront(text: string, limit: number): string {
  return text.length <= limit ? text : `... ${text.slice(-limit).replace(/^[\udc00-\udfff]/, '')}`;
}

/** Splits a text where the agent would split it. A final line break adds no empty line. */
export function splitLines(text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  return lines;
}

/** Removes secrets, also those that invisible characters hide. Keeps invisible characters that hide no secret. */
export function redactSeen(text: string, redact: (text: string) => string): string {
  const redacted = redact(text);
  const seen = redacted.split(/(\r\n|\r|\n)/).map((part, index) => (index % 2 === 1 ? part : withoutUnseen(part)));
  const joined = seen.join('');
  if (joined === redacted) return redacted;
  const clean = redact(joined);
  return clean === joined ? redacted : clean;
}

/** Returns a line as it is shown. Redacts before anything is cut, because half a secret is hard to find. */
export function showLine(line: string, redact: (text: string) => string): string {
  const shown = redact(neutralise(redactSeen(line, redact)));
  if (shown.length <= shownLineLimit) return shown;
  const kept = shown.slice(0, shownLineLimit).replace(/[\ud800-\udbff]$/, '');
  return `${kept} [... ${shown.length - kept.length} more characters]`;
}

export function withoutUnseen(line: string): string {
  return line.replace(escapeSequences, '').replace(unseen, '');
}

/** Cuts a stream of bytes into raw lines: pass each through `showLine` before you log it. */
interface LineReader {
  push(chunk: Uint8Array): string[];
  /** Returns the last line, if the stream did not end with a line break. */
  end(): string[];
}

/** Reads UTF-8 in chunks of any size. Drops what exceeds `limit` characters of a line, so that memory is bounded. */
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
