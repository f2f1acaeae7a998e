/**
 * Text that others wrote (Helm, a chart, an event, a pod), prepared for the log.
 *
 * The agent treats every line of a task's output as a possible command. The agent searches for `##vso[` anywhere in the
 * line. Its comparison depends on the culture and skips invisible characters (soft hyphen, zero width space). The log
 * page of Azure Pipelines formats lines that start with `##[`.
 */

/** Longer lines are cut when they are shown. Unit: characters. */
export const shownLineLimit = 8192;

/** A line reader keeps this many characters of one line and drops the rest. `showLine` shows far fewer. */
export const readLineLimit = 262_144;

// CSI sequences, OSC and the other string sequences (up to BEL or ST, or to the end of the line), two-character escapes
const escapeSequences = new RegExp(
  '\\u001b\\[[0-?]*[ -/]*[@-~]|\\u009b[0-?]*[ -/]*[@-~]|' +
    '(?:\\u001b[\\]PX^_]|[\\u009d\\u0090\\u0098\\u009e\\u009f])[^\\u0007\\u001b\\u009c]*(?:\\u0007|\\u001b\\\\|\\u009c)?|' +
    '\\u001b[ -/]*[0-~]',
  'gu',
);

// Control characters, format characters and all other invisible characters, except the tab.
const unseen = /[^\P{Cc}\t]|\p{Cf}|\p{Default_Ignorable_Code_Point}/gu;

// The flags `iu` fold case by the rules of Unicode. So the long s counts as an s, because the agent may do the same.
const commandStart = /(?<=#)#(?=\[|vso\[)/giu;

/** Returns a line that is safe to print, without commands, escape sequences and invisible characters. Idempotent. */
export function neutralise(line: string): string {
  return withoutUnseen(line).replace(commandStart, ' #');
}

/** Returns the text, cut at `limit` characters. A mark shows that text was cut off. */
export function clipped(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit).replace(/[\ud800-\udbff]$/, '')} ...`;
}

/** Splits a text where the agent would split it: at LF, CR or both. A final line break adds no empty line. */
export function splitLines(text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * Removes secrets, also secrets that appear only after the invisible characters are removed. A text without such hidden
 * secrets keeps its invisible characters.
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
 * Returns one line in the form in which it is shown. Secrets are redacted before anything is removed or cut off: half a
 * secret is hard to find, and a secret with escape sequences inside appears only without them.
 */
export function showLine(line: string, redact: (text: string) => string): string {
  const shown = redact(neutralise(redactSeen(line, redact)));
  if (shown.length <= shownLineLimit) return shown;
  const kept = shown.slice(0, shownLineLimit).replace(/[\ud800-\udbff]$/, '');
  return `${kept} [... ${shown.length - kept.length} more characters]`;
}

/** Removes escape sequences and invisible characters from one line. */
export function withoutUnseen(line: string): string {
  return line.replace(escapeSequences, '').replace(unseen, '');
}

/** Cuts a stream of bytes into lines. These lines are raw: pass each line through `showLine` before you log it. */
interface LineReader {
  /** Returns the lines that this chunk completed. */
  push(chunk: Uint8Array): string[];
  /** Returns the last line, if the stream did not end with a line break. */
  end(): string[];
}

/**
 * Creates a reader for UTF-8 in chunks of any size. Invalid bytes become U+FFFD. The reader keeps `limit` characters of
 * a line and drops the rest, so that a child process that never ends its line cannot use up all memory.
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
