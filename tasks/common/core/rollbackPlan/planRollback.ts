import { TaskError } from '../failure';
import type { KubeObject } from '../kubernetes/object';
import { hookObject } from '../kubernetes/manifest';
import type { Revision } from '../release/release';
import { candidates } from './objects/candidates';
import { planDigest } from './model/digest';
import { givenDigest, recordDigest } from './model/recordDigest';
import { changesNothing } from './execution/execution';
import { finding, findingCodes, isRefusal, type PlanFinding } from './model/findings';
import { secretRedactor } from './objects/hiddenSecrets';
import { deployHooks, hookFindings, plannedHooks } from './objects/hooks';
import { irreversibleSteps, possibleMigrations } from './judging/irreversible';
import { deployFindings } from './judging/deploy';
import { helmFindings, objectFindings, rehearsalFindings, servedFindings, type Judged } from './judging/judge';
import { plannedObject } from './objects/objects';
import { manifestReader, type ManifestReader } from './model/places';
import { canTrap, isStatefulSet, trappedPods } from './objects/statefulSets';
import type { Redact } from '../text/secrets';
import { chooseTarget, proofOf, shortened, type TargetChoice } from './model/target';
import { narrow } from '../text/textDiff';
import type { ReleasePlanInputs, RevisionFacts, Risk, ChangePlan } from './model/types';

/** Never throws: a rollback that is impossible gives a plan with the risk `refused`. */
export function planRollback(inputs: ReleasePlanInputs): ChangePlan {
  return planChange(inputs, chooseTarget(inputs.history, inputs.release, inputs));
}

/** Plans the change to the target of `choice`. Never throws. */
export function planChange(inputs: ReleasePlanInputs, choice: TargetChoice): ChangePlan {
  const { target } = choice;
  const read = manifestReader();
  const unreadable = [target, ...choice.passed].flatMap((revision) => unreadableFinding(revision, read));
  const findings = [...choice.findings, ...unreadable, ...helmFindings(inputs.helm, inputs.policy)];
  const looked = target === undefined || unreadable.length > 0 ? nothing : look(inputs, read, choice, target);
  return finished(inputs, unreadable.length > 0 ? () => [] : read, choice, {
    ...looked,
    findings: [...findings, ...looked.findings],
  });
}

interface Looked {
  judged: readonly Judged[];
  hooks: ChangePlan['hooks'];
  findings: readonly PlanFinding[];
}

const nothing: Looked = { judged: [], hooks: [], findings: [] };

function look(
  inputs: ReleasePlanInputs,
  read: ManifestReader,
  { present, passed }: TargetChoice,
  target: Revision,
): Looked {
  const { change, deploy, rehearsal, served, sha256, seal } = inputs;
  const all = candidates(inputs, read, target, passed);
  const isRehearsed = rehearsal?.outcome === 'completed';
  const isLastApplied = change === 'rollback' || present?.status === 'deployed';
  const judged = all.flatMap((candidate) => {
    const object = plannedObject(candidate, { change, isLastApplied, isRehearsed, served, sha256, seal });
    return object === undefined ? [] : [{ candidate, object }];
  });
  const objects = judged.map(({ object }) => object);
  const hooks =
    deploy === undefined
      ? plannedHooks(target, present, inputs)
      : deployHooks(target, inputs, deploy.isSame && changesNothing({ objects }));
  const findings = [
    ...servedFindings(read, target, inputs.baseManifest ?? present?.manifest ?? '', inputs),
    ...rehearsalFindings(rehearsal, all, inputs, target),
    ...objectFindings(judged, inputs),
    ...(deploy === undefined
      ? leavingFindings(passed, inputs, read)
      : deployFindings({ judged, hooks, target }, deploy, read)),
    ...hookFindings(hooks),
  ];
  return { judged, hooks, findings };
}

/** What a rollback leaves behind cannot always be undone. */
function leavingFindings(
  passed: readonly Revision[],
  { policy }: ReleasePlanInputs,
  read: ManifestReader,
): PlanFinding[] {
  return [...irreversibleSteps(passed, policy.allowIrreversible, read), ...possibleMigrations(passed)];
}

function unreadableFinding(revision: Revision | undefined, read: ManifestReader): PlanFinding[] {
  if (revision === undefined) return [];
  try {
    read(revision.manifest);
    return [];
  } catch (thrown) {
    const why = thrown instanceof TaskError ? thrown.message : 'it is not understood';
    return [finding('ManifestUnreadable', `Revision ${revision.revision}: ${shortened(why)}`)];
  }
}

function finished(
  inputs: ReleasePlanInputs,
  read: ManifestReader,
  choice: TargetChoice,
  { judged, hooks, findings }: Looked,
): ChangePlan {
  const { change, release, namespace, helm, rehearsal, toRevision, now, policy } = inputs;
  const facts = (revision: Revision): RevisionFacts => revisionFacts(revision, inputs);
  const objects = judged.map(({ object }) => object);
  const plan = {
    schemaVersion: 1 as const,
    change,
    subject: { kind: 'release' as const, namespace, release },
    createdAt: now.toISOString(),
    risk: riskOf(findings, { objects, hooks }),
    toRevision: String(toRevision),
    present: choice.present === undefined ? null : facts(choice.present),
    target: choice.target === undefined ? null : facts(choice.target),
    targetRecord: sealedRecord(choice.target, inputs),
    passed: choice.passed.map(facts),
    helm: { version: helm.version, provenance: helm.from, rehearsal: rehearsal?.outcome ?? ('none' as const) },
    allowPodDelete: policy.allowPodDelete && judged.some(mayTrap),
    objects,
    hooks,
    // The switches are inputs of a rollback.
    findings: bySeverity(change === 'rollback' ? findings : findings.map((one) => ({ ...one, allowedBy: '' }))),
    trappedPods: judged.flatMap(({ candidate, object }) =>
      isStatefulSet(candidate.ref) && candidate.live !== undefined && candidate.target !== undefined
        ? trappedPods(candidate.live, inputs.pods, object.restartsPods).map(({ metadata }) => metadata.name)
        : [],
    ),
    deletions: objects.filter(({ fate }) => fate === 'deleted').length,
  };
  const clean = redacted(plan, secretHolders(inputs, read, choice));
  return { ...clean, digest: planDigest(clean, inputs.sha256) };
}

