import { blaming, deploySubject, outcomeWords, servingSentence, type DeployReport } from './report';
import { subjectOf, withoutMacros, type HealthReport } from './healthReport';
import { clipped, neutralise, splitLines } from '../text/foreignText';
import { cell, markdownPage } from '../text/markdown';

/** A message for an incident channel. Every text is one line. */
export interface ChannelMessage {
  title: string;
  cause: string;
  serves: string;
  next: string;
  /** The page of the run, or empty. */
  link: string;
}

/** Chat services cut or refuse long messages. Unit: characters. */
export const channelMessageLimit = 2000;

const limits = { title: 300, cause: 800, serves: 300, next: 300, link: 250 } as const;

/** Plain text of at most 2000 characters, without line breaks in the texts of others. */
export function channelText(message: ChannelMessage): string {
  const { title, cause, serves, next, link } = trimmed(message);
  const lines = [title, cause, serves, next === '' ? '' : `Next: ${next}`, link];
  return withoutMacros(lines.filter((line) => line !== '').join('\n'));
}

export function channelMarkdown(message: ChannelMessage): string {
  const { title, cause, serves, next, link } = trimmed(message);
  return markdownPage([
    `**${cell(title)}**`,
    cell(cause),
    cell(serves),
    next === '' ? '' : `**Next step.** ${cell(next)}`,
    link === '' ? '' : `[The run](${link.replaceAll(/[()\s<>]/g, encodeURIComponent)})`,
  ]);
}

function trimmed(message: ChannelMessage): ChannelMessage {
  const of = (name: keyof ChannelMessage): string =>
    clipped(neutralise(splitLines(message[name]).join(' ')).replace(/\s+/g, ' ').trim(), limits[name]);
  // A cut address leads nowhere.
  const link = message.link.length > limits.link ? '' : message.link;
  return { title: of('title'), cause: of('cause'), serves: of('serves'), next: of('next'), link };
}

export function deployChannel(report: DeployReport, link: string): ChannelMessage {
  const reason = report.reason === '' ? '' : ` (${report.reason})`;
  return {
    title: `${deploySubject(report)}: ${outcomeWords[report.outcome]}${reason}`,
    cause: blaming(report),
    serves: servingSentence(report),
    next: report.advice,
    link,
  };
}

export function healthChannel(report: HealthReport, link: string): ChannelMessage {
  const title = `${subjectOf(report)}: ${report.health}${report.reason === '' ? '' : ` (${report.reason})`}`;
  return { title, cause: blaming(report), serves: '', next: report.advice, link };
}
