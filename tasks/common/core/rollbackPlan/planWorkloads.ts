import { withoutObjects } from '../helm/helmFailure';
import type { KubeObject } from '../kubernetes/object';
import { objectName } from '../kubernetes/manifest';
import { changesOf } from '../kubernetes/fieldDifferences';
import { canonicalJson, comparable } from './model/comparable';
import { planDigest } from './model/digest';
import { fieldChanges, fieldValues } from './objects/fields';
import { finding, type PlanFinding } from './model/findings';
import { imageChanges } from './objects/images';
import { heldFinding, trapFinding } from './judging/judge';
import { changesPods, makesPods } from './objects/objects';
import { bySeverity, riskOf } from './planRollback';
import { canTrap, trappedPods } from './objects/statefulSets';
import { podHold } from '../rollout/heldPods';
import { at } from '../kubernetes/read';
import { shortened } from './model/target';
import { narrow, textDiff } from '../text/textDiff';
import type { PlainWorkload, PlannedObject, ChangePlan, WorkloadPlanInputs } from './model/types';
import { undoOf, type UndoChoice } from './objects/workloadHistory';

type Undo = Exclude<UndoChoice, { refusal: unknown }>;

interface Planned {
  object?: PlannedObject;
  findings: readonly PlanFinding[];
  trapped: readonly string[];
  mayTrap: boolean;
}

/** Never throws: every input gives a plan. */
export function planWorkloads(inputs: WorkloadPlanInputs): ChangePlan {
  const { namespace, workloads, now, policy, toRevision, sha256 } = inputs;
  const planned = workloads.map((workload) => plannedWorkload(workload, inputs));
  const objects = planned.flatMap(({ object }) => object ?? []);
  const findings = planned.flatMap((one) => one.findings);
  const plan = {
    change: 'rollback' as const,
    schemaVersion: 1 as const,
    subject: {
      kind: 'workloads' as const,
      namespace,
      workloads: workloads.map(({ ref }) => `${ref.kind.toLowerCase()}/${ref.name}`),
    },
    createdAt: now.toISOString(),
    risk: riskOf(findings, { objects, hooks: [] }),
    toRevision: String(toRevision),
    present: null,
    target: null,
    targetRecord: '',
    passed: [],
    helm: null,
    allowPodDelete: policy.allowPodDelete && planned.some(({ mayTrap }) => mayTrap),
    objects,
    hooks: [],
    findings: bySeverity(findings),
    trappedPods: planned.flatMap(({ trapped }) => trapped),
    deletions: 0,
  };
  return { ...plan, digest: planDigest(plan, sha256) };
}

function plannedWorkload(workload: PlainWorkload, inputs: WorkloadPlanInputs): Planned {
  const undo = undoOf(workload, inputs);
  if ('refusal' in undo || workload.live === undefined) {
    return { findings: 'refusal' in undo ? [undo.refusal] : [], trapped: [], mayTrap: false };
  }
  const { ref, live, rehearsed } = workload;
  const object = objectFor(workload, live, undo, inputs);
  const after = rehearsed !== undefined && 'result' in rehearsed ? rehearsed.result : live;
  const trapped = canTrap(after)
    ? trappedPods(live, inputs.pods, object.restartsPods).map(({ metadata }) => metadata.name)
    : [];
  const name = objectName(ref);
  return {
    object,
    trapped,
    mayTrap: object.restartsPods && canTrap(live),
    findings: [
      ...rehearsalFindings(name, rehearsed),
      ...ownerFindings(name, live),
      ...pausedFinding(name, live),
      ...heldFindings(name, live, after, inputs),
      ...trapFinding(name, trapped, { change: 'rollback', policy: inputs.policy }),
      ...targetFindings(name, undo.past),
    ],
  };
}

function targetFindings(name: string, { cause, judged, revision }: Undo['past']): PlanFinding[] {
  if (judged === 'ready') return [];
  if (judged === 'unknown') {
    const message = `Nobody knows if revision ${revision} of ${name} was ever healthy.`;
    return [finding('UnverifiedTarget', message, { object: name })];
  }
  const message = `Revision ${revision} of ${name} was judged unhealthy by a cause of its own (${cause}), and was not seen healthy since then.`;
  return [finding('TargetKnownBad', message, { object: name })];
}

