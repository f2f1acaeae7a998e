/**
 * What a plan can find, each by a code. `refusal` is switched by the named input alone; a refusal that is switched off
 * stays in the plan as a warning.
 */
export type FindingSwitch =
  | 'allow'
  | 'allowUnverifiedTarget'
  | 'allowIrreversible'
  | 'allowUnknownHelm'
  /** Nothing switches it. */
  | 'never';

interface Rule {
  severity: 'note' | 'warning' | 'refusal';
  /** Only for refusals. */
  switch: FindingSwitch;
}

const note: Rule = { severity: 'note', switch: 'never' };
const warning: Rule = { severity: 'warning', switch: 'never' };
const refusedAlways: Rule = { severity: 'refusal', switch: 'never' };
const refusedUnlessAllowed: Rule = { severity: 'refusal', switch: 'allow' };

export const findingRules = {
  // the target
  ReleaseMissing: refusedAlways,
  TargetMissing: refusedAlways,
  RevisionMissing: refusedAlways,
  RevisionPruned: refusedAlways,
  RevisionIsPresent: refusedAlways,
  RevisionUnhealthy: { severity: 'refusal', switch: 'allowUnverifiedTarget' },
  RevisionUninstalled: refusedAlways,
  UnverifiedTarget: note,
  ReleasePending: warning,
  HistoryIncomplete: warning,
  ManifestUnreadable: refusedAlways,
  RemovedApi: refusedAlways,
  RemovedApiInPresent: refusedAlways,
  RenewedApi: note,
  OmittedApi: warning,
  WorkloadMissing: refusedAlways,
  WorkloadPaused: refusedUnlessAllowed,
  KindUnsupported: refusedAlways,
  // what Helm does
  RehearsalFailed: refusedAlways,
  RehearsalMissing: refusedAlways,
  DeletesTargetObject: refusedAlways,
  UnforeseenWrite: refusedAlways,
  UnforeseenDeletion: refusedAlways,
  WriteRefused: warning,
  PredictionDiffers: warning,
  DeletesPersistentVolumeClaim: refusedUnlessAllowed,
  DeletesPersistentVolume: refusedUnlessAllowed,
  DeletesNamespace: refusedUnlessAllowed,
  DeletesCustomResourceDefinition: refusedUnlessAllowed,
  DeletesCustomResource: refusedUnlessAllowed,
  TooManyDeletions: refusedUnlessAllowed,
  OwnedByAnother: refusedUnlessAllowed,
  TakesOverUnowned: warning,
  PodsHeldBack: refusedUnlessAllowed,
  BeingDeleted: warning,
  // what cannot be taken back
  IrreversibleStep: { severity: 'refusal', switch: 'allowIrreversible' },
  PossibleMigration: warning,
  HooksNotRehearsed: note,
  JobMayRunAgain: note,
  // the Helm that is to do it
  HelmUnknown: { severity: 'refusal', switch: 'allowUnknownHelm' },
  HelmNotPinned: refusedAlways,
  HelmNewer: warning,
  // what else a person should know
  DriftUndone: warning,
  ScalesDown: warning,
  ReplicasUnderAutoscaler: note,
  ClaimTemplatesDiffer: warning,
  ClaimsDiffer: warning,
  StatefulSetTrap: warning,
  Orphaned: note,
  OwnedByHelm: warning,
  Controlled: warning,
} as const satisfies Record<string, Rule>;

export type FindingCode = keyof typeof findingRules;

export const findingCodes = Object.keys(findingRules) as readonly FindingCode[];

/** The codes that the input `allow` may name. */
export const allowableCodes: readonly FindingCode[] = findingCodes.filter(
  (code) => findingRules[code].severity === 'refusal' && findingRules[code].switch === 'allow',
);

interface Circumstances {
  /** Kind/name. */
  object?: string;
  /** Whether the policy switches this refusal off. */
  allowed?: boolean;
  /** A sentence that says what lets it through; not said where it is let through. */
  way?: string;
  isMomentary?: boolean;
}

/** A finding by the rule of its code. */
export function finding(
  code: FindingCode,
  message: string,
  { object = '', allowed = false, way = '', isMomentary = false }: Circumstances = {},
): PlanFinding {
  const rule: Rule = findingRules[code];
  const isSwitchedOff = rule.severity === 'refusal' && allowed && rule.switch !== 'never';
  const severity = isSwitchedOff ? 'warning' : rule.severity;
  const ways = [way, rule.switch === 'allow' ? `To do it all the same put ${code} into allow.` : ''];
  const said = [message, ...(severity === 'refusal' ? ways : [])].filter((part) => part !== '').join(' ');
  return { code, severity, object, message: said, allowedBy: isSwitchedOff ? rule.switch : '', isMomentary };
}

export function isRefusal({ severity }: PlanFinding): boolean {
  return severity === 'refusal';
}

export interface PlanFinding {
  code: FindingCode;
  severity: 'note' | 'warning' | 'refusal';
  /** `Kind/name`; empty where it is about no single object. */
  object: string;
  message: string;
  /** The input that turned a refusal into this warning; empty where there was none. */
  allowedBy: string;
  /** What is so at this moment and may change by itself: not part of the digest. */
  isMomentary: boolean;
}
