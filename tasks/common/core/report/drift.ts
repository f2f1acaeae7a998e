import type { Drift } from '../release/drift';
import { cell, codeBlock } from '../text/markdown';

/** A live object that differs from the manifest of the revision that serves. */
export interface ReportedDrift {
  kind: string;
  name: string;
  namespace: string;
  drift: Drift['drift'];
  /** `remains`: it was there after a deploy that was to restore it. */
  state: 'found' | 'restored' | 'remains';
  message: string;
  /** The lines of a unified diff from the declared fields to the live ones. */
  diff: readonly string[];
  /** Who set the fields last. Nobody records who removed a field. */
  setBy: readonly ReportedSetter[];
}

export interface ReportedSetter {
  path: string;
  manager: string;
  /** For example `scale`, or empty. */
  subresource: string;
  /** RFC 3339, or empty: the API server records no time for some writes through a subresource. */
  time: string;
}

/** An object that could not be compared has no known drift. */
export function isKnownDrift({ drift }: { drift: Drift['drift'] }): boolean {
  return drift !== 'unknown';
}

const stateWords: Readonly<Record<ReportedDrift['state'], string>> = {
  found: '',
  restored: ' It was restored.',
  remains: ' It was not restored.',
};

/** The lines of one object, for the log. */
export function driftLines({ message, diff, setBy, state }: ReportedDrift): string[] {
  return [`${message}${stateWords[state]}`, ...diff.map((line) => `  ${line}`), ...setterLines(setBy).map(indented)];
}

function indented(line: string): string {
  return `  ${line}`;
}

function setterLines(setBy: readonly ReportedSetter[]): string[] {
  return setBy.map(({ path, manager, subresource, time }) => {
    const through = subresource === '' ? '' : ` through ${subresource}`;
    const at = time === '' ? '' : ` at ${time.slice(0, 19).replace('T', ' ')} UTC`;
    return `${path} was set by ${manager || 'an unnamed manager'}${through}${at}.`;
  });
}

/** A section of the summary page; empty if drift was not looked for, or none was found. */
export function driftMarkdown(drift: readonly ReportedDrift[]): string {
  const parts = drift.map((one) => {
    const lines = [...one.diff, ...setterLines(one.setBy)];
    return `${cell(`${one.message}${stateWords[one.state]}`)}${lines.length === 0 ? '' : `\n\n${codeBlock(lines)}`}`;
  });
  return parts.length === 0 ? '' : ['### Drift', ...parts].join('\n\n');
}

/** The output `driftCount`. Empty if drift was not looked for. */
export function driftCount(drift: readonly ReportedDrift[] | undefined): string {
  return drift === undefined ? '' : String(drift.filter(isKnownDrift).length);
}

/** A sentence for the ending of a step that drift fails. */
export function driftRefusal(drift: readonly Drift[], revision: number): string {
  const known = drift.filter(isKnownDrift);
  const messages = known.slice(0, namedAtMost).map(({ message }) => message);
  const more = known.length > messages.length ? ` And ${known.length - messages.length} more.` : '';
  return `The live objects are not as revision ${revision} declares them. ${messages.join(' ')}${more}`;
}

/** Merges the drift before a deploy that restores it with the drift that is left after it. */
export function driftAfter(before: readonly ReportedDrift[], left: readonly ReportedDrift[]): ReportedDrift[] {
  const keyOf = ({ kind, namespace, name }: ReportedDrift): string => `${kind}/${namespace}/${name}`;
  const leftKeys = new Set(left.map(keyOf));
  const gone = before.filter((one) => !leftKeys.has(keyOf(one)));
  return [...gone.map((one) => ({ ...one, state: 'restored' as const })), ...left];
}

/** A sentence on drift that a deploy was to restore. */
export function unrestoredWords(left: readonly ReportedDrift[], revision: number): string {
  const more = left.length > namedAtMost ? ` And ${left.length - namedAtMost} more.` : '';
  const messages = left.slice(0, namedAtMost).map(({ message }) => message);
  return `The deploy could not restore all drift; these objects are not as revision ${revision} declares them. ${messages.join(' ')}${more}`;
}

const namedAtMost = 5;
