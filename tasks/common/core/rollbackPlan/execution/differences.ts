import { objectName } from '../../kubernetes/manifest';
import { changedFields } from './changedFields';
import { objectCount } from '../model/definitions';
import { isSameContent, lastingFate } from '../model/digest';
import type { FindingCode, PlanFinding } from '../model/findings';
import { type PlannedHook, type PlannedObject, type RevisionFacts, type ChangePlan, fateWords } from '../model/types';
import { duration } from '../../text/durationText';
import { someNames } from '../../text/someNames';

/** Returns a clause, or an empty text if the writer is not known. */
export type WriterOf = (object: PlannedObject, path: string) => string;

/** Sentences, causes before their effects. Empty only if both plans have the same content. */
export function planDifferences(
  approved: ChangePlan,
  present: ChangePlan,
  now: Date,
  writerOf: WriterOf = () => '',
): string[] {
  const findings = findingDifferences(approved.findings, present.findings);
  // Without a target no object is planned, so that missing objects mean nothing.
  const hasTarget = present.target !== null || present.subject.kind === 'workloads';
  const sentences = [
    ...subjectDifferences(approved, present),
    ...findings.causes,
    ...newRevisions(approved, present, now),
    ...targetDifferences(approved, present),
    ...helmDifferences(approved, present),
    ...(hasTarget ? objectDifferences(approved, present, writerOf) : []),
    ...(hasTarget ? hookDifferences(approved.hooks, present.hooks) : []),
    ...findings.others,
    ...(approved.allowPodDelete === present.allowPodDelete
      ? []
      : [`allowPodDelete was ${approved.allowPodDelete} in the plan and is ${present.allowPodDelete} now.`]),
  ];
  if (sentences.length > 0 || isSameContent(approved, present)) return sentences;
  return ['The plans differ in something that they do not show.'];
}

function subjectDifferences(
  { change, subject: one }: ChangePlan,
  { change: now, subject: other }: ChangePlan,
): string[] {
  if (change !== now) return [`The plan is that of a ${change}, and this step would do a ${now}.`];
  return nameOf(one) === nameOf(other) ? [] : [`The plan is for ${nameOf(one)}, this step for ${nameOf(other)}.`];
}

function nameOf(subject: ChangePlan['subject']): string {
  const what = subject.kind === 'release' ? `release ${subject.release}` : subject.workloads.join(', ');
  return `${what} in namespace ${subject.namespace}`;
}

function newRevisions(approved: ChangePlan, present: ChangePlan, now: Date): string[] {
  const before = approved.present?.revision;
  const serving = present.present;
  if (before === undefined || serving === null || serving.revision === before) return [];
  if (serving.revision < before) {
    return [
      `Revision ${before}, where the plan starts, is gone from Helm's history; its last revision is ${serving.revision} now.`,
    ];
  }
  const made = present.passed.filter(({ revision }) => revision > before);
  return (made.length === 0 ? [serving] : made).map((facts) => deploySentence(facts, now));
}

function deploySentence(facts: RevisionFacts, now: Date): string {
  const seconds = (now.getTime() - Date.parse(facts.deployedAt)) / 1000;
  const when = Number.isNaN(seconds) ? ' after the plan' : ` ${duration(Math.max(0, seconds))} ago`;
  const who = facts.deployedBy === '' ? '' : ` by ${facts.deployedBy}`;
  const status = facts.status === 'deployed' ? '' : ` (${facts.status})`;
  const chart = facts.chart === '' ? '' : ` from ${facts.chart}`;
  return `Revision ${facts.revision} was deployed${when}${who}${chart}${status}.`;
}

function targetDifferences(
  { target: one, targetRecord: oneRecord }: ChangePlan,
  { change, target: other, targetRecord: otherRecord }: ChangePlan,
): string[] {
  if (change === 'deploy') return givenDifferences([one, oneRecord], [other, otherRecord]);
  if (one?.revision !== other?.revision) {
    const name = (facts: RevisionFacts | null): string => (facts === null ? 'none' : `revision ${facts.revision}`);
    return [`The target was ${name(one)} and is ${name(other)} now.`];
  }
  if (one === null || other === null) return [];
  if (oneRecord !== otherRecord) {
    return [
      `The record of revision ${one.revision}, the target, was changed since the plan: its manifest, its hooks or its values.`,
    ];
  }
  if (one.proof === other.proof) return [];
  return [`Revision ${one.revision}, the target, was ${one.proof} and is ${other.proof} now.`];
}

type GivenChart = readonly [target: RevisionFacts | null, record: string];

