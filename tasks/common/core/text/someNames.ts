const namesShown = 6;

export function someNames(names: readonly string[], most = namesShown): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