function pausedFinding(name: string, live: KubeObject): PlanFinding[] {
  if (at(live, 'spec', 'paused') !== true) return [];
  return [
    finding('WorkloadPaused', `${name} is paused, and the rollback resumes it.`, { object: name, allowed: true }),
  ];
}

function heldFindings(
  name: string,
  live: KubeObject,
  after: KubeObject,
  { policy }: WorkloadPlanInputs,
): PlanFinding[] {
  const hold = podHold(after);
  const changes = changesPods(after, { live, after });
  return hold === undefined
    ? []
    : heldFinding(name, { change: 'rollback', live, hold, isByHand: false, changes, policy });
}

function rehearsalFindings(name: string, rehearsed: PlainWorkload['rehearsed']): PlanFinding[] {
  if (rehearsed === undefined) {
    return [finding('RehearsalMissing', `The rollback of ${name} was not rehearsed.`, { object: name })];
  }
  if ('result' in rehearsed) return [];
  const message = `The API server refuses the rollback of ${name}: ${shortened(withoutObjects(rehearsed.rejected)) || 'no reason given'}`;
  return [finding('RehearsalFailed', message, { object: name })];
}

function ownerFindings(name: string, live: KubeObject): PlanFinding[] {
  const release = live.metadata.annotations?.['meta.helm.sh/release-name'];
  const controller = live.metadata.ownerReferences?.find((reference) => reference.controller === true);
  return [
    ...(release === undefined
      ? []
      : [
          finding(
            'OwnedByHelm',
            `${name} belongs to Helm release ${release}. The record of the release will not show this rollback, and the next upgrade starts from the record. Roll back the release instead.`,
            { object: name },
          ),
        ]),
    ...(controller === undefined
      ? []
      : [
          finding(
            'Controlled',
            `${name} is controlled by ${controller.kind}/${controller.name}, which may undo the rollback.`,
            { object: name },
          ),
        ]),
  ];
}

function objectFor(
  { ref, rehearsed }: PlainWorkload,
  live: KubeObject,
  { past, present }: Undo,
  { sha256 }: WorkloadPlanInputs,
): PlannedObject {
  const isRehearsed = rehearsed !== undefined && 'result' in rehearsed;
  const after = isRehearsed
    ? rehearsed.result
    : { ...live, spec: { ...(live['spec'] as object), template: past.template } };
  // The rollback of a plain workload leaves the replicas alone.
  const [before, then] = [comparable(live, true), comparable(after, true)];
  const changes = changesOf(before, then);
  const diff = textDiff(before, then);
  const isWritten = changes.length > 0;
  const cause = past.changeCause === '' ? past.name : `${past.name}, «${shortened(past.changeCause, 120)}»`;
  return {
    apiVersion: ref.apiVersion,
    kind: ref.kind,
    resource: `${ref.kind.toLowerCase()}s`,
    namespace: ref.namespace ?? '',
    name: ref.name,
    fate: isWritten ? 'patched' : 'kept',
    reason: `From revision ${present.revision} to ${past.revision} (${cause}).`,
    isLive: true,
    isInLast: true,
    isInTarget: true,
    isRehearsed,
    uid: live.metadata.uid ?? '',
    owner: '',
    diff: diff.lines.map(narrow),
    diffCut: diff.cut,
    secretKeys: [],
    drift: [],
    changes: fieldChanges({ live: before }, changes),
    fields: fieldValues({ live: before, after: then }, { changes, fate: 'patched', seal: undefined, sha256, bare: {} }),
    goWithIt: [],
    generated: [],
    images: imageChanges(live, after),
    restartsPods: isWritten && makesPods(ref, after) && (podHold(after)?.isPartial ?? true),
    mayRunAgain: false,
    revisions: { present: present.revision, target: past.revision },
    deletedBy: '',
    contentDigest: sha256(canonicalJson(changes)),
    podTemplateDigest: sha256(canonicalJson(at(after, 'spec', 'template'))),
  };
}
