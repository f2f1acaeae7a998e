import type { Attachment } from './model/attachments';
import { readName, toneOfOutcome } from './model/names';
import type { Item, Ranked } from './model/overview';
import type { RunRecord } from './model/run';
import type { Content } from './reports';
import { h } from './view/dom';
import { entryBody, entrySummary } from './view/entry';

export interface EntryContext {
  attachment: Attachment;
  read(): Promise<Content>;
  rows(): Promise<readonly RunRecord[]>;
  /** Where the step is in the run, in words. */
  place(): string;
  address(object: string): string;
  point(object: string): void;
  /** The object that the link addresses; undefined if it addresses another report. */
  selected: string | undefined;
}

/** One report: an element that is folded until it is asked for, and read when it is opened. */
export interface Entry {
  element: HTMLDetailsElement;
  item(): Item;
  /** Why the report cannot be shown, or undefined. */
  problem(): string | undefined;
  isSelected: boolean;
  load(): Promise<void>;
  open(): void;
  rank(ranked: Ranked): void;
}

export function createEntry(context: EntryContext): Entry {
  const { attachment, selected } = context;
  const facts = readName(attachment.name);
  const summary = h('summary');
  const body = h('div', { class: 'body' });
  const element = h('details', { class: 'entry', 'data-key': attachment.key }, summary, body);
  let content: Content | undefined;
  let loading: Promise<void> | undefined;
  let later = '';

  const show = (): void => {
    const view = content === undefined || 'problem' in content ? undefined : content.view;
    const tone = content !== undefined && 'problem' in content ? 'unknown' : (view?.tone ?? toneOfOutcome(facts));
    element.className = `entry ${later === '' ? tone : 'mended'}`;
    summary.replaceChildren(
      ...entrySummary({
        facts,
        view,
        tone,
        later,
        place: context.place(),
        problem: content !== undefined && 'problem' in content ? attachment.name : '',
      }),
    );
  };

  const load = async (): Promise<void> => {
    body.replaceChildren(h('p', { role: 'status', 'data-waiting': true }, 'Reading the report.'));
    content = await context.read();
    show();
    body.replaceChildren(
      ...('problem' in content
        ? [h('p', { class: 'note' }, `The report ${attachment.name} cannot be shown: ${content.problem}.`)]
        : entryBody(content, context, selected ?? '')),
    );
  };

  const once = (): Promise<void> => (loading ??= load());
  element.addEventListener('toggle', () => {
    if (element.open) void once();
  });
  show();
  return {
    element,
    isSelected: selected !== undefined,
    item: () => ({
      key: attachment.key,
      facts,
      ...(content !== undefined && 'view' in content ? { view: content.view } : {}),
    }),
    problem: () => (content !== undefined && 'problem' in content ? content.problem : undefined),
    load: once,
    open: () => {
      element.open = true;
    },
    rank: (rank) => {
      later = rank.later;
      show();
    },
  };
}
