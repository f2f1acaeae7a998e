import { parseStatusRules } from '../rules/ruleText';
import type { StatusRule } from '../rules/rules';

/** Rules for the kinds of one project, from its own API documentation. */
export interface OperatorRules {
  /** The page or file of the project that says what the states mean. */
  source: string;
  /** In the language of the input statusRules, one per line. */
  rules: string;
}

export const operators: readonly OperatorRules[] = [];

export const operatorRules: readonly StatusRule[] = operators.flatMap(({ rules }) => parseStatusRules(rules).rules);
