/** One `##vso[area.event key=value;...]data` line as the agent reads it. */
export interface LoggingCommand {
  readonly area: string;
  readonly event: string;
  /** Property names in lower case. */
  readonly properties: ReadonlyMap<string, string>;
  readonly data: string;
}

const prefix = '##vso[';

/** The command anywhere in a line, or undefined if the agent would read the line as plain output. */
export function parseCommand(line: string): LoggingCommand | undefined {
  const start = line.indexOf(prefix);
  const end = start < 0 ? -1 : line.indexOf(']', start);
  if (end < 0) return undefined;
  const info = line.slice(start + prefix.length, end);
  const space = info.indexOf(' ');
  const [area, event, ...more] = (space < 0 ? info : info.slice(0, space)).split('.').filter((part) => part !== '');
  if (area === undefined || event === undefined || more.length > 0) return undefined;
  const properties = space > 0 ? parseProperties(info.slice(space + 1)) : new Map<string, string>();
  return { area: area.toLowerCase(), event: event.toLowerCase(), properties, data: unescape(line.slice(end + 1)) };
}

/** A line that looks like a command to a person, but not to the agent. The agent warns about it. */
export function looksLikeCommand(line: string): boolean {
  return line.includes('##vso');
}

function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  for (const pair of text.split(';')) {
    const equals = pair.indexOf('=');
    const [key, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
    if (key !== '' && value !== '') properties.set(key.toLowerCase(), unescape(value));
  }
  return properties;
}

/** The agent decodes all escapes, in properties and in data. */
export function unescape(text: string): string {
  return text
    .replaceAll('%3B', ';')
    .replaceAll('%0D', '\r')
    .replaceAll('%0A', '\n')
    .replaceAll('%5D', ']')
    .replaceAll('%AZP25', '%');
}

export function escape(text: string): string {
  return text
    .replaceAll('%', '%AZP25')
    .replaceAll(';', '%3B')
    .replaceAll('\r', '%0D')
    .replaceAll('\n', '%0A')
    .replaceAll(']', '%5D');
}
