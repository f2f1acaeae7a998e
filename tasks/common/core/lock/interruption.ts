import { isRecord } from '../kubernetes/json';
import { workActions, type Work } from './work';

/** The note of a step's main phase for its post-job phase. */
export interface Interruption {
  /** Empty until the release is known. */
  release: string;
  namespace: string;
  /** The revision that the change creates; 0 before a change. */
  revision: number;
  action?: Work['action'];
  /** The mark of the main phase's process. */
  process: string;
}

export function interruptionText(interruption: Interruption): string {
  return JSON.stringify(interruption);
}

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
