import { splitLines } from '../../core/text/foreignText';
import { objectName } from '../../core/kubernetes/manifest';
import type { ReportedEvidence as Shown } from '../../core/report/report';
import type { RolloutContext } from '../../core/releaseContext';
import type { Cause } from '../../core/rollout/verdict';
import type { PodLogs } from './podLogs';

const logBytes = 64 * 1024;
/** A release with a hundred broken workloads has one cause in most cases. */
const causesShown = 5;
const logsShown = 3;

/** Pods must still exist. Evidence that is gone or may not be read is logged, and never stops the rollback. */
export async function collectEvidence(
  context: RolloutContext,
  causes: readonly Cause[],
  lastLines: PodLogs['lastLines'] = () => [],
): Promise<Shown[]> {
  const collected: Shown[] = [];
  for (const cause of causes.slice(0, causesShown)) {
    collected.push(...statements(cause));
    for (const log of cause.logs.slice(0, logsShown)) collected.push(...(await logOf(context, log, lastLines)));
  }
  const left = causes.length - causesShown;
  if (left > 0)
    context.agent.log(
      `  (${left} more ${left === 1 ? 'workload fails' : 'workloads fail'}: the report names all, with the evidence of the first ${causesShown}.)`,
    );
  return collected;
}

function statements(cause: Cause): Shown[] {
  const lines = [
    ...new Set(
      cause.evidence.map(({ text, count }) => (count !== undefined && count > 1 ? `${text} (${count} times)` : text)),
    ),
  ];
  if (lines.length === 0) return [];
  const kind = cause.evidence[0]?.kind ?? 'object';
  const times = cause.evidence.flatMap(({ at }) => at ?? []).sort();
  const at = kind === 'event' ? times.at(-1) : undefined;
  return [{ object: objectName(cause.subject), kind, title: cause.code, ...(at === undefined ? {} : { at }), lines }];
}

/** For a container that is gone, the lines that were read while it ran. */
async function logOf(
  context: RolloutContext,
  log: Cause['logs'][number],
  lastLines: PodLogs['lastLines'],
): Promise<Shown[]> {
  const { namespace, pod, container, previous } = log;
  const tailLines = context.request.rollout.logLines;
  if (tailLines === 0) return [];
  const object = `Pod/${pod}`;
  const remembered = lastLines(namespace, pod, container);
  const fallback: Shown[] =
    remembered.length === 0
      ? []
      : [{ object, kind: 'log', title: `last lines of container ${container}`, lines: remembered }];
  try {
    const ref = { namespace, name: pod, container };
    const text = await context.cluster.podLog(ref, { previous, tailLines, limitBytes: logBytes });
    const lines = splitLines(text).filter((line) => line.trim() !== '' && !isAboutLog(line));
    const title = `last lines of container ${container}${previous ? ', previous run' : ''}`;
    return lines.length === 0 ? fallback : [{ object, kind: 'log', title, lines }];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (fallback.length === 0) {
      context.agent.log(`  (The log of Pod/${pod}, container ${container}, could not be read: ${why})`);
    }
    return fallback;
  }
}

/** True for a line in which the kubelet says that it has no log. */
function isAboutLog(line: string): boolean {
  return /^unable to retrieve container logs for \w+:\/\//.test(line);
}

export function logEvidence({ agent }: RolloutContext, evidence: readonly Shown[]): void {
  for (const item of evidence) {
    agent.log(`${item.object}, ${item.title}:`);
    for (const line of item.lines.flatMap(splitLines)) agent.log(`  | ${line}`);
  }
}
