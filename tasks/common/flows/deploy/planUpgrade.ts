import type { DeclaredKind } from '../../core/helm/chartCrds';
import { TaskError } from '../../core/failure';
import type { HelmCapabilities } from '../../core/helm/provenance';
import { reusesValues } from '../../core/inputs/reusedValues';
import { objectKey } from '../../core/kubernetes/manifest';
import type { Rendered } from '../../core/ports';
import {
  chainFrom,
  isDeadInstall,
  isEdited,
  isFirstInstall,
  isReserved,
  isVerified,
  lastGood,
  releaseState,
  wasServing,
  type ReleaseState,
} from '../../core/release/history';
import type { KeptField } from '../../core/release/keptFields';
import type { Revision } from '../../core/release/release';
import type { RecordChange } from '../../core/release/releaseRecord';
import { renewedHistory, type RecordRenewal } from '../../core/release/servedVersions';
import { isTestEvent } from '../../core/release/tests';
import { testsChanged, whatChanged, type Rendering } from '../../core/release/unchanged';
import { stopIfCancelled, type DeployStart } from '../../core/releaseContext';
import { timelessDigest } from '../../core/rollbackPlan/model/digest';
import { finding, type PlanFinding } from '../../core/rollbackPlan/model/findings';
import { manifestReader } from '../../core/rollbackPlan/model/places';
import { pendingFinding, type TargetChoice } from '../../core/rollbackPlan/model/target';
import { deployPolicy, type ChangePlan, type DeployFacts } from '../../core/rollbackPlan/model/types';
import { generatedFields } from '../../core/rollbackPlan/objects/generated';
import { counted } from '../../core/text/counted';
import { planBase, type PlannedBase } from '../release/mergeBase';
import { readKeptFields } from '../release/keptFields';
import { findRenewals } from '../release/servedVersions';
import { beside, planChoice, type ReadObjects, type Rehearsed } from '../rollback/plan/planRelease';
import { checkAccess } from './checkAccess';
import { droppedFates, heldBase } from './droppedData';
import { fixedFields } from './fixedFields';
import { hasNamespace, notRendered, oldestRead, withOwnKinds } from './readRelease';

export type PlanContext = Omit<DeployStart, 'holder' | 'isProcessGone' | 'guard'>;

/** Facts about the release and the chart before the rehearsal. */
interface Foresight {
  /** As it is stored. */
  stored: readonly Revision[];
  /** As the deploy will find it: without a pending revision, and with the records that Helm can read. */
  history: readonly Revision[];
  state: ReleaseState;
  renewals: readonly RecordRenewal[];
  changes: ReadonlyMap<number, RecordChange>;
  rendering: Rendering;
  definitions: readonly DeclaredKind[];
  /** As in `DeployFacts`. */
  unforeseen: string;
  hasNamespace: boolean;
  /** Fields that Helm leaves as they are. */
  kept: readonly KeptField[];
  /** When the chart was rendered, by the clock's milliseconds. */
  renderedMs: number;
}

export interface PlannedDeploy {
  plan: ChangePlan;
  /** False without a namespace. The digest of such a plan covers neither its time nor the values of Secrets. */
  isKeepable: boolean;
}

/**
 * Plans what the deploy would do, and changes nothing: no record, no mark and no Lease. `rendered` is an answer of
 * Helm that was asked for before. Throws errors that keep the deploy from starting; objections are in the plan.
 */
export async function planUpgrade(
  context: PlanContext,
  salt: string,
  rendered: Promise<Rendered> = context.helm.render(context.signal),
): Promise<PlannedDeploy> {
  const [capabilities, known] = await Promise.all([
    context.helm.capabilities(context.signal),
    lookAhead(context, rendered),
  ]);
  logKnown(context, capabilities, known);
  const base = known.unforeseen === '' ? await baseOf(context, known) : undefined;
  const target = nextRevision(context, known, known.rendering);
  const choice = choiceOf(context, known, target);
  const seal = known.hasNamespace ? (text: string): string => context.sha256(`${salt}\n${text}`) : undefined;
  const { plan } = await planChoice(context, choice, {
    change: 'deploy',
    toRevision: target.revision,
    policy: deployPolicy,
    stored: known.stored,
    history: known.history,
    base,
    seal,
    renewals: known.renewals,
    kept: known.kept,
    rehearse: () => rehearse(context, known, base),
    deployFacts: (read, rehearsed) => factsOf(context, known, read, rehearsed),
  });
  const isKeepable = known.hasNamespace;
  return { plan: isKeepable ? plan : { ...plan, digest: timelessDigest(plan, context.sha256) }, isKeepable };
}

