import { cannotStart, endedAlike, isAlone, memoryProof } from './crashProof';
import type { KubeObject } from '../kubernetes/object';
import { at, listAt, textAt } from '../kubernetes/read';
import { logKey, noFacts, type Facts, type Proof, type Question } from './facts';
import type { Finding } from './finding';
import { beganAfter, othersUntil, sightingKey } from './memory';
import type { Reading, RolloutMemory, RolloutPolicy, Sighting } from './model';
import { configProof, missingQuestion } from './configProof';
import { nodesLost } from './lostNodes';
import { nodeProof } from './nodeProof';
import { quotaProof } from './quotaProof';
import { remembered } from './remembered';
import { isTouched } from './reading';

/** All that decides whether findings are hopeless. */
export interface Judging {
  policy: RolloutPolicy;
  memory: RolloutMemory;
  now: Date;
  facts: Facts;
  readings: readonly Reading[];
  /** Keys of objects that are not done, for which others may be waiting. */
  starting: ReadonlySet<string>;
  /** Keys of workloads that keep ending in the same way, for which no other workload can be waiting. */
  looping: ReadonlySet<string>;
}

export function judgingOf(
  readings: readonly Reading[],
  context: Pick<Judging, 'policy' | 'memory' | 'now'> & { facts: Facts | undefined },
): Judging {
  const facts = context.facts ?? noFacts;
  const isLooping = (reading: Reading): boolean =>
    reading.findings.some((finding) => endedAlike(finding, sightingOf(reading, finding, context.memory), facts));
  const looping = new Set(readings.filter(isLooping).map(({ key }) => key));
  const isStarting = ({ key, status, settled }: Reading): boolean =>
    status.status !== 'Current' && settled === undefined && !looping.has(key);
  return { ...context, facts, readings, looping, starting: new Set(readings.filter(isStarting).map(({ key }) => key)) };
}

function sightingOf(reading: Reading, finding: Finding, memory: RolloutMemory): Sighting | undefined {
  return memory.findings[sightingKey(reading, finding)];
}

/** Proves that the finding stays although its grace is not over; undefined while it may heal, or nothing is known. */
export function proofOf(reading: Reading, finding: Finding, judging: Judging): Proof | undefined {
  const { memory, policy } = judging;
  const baseline = memory.baseline?.[reading.key];
  // Pods of the earlier template may suffer from a hook that still runs.
  if (!policy.isApplied && baseline !== undefined && !isTouched(reading.followed, baseline)) return undefined;
  const sighting = sightingOf(reading, finding, memory);
  switch (finding.code) {
    case 'CrashLoop':
    case 'InitContainerFailed':
      return crashProof(reading, finding, sighting, judging);
    case 'QuotaExceeded':
      return quotaProof(finding, judging.readings, judging.facts, judging.now);
    case 'Unschedulable':
      return finding.isHeld === true ? undefined : unfitProof(reading, finding, judging);
    case 'ImageNotFound':
      return imageProof(reading, finding, judging.facts);
    case 'ConfigMissing':
      return missingProof(reading, finding, judging);
    case 'OutOfMemory':
      return finding.runs?.isRunning === true ? undefined : memoryProof(finding, sighting);
    default:
      return undefined;
  }
}

function missingProof(reading: Reading, finding: Finding, judging: Judging): Proof | undefined {
  const waited = secondsUntilQuiet(reading, finding, judging);
  return waited === undefined ? undefined : configProof(finding, podSpecOf(reading), judging.facts, waited);
}

/**
 * The seconds from the start of the grace until all workloads without the same trouble were done: they might make or
 * label what is missing. Undefined while they are not.
 */
function secondsUntilQuiet(
  reading: Reading,
  finding: Finding,
  { readings, memory, starting }: Judging,
): number | undefined {
  const first = sightingOf(reading, finding, memory)?.first;
  const lacking = new Set(
    readings.filter(({ findings }) => findings.some(({ code }) => code === finding.code)).map(({ key }) => key),
  );
  if (first === undefined || [...starting].some((key) => !lacking.has(key))) return undefined;
  const latest = othersUntil(memory, 'unreadyAt', (key) => !lacking.has(key));
  return Math.max(0, latest - first) / 1000;
}

function podSpecOf({ followed: { object } }: Pick<Reading, 'followed'>): unknown {
  return at(object, 'spec', 'template', 'spec') ?? at(object, 'spec');
}

function unfitProof(reading: Reading, finding: Finding, judging: Judging): Proof | undefined {
  const pod = reading.family?.pods.find(({ metadata }) => metadata.name === finding.subject.name);
  const waited = secondsUntilQuiet(reading, finding, judging);
  const proof = pod && nodeProof(pod, judging.facts.nodes, judging.now);
  return proof === undefined || waited === undefined ? undefined : { ...proof, grace: proof.grace + waited };
}

