import { clipped } from '../text/foreignText';

/** One line of at most about 400 characters, without a full stop at its end. */
export function quoted(text: string): string {
  return clipped(text.slice(0, 4000).replace(/\s+/g, ' ').trim(), 400).replace(/(?<! \.\.)\.$/, '');
}

/** The text between two marks; up to the end if the second is missing, and all of it if the first is. */
export function between(text: string, start: string, end: string): string {
  const from = text.indexOf(start);
  const rest = from === -1 ? text : text.slice(from + start.length);
  const to = rest.indexOf(end);
  return to === -1 ? rest : rest.slice(0, to);
}
