import { isRecord } from '../kubernetes/json';
import { workActions, type Work } from './work';

/** The note that the main phase of a step leaves for the post-job phase while the main phase works. */
export interface Interruption {
  /** Empty until the release is known. */
  release: string;
  namespace: string;
  /** The revision that the change makes. 0 before a change has begun. */
  revision: number;
  /** The action that makes the revision. Absent before a change has begun. */
  action?: Work['action'];
  /** The process of the main phase; see adapters/system/processes. */
  process: string;
}

export function interruptionText(interruption: Interruption): string {
  return JSON.stringify(interruption);
}

/** Returns undefined if no work was under way, or if the text is not ours. */
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
