/** `1 of 1 replica is`, `1 of 4 pods are`: the noun and the verb follow the whole. */
export function partOf(
  part: number,
  whole: number,
  one: string,
  verbs: readonly [string, string] = ['is', 'are'],
): string {
  return `${part} of ${whole} ${whole === 1 ? `${one} ${verbs[0]}` : `${one}s ${verbs[1]}`}`;
}

export function counted(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
