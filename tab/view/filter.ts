import { h } from './dom';

export interface Filterable {
  element: HTMLElement;
}

/** Hides the entries of a long list whose summary lacks one of the words. */
export function filterPart(entries: () => readonly Filterable[]): HTMLElement {
  const input = h('input', { type: 'search', id: 'filter', autocomplete: 'off', spellcheck: 'false' });
  const shown = h('span', { role: 'status' });
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const { element } of entries()) {
      const text = element.querySelector('summary')?.textContent.toLowerCase() ?? '';
      element.hidden = !words.every((word) => text.includes(word));
      if (!element.hidden) count += 1;
    }
    shown.textContent = input.value.trim() === '' ? '' : `${count} shown`;
  });
  return h('div', { class: 'filter-row' }, h('label', { for: 'filter' }, 'Filter'), input, shown);
}
