import { isRecord } from '../kubernetes/json';
import { workActions, type Work } from './work';

/** What the main phase of a step leaves for the post-job phase as long as it is at work. */
export interface Interruption {
  /** Empty as long as it is not known. */
  release: string;
  namespace: string;
  /** The revision that was to be made; 0 as long as no change was begun. */
  revision: number;
  /** What was to make it; absent as long as no change was begun. */
  action?: Work['action'];
  /** The process of the main phase; see adapters/system/processes. */
  process: string;
}

export function interruptionText(interruption: Interruption): string {
  return JSON.stringify(interruption);
}

/** Undefined where nothing was under way, or where the text is not ours. */
export function readInterruption(text: string | undefined): Interruption | undefined {
  if (text === undefined || text === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { release, namespace, revision, process } = value;
  const action = workActions.find((each) => each === value['action']);
  const isWhole =
    typeof release === 'string' &&
    typeof namespace === 'string' &&
    typeof revision === 'number' &&
    typeof process === 'string';
  return isWhole ? { release, namespace, revision, process, ...(action !== undefined && { action }) } : undefined;
}
