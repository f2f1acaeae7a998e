/** A `required` value is the next word. An `optional` value follows after `=`. */
type FlagValue = 'none' | 'optional' | 'required';

export type HelmFlags = ReadonlyMap<string, FlagValue>;

/** Reads the long flags from the help of a command. Hidden flags are missing. */
export function parseHelpFlags(help: string): HelmFlags {
  const flags = [...help.matchAll(/^ +(?:-\w, )?--([a-z0-9][\w-]*)(?:( (?! )\S+)|(?= {2}|$))/gm)];
  return new Map(flags.map(([, name = '', value]) => [name, valueOf(value)]));
}

function valueOf(word: string | undefined): FlagValue {
  if (word === undefined) return 'none';
  return word.includes('[=') ? 'optional' : 'required';
}

/** Old names of flags that Helm still accepts but hides. */
const oldNames: Readonly<Record<string, { now: string; value: FlagValue }>> = {
  force: { now: 'force-replace', value: 'none' },
};

/** Returns undefined if this Helm has no such flag. */
export function flagValue(name: string, flags: HelmFlags): FlagValue | undefined {
  const old = Object.hasOwn(oldNames, name) ? oldNames[name] : undefined;
  return flags.get(name) ?? (old !== undefined && flags.has(old.now) ? old.value : undefined);
}
