import type { KubeObject } from '../kubernetes/object';
import type { CauseCode } from './causes';
import { newest, type EventRecord } from './events';
import type { LogRequest } from './facts';
import { eventEvidence, refTo, type Evidence, type Finding } from './finding';
import { imageReasons, imageTrouble } from './imageFindings';
import { at, listAt, numberAt, textAt, timeAt } from '../kubernetes/read';

/** A restarting container counts as a crash loop after this number of ended runs: three restarts are allowed. */
export const endedRuns = 4;
const endedRunsOutOfMemory = 3;

interface Container {
  pod: KubeObject;
  name: string;
  status: unknown;
  spec: unknown;
  /** False for a sidecar that is declared as an init container. */
  isInit: boolean;
  events: readonly EventRecord[];
}

export function containerFindings(pod: KubeObject, events: readonly EventRecord[]): Finding[] {
  return [...containersOf(pod, events, 'initContainer'), ...containersOf(pod, events, 'container')].flatMap(
    (container) => waitingFinding(container) ?? endedFinding(container) ?? unreadyFinding(container) ?? [],
  );
}

function containersOf(
  pod: KubeObject,
  events: readonly EventRecord[],
  field: 'initContainer' | 'container',
): Container[] {
  const specs = listAt(pod, 'spec', `${field}s`);
  return listAt(pod, 'status', `${field}Statuses`).map((status) => {
    const name = textAt(status, 'name');
    const spec = specs.find((item) => item['name'] === name);
    const isSidecar = textAt(spec, 'restartPolicy') === 'Always';
    const own = events.filter((event) => event.fieldPath === '' || event.fieldPath.endsWith(`{${name}}`));
    return { pod, name, status, spec, isInit: field === 'initContainer' && !isSidecar, events: own };
  });
}

function waitingFinding(container: Container): Finding | undefined {
  const reason = textAt(container.status, 'state', 'waiting', 'reason');
  const message = textAt(container.status, 'state', 'waiting', 'message');
  if (imageReasons.has(reason)) return imageFinding(container, reason, message);
  switch (reason) {
    case 'CreateContainerConfigError':
      return configFinding(container, message);
    case 'RunContainerError':
    case 'CreateContainerError':
    case 'PreCreateHookError':
    case 'PreStartHookError':
      return startFinding(container, message);
    default:
      return pullingFinding(container, reason);
  }
}

function imageFinding(container: Container, reason: string, message: string): Finding {
  const image = textAt(container.spec, 'image') || textAt(container.status, 'image');
  const event = newest(
    container.events,
    ({ reason: word, message: text }) => word === 'Failed' && text.startsWith('Failed to pull image'),
  );
  const trouble = imageTrouble(reason, image, event === undefined ? [message] : [message, event.message]);
  const secret = trouble.code === 'ImagePullDenied' ? newest(container.events, isSecretMissing) : undefined;
  const detail = trouble.detail ?? (secret === undefined ? undefined : 'secretMissing');
  const said = `Image ${image}: ${toThePoint(message || event?.message || reason)}`;
  return finding(container, trouble.code, secret === undefined ? said : `${said}. ${secret.message}`, {
    isCertain: trouble.isCertain,
    ...(detail === undefined ? {} : { detail }),
    ...(trouble.grace === undefined ? {} : { grace: trouble.grace }),
    ...(trouble.detail === 'replicating' ? { image } : {}),
    evidence: [
      state(container, `waiting, ${reason}: ${message}`),
      ...quoted(container, event),
      ...quoted(container, secret),
    ],
  });
}

/** The kubelet pulls without the missing secret, so the registry's answer alone would not show the reason. */
function isSecretMissing({ reason }: EventRecord): boolean {
  return reason === 'FailedToRetrieveImagePullSecret';
}