async function lookAhead(context: PlanContext, rendered: Promise<Rendered>): Promise<Foresight> {
  const { namespace, request, storage } = context;
  const [isThere, stored] = await Promise.all([hasNamespace(context), storage.history()]);
  if (isThere === false && !request.createNamespace) {
    throw new TaskError(
      'NamespaceMissing',
      `Input namespace: namespace ${namespace} does not exist, and createNamespace is false.`,
    );
  }
  const last = stored.at(-1);
  const isPending = releaseState(stored).state === 'pending';
  const settled = isPending ? [...stored.slice(0, -1), ...(last === undefined ? [] : [asFailed(last)])] : stored;
  const state = releaseState(settled);
  if (state.state === 'unknown') {
    throw new TaskError(
      'ReleasePending',
      `Revision ${state.last.revision} of release ${request.releaseName} in namespace ${namespace} has a status that this task does not know.`,
    );
  }
  const renewals = await findRenewals(context.cluster, settled, oldestRead(settled));
  const changes = new Map<number, RecordChange>(renewals.map(({ revision, manifest }) => [revision, { manifest }]));
  if (isPending && last !== undefined) changes.set(last.revision, { ...changes.get(last.revision), status: 'failed' });
  const { rendering, definitions } = await render(context, { state, changes, last }, rendered);
  const renderedMs = context.clock.monotonicMs();
  if (isThere !== false) await checkAccess(context, rendering.manifest, last?.manifest ?? '', definitions);
  const { kept } = await readKeptFields(context, rendering.manifest);
  return {
    stored,
    history: renewedHistory(settled, renewals),
    state,
    renewals,
    changes,
    rendering,
    definitions,
    unforeseen: unforeseen(context, stored, isThere !== false),
    hasNamespace: isThere !== false,
    kept,
    renderedMs,
  };
}

function asFailed(last: Revision): Revision {
  return { ...last, status: 'failed' };
}

/** Helm renders nothing for a pending release, so it gets the record that the deploy would write first. */
async function render(
  context: PlanContext,
  { state, changes, last }: Pick<Foresight, 'state' | 'changes'> & { last: Revision | undefined },
  rendered: Promise<Rendered>,
): Promise<Pick<Foresight, 'rendering' | 'definitions'>> {
  const answer = await rendered;
  stopIfCancelled(context.signal);
  const records = await recordsOf(context, changes);
  const first = records.length === 0 ? answer : await context.helm.render(context.signal, [], records);
  const { rendering, failure, assumed = [] } = await withOwnKinds(context, state, first);
  if (rendering === undefined) throw notRendered(last, failure);
  return { rendering, definitions: assumed };
}

function recordsOf({ storage }: PlanContext, changes: Foresight['changes']) {
  return Promise.all([...changes].map(([revision, change]) => storage.changed(revision, change)));
}

function unforeseen({ namespace, request }: PlanContext, stored: readonly Revision[], isThere: boolean): string {
  const last = stored.at(-1);
  if (!isThere) return `namespace ${namespace} does not exist yet`;
  if (last !== undefined && request.recreateFailedInstall && isDeadInstall(last, stored)) {
    return 'the deploy first removes what the dead install has left';
  }
  const isHalf = stored.some((revision) => isEdited(revision) || wasServing(revision));
  return isHalf ? "the deploy first restores Helm's records, which a dead run has left half changed" : '';
}

