import { neutralise, splitLines } from '../text/foreignText';

/** Unit: characters. */
const commentLimit = 500;

export function oneLine(text: string, limit: number = commentLimit): string {
  const line = neutralise(splitLines(text).join(' ').replace(/\s+/g, ' ').trim());
  return line.length <= limit ? line : `${line.slice(0, limit).replace(/[\ud800-\udbff]$/, '')}…`;
}

export function shownTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
