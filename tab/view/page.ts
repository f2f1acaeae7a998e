import { h } from './dom';
import { livePart, type LivePart } from './live';

/** The fixed parts of the tab. */
export interface Page {
  /** One sentence about the run. It is read out when it changes. */
  say(sentence: string): void;
  /** More about the polling, which is not read out. */
  note(sentence: string): void;
  problem(sentence: string): void;
  live: LivePart;
  list: HTMLElement;
  tools: HTMLElement;
}

export function makePage(root: HTMLElement): Page {
  const said = h('p', { class: 'said', role: 'status' }, 'Reading the reports of this run.');
  const noted = h('p', { class: 'noted' });
  const problems = h('div', { class: 'problems' });
  const tools = h('div', { class: 'filter' });
  const list = h('div', { class: 'entries' });
  const live = livePart();
  root.replaceChildren(
    h('header', { class: 'top' }, h('h1', {}, 'Rollout'), said, noted),
    problems,
    live.element,
    tools,
    list,
  );
  const setText = (element: HTMLElement, text: string): void => {
    if (element.textContent !== text) element.textContent = text;
  };
  return {
    say: (sentence) => {
      setText(said, sentence);
    },
    note: (sentence) => {
      setText(noted, sentence);
    },
    problem: (sentence) => {
      problems.append(h('p', { class: 'note' }, sentence));
    },
    live,
    list,
    tools,
  };
}
