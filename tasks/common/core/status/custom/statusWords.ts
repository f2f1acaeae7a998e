import { isRecord } from '../../kubernetes/json';
import { ownField, type JsonObject } from '../fields';
import { current, failed, heldOnPurpose, inProgress, type ObjectStatus } from '../result';

/** `phase`, `currentState`, `clusterStatus`, `health` and the like; not what is only asked for or was before. */
const wordField = /^(?!desired|previous|last|old|target|expected|prior)[a-z]*(?:phase|state|status|health|compliant)$/i;
/** Fields that hold a text only while something is wrong. */
const errorFields = ['error', 'errors', 'errMsg', 'errorMessage', 'failureReason', 'failureMessage', 'problems'];

/** Words that no controller takes back. */
const finalWords = new Set(['failed', 'failure', 'errored', 'broken']);
const badWords =
  /(?<!\b(?:no|none) )\b(?:failed|failure|failing|errors?|invalid|rejected|degraded|unhealthy|abnormal|faulted|bootstrap|unavailable|unreachable|pending|queued|new|unknown|red|yellow|stalled|conflict|noncompliant|outofsync|progress|unsynced|unready)\b|\bnot (?:ready|available|healthy|found|synced|in sync|reconciled|running|deployed|accepted)\b|\bnon compliant\b/;
/** Words that end in -ing and mean work in hand, not work to wait for. */
const steadyWord =
  /^(?:running|serving|streaming|listening|monitoring|watching|tracking|existing|passing|operating|working|nothing)$/;
const goodWord =
  /^(?:running|ready|active|succeeded|success|successful|complete|completed|available|healthy|bound|deployed|ok|online|green|synced|valid|created|installed|initialized|provisioned|established|accepted|applied|normal|finished|done|up|compliant|serving)$/;
const heldWord = /^(?:paused|suspended|stopped|hibernated|hibernating)$/;

/** Judges by words of the controller. Only words that no controller takes back mean Failed. */
export function wordStatus({ status }: JsonObject): ObjectStatus | undefined {
  if (!isRecord(status)) return undefined;
  const words = Object.entries(status).flatMap(([name, value]) => {
    const word = isRecord(value)
      ? (ownField(value, 'status') ?? ownField(value, 'state') ?? ownField(value, 'phase'))
      : value;
    return typeof word === 'string' && word !== '' && word.length < 80 && wordField.test(name) ? [{ name, word }] : [];
  });
  const message = ownField(status, 'message');
  const inWords = ({ name, word }: { name: string; word: string }): string =>
    `status.${name} is ${word}${typeof message === 'string' && message !== '' ? `: ${message}` : '.'}`;
  const find = (test: (part: string) => boolean): { name: string; word: string } | undefined =>
    words.find(({ word }) => parts(word).some(test));
  const final = words.find(({ word }) => finalWords.has(word.toLowerCase()));
  if (final !== undefined) return failed('StatusFailed', inWords(final));
  const held = words.find(({ word }) => heldWord.test(word.toLowerCase()));
  if (held !== undefined) return heldOnPurpose(inWords(held));
  const bad =
    words.find(({ word }) => badWords.test(parts(word).join(' '))) ??
    find((part) => part.endsWith('ing') && !steadyWord.test(part));
  if (bad !== undefined) return inProgress('StatusNotReady', inWords(bad));
  const error = errorFields.find((name) => isFilled(ownField(status, name)));
  if (error !== undefined) return inProgress('StatusNotReady', `status.${error}: ${textOf(ownField(status, error))}`);
  const good = find((part) => goodWord.test(part));
  return good === undefined || countStatus({ status })?.status === 'InProgress'
    ? undefined
    : current('StatusReady', inWords(good));
}

/** `DEPLOYED_NOT_READY` and `ConfigError` in lower-case words. */
function parts(word: string): string[] {
  const spaced = /[a-z]/.test(word) ? word.replaceAll(/([a-z])([A-Z])/g, '$1 $2') : word;
  return spaced.toLowerCase().split(/[^a-z]+/);
}

