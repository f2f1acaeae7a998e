import { clipped } from '../text/foreignText';
import type { KubeObject } from '../kubernetes/object';
import type { ReleaseState } from './history';
import type { Revision } from './release';
import type { HelmCapabilities } from '../helm/provenance';

/*
 * Helm 4 applies without force unless `--force-conflicts` is given. After a conflict, it writes the other objects but
 * no field of this one, deletes nothing, and fails (pkg/kube/client.go, update; measured with 4.1.4 and 4.2.3).
 */

/** The field manager of all versions of Helm (`kube.ManagedFieldsManager`). */
export const helmFieldManager = 'helm';

export interface FieldConflict {
  /** For example `spec.replicas`, `spec.template.spec.containers[name=web].image`. */
  field: string;
  /** May be any text. */
  manager: string;
  /** For example `scale`. Empty for the object itself. */
  subresource: string;
}

const manager = String.raw`"((?:[^"\\\n]|\\.)*)"(?: with subresource "((?:[^"\\\n]|\\.)*)")?(?: using \S+)?(?: at \S+?)?`;

/** Reads «Apply failed with 1 conflict: …» (apimachinery, pkg/util/managedfields/internal/conflict.go). */
export function fieldConflicts(text: string): FieldConflict[] {
  const found: FieldConflict[] = [];
  let holder: Omit<FieldConflict, 'field'> | undefined;
  for (const line of text.split('\n')) {
    const single = new RegExp(`Apply failed with 1 conflict: conflict with ${manager}: (\\S+)`, 'g');
    for (const [, name = '', subresource = '', field = ''] of line.matchAll(single)) {
      found.push({ field: ourSpelling(field), manager: name, subresource });
    }
    const [, field] = /^- (\.\S+)/.exec(line) ?? [];
    if (holder !== undefined && field !== undefined) found.push({ ...holder, field: ourSpelling(field) });
    const [several, name = '', subresource = ''] = new RegExp(`conflicts with ${manager}:$`).exec(line) ?? [];
    if (several !== undefined) holder = { manager: name, subresource };
    else if (field === undefined) holder = undefined;
  }
  return found;
}

/** The API server writes `.spec.containers[name="web"]`. */
function ourSpelling(field: string): string {
  return field.replace(/^\./, '').replace(/="([^"\\\],]*)"/g, '=$1');
}

/**
 * Returns true if Helm wrote an object at or after a time of the API server's clock, or if nothing is recorded about
 * Helm. A write that was refused or changed nothing leaves the earlier time (measured).
 */
export function wasWrittenSince({ metadata }: KubeObject, since: Date, applyMethod: Revision['applyMethod']): boolean {
  const times = (metadata.managedFields ?? [])
    .filter(
      ({ manager: name, operation }) => name === helmFieldManager && (applyMethod !== 'ssa' || operation === 'Apply'),
    )
    .map(({ time }) => Date.parse(time ?? ''));
  return times.length === 0 || times.some((time) => isNaN(time) || time >= since.getTime());
}

const namedAtMost = 5;

/** Returns `spec.replicas (set by kubectl through scale), data.text (set by kubectl-edit)`. */
export function conflictWords(conflicts: readonly FieldConflict[]): string {
  const phrases = conflicts.slice(0, namedAtMost).map(({ field, manager: name, subresource }) => {
    const through = subresource === '' ? '' : ` through ${clipped(subresource, 120)}`;
    return `${clipped(field, 120)} (set by ${clipped(name, 120)}${through})`;
  });
  const rest = conflicts.length > namedAtMost ? ` and ${conflicts.length - namedAtMost} more fields` : '';
  return phrases.join(', ') + rest;
}

interface UpgradeMethod {
  isServerSide: boolean;
  /** The apply is server-side and fails at the first field of another manager with another value. */
  meetsConflicts: boolean;
  /** Helm first takes over its own earlier client-side writes, so that they cause no conflict. */
  ownsItsEarlierWrites: boolean;
}

/** Helm 4 by default writes as the last revision was written (pkg/action/upgrade.go, getUpgradeServerSideValue). */
export function upgradeMethod(
  { major }: Pick<HelmCapabilities, 'major'>,
  extraArguments: readonly string[],
  state: ReleaseState,
): UpgradeMethod {
  const isInstall = state.state === 'absent' || state.state === 'uninstalled';
  const wasServerSide = !isInstall && state.last.applyMethod === 'ssa';
  const asked = flagValue(extraArguments, 'server-side');
  const isServerSide = isInstall ? asked !== 'false' : asked === 'true' || (asked !== 'false' && wasServerSide);
  const isForced = /^(1|t|true)$/i.test(flagValue(extraArguments, 'force-conflicts') ?? 'false');
  return {
    isServerSide: major >= 4 && isServerSide,
    meetsConflicts: major >= 4 && isServerSide && !isForced,
    ownsItsEarlierWrites: !wasServerSide,
  };
}

const flagsWithValue = new Set(['server-side']);

/** The last value of a flag counts, as for pflag. */
function flagValue(words: readonly string[], name: string): string | undefined {
  const at = words.findLastIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  const word = words[at];
  if (word === undefined) return undefined;
  if (word.includes('=')) return word.slice(word.indexOf('=') + 1);
  return flagsWithValue.has(name) ? words[at + 1] : 'true';
}
