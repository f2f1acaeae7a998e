import { button, h } from './dom';

/**
 * A button that copies a text. Where the host's frame may not use the clipboard, the text appears below the button,
 * selected, so that the keys for copying take it.
 */
export function copyButton(label: string, text: () => string): HTMLElement {
  const place = h('div', { class: 'copy' });
  const said = h('span', { class: 'said', role: 'status' });
  const copy = async (): Promise<void> => {
    const content = text();
    place.querySelector('.selection')?.remove();
    try {
      await navigator.clipboard.writeText(content);
      said.textContent = 'Copied.';
    } catch {
      said.textContent = 'The text is selected: copy it with Ctrl+C or ⌘C.';
      const area = h('textarea', { class: 'selection', readonly: true, rows: 8, 'aria-label': label });
      area.value = content;
      place.append(area);
      area.focus();
      area.select();
    }
  };
  place.append(
    button(label, () => void copy()),
    said,
  );
  return place;
}