/** An endless pull and the pull of a large image look the same. */
function pullingFinding(container: Container, reason: string): Finding | undefined {
  if (reason !== 'ContainerCreating' && reason !== 'PodInitializing') return undefined;
  const event = newest(container.events, ({ fieldPath }) => fieldPath !== '');
  if (event?.reason !== 'Pulling') return undefined;
  return finding(
    container,
    'ImageRegistryUnreachable',
    `${event.message}, and the registry has not delivered it yet.`,
    {
      detail: 'pulling',
      grace: 'timeout',
      evidence: quoted(container, event),
    },
  );
}

function configFinding(container: Container, message: string): Finding | undefined {
  // The kubelet's cache of ConfigMaps and Secrets is out of date; the kubelet retries.
  if (/failed to sync \S+ cache/.test(message)) return undefined;
  const evidence = [state(container, `waiting, CreateContainerConfigError: ${message}`)];
  if (isConfigMissing(message)) return finding(container, 'ConfigMissing', `${message}.`, { evidence });
  const isCertain = /runAsNonRoot|non-root policy/.test(message);
  return finding(container, 'StartError', message, { isCertain, evidence });
}

export function isConfigMissing(message: string): boolean {
  return /(configmap|secret)s? "[^"]*" not found|couldn't find key|references non-existent (config|secret) key/i.test(
    message,
  );
}

function startFinding(container: Container, message: string): Finding {
  // The executable inside the image does not change.
  const isCertain =
    /executable file not found|exec: "[^"]*": (stat \S+: no such file or directory|permission denied|is a directory)|exec \S+: (no such file or directory|permission denied|exec format error)|not a directory/.test(
      message,
    );
  return finding(container, 'StartError', message || 'The container could not be started.', {
    isCertain,
    evidence: [state(container, message)],
  });
}

function endedFinding(container: Container): Finding | undefined {
  const { status } = container;
  const present = at(status, 'state', 'terminated');
  const last = present ?? at(status, 'lastState', 'terminated');
  if (last === undefined) return undefined;
  const isRunning = at(status, 'state', 'running') !== undefined;
  if (isDone(container) || (isRunning && isReady(container))) return undefined;
  const reason = textAt(last, 'reason');
  if (reason === 'StartError' || reason === 'ContainerCannotRun')
    return startFinding(container, textAt(last, 'message'));
  const code = endCode(container, reason);
  const ended = numberAt(status, 'restartCount') + (isRunning ? 0 : 1);
  const text = `Container ${container.name} has ended ${times(ended)}, last with ${exitText(last)}.`;
  const isProbe = code === 'LivenessProbeFailed' || code === 'StartupProbeFailed';
  const { why, killing } = killReason(container, isProbe);
  return finding(container, code, why === '' ? text : `${text} ${why}`, {
    runs: {
      ended,
      needed: code === 'OutOfMemory' ? endedRunsOutOfMemory : endedRuns,
      // A probe kills a container, so the present run may be killed in the same way.
      isRunning: isRunning && !isProbe,
      last: {
        number: ended,
        exitCode: numberAt(last, 'exitCode'),
        reason,
        seconds: Math.max(0, timeAt(last, 'finishedAt') - timeAt(last, 'startedAt')) / 1000,
      },
      mayWaitForOthers: code !== 'OutOfMemory',
    },
    evidence: [
      state(container, `${isRunning ? 'last run' : 'state'}: ${exitText(last)}`),
      ...quoted(container, killing),
    ],
    logs: [log(container.pod, container.name, present === undefined)],
  });
}

function isDone(container: Container): boolean {
  const ended = at(container.status, 'state', 'terminated');
  return ended !== undefined && numberAt(ended, 'exitCode') === 0 && !restartsAlways(container);
}

/** The kubelet kills a container whose postStart hook failed, and only the event says so. */
function killReason(
  { status, events }: Container,
  isProbe: boolean,
): { why: string; killing: EventRecord | undefined } {
  const eventReason = isProbe ? 'Unhealthy' : 'FailedPostStartHook';
  const killing = newest(events, (event) => event.reason === eventReason);
  const isHook = textAt(status, 'state', 'waiting', 'reason') === 'PostStartHookError';
  const why = isHook ? textAt(status, 'state', 'waiting', 'message') : (killing?.message ?? '');
  return { why: why.replace(/:$/, ''), killing };
}

