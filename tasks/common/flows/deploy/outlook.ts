import { helmProvenance, judgeProvenance } from '../../core/helm/provenance';
import { reusedValuesSentence } from '../../core/inputs/reusedValues';
import { fieldWarningWords } from '../../core/kubernetes/fieldWarnings';
import type { RollbackTarget } from '../../core/release/history';
import type { DeployContext } from '../../core/releaseContext';
import { duration } from '../../core/text/durationText';
import { firstMark, irreversibleWords } from './irreversible';
import type { ReleaseSnapshot } from './readRelease';
import { type Upgraded, isInstall } from './upgrade';

/** Logged outside of the groups, so that nobody has to open one to see why a value is still there. */
export function logReusedValues({ agent, request }: DeployContext, { rendering }: ReleaseSnapshot): void {
  const sentence = reusedValuesSentence(request, request.givenPaths, rendering.config);
  if (sentence !== undefined) agent.log(sentence);
}

/** Also logged outside of the groups: such a chart is not what its author means, even if its deploy succeeds. */
export function logFieldWarnings({ agent }: DeployContext, { rendering }: ReleaseSnapshot, { result }: Upgraded): void {
  const sentence = fieldWarningWords(result.fieldWarnings ?? [], rendering.manifest);
  if (sentence !== undefined) agent.warning(sentence);
}

export function logOutlook(context: DeployContext, seen: ReleaseSnapshot): void {
  const { agent, request } = context;
  const most = request.timeoutSeconds + (request.onFailure === 'rollback' ? request.rollbackTimeoutSeconds : 0);
  agent.log(`At most ${duration(most)} from here; ${afterFailure(context, seen)}.`);
  if (request.onFailure === 'rollback') logProvenance(context, seen);
}

/**
 * The proof guards the rollback, whatever the provenance of this Helm is. The log still names a provenance that is not
 * accepted.
 */
function logProvenance({ agent, request }: DeployContext, { capabilities }: ReleaseSnapshot): void {
  if (!Object.hasOwn(capabilities, 'build')) return;
  const provenance = helmProvenance({ build: capabilities.build, sha256: undefined }, undefined);
  const policy = { binary: request.helmPath ?? 'helm', allowUnknownHelm: false, isAutomatic: true };
  const judged = judgeProvenance(provenance, policy);
  if (judged.verdict !== 'accepted') agent.log(judged.message);
}

/**
 * The new chart, or a revision between it and the target, may be an irreversible step. Returns words for the first such
 * step, and undefined where there is none.
 */
function irreversible(seen: ReleaseSnapshot, target: RollbackTarget): string | undefined {
  const passed = seen.history.filter(({ revision }) => revision > target.revision.revision);
  const next = { ...seen.rendering, revision: (seen.history.at(-1)?.revision ?? 0) + 1 };
  const mark = firstMark([...passed, next]);
  return mark === undefined ? undefined : irreversibleWords(mark);
}

const proofWords: Readonly<Record<RollbackTarget['proof'], string>> = {
  verified: 'verified healthy',
  reserved: 'deployed with a reservation',
  deployed: 'deployed, not verified',
};

function afterFailure(context: DeployContext, seen: ReleaseSnapshot): string {
  const { target } = seen;
  if (context.request.onFailure === 'keep') return 'a failed deploy is kept (onFailure: keep)';
  if (target !== undefined) {
    const why = irreversible(seen, target);
    if (why !== undefined) return `there is no automatic rollback of a failed deploy: ${why}`;
    return `a failed deploy is rolled back to revision ${target.revision.revision} (${proofWords[target.proof]})`;
  }
  return isInstall(seen) ? 'a failed first install is uninstalled' : 'there is no revision to roll back to';
}
