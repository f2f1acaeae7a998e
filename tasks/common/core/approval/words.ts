import { neutralise, splitLines } from '../text/foreignText';

/** Longer comments are cut. In characters. */
const commentLimit = 500;

/** Puts the text of a person on one line. */
export function oneLine(text: string, limit: number = commentLimit): string {
  const line = neutralise(splitLines(text).join(' ').replace(/\s+/g, ' ').trim());
  return line.length <= limit ? line : `${line.slice(0, limit).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** For example `2026-11-21 08:07:28 UTC`. */
export function shownTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
