import { parseStatusRules } from '../rules/ruleText';
import type { StatusRule } from '../rules/rules';
import { argo } from './argo';
import { certificates } from './certificates';
import { cloud } from './cloud';
import { compute } from './compute';
import { databases } from './databases';
import type { DocumentedRules } from './documentedRules';
import { delivery } from './delivery';
import { network } from './network';

export const operators: readonly DocumentedRules[] = [
  ...argo,
  ...certificates,
  ...cloud,
  ...compute,
  ...databases,
  ...delivery,
  ...network,
];

export const operatorRules: readonly StatusRule[] = operators.flatMap(({ rules }) => parseStatusRules(rules).rules);
