import { objectName } from '../../kubernetes/manifest';
import {
  fates,
  type ChangePlan,
  type ObjectFate,
  type PlannedChange,
  type PlannedObject,
  type RevisionFacts,
} from '../model/types';
import type { PlanFinding } from '../model/findings';
import { cell, codeBlock, factTable, foldedSection, markdownPage, markdownTable } from '../../text/markdown';
import { revisionText, withoutFraction } from '../../report/revisionText';
import { atStart, wordsOf } from '../model/words';
import { counted } from '../../text/counted';
import { someNames } from '../../text/someNames';

const findingsShown = 8;

/** All diffs together have at most this number of characters, because a summary page cannot hold megabytes. */
const diffBudget = 200_000;

const fateWords: Record<ObjectFate, string> = {
  deleted: 'deleted',
  takenOver: 'taken over',
  patched: 'patched',
  created: 'created',
  orphaned: 'orphaned',
  keptByPolicy: 'kept by policy',
  kept: 'kept',
};

/** The risk on one screen, then all details, folded. No text of a plan can become mark-up. */
export function planMarkdown(plan: ChangePlan): string {
  return markdownPage([...planOverview(plan), ...details(plan)]);
}

export function planHeading(plan: ChangePlan): string {
  const where = `${subjectName(plan)} in namespace ${plan.subject.namespace}`;
  const what = `${atStart(wordsOf(plan.change).change)} of ${where}${targetWords(plan)}`;
  return plan.risk === 'refused' ? `${what} is refused` : `${what}: risk ${plan.risk}`;
}

function targetWords({ change, target }: ChangePlan): string {
  if (target === null) return '';
  return change === 'deploy' ? `, chart ${target.chart}` : ` to revision ${target.revision}`;
}

export function subjectName({ subject }: ChangePlan): string {
  return subject.kind === 'release' ? `release ${subject.release}` : someNames(subject.workloads);
}

function planOverview(plan: ChangePlan): string[] {
  const risk = `**${plan.risk === 'refused' ? 'Refused' : `Risk ${plan.risk}`}.** ${riskWords(plan)}`;
  return [`## ${cell(planHeading(plan))}`, risk, mainFindings(plan.findings), planFacts(plan)];
}

export function riskWords({ change, risk, findings }: Pick<ChangePlan, 'change' | 'risk' | 'findings'>): string {
  const refusals = findings.filter(({ severity }) => severity === 'refusal').length;
  const warnings = findings.filter(({ severity }) => severity === 'warning').length;
  switch (risk) {
    case 'refused':
      return `The task refuses this ${wordsOf(change).change}: ${counted(refusals, 'finding', 'findings')} ${refusals === 1 ? 'forbids' : 'forbid'} it.`;
    case 'high':
      return `${counted(warnings, 'warning', 'warnings')}: read ${warnings === 1 ? 'it' : 'them'} before you approve.`;
    case 'low':
      return warnings === 0
        ? 'The plan has no warnings.'
        : `${counted(warnings, 'warning', 'warnings')}, but not about data or a step that cannot be undone.`;
    case 'none':
      return 'Nothing would change.';
  }
}

function mainFindings(findings: readonly PlanFinding[]): string {
  const telling = findings.filter(({ severity }) => severity !== 'note');
  const shown = telling.slice(0, findingsShown).map(findingLine);
  const rest = telling.length - findingsShown;
  return [...shown, ...(rest > 0 ? [`- and ${rest} more, below`] : [])].join('\n');
}

function findingLine({ code, severity, message, allowedBy }: PlanFinding): string {
  const allowed = allowedBy === '' ? '' : ` *(allowed by ${cell(allowedBy)})*`;
  const mark = severity === 'refusal' ? '\u26d4' : severity === 'warning' ? '\u26a0\ufe0f' : '\u2139\ufe0f';
  return `- ${mark} **${cell(code)}** ${cell(message)}${allowed}`;
}

function planFacts(plan: ChangePlan): string {
  const restarting = plan.objects.filter(({ restartsPods }) => restartsPods).map(objectName);
  const running = plan.hooks.filter(({ willRun }) => willRun).map((hook) => `${objectName(hook)} (${hook.event})`);
  const rows: [string, string][] = [
    ['Now', plan.present === null ? '' : revisionText(plan.present)],
    [plan.change === 'deploy' ? 'Then' : 'Target', targetText(plan)],
    ['Revisions', someNames(revisionsOf(plan))],
    ['Objects', countsText(plan)],
    ['Secrets', someNames(secretChanges(plan))],
    ['Deleted', someNames(plan.objects.filter(({ fate }) => fate === 'deleted').map(objectName))],
    ['Images', someNames(imagesOf(plan))],
    ['Pods restart', someNames(restarting) || 'none'],
    ['Hooks that run', someNames(running) || 'none'],
    [
      'Helm',
      plan.helm === null
        ? ''
        : `${plan.helm.version} (${provenanceWords[plan.helm.provenance]}), ${rehearsalWords[plan.helm.rehearsal]}`,
    ],
    ['Planned', withoutFraction(plan.createdAt)],
    ['Digest', plan.digest],
  ];
  return factTable(rows);
}

/** The revision that a deploy makes has not been seen by anybody. */
export function targetText({ change, target }: ChangePlan): string {
  if (target === null) return '';
  return change === 'deploy' ? revisionText(target) : `${revisionText(target)}, ${proofWords[target.proof]}`;
}

/** The keys of Secrets whose values become other ones. */
export function secretChanges({ objects }: ChangePlan): string[] {
  return objects.flatMap((object) => {
    const keys = object.secretKeys.map(({ name, change }) => `${name} ${secretWord(change)}`);
    return keys.length === 0 ? [] : [`${objectName(object)}: ${someNames(keys)}`];
  });
}

