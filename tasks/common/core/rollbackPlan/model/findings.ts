/** The input that turns a refusal into a warning. */
type FindingSwitch = 'allow' | 'allowUnverifiedTarget' | 'allowIrreversible' | 'allowUnknownHelm' | 'never';

interface Rule {
  severity: 'note' | 'warning' | 'refusal';
  switch: FindingSwitch;
}

const note = { severity: 'note', switch: 'never' } as const satisfies Rule;
const warning = { severity: 'warning', switch: 'never' } as const satisfies Rule;
const refusedAlways = { severity: 'refusal', switch: 'never' } as const satisfies Rule;
const refusedUnlessAllowed = { severity: 'refusal', switch: 'allow' } as const satisfies Rule;

export const findingRules = {
  // These concern the target.
  ReleaseMissing: refusedAlways,
  TargetMissing: refusedAlways,
  RevisionMissing: refusedAlways,
  RevisionPruned: refusedAlways,
  RevisionIsPresent: refusedAlways,
  RevisionUnhealthy: { severity: 'refusal', switch: 'allowUnverifiedTarget' },
  RevisionUninstalled: refusedAlways,
  UnverifiedTarget: note,
  VerifiedNoLonger: note,
  TargetKnownBad: warning,
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
  // These concern what Helm does.
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
  // These concern irreversible effects.
  IrreversibleStep: { severity: 'refusal', switch: 'allowIrreversible' },
  PossibleMigration: warning,
  HooksNotRehearsed: note,
  JobMayRunAgain: note,
  // These concern the Helm binary.
  HelmUnknown: { severity: 'refusal', switch: 'allowUnknownHelm' },
  HelmNotPinned: refusedAlways,
  HelmNewer: warning,
  // A person should know these facts.
  DriftUndone: warning,
  ScalesDown: warning,
  ReplicasUnderAutoscaler: note,
  ClaimKeepsSize: note,
  ClaimTemplatesDiffer: warning,
  ClaimsDiffer: warning,
  StatefulSetTrap: warning,
  Orphaned: note,
  OwnedByHelm: warning,
  Controlled: warning,
  // These concern a deploy alone.
  NotForeseen: note,
  NewAtEachDeploy: note,
  FirstInstall: note,
  AfterFailure: note,
  InstalledAgain: warning,
  QuotaUse: note,
  QuotaExceeded: warning,
} as const satisfies Record<string, Rule>;

export type FindingCode = keyof typeof findingRules;

export const findingCodes = Object.keys(findingRules) as readonly FindingCode[];

export const allowableCodes: readonly FindingCode[] = findingCodes.filter(
  (code) => findingRules[code].severity === 'refusal' && findingRules[code].switch === 'allow',
);

interface Circumstances {
  object?: string;
  allowed?: boolean;
  /** A sentence that says how to switch the refusal off. */
  way?: string;
  isMomentary?: boolean;
}

export function finding(
  code: FindingCode,
  message: string,
  { object = '', allowed = false, way = '', isMomentary = false }: Circumstances = {},
): PlanFinding {
  const rule: Rule = findingRules[code];
  const isSwitchedOff = rule.severity === 'refusal' && allowed && rule.switch !== 'never';
  const severity = isSwitchedOff ? 'warning' : rule.severity;
  const ways = [way, rule.switch === 'allow' ? `To allow it, add ${code} to the input allow.` : ''];
  const text = [message, ...(severity === 'refusal' ? ways : [])].filter((part) => part !== '').join(' ');
  return { code, severity, object, message: text, allowedBy: isSwitchedOff ? rule.switch : '', isMomentary };
}

export function isRefusal({ severity }: PlanFinding): boolean {
  return severity === 'refusal';
}

export interface PlanFinding {
  code: FindingCode;
  severity: 'note' | 'warning' | 'refusal';
  /** `Kind/name`; empty if the finding is not about a single object. */
  object: string;
  message: string;
  /** The input that turned a refusal into this warning; empty if the finding was no refusal. */
  allowedBy: string;
  /** True for a fact that may change on its own. The digest does not cover such findings. */
  isMomentary: boolean;
}