/** The number of the revision that a deploy makes follows from what serves before it. */
function givenDifferences([one, record]: GivenChart, [other, otherRecord]: GivenChart): string[] {
  const chart = (facts: RevisionFacts | null): string => (facts === null ? 'none' : facts.chart);
  if (chart(one) !== chart(other)) return [`The chart was ${chart(one)} in the plan and is ${chart(other)} now.`];
  return record === otherRecord ? [] : ['The chart or its values are other ones than in the plan.'];
}

function helmDifferences({ helm: one }: ChangePlan, { helm: other }: ChangePlan): string[] {
  if (one === null || other === null) return one === other ? [] : ['One of the plans is for plain workloads.'];
  return [
    ...(one.version === other.version
      ? []
      : [`The plan was made with Helm ${one.version}, this step has ${other.version}.`]),
    ...(one.provenance === other.provenance
      ? []
      : [`The provenance of Helm was ${one.provenance} and is ${other.provenance} now.`]),
    ...(one.rehearsal === other.rehearsal
      ? []
      : [`The rehearsal was ${one.rehearsal}, and is ${other.rehearsal} now.`]),
  ];
}

const fateVerbs: Readonly<Record<string, string>> = { applied: 'applied', ...fateWords };

function objectDifferences(
  { objects: before }: ChangePlan,
  { change, objects: now }: ChangePlan,
  writerOf: WriterOf,
): string[] {
  return pairs(before, now, keyOf).flatMap(([one, other]) => {
    if (one === undefined && other !== undefined) {
      return [`${objectName(other)} would be ${verb(other)} now, and was not in the plan.`];
    }
    if (other === undefined)
      return one === undefined
        ? []
        : [`${objectName(one)} was to be ${verb(one)}, and the ${change} no longer concerns it.`];
    return one === undefined ? [] : objectDifference(one, other, writerOf);
  });
}

/** Names that are made up at each deploy are all the same name. */
function keyOf({ apiVersion, kind, namespace, name, generated }: PlannedObject): string {
  const lasting = generated.includes('metadata.name') ? '' : name;
  return [apiVersion.replace(/\/?[^/]*$/, ''), kind, namespace, lasting].join('/');
}

function verb(object: PlannedObject): string {
  return fateVerbs[lastingFate(object)] ?? object.fate;
}

/** The list is empty if both plans do the same to the object. */
export function objectDifference(one: PlannedObject, other: PlannedObject, writerOf: WriterOf): string[] {
  const name = objectName(one);
  if (verb(one) !== verb(other)) {
    const fields = changedWords(one, other, writerOf);
    return [`${name} was to be ${verb(one)}, and would be ${verb(other)} now${fields === '' ? '' : `: ${fields}`}.`];
  }
  const revisions = revisionDifference(one, other);
  if (revisions !== undefined) return [`${name} ${revisions}.`];
  if (one.owner !== other.owner) return [`${name} belongs to ${other.owner || 'this release'} now.`];
  if (one.uid !== other.uid && one.fate === 'deleted') return [`${name} was deleted and created again since the plan.`];
  const others = otherInstances(one, other);
  if (others.length > 0) return others;
  if (one.contentDigest !== other.contentDigest)
    return [`${name} was changed since the plan: ${whatChanged(one, other, writerOf)}.`];
  if (one.apiVersion !== other.apiVersion) return [`${name} was ${one.apiVersion}, and is ${other.apiVersion} now.`];
  if (one.restartsPods !== other.restartsPods)
    return [`The pods of ${name} ${other.restartsPods ? 'would restart now' : 'would no longer restart'}.`];
  return one.deletedBy === other.deletedBy ? [] : [`${name} would be deleted by ${other.deletedBy} now.`];
}

function revisionDifference(one: PlannedObject, other: PlannedObject): string | undefined {
  const [was, is] = [one, other].map(({ revisions }) => ({
    present: revisions?.present ?? '?',
    target: revisions?.target ?? '?',
  }));
  if (was?.present !== is?.present) return `was at revision ${was?.present}, and is at ${is?.present} now`;
  return was?.target === is?.target
    ? undefined
    : `was to be rolled back to revision ${was?.target}, and now to ${is?.target}`;
}

/** Compares the custom resources that would be deleted with their definition. */
function otherInstances(one: PlannedObject, other: PlannedObject): string[] {
  const name = objectName(one);
  const created = other.goWithIt.filter((each) => !one.goWithIt.includes(each));
  const gone = one.goWithIt.filter((each) => !other.goWithIt.includes(each));
  const words = (names: readonly string[], what: string): string[] =>
    names.length === 0
      ? []
      : [
          `${objectCount(names.length)} that would be deleted with ${name} ${names.length === 1 ? 'was' : 'were'} ${what} since the plan: ${someNames(names, 10)}.`,
        ];
  return [...words(created, 'created'), ...words(gone, 'deleted')];
}