/** A registry has had the time to copy an image that an earlier revision has used. */
function imageProof({ family }: Reading, { image = '' }: Finding, { release }: Facts): Proof | undefined {
  const isKnown = (family?.oldPods ?? []).some((pod) =>
    ['containers', 'initContainers'].some((list) =>
      listAt(pod, 'spec', list).some((container) => container['image'] === image),
    ),
  );
  return image !== '' && (isKnown || release?.images.includes(image) === true)
    ? { grace: 0, why: 'An earlier revision has used this image, so that it is not new to the registry.' }
    : undefined;
}

function crashProof(
  reading: Reading,
  finding: Finding,
  sighting: Sighting | undefined,
  { facts, memory, starting, looping }: Judging,
): Proof | undefined {
  const { runs } = finding;
  if (runs === undefined || runs.isRunning || sighting === undefined) return undefined;
  if (starting.size > 0 || !endedAlike(finding, sighting, facts) || !isAlone(reading, finding)) return undefined;
  const others = othersUntil(memory, 'unreadyAt', (key) => key !== reading.key && !looping.has(key));
  if (!beganAfter(others, runs.last, sighting)) return undefined;
  return { grace: 0, why: 'Two runs in a row have ended in the same way, and nothing else is still starting.' };
}

/** A crash whose log shows that the container can never start is another cause, and needs no second run. */
export function withStartErrors(reading: Reading, facts: Facts | undefined): Reading {
  if (facts === undefined || reading.findings.every(({ runs }) => runs === undefined)) return reading;
  const spec = podSpecOf(reading);
  return { ...reading, findings: reading.findings.map((finding) => asStartError(finding, spec, facts)) };
}

function asStartError(finding: Finding, spec: unknown, { logs }: Facts): Finding {
  const {
    runs,
    id,
    logs: [log],
  } = finding;
  const text = runs === undefined ? undefined : logs[logKey(id, runs.last)];
  if (runs === undefined || text === undefined) return finding;
  const container = [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')].find(
    ({ name }) => name === log?.container,
  );
  const words = ['command', 'args']
    .flatMap((field) => at(container, field) ?? [])
    .filter((word) => typeof word === 'string');
  const said = cannotStart(text, runs.last.exitCode, words);
  if (said === undefined) return finding;
  const { runs: _, ...rest } = finding;
  return { ...rest, code: 'StartError', isCertain: true, message: `${finding.message} It said: ${said}` };
}

/** The containers of one workload fail in the same way in most cases, so a few logs are enough. */
const logsAsked = 2;

/** Returns the proofs for findings of a workload that is followed for itself. */
export const questionsOf = remembered(({ followed, family, findings, status }: Reading): readonly Question[] => {
  if (followed.purpose === 'hook' || followed.object?.kind === 'Job') return [];
  const logs = findings.flatMap((finding): Question[] => {
    const {
      runs,
      id,
      logs: [log],
    } = finding;
    return runs === undefined || log === undefined ? [] : [{ about: 'log', key: logKey(id, runs.last), log }];
  });
  const isSilent = (pod: KubeObject): boolean =>
    textAt(pod, 'spec', 'nodeName') !== '' && at(pod, 'status', 'startTime') === undefined;
  const isSilentDaemon = followed.object?.kind === 'DaemonSet' && family?.pods.some(isSilent) === true;
  const silent = isSilentDaemon || status.reason === nodesLost ? [nodesQuestion] : [];
  const places = findings.flatMap((finding) => placeQuestions(finding, podSpecOf({ followed })));
  return [...logs.slice(0, logsAsked), ...places, ...silent];
});

const nodesQuestion: Question = { about: 'nodes', key: 'nodes' };

/** Returns the proofs for a finding about the namespace or the cluster. */
function placeQuestions(finding: Finding, podSpec: unknown): Question[] {
  const { code, isCertain, image, subject } = finding;
  const { namespace = '' } = subject;
  const release: Question = { about: 'release', key: 'release' };
  if (code === 'ConfigMissing') return [release, ...missingQuestion(finding, podSpec)];
  if (image !== undefined) return [release];
  if (code === 'InitContainerRunning') return finding.logs.map((log) => ({ about: 'tail', key: finding.id, log }));
  if (code === 'Unschedulable' || code === 'NodeLost' || code === 'PodEnding') return [nodesQuestion];
  return code === 'QuotaExceeded' && !isCertain ? [{ about: 'quota', key: `quota ${namespace}`, namespace }] : [];
}