/** Some controllers write that there is no error. */
const noError = /^(?:none|nil|null|no errors?|n\/a)?\.?$/i;

function isFilled(value: unknown): boolean {
  return typeof value === 'string'
    ? !noError.test(value)
    : typeof value === 'object' && value !== null && hasFields(value);
}

function hasFields(value: object): boolean {
  return Object.values(value).some((field) =>
    typeof field === 'object' || typeof field === 'string' ? isFilled(field) : true,
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value).slice(0, 500);
}

/** Counts of a status, each with the fields of the spec and of the status that say how many there should be. */
const counts: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['readyReplicas', ['replicas'], ['replicas']],
  ['availableReplicas', ['replicas'], ['replicas']],
  ['readyInstances', ['instances'], ['instances']],
  ['readyMembers', ['members'], ['members']],
  ['readyNodes', ['nodes'], ['nodes']],
  ['availableNodes', [], ['expectedNodes']],
  ['numberReady', [], ['desiredNumberScheduled']],
  ['ready', [], ['desired']],
];
const flags = ['ready', 'healthy', 'available', 'readyToUse', 'valid'];

/** Judges by counts of ready parts and by flags. */
export function countStatus({ status, spec }: JsonObject): ObjectStatus | undefined {
  if (!isRecord(status)) return undefined;
  const unready = flags.find((name) => ownField(status, name) === false);
  if (unready !== undefined) return inProgress('StatusNotReady', `status.${unready} is false.`);
  const pairs = [...countsOf(status, spec), ...partsOf(status).flatMap((part) => countsOf(part, undefined))];
  const less = pairs.find(({ have, want }) => have < want);
  if (less !== undefined) {
    return inProgress('LessReady', `status.${less.name} is ${less.have}, ${less.path} is ${less.want}.`);
  }
  const isReady = flags.some((name) => ownField(status, name) === true);
  return pairs.length > 0 || isReady ? current('StatusReady', 'Its status says ready.') : undefined;
}

interface Count {
  name: string;
  have: number;
  path: string;
  want: number;
}

function countsOf(status: Record<string, unknown>, spec: unknown): Count[] {
  const numbers = counts.flatMap(([name, ofSpec, ofStatus]): Count[] => {
    const have = ownField(status, name);
    const wants = [...numbersAt(spec, 'spec', ofSpec), ...numbersAt(status, 'status', ofStatus)];
    return typeof have === 'number' ? wants.map((want) => ({ name, have, ...want })) : [];
  });
  const ratios = Object.entries(status).flatMap(([name, value]): Count[] => {
    const [, have, want] = typeof value === 'string' ? (/^(\d{1,6})\/(\d{1,6})$/.exec(value) ?? []) : [];
    return have === undefined || !ratioField.test(name)
      ? []
      : [{ name, have: Number(have), path: `its second number`, want: Number(want) }];
  });
  return [...numbers, ...ratios];
}

/** Fields with a text such as `1/3`. */
const ratioField = /ready|replicas|members|instances|nodes/i;
/** A part that was before, or that is not meant to serve, has other counts. */
const passedPart = /previous|last|old|stable|history|canary|preview|blue|green/i;

/** The objects one level below a status, for example those of its components. */
function partsOf(status: Record<string, unknown>): Record<string, unknown>[] {
  return Object.entries(status).flatMap(([name, value]) =>
    passedPart.test(name) ? [] : (Array.isArray(value) ? value : [value]).filter(isRecord),
  );
}

function numbersAt(value: unknown, parent: string, names: readonly string[]): { path: string; want: number }[] {
  return names.flatMap((name) => {
    const want = isRecord(value) ? ownField(value, name) : undefined;
    return typeof want === 'number' ? [{ path: `${parent}.${name}`, want }] : [];
  });
}
