import type { Tone } from '../model/tree';

export type Child = Node | string | undefined;

type Attributes = Readonly<Record<string, string | number | true | undefined>>;

/** Makes an element. Text becomes text nodes, so that no text of others can become markup. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

export function s<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  fill(element, attributes, children);
  return element;
}

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== undefined));
}

export function button(text: string, act: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const element = h('button', { type: 'button', ...attributes }, text);
  element.addEventListener('click', act);
  return element;
}

/** A part that is made when it is opened for the first time. */
export function unfolding(
  summary: readonly Child[],
  body: () => readonly Child[],
  attributes: Attributes = {},
): HTMLDetailsElement {
  const details = h('details', attributes, h('summary', {}, ...summary));
  let isMade = false;
  const make = (): void => {
    if (isMade || !details.open) return;
    isMade = true;
    details.append(h('div', { class: 'body' }, ...body()));
  };
  details.addEventListener('toggle', make);
  make();
  return details;
}

/** Each tone has a shape of its own, so that nobody has to tell colours apart. */
const shapes: Readonly<Record<Tone, readonly string[]>> = {
  good: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z', 'M4.6 8.2 7 10.6l4.4-5'],
  bad: ['M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1Z', 'm5.4 5.4 5.2 5.2m0-5.2-5.2 5.2'],
  warning: ['M8 1.2 15.4 14.6H.6Z', 'M8 6v4m0 2v.6'],
  busy: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z', 'M8 4v4l2.8 1.8'],
  neutral: ['M2 2h12v12H2Z', 'M8 4.6v.6M8 7v4.6'],
  unknown: ['M8 .8 15.2 8 8 15.2.8 8Z', 'M6.3 6.4c0-2.4 3.4-2.2 3.4 0C9.7 7.8 8 7.7 8 9.3m0 1.6v.6'],
};

export function icon(tone: Tone): SVGSVGElement {
  const [outline = '', sign = ''] = shapes[tone];
  return s(
    'svg',
    { class: `icon ${tone}`, viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
    s('path', { class: 'outline', d: outline }),
    s('path', { class: 'sign', d: sign }),
  );
}

/** A shape and a word. */
export function badge(tone: Tone, word: string): HTMLElement {
  return h('span', { class: `badge ${tone}` }, icon(tone), h('span', {}, word));
}
