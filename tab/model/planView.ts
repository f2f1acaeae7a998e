import { objectName } from '../../tasks/common/core/kubernetes/manifest';
import {
  countsText,
  imagesOf,
  planHeading,
  proofWords,
  revisionsOf,
  riskWords,
  subjectName,
  targetText,
} from '../../tasks/common/core/rollbackPlan/document/markdown';
import { revisionText } from '../../tasks/common/core/report/revisionText';
import { planSummary } from '../../tasks/common/core/rollbackPlan/document/summary';
import type { PlanFinding } from '../../tasks/common/core/rollbackPlan/model/findings';
import {
  fates,
  fateWords,
  type ObjectFate,
  type PlannedObject,
  type ChangePlan,
} from '../../tasks/common/core/rollbackPlan/model/types';
import { someNames } from '../../tasks/common/core/text/someNames';
import { timeOf } from './reading';
import { filled, timeWords, type Answer } from './step';
import type { Tone } from './tree';

export interface DiffLine {
  kind: 'added' | 'removed' | 'place' | 'same';
  text: string;
}

export interface PlannedObjectView {
  name: string;
  namespace: string;
  /** Sentences about the object. */
  remarks: readonly string[];
  diff: readonly DiffLine[];
  /** The number of lines that the plan leaves out. */
  diffCut: number;
}

export interface FindingView {
  tone: Tone;
  word: string;
  code: string;
  message: string;
}

export interface PlanView {
  heading: string;
  tone: Tone;
  /** `risk low` or `refused`. */
  word: string;
  risk: string;
  /** The answer to «what will the button do?». */
  button: Answer;
  /** The worst comes first. */
  findings: readonly FindingView[];
  /** By what becomes of the objects: deletions come first, kept objects last. */
  groups: readonly { fate: ObjectFate; title: string; objects: readonly PlannedObjectView[] }[];
  undone: readonly { object: string; path: string; live: string; becomes: string }[];
  hooks: readonly { name: string; event: string; text: string }[];
  facts: readonly (readonly [string, string])[];
  digest: string;
  markdown: string;
}

type Named = Pick<PlannedObject, 'kind' | 'name'>;

const tones: Readonly<Record<ChangePlan['risk'], Tone>> = {
  none: 'neutral',
  low: 'neutral',
  high: 'warning',
  refused: 'bad',
};

export function planView(plan: ChangePlan): PlanView {
  return {
    heading: planHeading(plan),
    tone: tones[plan.risk],
    word: plan.risk === 'refused' ? 'refused' : `risk ${plan.risk}`,
    risk: riskWords(plan),
    button: buttonAnswer(plan),
    findings: plan.findings.map(findingView).toSorted((one, other) => rank(one) - rank(other)),
    groups: groupsOf(plan.objects),
    undone: plan.objects.flatMap((object) =>
      object.drift.map(({ path, live, becomes }) => ({
        object: objectName(object),
        path,
        live: live || '(absent)',
        becomes: becomes || '(absent)',
      })),
    ),
    hooks: plan.hooks.map((hook) => ({
      name: objectName(hook),
      event: hook.event,
      text: hook.willRun ? 'Runs, and was not rehearsed.' : `Does not run: ${hook.reason}`,
    })),
    facts: planFacts(plan),
    digest: plan.digest,
    markdown: planSummary(plan),
  };
}

function buttonAnswer(plan: ChangePlan): Answer {
  const question = 'What the button does';
  const base = { question, code: '', quote: '' };
  if (plan.risk === 'refused') {
    return { ...base, tone: 'bad', text: `Nothing: the task refuses this ${plan.change}.`, lines: [riskWords(plan)] };
  }
  if (plan.risk === 'none') return { ...base, tone: 'neutral', text: 'Nothing would change.', lines: [] };
  const names = (some: readonly Named[]): string => someNames(some.map(objectName));
  const { objects, hooks } = plan;
  const deleted = names(objects.filter(({ fate }) => fate === 'deleted'));
  const restarting = names(objects.filter(({ restartsPods }) => restartsPods));
  const running = names(hooks.filter(({ willRun }) => willRun));
  return {
    ...base,
    tone: tones[plan.risk],
    text: buttonText(plan),
    lines: [
      `Objects: ${countsText(plan)}.`,
      deleted === '' ? 'Nothing is deleted.' : `Deletes ${deleted}.`,
      restarting === '' ? 'No pods restart.' : `Restarts the pods of ${restarting}.`,
      ...(running === '' ? [] : [`Runs the hooks ${running}.`]),
      ...imagesOf(plan).slice(0, 3),
    ],
  };
}

