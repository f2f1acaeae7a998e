import { driftRuleExpected, parseDriftRule, type DriftRule } from '../release/driftRules';
import type { InputReader } from './inputs';

export interface DriftRequest<Mode extends string = 'report' | 'fail' | 'correct'> {
  mode: Mode;
  rules: readonly DriftRule[];
}

export const driftInputDefaults = { drift: 'off', driftIgnore: '' } as const;

/** Returns undefined if the step does not look for drift. The rules are checked all the same. */
export function readDriftRequest<Mode extends string>(
  read: InputReader,
  modes: readonly Mode[],
): DriftRequest<Mode> | undefined {
  const mode = read.choice<Mode | 'off'>('drift', ['off', ...modes]);
  const rules = read.entries('driftIgnore').flatMap(({ text, number }): DriftRule[] => {
    const rule = parseDriftRule(text);
    if (rule !== undefined) return [rule];
    read.mistake({ input: `driftIgnore, line ${number}`, holds: text, problem: `expected ${driftRuleExpected}` });
    return [];
  });
  return mode === 'off' ? undefined : { mode, rules };
}