function logKnown({ agent, request, namespace }: PlanContext, { version }: HelmCapabilities, known: Foresight): void {
  const last = known.stored.at(-1);
  const name = `Release ${request.releaseName} in namespace ${namespace}`;
  agent.log(
    last === undefined
      ? `${name} does not exist yet.`
      : `${name}: revision ${last.revision} (${last.chart.name} ${last.chart.version}) is ${last.status}.`,
  );
  agent.log(`Helm ${version}, ${counted(known.rendering.hooks.length, 'hook', 'hooks')} in the chart.`);
}

/** The base that the deploy would give Helm; see `baseForUpgrade`. */
async function baseOf(context: PlanContext, known: Foresight): Promise<GivenToHelm | undefined> {
  const { history, rendering, state } = known;
  if (isFirstInstall(state)) return undefined;
  if (state.state === 'deployed') return heldBase(context, history, rendering.manifest);
  const good = lastGood(history);
  const planned = await planBase(context, {
    chain: chainFrom(history, good),
    good,
    desiredManifest: rendering.manifest,
  });
  if (planned === undefined) return undefined;
  const config = reusesValues(context.request) ? good?.config : undefined;
  return config === undefined ? planned : { ...planned, config };
}

type GivenToHelm = PlannedBase & { config?: Revision['config'] };

/** Charts also write the time, often to the second, which two renderings have to show. */
const betweenRenderingsMs = 1000;

async function untilNextRendering(
  { clock, signal }: PlanContext,
  { renderedMs }: Pick<Foresight, 'renderedMs'>,
): Promise<void> {
  const leftMs = renderedMs + betweenRenderingsMs - clock.monotonicMs();
  if (leftMs > 0) await clock.sleep(leftMs, signal);
}

async function rehearse(
  context: PlanContext,
  { changes, definitions, history, unforeseen: why, ...known }: Foresight,
  base: GivenToHelm | undefined,
): Promise<Rehearsed> {
  const { agent, helm, signal } = context;
  if (why !== '') return { rehearsal: undefined };
  const all = new Map(changes);
  if (base !== undefined) {
    const { config, edited, manifest } = base;
    const given: RecordChange = { manifest, bulk: 'left out', ...(config === undefined ? {} : { config }) };
    all.set(edited.revision, { ...all.get(edited.revision), ...given });
    // Helm merges from the last revision only if none before it is deployed.
    for (const { revision } of history.filter(
      (each) => each.status === 'deployed' && each.revision !== edited.revision,
    )) {
      all.set(revision, { ...all.get(revision), status: 'superseded' });
    }
  }
  await untilNextRendering(context, known);
  const staging = { records: await recordsOf(context, all), assumed: definitions, kept: known.kept };
  stopIfCancelled(signal);
  const { rehearsal, revision } = await helm.rehearse(staging, signal);
  stopIfCancelled(signal);
  const { durationMs, requests, writes } = rehearsal;
  agent.log(
    `The rehearsal of helm upgrade --install took ${(durationMs / 1000).toFixed(1)} s: ` +
      `${counted(writes.length, 'write', 'writes')}, not carried out (${counted(requests.reads, 'read', 'reads')}, ${counted(requests.dryRuns, 'dry run', 'dry runs')}).`,
  );
  for (const warning of rehearsal.warnings) agent.log(`  The API server warns: ${warning}`);
  return revision === undefined
    ? { rehearsal }
    : { rehearsal, target: nextRevision(context, { ...known, history }, revision) };
}

/** The revision that Helm would make of a rendering. */
function nextRevision(
  { namespace, request }: PlanContext,
  { history, state }: Pick<Foresight, 'history' | 'state'>,
  { chart, chartAnnotations, config, hooks, manifest }: Rendering,
): Revision {
  return {
    name: request.releaseName,
    namespace,
    revision: (history.at(-1)?.revision ?? 0) + 1,
    status: isFirstInstall(state) ? 'pending-install' : 'pending-upgrade',
    description: '',
    lastDeployed: '',
    chart,
    ...(chartAnnotations === undefined ? {} : { chartAnnotations }),
    manifest,
    config,
    notes: '',
    hooks: hooks.map((hook) => ({ ...hook, lastPhase: '' })),
    labels: {},
    writtenAt: undefined,
  };
}

