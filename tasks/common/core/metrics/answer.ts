import { isRecord } from '../kubernetes/json';
import { clipped, showLine, splitLines } from '../text/foreignText';
import type { Redact } from '../text/secrets';
import type { Value } from './condition';

/**
 * `noValue`: the query works, and has no value now. `wrong`: the query itself is wrong. `unusable`: the server cannot be
 * reached, refuses, or gives something else.
 */
export type Problem = 'noValue' | 'wrong' | 'unusable';

/** `problem` is a clause. `mayPass` is false for a value of an answer that is an error: it may only fail a sample. */
export type Reading = { value: Value; mayPass: boolean } | { kind: Problem; problem: string };

export interface HttpAnswer {
  status: number;
  body: string;
}

const foreignLimit = 300;

/** Text of a server in one line, redacted before it is cut. */
export function foreignWords(text: string, redact: Redact): string {
  return clipped(showLine(splitLines(text).join(' ').trim(), redact), foreignLimit);
}

/** Reads an answer of `/api/v1/query`. */
export function prometheusReading({ status, body }: HttpAnswer, redact: Redact): Reading {
  const answer = parsed(body);
  const isAnswer = isRecord(answer) && (answer['status'] === 'success' || answer['status'] === 'error');
  if (!isAnswer) return unusable(status, 'does not answer like Prometheus');
  if (answer['status'] === 'error' || status !== 200) {
    const error = foreignWords(`${wordOf(answer['errorType'])}: ${wordOf(answer['error'])}`, redact);
    const isWrong = answer['errorType'] === 'bad_data' || answer['errorType'] === 'execution';
    return { kind: isWrong ? 'wrong' : 'unusable', problem: `the server refuses the query (${status}, ${error})` };
  }
  const data = isRecord(answer['data']) ? answer['data'] : {};
  switch (data['resultType']) {
    case 'scalar':
      return sampleReading(data['result']);
    case 'vector':
      return vectorReading(data['result']);
    default: {
      const type = foreignWords(wordOf(data['resultType']) || 'something else', redact);
      return { kind: 'wrong', problem: `the query gives ${type}, and not one number` };
    }
  }
}

function vectorReading(result: unknown): Reading {
  const series = Array.isArray(result) ? (result as unknown[]) : [];
  if (series.length === 0) return { kind: 'noValue', problem: 'there is no data' };
  if (series.length > 1) {
    return {
      kind: 'wrong',
      problem: `the query gives ${series.length} series where one is expected; add sum() or max()`,
    };
  }
  const [only] = series;
  return sampleReading(isRecord(only) ? only['value'] : undefined);
}

/** A sample is a pair of a time and a number in a text. */
function sampleReading(sample: unknown): Reading {
  const text = Array.isArray(sample) ? (sample as unknown[])[1] : undefined;
  const value = typeof text === 'string' && text.trim() !== '' ? Number(text) : Number.NaN;
  if (Number.isFinite(value)) return { value, mayPass: true };
  return { kind: 'noValue', problem: notFinite(wordOf(text)) };
}

function notFinite(text: string): string {
  if (/^NaN$/i.test(text)) return 'the value is not a number (NaN; 0 / 0 while there is no traffic?)';
  return /^[+-]?Inf$/i.test(text) ? 'the value is infinite (a division by 0?)' : 'the value is not a number';
}

const valueLimit = 100;

/** Reads one value of a JSON document. An answer that is an error may fail a sample, and never passes one. */
export function jsonReading({ status, body }: HttpAnswer, pointer: string, redact: Redact): Reading {
  const document = parsed(body);
  if (document === undefined) return unusable(status, 'does not answer with JSON');
  const found = at(document, pointer);
  const mayPass = status >= 200 && status <= 299;
  if (typeof found === 'number' && Number.isFinite(found)) return { value: found, mayPass };
  if (typeof found === 'boolean') return { value: String(found), mayPass };
  if (typeof found === 'string') return { value: clipped(showLine(found, redact), valueLimit), mayPass };
  if (!mayPass) return unusable(status, 'has no such value in its answer');
  const what = found === undefined ? 'there is nothing' : `there is ${found === null ? 'null' : 'a list or an object'}`;
  return { kind: 'noValue', problem: `${what} at ${pointer === '' ? 'the top' : pointer} of the answer` };
}

function unusable(status: number, what: string): Reading {
  const redirects = status >= 300 && status <= 399 ? ' (the task follows no redirect)' : '';
  return { kind: 'unusable', problem: `the server answered ${status}${redirects} and ${what}` };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function wordOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** RFC 6901. Undefined if there is no such value. */
function at(document: unknown, pointer: string): unknown {
  if (pointer === '') return document;
  let value = document;
  for (const part of pointer.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value)) value = /^(?:0|[1-9]\d*)$/.test(key) ? (value as unknown[])[Number(key)] : undefined;
    else value = isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

/** Returns true for a JSON pointer as RFC 6901 has it. */
export function isPointer(text: string): boolean {
  return text === '' || /^(?:\/(?:[^~/]|~[01])*)+$/.test(text);
}
