import { isRecord } from './json';
import type { KubeObject, ObjectRef } from './kubernetes';

export interface ContainerFinding {
  container: string;
  text: string;
  hasLog: boolean;
  /** The telling log is that of the run before. */
  isPrevious: boolean;
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** The containers of a pod that are not as they should be, init containers first. */
export function containerFindings(pod: KubeObject): ContainerFinding[] {
  const status = isRecord(pod['status']) ? pod['status'] : {};
  const all = [...records(status['initContainerStatuses']), ...records(status['containerStatuses'])];
  return all.flatMap(findingOf);
}

function findingOf(status: Record<string, unknown>): ContainerFinding[] {
  const container = text(status['name']);
  const state = isRecord(status['state']) ? status['state'] : {};
  const last = isRecord(status['lastState']) ? status['lastState']['terminated'] : undefined;
  const restarts = Number(status['restartCount'] ?? 0);
  const crashed = isRecord(last) ? `, last run: ${ending(last)}` : '';
  if (isRecord(state['waiting'])) {
    const { reason, message } = state['waiting'];
    if (text(reason) === 'PodInitializing' || text(reason) === '') return [];
    const words = [text(reason), text(message)].filter(Boolean).join(': ');
    return [
      { container, text: `${container}: ${words}${crashed}`, hasLog: isRecord(last), isPrevious: isRecord(last) },
    ];
  }
  if (isRecord(state['terminated']) && state['terminated']['exitCode'] !== 0) {
    return [{ container, text: `${container}: ${ending(state['terminated'])}`, hasLog: true, isPrevious: false }];
  }
  if (isRecord(state['running']) && status['ready'] !== true) {
    const again = restarts > 0 ? `, restarted ${restarts} times${crashed}` : '';
    return [{ container, text: `${container}: running, not ready${again}`, hasLog: true, isPrevious: false }];
  }
  return [];
}

function ending(terminated: Record<string, unknown>): string {
  const words = [text(terminated['reason']), `exit code ${text(terminated['exitCode'])}`, text(terminated['message'])];
  return words.filter((word) => word !== '').join(', ');
}

/** The label selector of a workload's pods, as the API takes it. */
export function podSelector(workload: KubeObject): string | undefined {
  const spec = isRecord(workload['spec']) ? workload['spec'] : {};
  const selector = isRecord(spec['selector']) ? spec['selector'] : {};
  const labels = isRecord(selector['matchLabels']) ? selector['matchLabels'] : undefined;
  if (labels === undefined) return undefined;
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${text(value)}`)
    .join(',');
}

const eventsShown = 8;

/** The warnings about the named objects and what the workload's own children say, each once, oldest first. */
export function eventLines(events: readonly KubeObject[], workload: ObjectRef, names: ReadonlySet<string>): string[] {
  const about = events.filter((event) => {
    const involved = isRecord(event['involvedObject']) ? text(event['involvedObject']['name']) : '';
    const isOurs = names.has(involved) || (involved.startsWith(`${workload.name}-`) && workload.kind !== 'Pod');
    return isOurs && event['type'] === 'Warning';
  });
  const time = (event: KubeObject): string => text(event['lastTimestamp']) || text(event['eventTime']);
  const lines = about
    .sort((a, b) => time(a).localeCompare(time(b)))
    .map((event) => `${text(event['reason'])}: ${text(event['message'])}`);
  return [...new Set(lines)].slice(-eventsShown);
}
