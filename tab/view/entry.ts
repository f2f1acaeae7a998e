import { chartOf, type Chart } from '../model/chart';
import { incidentMarkdown } from '../model/incident';
import type { NameFacts } from '../model/names';
import type { PlanView } from '../model/planView';
import type { RunRecord } from '../model/run';
import { timeOf } from '../model/reading';
import { timeWords, type Answer, type StepView } from '../model/step';
import type { Tone } from '../model/tree';
import { copyButton } from './copy';
import { badge, h, unfolding, type Child } from './dom';
import { metricsPart } from './metrics';
import { planPart } from './plan';
import { timelinePart } from './timeline';
import { treePart } from './tree';

export interface EntryActions {
  /** The rows of the step, read when the timeline is opened. */
  rows(): Promise<readonly RunRecord[]>;
  /** The address of the report, or of an object in it; empty if it is not known. */
  address(object: string): string;
  /** Puts the place into the address of the page. */
  point(object: string): void;
}

export interface SummaryInput {
  facts: NameFacts;
  view: StepView | undefined;
  tone: Tone;
  /** What a later step of the run has made of it, or empty. */
  later: string;
  place: string;
  /** The name of an attachment that cannot be shown, or empty. */
  problem: string;
}

/** The line that stays visible while an entry is folded. */
export function entrySummary({ facts, view, tone, later, place, problem }: SummaryInput): Node[] {
  const step = [facts.task, facts.action].filter((part) => part !== '').join(' ') || 'Report';
  const named = [facts.release, facts.namespace, facts.cluster, facts.ring].filter((part) => part !== '').join(' · ');
  const closed = named === '' ? step : `${named}: ${step}`;
  return [
    badge(tone, problem === '' ? (view?.word ?? (facts.outcome || 'not read yet')) : 'unreadable'),
    h('h2', {}, problem === '' ? (view?.sentence ?? closed) : problem),
    later === '' ? undefined : h('span', { class: 'later' }, `Later in this run: ${later}`),
    place === '' ? undefined : h('span', { class: 'place' }, place),
  ].filter((child) => child !== undefined);
}

interface Shown {
  view: StepView;
  plan: PlanView | undefined;
  notes: readonly string[];
}

export function entryBody(content: Shown, actions: EntryActions, selected: string): Node[] {
  const { view, plan, notes } = content;
  const answers = plan === undefined ? view.answers : [plan.button, ...view.answers];
  const markdown = (): string => incidentMarkdown({ ...view, answers }, plan, actions.address(''));
  const hasTree = view.tree.workloads.length + view.tree.others.length + view.tree.loose.length > 0;
  const ofPlan = plan?.facts ?? [];
  const known = new Set(ofPlan.flat());
  const facts = [...ofPlan, ...view.facts.filter(([name, value]) => !known.has(name) && !known.has(value))];
  return [
    ...notes.map((note) => h('p', { class: 'note' }, note)),
    h('div', { class: 'answers' }, ...answers.map(answerPart)),
    plan === undefined ? undefined : section('Plan', true, () => [planPart(plan)]),
    hasTree
      ? section('Objects and evidence', selected !== '' || view.tone === 'bad', () => [
          treePart(view.tree, { root: view.release, selected, link: (object) => linkButton(actions, object) }),
        ])
      : undefined,
    view.metrics.length === 0
      ? undefined
      : section(
          'Metrics',
          view.metrics.some(({ tone }) => tone !== 'good'),
          () => [metricsPart(view.metrics)],
        ),
    view.startedAt === undefined ? undefined : section('Timeline', false, () => [timelineLater(view, actions)]),
    view.history.length === 0
      ? undefined
      : section('History of the release', false, () => [historyTable(view.history)]),
    section('Facts', false, () => [factList(facts)]),
    h('div', { class: 'tools' }, copyButton('Copy as Markdown', markdown), linkButton(actions, '')),
  ].filter((child) => child !== undefined);
}

/** `object` is `Kind/name`, or empty for the whole report. */
function linkButton(actions: EntryActions, object: string): HTMLElement | undefined {
  const address = actions.address(object);
  if (address === '') return undefined;
  const part = copyButton('Copy link', () => address);
  part.addEventListener('click', ({ target }) => {
    if (target instanceof HTMLButtonElement) actions.point(object);
  });
  return part;
}

function section(title: string, isOpen: boolean, body: () => readonly Child[]): HTMLElement {
  return unfolding([h('h3', {}, title)], body, { class: 'section', ...(isOpen ? { open: true } : {}) });
}

function answerPart({ question, tone, text, code, lines, quote }: Answer): HTMLElement {
  return h(
    'div',
    { class: `answer ${tone}` },
    h('h3', {}, question),
    h('p', { class: 'main' }, badge(tone, ''), text),
    code === '' ? undefined : h('p', { class: 'line' }, h('code', {}, code)),
    ...lines.map((line) => h('p', { class: 'line' }, line)),
    quote === '' ? undefined : h('p', { class: 'quote' }, quote),
  );
}

function historyTable(history: StepView['history']): HTMLElement {
  const heads = ['Revision', 'Status', 'Verdict', 'Chart', 'Deployed at', 'By', 'Description'];
  const rows = history.map(({ revision, status, verdict, chart, deployedAt, run, description, irreversible }) => {
    const words = [description, irreversible === '' ? '' : `Irreversible: ${irreversible}`].filter(
      (part) => part !== '',
    );
    const cells = [status, verdict, chart, timeWords(timeOf(deployedAt)), run, words.join(' ')];
    return h('tr', {}, h('th', { scope: 'row' }, String(revision)), ...cells.map((cell) => h('td', {}, cell)));
  });
  return h(
    'div',
    { class: 'history', role: 'group', 'aria-label': 'History of the release', tabindex: 0 },
    h(
      'table',
      {},
      h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
      h('tbody', {}, ...rows),
    ),
  );
}

function factList(facts: readonly (readonly [string, string])[]): HTMLElement {
  return h('dl', {}, ...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

/** The rows come from the server, so that the lanes appear a moment after the section is opened. */
function timelineLater(view: StepView, actions: EntryActions): HTMLElement {
  const place = h(
    'div',
    { class: 'waiting', 'data-waiting': true },
    h('p', { role: 'status' }, 'Reading the timeline of the step.'),
  );
  const show = (chart: Chart | undefined): void => {
    place.removeAttribute('data-waiting');
    place.replaceChildren(chart === undefined ? 'The times of this step are not known.' : timelinePart(chart));
  };
  const draw = (rows: readonly RunRecord[]): void => {
    show(chartOf({ ...view, rows, now: Date.now() }));
  };
  actions.rows().then(draw, () => {
    draw([]);
    place.append(h('p', { class: 'note' }, 'The rows of the step could not be read from the run.'));
  });
  return place;
}