/** Another rendering of a chart may have other values in its manifest, so only what a deploy is given counts. */
function sealedRecord(target: Revision | undefined, { change, seal }: ReleasePlanInputs): string {
  if (target === undefined || seal === undefined) return '';
  return change === 'deploy' ? givenDigest(target, seal) : recordDigest(target, seal);
}

function mayTrap({ candidate, object }: Judged): boolean {
  return object.restartsPods && candidate.live !== undefined && canTrap(candidate.live);
}

function revisionFacts(
  revision: Revision,
  { change, deployedBy, history, toRevision }: ReleasePlanInputs,
): RevisionFacts {
  const { chart, status, lastDeployed, description } = revision;
  return {
    revision: revision.revision,
    status,
    proof: change === 'deploy' && revision.revision === toRevision ? 'unproven' : proofOf(revision, history),
    chart: `${chart.name} ${chart.version}`.trim(),
    appVersion: chart.appVersion,
    deployedAt: lastDeployed,
    description: shortened(description),
    deployedBy: deployedBy?.[revision.revision] ?? '',
  };
}

export function riskOf(
  findings: readonly PlanFinding[],
  { objects, hooks }: Pick<ChangePlan, 'objects' | 'hooks'>,
): Risk {
  if (findings.some(isRefusal)) return 'refused';
  // With a newer Helm nothing is lost, and everything can be repeated.
  if (findings.some(({ code, severity }) => severity === 'warning' && code !== 'HelmNewer')) return 'high';
  return changesNothing({ objects }) && !hooks.some(({ willRun }) => willRun) ? 'none' : 'low';
}

/** Within a severity, one finding of each code comes first, so that a reader of the first few misses no code. */
export function bySeverity(findings: readonly PlanFinding[]): PlanFinding[] {
  return (['refusal', 'warning', 'note'] as const).flatMap((severity) => {
    const ordered = findingCodes.flatMap((code) =>
      findings.filter((one) => one.severity === severity && one.code === code),
    );
    const firsts = ordered.filter((one, index) => one.code !== ordered[index - 1]?.code);
    return [...firsts, ...ordered.filter((one) => !firsts.includes(one))];
  });
}

function secretHolders(
  inputs: ReleasePlanInputs,
  read: ManifestReader,
  { target, passed }: TargetChoice,
): KubeObject[] {
  const declared = [...(target === undefined ? [] : [target]), ...passed].flatMap(({ manifest, hooks }) => [
    ...read(manifest),
    ...hooks.flatMap((hook) => hookObject(hook.manifest) ?? []),
  ]);
  const rehearsed = inputs.rehearsal?.writes.flatMap(({ object }) => object ?? []) ?? [];
  return [...declared, ...inputs.live.values(), ...rehearsed];
}

type Undigested = Omit<ChangePlan, 'digest'>;

function redacted(plan: Undigested, holders: readonly KubeObject[]): Undigested {
  const clean = redactedTexts(plan, secretRedactor(holders));
  const objects = clean.objects.map((object) => ({
    ...object,
    diff: object.diff.map(narrow),
    drift: object.drift.map(({ path, live, becomes }) => ({
      path,
      live: shortened(live, 160),
      becomes: shortened(becomes, 160),
    })),
    changes: object.changes.map(({ path, from, becomes }) => ({
      path,
      from: shortened(from, 160),
      becomes: shortened(becomes, 160),
    })),
    fields: object.fields.map((field) => ({ ...field, value: shortened(field.value, 100) })),
    images: object.images.map(({ container, from, becomes }) => ({
      container,
      from: shortened(from),
      becomes: shortened(becomes),
    })),
  }));
  return { ...clean, objects };
}

/** Names stay, because the execution needs them. The digest does not cover the redacted texts. */
export function redactedTexts<Plan extends Undigested>(plan: Plan, redact: Redact): Plan {
  return {
    ...plan,
    present: plan.present === null ? null : redactedFacts(plan.present, redact),
    target: plan.target === null ? null : redactedFacts(plan.target, redact),
    passed: plan.passed.map((facts) => redactedFacts(facts, redact)),
    objects: plan.objects.map((object) => ({
      ...object,
      reason: redact(object.reason),
      diff: object.diff.map(redact),
      drift: object.drift.map(({ path, live, becomes }) => ({ path, live: redact(live), becomes: redact(becomes) })),
      changes: object.changes.map(({ path, from, becomes }) => ({
        path,
        from: redact(from),
        becomes: redact(becomes),
      })),
      fields: object.fields.map((field) => ({ ...field, value: redact(field.value) })),
      images: object.images.map(({ container, from, becomes }) => ({
        container,
        from: redact(from),
        becomes: redact(becomes),
      })),
    })),
    hooks: plan.hooks.map((hook) => ({ ...hook, reason: redact(hook.reason) })),
    findings: plan.findings.map((one) => ({ ...one, message: redact(one.message) })),
  };
}

function redactedFacts(facts: RevisionFacts, redact: Redact): RevisionFacts {
  return { ...facts, description: redact(facts.description), deployedBy: redact(facts.deployedBy) };
}
