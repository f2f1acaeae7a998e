import { neutralise, splitLines } from '../../text/foreignText';
import { objectName } from '../../kubernetes/manifest';
import { cell } from '../../text/markdown';
import { revisionText } from '../../report/revisionText';
import { countsText, imagesOf, planHeading, revisionsOf, riskWords, secretWord, targetText } from './markdown';
import type { PlannedObject, ChangePlan } from '../model/types';
import type { PlanFinding } from '../model/findings';

/** The instructions of a ManualValidation hold so many characters. */
export const summaryLimit = 4000;

/** If there is no room for all lines, those with the highest ranks are left out first. */
interface Line {
  text: string;
  rank: number;
}

/** A line has at most this number of characters. Items that do not fit are counted, never cut in the middle. */
const lineLimit = 400;

/** Leaves room for what a pipeline writes around it. */
const gateLimit = 3600;
const causeLimit = 1500;

/** Markdown of at most 3600 characters for the instructions of a gate: the cause first, then the plan. */
export function gateInstructions(plan: ChangePlan, cause: string, page = ''): string {
  const why = firstParts(cause, causeLimit);
  const limit = why === '' ? gateLimit : gateLimit - why.length - 2;
  return [why, planSummary(plan, page, limit)].filter((part) => part !== '').join('\n\n');
}

/** The outputs that every plan has. `page` is the address of the run's summary page. */
export function planOutputs(plan: ChangePlan | undefined, { page = '', cause = '' } = {}): Record<string, string> {
  return {
    planDigest: plan?.digest ?? '',
    planSummary: plan === undefined ? '' : planSummary(plan, page),
    gateInstructions: plan === undefined ? '' : gateInstructions(plan, cause, page),
    deletions: plan === undefined ? '' : String(plan.deletions),
    risk: plan?.risk ?? '',
  };
}

