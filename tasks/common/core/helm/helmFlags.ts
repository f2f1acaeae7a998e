/** Whether a flag of Helm takes the next word for its value: always, or never (an `optional` one has its value after `=`). */
export type FlagValue = 'none' | 'optional' | 'required';

export type HelmFlags = ReadonlyMap<string, FlagValue>;

/**
 * The long flags of a command by its own help, as pflag prints it: the name, the word for its value where it has one, and at
 * least three blanks before what it is for. Flags that Helm hides are not among them.
 */
export function parseHelpFlags(help: string): HelmFlags {
  const flags = [...help.matchAll(/^ +(?:-\w, )?--([a-z0-9][\w-]*)(?:( (?! )\S+)|(?= {2}|$))/gm)];
  return new Map(flags.map(([, name = '', value]) => [name, valueOf(value)]));
}

function valueOf(word: string | undefined): FlagValue {
  if (word === undefined) return 'none';
  return word.includes('[=') ? 'optional' : 'required';
}

/** Flags that Helm takes and hides, for those who write their new names: its help lists the new one only. */
const oldNames: Readonly<Record<string, { now: string; value: FlagValue }>> = {
  force: { now: 'force-replace', value: 'none' },
};

/** Undefined where this Helm has no such flag. */
export function flagValue(name: string, flags: HelmFlags): FlagValue | undefined {
  const old = Object.hasOwn(oldNames, name) ? oldNames[name] : undefined;
  return flags.get(name) ?? (old !== undefined && flags.has(old.now) ? old.value : undefined);
}
