import { plainDigest } from '../rollbackPlan/document/document';
import { durationExpected, parseDuration } from './duration';
import type { InputReader } from './inputs';

const digestExpected = 'the output planDigest of the step that made the plan, sha256: and 64 hexadecimal digits';
const fallbackAgeSeconds = 90_000;

/** 64 hexadecimal digits, or undefined for an empty input. */
export function readPlanDigest(read: InputReader): string | undefined {
  const parse = (text: string): string | undefined => (text === '' ? '' : plainDigest(text) || undefined);
  return read.parsed('planDigest', digestExpected, parse, '') || undefined;
}

export function readMaxPlanAge(read: InputReader): number {
  return read.parsed('maxPlanAge', durationExpected, parseDuration, fallbackAgeSeconds);
}