/** The first lines of a Markdown text that fit. A block of code is whole, or it is left out. */
function firstParts(markdown: string, limit: number): string {
  const lines = splitLines(markdown).map((line) => harmless(neutralise(line)));
  let fence = '';
  let length = 0;
  let kept = 0;
  for (const [index, line] of lines.entries()) {
    length += line.length + 1;
    if (length > limit) break;
    const mark = /^`{3,}/.exec(line)?.[0] ?? '';
    if (fence === '') fence = mark;
    else if (mark === fence) fence = '';
    if (fence === '') kept = index + 1;
  }
  return lines.slice(0, kept).join('\n').trim();
}

/** Markdown of at most `limit` characters, in which no text is a pipeline macro. `page` shows the whole plan. */
export function planSummary(plan: ChangePlan, page = '', limit = summaryLimit): string {
  const first = [`**${cell(planHeading(plan))}**`, cell(riskWords(plan))];
  const where = page === '' ? 'on the summary page of the run that made the plan' : page;
  const last = [`- Full plan: ${where}`, `- Digest ${cell(plan.digest)}`];
  return fitted(first.map(harmless), summaryLines(plan), last.map(harmless), limit);
}

function summaryLines(plan: ChangePlan): Line[] {
  const { objects, findings } = plan;
  return [
    ...findingLines(findings),
    ...factLines(plan),
    ...objects.flatMap(undoneLine),
    ...objects.flatMap(changeLine),
    ...fateLines(plan),
    ...findings
      .filter(({ severity, code }) => severity === 'note' && code !== 'HooksNotRehearsed')
      .map(({ code, message }) => ({ text: `Note, ${code}: ${clipped(message, lineLimit)}`, rank: 9 })),
  ].map(({ text, rank }) => ({ text: harmless(`- ${cell(text)}`), rank }));
}

/** Further findings of the same code show only their objects. */
const shownOfEachCode = 3;

function findingLines(findings: readonly PlanFinding[]): Line[] {
  const telling = findings.filter(({ severity }) => severity !== 'note');
  const kinds = new Map<string, PlanFinding[]>();
  for (const one of telling) {
    const label = `${severityWord(one)}, ${one.code}`;
    kinds.set(label, [...(kinds.get(label) ?? []), one]);
  }
  return [...kinds].flatMap(([label, all]) => [
    ...all
      .slice(0, shownOfEachCode)
      .map(({ message }, index) => ({ text: `${label}: ${clipped(message, lineLimit)}`, rank: index === 0 ? 2 : 6 })),
    ...listLine(
      `${label}, too`,
      all.slice(shownOfEachCode).map(({ object, message }) => object || message),
      3,
    ),
  ]);
}

function severityWord({ severity, allowedBy }: PlanFinding): string {
  if (severity === 'refusal') return 'Refused';
  return allowedBy === '' ? 'Warning' : `Allowed by ${allowedBy}`;
}

function factLines(plan: ChangePlan): Line[] {
  const { change, present, target, objects } = plan;
  const named = (some: readonly PlannedObject[]): string[] => some.map(objectName);
  const running = plan.hooks.filter(({ willRun }) => willRun).map((hook) => `${objectName(hook)} (${hook.event})`);
  return [
    ...(present === null ? [] : [{ text: `Now: revision ${clipped(revisionText(present), 200)}`, rank: 1 }]),
    ...(target === null
      ? []
      : [{ text: `${change === 'deploy' ? 'Then' : 'Target'}: revision ${clipped(targetText(plan), 240)}`, rank: 1 }]),
    ...(target === null ? listLine('Revisions', revisionsOf(plan), 1) : []),
    ...listLine('Hooks that run, unrehearsed', running, 1),
    { text: `Objects: ${countsText(plan)}`, rank: 1 },
    ...listLine('Deleted', named(objects.filter(({ fate }) => fate === 'deleted')), 1),
    ...listLine('Images', imagesOf(plan), 2),
    ...listLine('Pods restart', named(objects.filter(({ restartsPods }) => restartsPods)), 2),
  ];
}

function listLine(label: string, items: readonly string[], rank: number): Line[] {
  if (items.length === 0) return [];
  return [{ text: `${label}: ${fittingList(items, lineLimit - label.length, ', ')}`, rank }];
}

function fittingList(items: readonly string[], room: number, separator: string): string {
  const short = items.map((item) => clipped(item, itemLimit));
  let shown = 0;
  let used = 0;
  for (const item of short) {
    used += item.length + separator.length;
    if (shown > 0 && used > room) break;
    shown += 1;
  }
  const rest = items.length - shown;
  return short.slice(0, shown).join(separator) + (rest > 0 ? ` and ${rest} more` : '');
}

const itemLimit = 240;

function undoneLine(object: PlannedObject): Line[] {
  const fields = object.drift.map(
    ({ path, live, becomes }) => `${path} is ${live || 'absent'}, becomes ${becomes || 'absent'}`,
  );
  return sentenceLine(`Manual change undone, ${objectName(object)}`, fields, 3);
}

function sentenceLine(label: string, fields: readonly string[], rank: number): Line[] {
  if (fields.length === 0) return [];
  return [{ text: `${label}: ${fittingList(fields, lineLimit - label.length, '; ')}`, rank }];
}

/** Leaves out the fields that other lines show as undone or as an image. */
function changeLine(object: PlannedObject): Line[] {
  if (object.fate !== 'patched' && object.fate !== 'takenOver') return [];
  const undone = new Set(object.drift.map(({ path }) => path));
  const isShown = (path: string): boolean => undone.has(path) || (object.images.length > 0 && path.endsWith('.image'));
  const fields = object.changes
    .filter(({ path }) => !isShown(path))
    .map(({ path, from, becomes }) => `${path} from ${from || 'absent'} to ${becomes || 'absent'}`);
  const keys = object.secretKeys.map(({ name, change }) => `key ${name} ${secretWord(change)}`);
  const verb = object.fate === 'patched' ? 'Patched' : 'Taken over';
  const what = [...keys, ...fields];
  const label = `${verb}, ${objectName(object)}`;
  const isShownElsewhere = object.images.length + object.drift.length > 0;
  if (what.length === 0) return isShownElsewhere ? [] : [{ text: label, rank: 6 }];
  return sentenceLine(label, what, keys.length > 0 ? 1 : 5);
}

function fateLines({ objects }: ChangePlan): Line[] {
  const named = (fate: PlannedObject['fate']): string[] => objects.filter((one) => one.fate === fate).map(objectName);
  return [
    ...listLine('Created', named('created'), 3),
    ...listLine('Stay without a manifest', named('orphaned'), 8),
    ...listLine('Kept by their policy', named('keptByPolicy'), 8),
  ];
}

/** Keeps the lines with the lowest ranks that fit, in their order. */
function fitted(first: readonly string[], lines: readonly Line[], last: readonly string[], limit: number): string {
  const dropping = lines
    .map((line, index) => ({ ...line, index }))
    .sort((one, other) => other.rank - one.rank || other.index - one.index);
  const dropped = new Set<number>();
  for (;;) {
    const kept = lines.filter((_, index) => !dropped.has(index)).map(({ text }) => text);
    const more = dropped.size === 0 ? [] : [`- and ${dropped.size} more lines in the full plan`];
    const text = [...first, ...kept, ...more, ...last].join('\n');
    const next = dropping[dropped.size];
    if (text.length <= limit || next === undefined) return text;
    dropped.add(next.index);
  }
}

function harmless(text: string): string {
  return text.replaceAll('$(', '$ (').replaceAll('$[', '$ [').replaceAll('${', '$ {');
}

function clipped(text: string, most: number): string {
  const line = splitLines(text).join(' ');
  if (line.length <= most) return line;
  const cut = line.slice(0, most - 4).replace(/[\ud800-\udbff]$/, '');
  const word = cut.lastIndexOf(' ');
  return `${word > most / 2 ? cut.slice(0, word) : cut} ...`;
}
