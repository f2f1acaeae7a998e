/** How Helm takes a signal: an install or upgrade marks its revision failed, a rollback or uninstall has no handler and dies. */
export type HelmKind = 'interruptible' | 'final';

/** What the task tells its guard, one line of JSON each. Times are those of `machineMs`, processes their marks. */
export type GuardMessage =
  /** The lease was renewed; `atMs`: when that was begun. */
  | { event: 'alive'; atMs: number }
  /** Helm was started, as the first process of a group. */
  | { event: 'watch'; mark: string; kind: HelmKind }
  /** That Helm has ended. */
  | { event: 'done'; mark: string };

/**
 * A variable that Helm is started with, so that it is found even when the task was killed between the start of Helm and
 * the message about it.
 */
export const guardVariable = 'HELM_SAFE_DEPLOY_GUARD';

export function guardVariableValue(token: string, kind: HelmKind): string {
  return `${token}.${kind}`;
}

/** The kind of a Helm that was started with this value; undefined when it belongs to another guard. */
export function kindOfVariable(value: string, token: string): HelmKind | undefined {
  const kinds = ['interruptible', 'final'] as const;
  return kinds.find((kind) => value === guardVariableValue(token, kind));
}

export function messageLine(message: GuardMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** Undefined for a line that is no message. */
export function readMessage(line: string): GuardMessage | undefined {
  const { event, atMs, mark, kind } = record(line);
  if (event === 'alive' && typeof atMs === 'number') return { event, atMs };
  if (typeof mark !== 'string') return undefined;
  if (event === 'watch' && (kind === 'interruptible' || kind === 'final')) return { event, mark, kind };
  return event === 'done' ? { event, mark } : undefined;
}

function record(line: string): Record<string, unknown> {
  try {
    return { ...(JSON.parse(line) as Record<string, unknown> | null) };
  } catch {
    return {};
  }
}
