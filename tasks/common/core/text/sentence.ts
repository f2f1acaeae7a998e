/** Removes from each line the sentences that already stand before in it. */
export function withoutRepeats(text: string): string {
  return text.split('\n').map(withoutRepeatsInLine).join('\n');
}

function withoutRepeatsInLine(line: string): string {
  const said = new Set<string>();
  const isNew = (each: string): boolean => {
    const words = each.replace(/[.!?]$/, '');
    return words === '' || (!said.has(words) && said.add(words).has(words));
  };
  return line
    .split(/(?<=[.!?]) /)
    .filter(isNew)
    .join(' ');
}

/** Joins texts, each as a sentence. */
export function sentences(...texts: readonly string[]): string {
  return withoutRepeats(
    texts
      .map(sentence)
      .filter((each) => each !== '')
      .join(' '),
  );
}

/** The text without its full stop, to stand within a sentence. */
export function clause(text: string): string {
  return text.replace(/\.$/, '');
}

export function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' || /[.!?)]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