function choiceOf({ request }: PlanContext, { history, state, stored }: Foresight, target: Revision): TargetChoice {
  if (isFirstInstall(state)) {
    return {
      target,
      passed: [],
      findings: [finding('FirstInstall', `The deploy installs release ${request.releaseName}.`)],
    };
  }
  const passed = state.state === 'deployed' ? history.slice(-1) : chainFrom(history, lastGood(history)).toReversed();
  const present = history.at(-1);
  return {
    ...(present === undefined ? {} : { present }),
    target,
    passed,
    findings: stateFindings(request.recreateFailedInstall, stored, passed),
  };
}

function stateFindings(recreates: boolean, stored: readonly Revision[], passed: readonly Revision[]): PlanFinding[] {
  const last = stored.at(-1);
  if (last === undefined) return [];
  if (recreates && isDeadInstall(last, stored)) {
    const message = `The first install (revision ${last.revision}) is ${last.status}. If its run is gone, the deploy removes what it has left and installs the release again.`;
    return [...pendingFinding(last), finding('InstalledAgain', message)];
  }
  if (last.status === 'deployed') return [];
  const revisions = passed.map(({ revision }) => revision).join(', ');
  const message = `The last revision (${last.revision}) is ${last.status}. Helm merges from all that revisions ${revisions} may have left, so that no leftovers stay.`;
  return [...pendingFinding(last), finding('AfterFailure', message)];
}

async function factsOf(
  context: PlanContext,
  known: Foresight,
  read: ReadObjects,
  { rehearsal, target: made }: Rehearsed,
): Promise<DeployFacts> {
  const { namespace, request } = context;
  const { definitions, history, rendering, state, unforeseen: why } = known;
  const query = { apiVersion: 'v1', kind: 'ResourceQuota', namespace };
  const [dropped, quotas, other, fixed] = await Promise.all([
    isFirstInstall(state) || why !== '' ? [] : droppedFates(context, history, rendering.manifest),
    known.hasNamespace ? beside(context, query) : [],
    made ?? renderedAgain(context, known),
    rehearsal?.outcome === 'failed' ? fixedFields(context, rendering.manifest, read, rehearsal) : [],
  ]);
  const shown = made ?? rendering;
  const reading = { read: manifestReader(), namespace, served: read.served };
  const generated = generatedFields(shown, made === undefined ? other : rendering, reading);
  const event = isFirstInstall(state) ? 'install' : 'upgrade';
  const tests = request.smokeTest === undefined ? [] : shown.hooks.flatMap(({ events }) => events.filter(isTestEvent));
  return {
    hookEvents: [`pre-${event}`, `post-${event}`, ...new Set(tests)],
    isSame: isSame(context, known, other),
    definitions,
    unforeseen: why,
    dropped: new Map(dropped.map(({ ref, keptBecause }) => [objectKey(ref), keptBecause])),
    generated,
    quotas,
    fixed,
  };
}

/** Without a rehearsal, nothing else has rendered the chart a second time. */
async function renderedAgain(context: PlanContext, known: Foresight): Promise<Rendering> {
  const { helm, signal } = context;
  const { definitions, rendering } = known;
  await untilNextRendering(context, known);
  return (await helm.render(signal, definitions)).rendering ?? rendering;
}

/** Tests that are rendered differently each time, from the same chart and values, are no change. */
function isSame({ request }: PlanContext, { history, rendering, state }: Foresight, again: Rendering): boolean {
  if (state.state !== 'deployed' || request.forceUpgrade) return false;
  const { last: deployed } = state;
  if (!(isVerified(deployed) || isReserved(deployed)) || history.at(-1)?.revision !== deployed.revision) return false;
  if (whatChanged({ rendering, deployed }).length > 0) return false;
  return !testsChanged(rendering.hooks, deployed.hooks) || testsChanged(rendering.hooks, again.hooks);
}
