import type { FindingCode, PlanFinding } from '../../tasks/common/core/rollbackPlan/model/findings';
import {
  fates,
  type PlannedHook,
  type PlannedObject,
  type RevisionFacts,
  type ChangePlan,
} from '../../tasks/common/core/rollbackPlan/model/types';
import { count, fieldsOf, flag, list, orNull, shape, text, textUpTo, word, type Reader } from './reading';
import { parsed } from './report';

export type ReadPlan = { plan: ChangePlan; newerForm?: number } | { problem: string };

const knownForm = 1;
const diffLine = textUpTo(2000);

const object: Reader<PlannedObject> = shape<PlannedObject>({
  apiVersion: text,
  kind: text,
  resource: text,
  namespace: text,
  name: text,
  fate: word(fates, 'kept'),
  reason: text,
  isLive: flag,
  isInLast: flag,
  isInTarget: flag,
  isRehearsed: flag,
  uid: text,
  owner: text,
  diff: list(diffLine, 5000),
  diffCut: count,
  secretKeys: list(
    shape({ name: text, change: word(['changed', 'added', 'removed', 'unchanged', 'notCompared'], 'notCompared') }),
  ),
  drift: list(shape({ path: text, live: text, becomes: text })),
  changes: list(shape({ path: text, from: text, becomes: text })),
  fields: list(shape({ path: text, value: text, valueDigest: text })),
  images: list(shape({ container: text, from: text, becomes: text }), 200),
  goWithIt: list(text),
  generated: list(text),
  restartsPods: flag,
  mayRunAgain: flag,
  revisions: orNull(shape({ present: count, target: count })),
  deletedBy: word(['', 'helm', 'task'], ''),
  contentDigest: text,
  podTemplateDigest: text,
});

const revision: Reader<RevisionFacts> = shape<RevisionFacts>({
  revision: count,
  status: text,
  proof: word(['verified', 'unproven', 'unhealthy'], 'unproven'),
  chart: text,
  appVersion: text,
  deployedAt: text,
  description: text,
  deployedBy: text,
});

const hook: Reader<PlannedHook> = shape<PlannedHook>({
  apiVersion: text,
  kind: text,
  resource: text,
  namespace: text,
  name: text,
  event: text,
  revision: count,
  willRun: flag,
  reason: text,
  generated: list(text),
  contentDigest: text,
});

const finding: Reader<PlanFinding> = shape<PlanFinding>({
  // A newer task may have codes that this tab does not know. They are only shown.
  code: text as Reader<FindingCode>,
  severity: word(['note', 'warning', 'refusal'], 'warning'),
  object: text,
  message: text,
  allowedBy: text,
  isMomentary: flag,
});

function subject(value: unknown): ChangePlan['subject'] {
  const { kind, namespace, release, workloads } = fieldsOf(value);
  return kind === 'workloads'
    ? { kind, namespace: text(namespace), workloads: list(text, 200)(workloads) }
    : { kind: 'release', namespace: text(namespace), release: text(release) };
}

type Helm = NonNullable<ChangePlan['helm']>;

const helm: Reader<Helm> = shape<Helm>({
  version: text,
  provenance: word(['release', 'pin', 'newerRelease', 'unknown', 'otherThanPinned'], 'unknown'),
  rehearsal: word(['completed', 'failed', 'timedOut', 'cancelled', 'none'], 'none'),
});

const plan: Reader<ChangePlan> = shape<ChangePlan>({
  schemaVersion: () => 1 as const,
  change: word(['rollback', 'deploy'], 'rollback'),
  subject,
  createdAt: text,
  digest: text,
  risk: word(['none', 'low', 'high', 'refused'], 'high'),
  toRevision: text,
  present: orNull(revision),
  target: orNull(revision),
  targetRecord: text,
  passed: list(revision, 500),
  helm: orNull(helm),
  allowPodDelete: flag,
  objects: list(object),
  hooks: list(hook, 500),
  findings: list(finding, 500),
  trappedPods: list(text),
  deletions: count,
});

/** Reads any text. Unlike the task, the tab does not check the digest: it shows the plan and executes nothing. */
export function readPlan(json: string): ReadPlan {
  const value = parsed(json);
  if (value === undefined) return { problem: 'it is not JSON' };
  const { schemaVersion, digest } = fieldsOf(value);
  if (typeof schemaVersion !== 'number' || typeof digest !== 'string') {
    return { problem: 'no task of this extension wrote it' };
  }
  return schemaVersion > knownForm ? { plan: plan(value), newerForm: schemaVersion } : { plan: plan(value) };
}
