/** Differences for a program under Wine, where the drive Z: is the file system of Linux. */
export interface WineSettings {
  wine: string;
  /** Variables of Wine itself. */
  environment: Readonly<Record<string, string>>;
  node: string;
  agent: string;
}

export function toWindowsPath(file: string): string {
  return `Z:${file.replaceAll('/', '\\')}`;
}

/** A command of the agent with a file path that the agent of this machine can open. */
export function toLinuxPath(line: string): string {
  return line.replace(
    /^(##vso\[task\.(?:addattachment|uploadsummary)[^\]]*\])Z:(.*)$/,
    (_, command: string, file: string) => command + file.replaceAll('\\', '/'),
  );
}

/** Variables of this machine that have no meaning, or another one, on Windows. */
const ownVariables = new Set(['PATH', 'HOME', 'LANG']);

/** The environment that an agent for Windows would give: Windows paths and nothing of Linux. */
export function windowsEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const entries = Object.entries(environment).filter(([name]) => !ownVariables.has(name));
  return Object.fromEntries(entries.map(([name, value = '']) => [name, isPath(value) ? toWindowsPath(value) : value]));
}

function isPath(value: string): boolean {
  return /^\/[^/\r\n][^\r\n]*$/.test(value);
}
