/**
 * How Helm takes a signal: an install or upgrade marks its revision failed. A rollback or uninstall has no handler and
 * dies.
 */
export type HelmKind = 'interruptible' | 'final';

/**
 * A message from the task to its guard, one line of JSON each. Times are those of `machineMs`. Processes are named by
 * their marks.
 */
export type GuardMessage =
  /** The lease was renewed. `atMs` is the time when the renewal was begun. */
  | { event: 'alive'; atMs: number }
  /** Helm was started, as the first process of a group. */
  | { event: 'watch'; mark: string; kind: HelmKind }
  /** The Helm with this mark has ended. */
  | { event: 'done'; mark: string };

/**
 * A variable in the environment of every Helm that the task starts. With it, Helm is found even when the task was
 * killed between the start of Helm and the message about it.
 */
export const guardVariable = 'HELM_SAFE_DEPLOY_GUARD';

export function guardVariableValue(token: string, kind: HelmKind): string {
  return `${token}.${kind}`;
}

/** Returns the kind of a Helm that was started with this value; undefined when it belongs to another guard. */
export function kindOfVariable(value: string, token: string): HelmKind | undefined {
  const kinds = ['interruptible', 'final'] as const;
  return kinds.find((kind) => value === guardVariableValue(token, kind));
}

export function messageLine(message: GuardMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** Returns undefined for a line that is no message. */
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
