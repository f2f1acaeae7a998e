import { durationExpected, parseDuration } from './duration';
import type { InputReader } from './inputs';
import { parseStatusRules, type StatusRule } from '../status/objectStatus';
import { causes, type CauseCode, type Grace } from '../rollout/causes';

/** How a rollout is followed and judged; the same inputs in every task that does. */
export interface RolloutRequest {
  /** False: nothing is given up before the timeout. */
  failFast: boolean;
  /** Absent: 10 s for workloads without a readiness probe, else 0. */
  stableForSeconds?: number;
  /** In place of the graces of the causes. */
  graces: Readonly<Partial<Record<CauseCode, Grace>>>;
  /** What means current and failed for kinds that the user knows better. */
  statusRules: readonly StatusRule[];
  /** Lines of each container log that is shown; 0 shows none. */
  logLines: number;
  followLogs: boolean;
}

export const rolloutInputDefaults = {
  failFast: 'true',
  stableFor: '',
  graces: '',
  statusRules: '',
  logLines: '50',
  followLogs: 'false',
} as const;

const maximumLogLines = 1000;

export function readRolloutRequest(read: InputReader): RolloutRequest {
  const stableFor = read.optionalText('stableFor');
  const stableForSeconds =
    stableFor === undefined ? undefined : read.parsed('stableFor', `${durationExpected}, or 0`, parseStableFor, 0);
  return {
    failFast: read.boolean('failFast'),
    ...(stableForSeconds === undefined ? {} : { stableForSeconds }),
    graces: readGraces(read),
    statusRules: readStatusRules(read),
    logLines: read.parsed('logLines', `a whole number from 0 to ${maximumLogLines}`, parseLogLines, 0),
    followLogs: read.boolean('followLogs'),
  };
}

function parseStableFor(text: string): number | undefined {
  return /^0(s|m|h)?$/.test(text) ? 0 : parseDuration(text);
}

function parseLogLines(text: string): number | undefined {
  const lines = Number(text);
  return /^\d+$/.test(text) && lines <= maximumLogLines ? lines : undefined;
}

function readGraces(read: InputReader): Partial<Record<CauseCode, Grace>> {
  const graces: Partial<Record<CauseCode, Grace>> = {};
  for (const { text, number } of read.entries('graces')) {
    const [, code = '', given = ''] = /^(\w+)\s*:\s*(\S+)$/.exec(text) ?? [];
    const grace = given === 'timeout' ? given : parseStableFor(given);
    if (!Object.hasOwn(causes, code)) {
      const problem = `a line is «Cause: duration», for example QuotaExceeded: 2m; the causes are ${Object.keys(causes).join(', ')}`;
      read.mistake({ input: 'graces', holds: text, problem: `line ${number}: ${problem}` });
    } else if (grace === undefined) {
      const problem = `line ${number}: expected ${durationExpected}, or 0, or the word timeout`;
      read.mistake({ input: 'graces', holds: text, problem });
    } else graces[code as CauseCode] = grace;
  }
  return graces;
}

function readStatusRules(read: InputReader): StatusRule[] {
  const { rules, problems } = parseStatusRules(
    read
      .lines('statusRules')
      .map(({ text }) => text)
      .join('\n'),
  );
  for (const problem of problems) read.mistake({ input: 'statusRules', problem });
  return rules;
}
