import { neutralise, splitLines } from '../text/foreignText';

/** A comment longer than this is cut. Characters. */
const commentLimit = 500;

/** What somebody wrote, on one line. */
export function oneLine(text: string, limit: number = commentLimit): string {
  const line = neutralise(splitLines(text).join(' ').replace(/\s+/g, ' ').trim());
  return line.length <= limit ? line : `${line.slice(0, limit).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** `2026-11-21 08:07:28 UTC`. */
export function shownTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
