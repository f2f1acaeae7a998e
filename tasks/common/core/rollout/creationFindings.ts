import type { CauseCode, Grace } from './causes';

interface Refusal {
  code: CauseCode;
  detail?: string;
  isCertain: boolean;
  grace?: Grace;
}

type Rule = readonly [RegExp, Refusal];

/** The texts are those of the admission plug-ins in Kubernetes 1.35. */
const rules: readonly Rule[] = [
  // These rules come first, because a webhook or a policy may use any of the texts below.
  [/admission webhook "[^"]*" denied the request/, { code: 'AdmissionDenied', detail: 'webhook', isCertain: true }],
  [/ValidatingAdmissionPolicy '[^']*'/, { code: 'AdmissionDenied', detail: 'policy', isCertain: true }],
  [/violates PodSecurity "/, { code: 'PodSecurityDenied', isCertain: true }],
  [/failed quota: [^:]+: must specify /, { code: 'QuotaExceeded', detail: 'mustSpecify', isCertain: true }],
  [/exceeded quota: /, { code: 'QuotaExceeded', isCertain: false }],
  [
    /(maximum|minimum) \S+ usage per (Container|Pod|PersistentVolumeClaim)|max limit to request ratio per (Container|Pod)/,
    { code: 'LimitRangeViolated', isCertain: true },
  ],
  [
    /failed calling webhook "[^"]*"/,
    { code: 'AdmissionDenied', detail: 'webhookUnreachable', isCertain: false, grace: 90 },
  ],
  [
    /error looking up service account|serviceaccount "[^"]*" not found/,
    { code: 'PermissionDenied', detail: 'serviceAccountMissing', isCertain: false },
  ],
  [/User "[^"]*" cannot /, { code: 'PermissionDenied', detail: 'forbidden', isCertain: false }],
  [
    /no PriorityClass with name|RuntimeClass "[^"]*" not found/,
    { code: 'AdmissionDenied', detail: 'classMissing', isCertain: false },
  ],
  [/because it is being terminated/, { code: 'AdmissionDenied', detail: 'namespaceEnding', isCertain: true }],
  [/is invalid: /, { code: 'AdmissionDenied', detail: 'invalid', isCertain: true }],
  [/is forbidden: /, { code: 'AdmissionDenied', detail: 'forbidden', isCertain: false }],
];

export function refusalOf(message: string): Refusal | undefined {
  return rules.find(([pattern]) => pattern.test(message))?.[1];
}