const fieldsShown = 5;

/** For example `spec.paused is true (was absent), by kubectl-rollout at …`. */
function changedWords(one: PlannedObject, other: PlannedObject, writerOf: WriterOf): string {
  const fields = changedFields(one, other);
  const words = fields.slice(0, fieldsShown).map(({ path, was, is, isShown }) => {
    const values = isShown ? `is ${is || 'absent'} (was ${was || 'absent'})` : hiddenChange(was, is);
    const writer = writerOf(other, path);
    return `${path} ${values}${writer === '' ? '' : `, ${writer}`}`;
  });
  const more = fields.length - words.length;
  return words.join('; ') + (more > 0 ? `; and ${more} more fields` : '');
}

function hiddenChange(was: string, is: string): string {
  return was === is ? 'has another value (not shown)' : 'was set or removed (its value is not shown)';
}

/** Plans of earlier versions have no fields; their drift or their diff is compared. */
function whatChanged(one: PlannedObject, other: PlannedObject, writerOf: WriterOf): string {
  const words = changedWords(one, other, writerOf);
  if (words !== '') return words;
  const drift = ({ drift: fields }: PlannedObject): string[] =>
    fields.map(({ path, live }) => `${path} is ${live || 'absent'}`);
  const known = new Set(drift(one));
  const added = drift(other).filter((text) => !known.has(text));
  if (added.length > 0) return added.slice(0, 3).join(', ');
  const lines = new Set(one.diff);
  const more = other.diff.filter((line) => /^[-+]/.test(line) && !lines.has(line)).map((line) => line.slice(1).trim());
  if (more.length > 0) return more.slice(0, 3).join(', ');
  return 'it would be changed to something else now';
}

function hookDifferences(before: readonly PlannedHook[], now: readonly PlannedHook[]): string[] {
  const key = ({ event, kind, name, willRun }: PlannedHook): string => `${event} ${kind}/${name} ${willRun}`;
  return pairs(before, now, key).flatMap(([one, other]) => {
    const hook = other ?? one;
    if (hook === undefined) return [];
    const name = `The hook ${objectName(hook)} (${hook.event})`;
    const what = hook.willRun ? 'runs' : 'is listed as not running';
    if (one === undefined) return [`${name} ${what} now, and did not in the plan.`];
    if (other === undefined) return [`${name} ${what} in the plan, and does not any more.`];
    return one.contentDigest === other.contentDigest ? [] : [`${name} has changed.`];
  });
}

/** Findings that cause other findings: a kind that is not served makes the rehearsal fail. */
const causeCodes: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'ReleaseMissing',
  'TargetMissing',
  'RevisionMissing',
  'RevisionPruned',
  'RevisionUninstalled',
  'RevisionUnhealthy',
  'ManifestUnreadable',
  'RemovedApi',
  'RemovedApiInPresent',
  'WorkloadMissing',
  'HelmUnknown',
  'HelmNotPinned',
]);

function findingDifferences(
  before: readonly PlanFinding[],
  now: readonly PlanFinding[],
): { causes: string[]; others: string[] } {
  const lasting = (findings: readonly PlanFinding[]): PlanFinding[] =>
    findings.filter(({ isMomentary }) => !isMomentary);
  const key = ({ code, severity, object, allowedBy }: PlanFinding): string =>
    `${code} ${severity} ${object} ${allowedBy}`;
  const differing = pairs(lasting(before), lasting(now), key).filter(([one, other]) => !one || !other);
  const words = ([one, other]: (typeof differing)[number]): string =>
    other === undefined
      ? `No longer found, ${one?.code ?? ''}: ${one?.message ?? ''}`
      : `New ${other.severity} ${other.code}: ${other.message}`;
  const isCause = ([, other]: (typeof differing)[number]): boolean =>
    other?.severity === 'refusal' && causeCodes.has(other.code);
  return {
    causes: differing.filter(isCause).map(words),
    others: differing.filter((each) => !isCause(each)).map(words),
  };
}

function pairs<T>(before: readonly T[], now: readonly T[], key: (item: T) => string): [T | undefined, T | undefined][] {
  const byKey = new Map(now.map((item) => [key(item), item]));
  const known = new Set(before.map(key));
  return [
    ...before.map((item): [T, T | undefined] => [item, byKey.get(key(item))]),
    ...now.filter((item) => !known.has(key(item))).map((item): [undefined, T] => [undefined, item]),
  ];
}
