/** On a signal, an install or upgrade marks its revision failed. A rollback or uninstall has no handler and dies. */
export type HelmKind = 'interruptible' | 'final';

/** One line of JSON each. Times are those of `machineMs`. Processes are named by their marks. */
export type GuardMessage =
  /** `atMs` is the time when the renewal of the lease began. */
  | { event: 'alive'; atMs: number }
  /** Helm was started as the first process of a group. */
  | { event: 'watch'; mark: string; kind: HelmKind }
  /** The Helm with this mark has ended. */
  | { event: 'done'; mark: string };

/** A variable of every Helm, which finds it even if the task was killed before it reported Helm's start. */
export const guardVariable = 'HELM_SAFE_DEPLOY_GUARD';

export function guardVariableValue(token: string, kind: HelmKind): string {
  return `${token}.${kind}`;
}

/** Returns undefined for a Helm of another guard. */
export function kindOfVariable(value: string, token: string): HelmKind | undefined {
  const kinds = ['interruptible', 'final'] as const;
  return kinds.find((kind) => value === guardVariableValue(token, kind));
}

export function messageLine(message: GuardMessage): string {
  return `${JSON.stringify(message)}\n`;
}

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
