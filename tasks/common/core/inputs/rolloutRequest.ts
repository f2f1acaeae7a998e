import { durationExpected, parseDuration } from './duration';
import type { InputReader } from './inputs';
import { parseStatusRules, type StatusRule } from '../status/objectStatus';
import { causes, type CauseCode, type Grace } from '../rollout/causes';

export interface RolloutRequest {
  /** False: the rollout is followed until the timeout, even if it looks hopeless. */
  failFast: boolean;
  /** Absent: 10 s for workloads without a readiness probe, otherwise 0. */
  stableForSeconds?: number;
  /** Graces that replace the defaults. */
  graces: Readonly<Partial<Record<CauseCode, Grace>>>;
  statusRules: readonly StatusRule[];
  /** Lines of each container log; 0 shows no log. */
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