function buttonText(plan: ChangePlan): string {
  const { change, present, target } = plan;
  const subject = subjectName(plan);
  if (change === 'deploy') {
    const chart = target === null ? '' : ` to chart ${target.chart}`;
    return present === null
      ? `It installs ${subject}${chart && `, chart ${target?.chart ?? ''}`}.`
      : `It upgrades ${subject}${chart}.`;
  }
  const to = target === null ? '' : ` to revision ${target.revision}`;
  const from = present === null ? '' : ` from revision ${present.revision}`;
  return `It rolls ${subject} back${from}${to}${target === null ? '' : `, ${proofWords[target.proof]}`}.`;
}

const severities: Readonly<Record<PlanFinding['severity'], { tone: Tone; word: string }>> = {
  refusal: { tone: 'bad', word: 'Refused' },
  warning: { tone: 'warning', word: 'Warning' },
  note: { tone: 'neutral', word: 'Note' },
};

function findingView({ code, severity, message, allowedBy }: PlanFinding): FindingView {
  const allowed = allowedBy === '' ? '' : ` Allowed by the input ${allowedBy}.`;
  return { ...severities[severity], code, message: `${message}${allowed}` };
}

function rank({ tone }: FindingView): number {
  return tone === 'bad' ? 0 : tone === 'warning' ? 1 : 2;
}

function groupsOf(objects: readonly PlannedObject[]): PlanView['groups'] {
  return fates
    .map((fate) => ({
      fate,
      title: fateWords[fate].replace(/^./, (letter) => letter.toUpperCase()),
      objects: objects.filter((object) => object.fate === fate).map(objectView),
    }))
    .filter((group) => group.objects.length > 0);
}

function objectView(object: PlannedObject): PlannedObjectView {
  const keys = object.secretKeys.map(
    ({ name, change }) => `${name} ${change === 'notCompared' ? 'not compared' : change}`,
  );
  return {
    name: objectName(object),
    namespace: object.namespace,
    remarks: [
      object.reason,
      object.restartsPods ? 'Its pods restart.' : '',
      keys.length === 0 ? '' : `Values: ${someNames(keys, 20)}.`,
      object.generated.length === 0 ? '' : `New at each deploy: ${someNames(object.generated, 20)}.`,
      object.goWithIt.length === 0 ? '' : `Deleted with it: ${someNames(object.goWithIt, 50)}.`,
      object.isRehearsed ? '' : 'Not rehearsed.',
    ].filter((part) => part !== ''),
    diff: object.diff.map(diffLine),
    diffCut: object.diffCut,
  };
}

function diffLine(text: string): DiffLine {
  const first = text.charAt(0);
  return { text, kind: first === '+' ? 'added' : first === '-' ? 'removed' : first === '@' ? 'place' : 'same' };
}

function planFacts(plan: ChangePlan): PlanView['facts'] {
  return filled([
    ['Now', plan.present === null ? '' : `revision ${revisionText(plan.present)}`],
    [plan.change === 'deploy' ? 'Then' : 'Target', plan.target === null ? '' : `revision ${targetText(plan)}`],
    ['Revisions', someNames(revisionsOf(plan))],
    ['Images', someNames(imagesOf(plan))],
    ['Helm', plan.helm?.version ?? ''],
    ['Planned', timeWords(timeOf(plan.createdAt))],
    ['Digest', plan.digest],
  ]);
}