function endCode(container: Container, reason: string): CauseCode {
  if (reason === 'OOMKilled') return 'OutOfMemory';
  const killed = newest(
    container.events,
    (event) => event.reason === 'Killing' && / failed (liveness|startup) probe/.test(event.message),
  );
  if (killed !== undefined) return killed.message.includes('startup') ? 'StartupProbeFailed' : 'LivenessProbeFailed';
  return container.isInit ? 'InitContainerFailed' : 'CrashLoop';
}

function unreadyFinding(container: Container): Finding | undefined {
  const { status, spec } = container;
  if (container.isInit || at(status, 'state', 'running') === undefined || isReady(container)) return undefined;
  const isStarting = at(status, 'started') === false && at(spec, 'startupProbe') !== undefined;
  const code = isStarting ? 'StartupProbeFailed' : 'ReadinessProbeFailed';
  const prefix = isStarting ? 'Startup probe' : 'Readiness probe';
  const event = newest(container.events, ({ reason, message }) => reason === 'Unhealthy' && message.startsWith(prefix));
  if (event === undefined && !isStarting && at(spec, 'readinessProbe') === undefined) return undefined;
  const what = isStarting ? 'has not passed its startup probe' : 'is not ready';
  const message = event?.message ?? `Container ${container.name} runs and ${what}.`;
  return finding(container, code, message, {
    grace: 'timeout',
    evidence: [state(container, 'running, not ready'), ...quoted(container, event)],
    logs: [log(container.pod, container.name, false)],
  });
}

function isReady(container: Container): boolean {
  return at(container.status, 'ready') === true;
}

function restartsAlways(container: Container): boolean {
  return !container.isInit && (textAt(container.pod, 'spec', 'restartPolicy') || 'Always') === 'Always';
}

function finding(container: Container, code: CauseCode, message: string, more: Partial<Finding>): Finding {
  const subject = refTo(container.pod);
  return {
    code,
    subject,
    id: `${container.pod.metadata.uid ?? subject.name}/${container.name}`,
    message: toThePoint(message),
    isCertain: false,
    evidence: [],
    logs: [],
    ...more,
  };
}

/** Container runtimes put each layer before the cause. */
function toThePoint(message: string): string {
  return message
    .replace(/failed to create containerd task: .*unable to start container process: /, '')
    .replace(/failed to pull and unpack image "[^"]*": /, '')
    .replace(/failed to resolve reference "[^"]*": /, '')
    .replace(/rpc error: code = \w+ desc = /, '')
    .replace(/: unknown$/, '');
}

function state(container: Container, text: string): Evidence {
  return { kind: 'containerState', ref: refTo(container.pod), container: container.name, text };
}

function quoted(container: Container, event: EventRecord | undefined): Evidence[] {
  return event === undefined ? [] : [eventEvidence(event, refTo(container.pod))];
}

export function log(pod: KubeObject, container: string, previous: boolean): LogRequest {
  const { name, namespace = '' } = pod.metadata;
  return { namespace, pod: name, container, previous };
}

export function exitText(terminated: unknown): string {
  const code = numberAt(terminated, 'exitCode');
  const signal = numberAt(terminated, 'signal') || (code > 128 && code < 160 ? code - 128 : 0);
  const reason = textAt(terminated, 'reason');
  const words = [`exit code ${code}`];
  if (signal > 0) words.push(`signal ${signal}`);
  if (reason !== '' && reason !== 'Error' && reason !== 'Completed') words.push(reason);
  const message = textAt(terminated, 'message').trim();
  return message === '' ? words.join(', ') : `${words.join(', ')}: ${message}`;
}

export function times(count: number): string {
  return count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`;
}