export function secretWord(change: string): string {
  return change === 'notCompared' ? 'not compared' : change;
}

/** Only plain workloads have revisions of their own. */
export function revisionsOf({ objects }: ChangePlan): string[] {
  return objects.flatMap((object) =>
    object.revisions === null
      ? []
      : [`${objectName(object)} from revision ${object.revisions.present} to ${object.revisions.target}`],
  );
}

/** Names the container if several images change. */
export function imagesOf({ objects }: ChangePlan): string[] {
  return objects.flatMap((object) =>
    object.images.map(({ container, from, becomes }) => {
      const where = object.images.length === 1 ? '' : ` (${container})`;
      return `${objectName(object)}${where}: ${from} becomes ${becomes}`;
    }),
  );
}

export const proofWords: Record<RevisionFacts['proof'], string> = {
  verified: 'seen healthy',
  unproven: 'never seen healthy',
  unhealthy: 'failed or judged unhealthy',
};

type HelmOfPlan = NonNullable<ChangePlan['helm']>;

const provenanceWords: Record<HelmOfPlan['provenance'], string> = {
  release: 'a known release',
  pin: 'the pinned binary',
  newerRelease: 'newer than this task knows',
  unknown: 'not a known release',
  otherThanPinned: 'not the pinned binary',
};

const rehearsalWords: Record<HelmOfPlan['rehearsal'], string> = {
  completed: 'rehearsed',
  failed: 'its rehearsal failed',
  timedOut: 'its rehearsal did not end in time',
  cancelled: 'its rehearsal was cancelled',
  none: 'not rehearsed',
};

export function countsText({ objects }: Pick<ChangePlan, 'objects'>): string {
  const counts = fates.flatMap((fate) => {
    const number = objects.filter((object) => object.fate === fate).length;
    return number === 0 ? [] : [`${number} ${fateWords[fate]}`];
  });
  return counts.join(', ') || 'none';
}

function details(plan: ChangePlan): string[] {
  const budget = { left: diffBudget };
  return [
    foldedSection('All findings', plan.findings.length, plan.findings.map(findingLine).join('\n')),
    ...fates.map((fate) => fateSection(fate, plan, budget)),
    driftSection(plan.objects),
    hookSection(plan),
    passedSection(plan),
  ].filter((part) => part !== '');
}

interface Budget {
  left: number;
}

function fateSection(fate: ObjectFate, plan: ChangePlan, budget: Budget): string {
  const objects = plan.objects.filter((object) => object.fate === fate);
  const title = fateWords[fate].replace(/^./, (letter) => letter.toUpperCase());
  const listed = markdownTable(
    ['Object', 'Namespace', ''],
    objects.map((object) => [objectName(object), object.namespace || '(cluster)', remark(object, plan.change)]),
  );
  const diffs = objects.filter(({ diff }) => diff.length > 0).map((object) => diffBlock(object, budget));
  return foldedSection(title, objects.length, [listed, ...diffs].join('\n\n'));
}

function remark(object: PlannedObject, change: PlannedChange): string {
  const { reason, restartsPods, secretKeys, deletedBy, generated, isRehearsed, goWithIt } = object;
  const keys = secretKeys.map(({ name, change }) => `${name} ${secretWord(change)}`);
  return [
    reason,
    restartsPods ? 'Its pods restart.' : '',
    keys.length === 0 ? '' : `Values: ${someNames(keys, 20)}.`,
    goWithIt.length === 0 ? '' : `Deleted with it: ${someNames(goWithIt, 50)}.`,
    generated.length === 0 ? '' : `New at each deploy: ${someNames(generated, 20)}.`,
    deletedBy === 'helm' && change === 'rollback'
      ? 'Helm deletes it before the target is healthy, because it only restrains other objects.'
      : '',
    deletedBy === 'task'
      ? `The task deletes it when ${change === 'deploy' ? 'the new revision' : 'the target'} is healthy.`
      : '',
    isRehearsed ? '' : 'Not rehearsed.',
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function diffBlock(object: PlannedObject, budget: Budget): string {
  const title = `**${cell(objectName(object))}**`;
  const size = object.diff.reduce((sum, line) => sum + line.length + 1, 0);
  if (size > budget.left)
    return `${title}: ${counted(object.diff.length, 'line of difference is', 'lines of difference are')} in the plan's JSON.`;
  budget.left -= size;
  const cut = object.diffCut === 0 ? [] : [`(and ${object.diffCut} more lines)`];
  return `${title}\n\n${codeBlock([...object.diff, ...cut]).replace(/^`+/, (fence) => `${fence}diff`)}`;
}

function driftSection(objects: readonly PlannedObject[]): string {
  const rows = objects.flatMap((object) =>
    object.drift.map(({ path, live, becomes }) => [
      objectName(object),
      path,
      live || '(absent)',
      becomes || '(absent)',
    ]),
  );
  return foldedSection(
    'Manual changes that are undone',
    rows.length,
    markdownTable(['Object', 'Field', 'Is', 'Becomes'], rows),
  );
}

function hookSection({ hooks }: ChangePlan): string {
  const rows = hooks.map((hook) => [
    objectName(hook),
    hook.event,
    String(hook.revision),
    hook.willRun ? 'runs; not rehearsed' : `does not run: ${hook.reason}`,
  ]);
  return foldedSection('Hooks', rows.length, markdownTable(['Hook', 'Event', 'Of revision', ''], rows));
}

function passedSection({ change, passed }: ChangePlan): string {
  const rows = passed.map((facts) => [revisionText(facts), proofWords[facts.proof], facts.description]);
  const title = change === 'deploy' ? 'Revisions since the last good one' : 'Revisions that are left behind';
  return foldedSection(title, rows.length, markdownTable(['Revision', '', ''], rows));
}
