import { objectName } from '../kubernetes/manifest';
import type { KubeObject } from '../kubernetes/object';
import { at, conditionOf, isTrue, listAt, numberAt, textAt, timeAt } from '../kubernetes/read';
import type { CauseCode } from './causes';
import { endedRuns, exitText, log, times } from './containerFindings';
import { refTo, type Finding } from './finding';
import type { Family } from './family';
import { remembered } from './remembered';

/** A run of a container, or the life of a pod, that ended badly although its successor is good at this moment. */
export interface BadRun {
  /** Health must last for so long, because the successor may end in the same way. */
  neededSeconds: number;
  /** Since when the successor is good, by the cluster's clock; Infinity if it is not good. */
  goodSince: number;
  finding: Finding;
}

/** What ended earlier says nothing about the present run. */
const recentMilliseconds = 900_000;
/** A run that lasted longer has not failed at its start, so nobody waits for as long as it lasted. */
const longSeconds = 600;
const neededAfterLongRun = 60;
/** Runs of one container last differently long. */
const marginFactor = 1.25;
const marginSeconds = 10;

/** The bad runs of the new revision's pods that ended shortly before `now`. */
export function badRuns(family: Family, now: Date): BadRun[] {
  return runsEndedBadly(family).filter(({ endedAt }) => now.getTime() - endedAt <= recentMilliseconds);
}

interface EndedRun extends BadRun {
  endedAt: number;
}

const runsEndedBadly = remembered(({ pods }: Family) => pods.flatMap((pod) => endedBadly(pod, pods)));

function endedBadly(pod: KubeObject, pods: readonly KubeObject[]): EndedRun[] {
  if (textAt(pod, 'status', 'phase') === 'Failed') return [{ ...failedPod(pod, pods), endedAt: failedAt(pod) }];
  const spec = at(pod, 'spec');
  const isRestarting = (textAt(spec, 'restartPolicy') || 'Always') === 'Always';
  const sidecars = new Set(
    listAt(spec, 'initContainers').flatMap(({ name, restartPolicy }) => (restartPolicy === 'Always' ? [name] : [])),
  );
  return [
    ...listAt(pod, 'status', 'initContainerStatuses').filter(({ name }) => sidecars.has(name)),
    ...listAt(pod, 'status', 'containerStatuses'),
  ].flatMap((status) => {
    const last = at(status, 'lastState', 'terminated') ?? at(status, 'state', 'terminated');
    if (last === undefined || (numberAt(last, 'exitCode') === 0 && !isRestarting)) return [];
    return [{ ...endedRun(pod, status, last), endedAt: timeAt(last, 'finishedAt') }];
  });
}

function neededSeconds(ran: number): number {
  return marginSeconds + marginFactor * (ran > longSeconds ? neededAfterLongRun : Math.max(0, ran));
}

function endedRun(pod: KubeObject, status: unknown, last: unknown): BadRun {
  const name = textAt(status, 'name');
  const seconds = Math.round((timeAt(last, 'finishedAt') - timeAt(last, 'startedAt')) / 1000);
  const isRunning = at(status, 'state', 'running') !== undefined;
  const ended = numberAt(status, 'restartCount') + (isRunning ? 0 : 1);
  const message = `Container ${name} of ${objectName(refTo(pod))} has ended ${times(ended)}, last after ${seconds} s with ${exitText(last)}, and has not been ready for longer than that since then.`;
  const code = textAt(last, 'reason') === 'OOMKilled' ? 'OutOfMemory' : 'CrashLoop';
  const finding = badFinding(pod, { code, message, text: `last run: ${exitText(last)}`, container: name });
  const isLoop = ended >= endedRuns;
  return {
    neededSeconds: neededSeconds(seconds),
    goodSince: goodSince(pod),
    finding: isLoop ? { ...finding, detail: 'loop' } : finding,
  };
}

function failedPod(pod: KubeObject, pods: readonly KubeObject[]): BadRun {
  const began = timeAt(pod, 'status', 'startTime') || timeAt(pod, 'metadata', 'creationTimestamp');
  const seconds = began === 0 ? 0 : Math.round((failedAt(pod) - began) / 1000);
  const [reason, said] = [textAt(pod, 'status', 'reason'), textAt(pod, 'status', 'message')];
  const why = [reason, said].filter(Boolean).join(': ') || 'it failed';
  const message = `${objectName(refTo(pod))} has ended after ${seconds} s (${why}), and its successor has not been ready for longer than that.`;
  const code = reason === '' ? 'CrashLoop' : 'Evicted';
  const others = pods.filter((other) => isTrue(other, 'Ready')).map(goodSince);
  return {
    neededSeconds: neededSeconds(seconds),
    goodSince: others.length === 0 ? Infinity : Math.max(...others),
    finding: badFinding(pod, { code, message, text: why }),
  };
}

function failedAt(pod: KubeObject): number {
  return Math.max(
    0,
    ...listAt(pod, 'status', 'conditions').map((condition) => timeAt(condition, 'lastTransitionTime')),
    ...listAt(pod, 'status', 'containerStatuses').map((status) => timeAt(status, 'state', 'terminated', 'finishedAt')),
  );
}

/** Infinity if the pod is not good, or nobody knows since when it is. */
export function goodSince(pod: KubeObject): number {
  if (!isTrue(pod, 'Ready')) return Infinity;
  const started = listAt(pod, 'status', 'containerStatuses').map((status) =>
    timeAt(status, 'state', 'running', 'startedAt'),
  );
  const ready = timeAt(conditionOf(pod, 'Ready'), 'lastTransitionTime');
  // Without a time, nobody knows for how long it has been ready.
  return Math.max(...started, ready) || Infinity;
}

function badFinding(
  pod: KubeObject,
  { code, message, text, container }: { code: CauseCode; message: string; text: string; container?: string },
): Finding {
  const subject = refTo(pod);
  const evidence = { kind: container === undefined ? ('object' as const) : ('containerState' as const), ref: subject };
  return {
    code,
    subject,
    id: [pod.metadata.uid ?? subject.name, container].filter(Boolean).join('/'),
    message,
    isCertain: false,
    evidence: [{ ...evidence, ...(container === undefined ? {} : { container }), text }],
    logs: container === undefined ? [] : [log(pod, container, true)],
  };
}
