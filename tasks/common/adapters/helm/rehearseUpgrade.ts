import { TaskError } from '../../core/failure';
import type { DeclaredKind } from '../../core/helm/chartCrds';
import type { KeptField } from '../../core/release/keptFields';
import type { KubeObject } from '../../core/kubernetes/object';
import type { HelmResult, RehearsedUpgrade } from '../../core/ports';
import { assumeKinds } from '../gateway/assumeKinds';
import { openGateway, unthrottled, type GatewayOptions } from '../gateway/openGateway';
import { rehearsalStage, type Stage } from '../gateway/rehearsalStage';
import { recordIn } from './storage';

export interface StageOptions extends GatewayOptions {
  releaseName: string;
}

export interface Staging {
  /** Helm reads these records instead of those in its storage. */
  records: readonly KubeObject[];
  /** Kinds that Helm is to find, although they are not installed yet. */
  assumed: readonly DeclaredKind[];
  /** Fields that Helm does not set. */
  kept?: readonly KeptField[];
}

/** How Helm reaches the stage. */
export interface OnStage {
  kubeconfig: string;
  identity: undefined;
  environment: NodeJS.ProcessEnv;
}

/** Runs Helm against a gateway that turns each write into a dry run. */
export async function onStage<T>(
  options: StageOptions,
  { records, assumed, kept }: Staging,
  run: (how: OnStage, stage: Stage) => Promise<T & { result: HelmResult }>,
): Promise<T & { result: HelmResult }> {
  const { environment, namespace, releaseName } = options;
  let stage: Stage | undefined;
  const gateway = await openGateway({ ...options, kept }, (upstream) => {
    const made = rehearsalStage(upstream, { release: releaseName, namespace }, { records, newKinds: assumed });
    stage = made;
    return assumed.length === 0 ? (request) => made.handle(request) : assumeKinds(upstream, assumed, made);
  });
  try {
    if (stage === undefined) throw new TaskError('Internal', 'The stage of a rehearsal was not made.');
    // Helm needs its own home, because the repositories and logins of earlier steps are there.
    const cache = gateway.environment['KUBECACHEDIR'];
    const own = { ...environment, ...unthrottled, ...(cache === undefined ? {} : { KUBECACHEDIR: cache }) };
    const ended = await run({ kubeconfig: gateway.kubeconfig, identity: undefined, environment: own }, stage);
    const [failure] = gateway.failures();
    if (!ended.result.ok && !ended.result.cancelled && failure !== undefined) throw failure;
    return ended;
  } finally {
    await gateway.close();
  }
}

/** Holds the changes that Helm made on the stage. `result` is the end of `helm upgrade --install`. */
export async function rehearsedUpgrade(result: HelmResult, stage: Stage): Promise<RehearsedUpgrade> {
  const { record, ...recording } = stage.recording();
  const outcome = outcomeOf(result);
  const rehearsal = {
    ...recording,
    outcome,
    message: result.failure?.message ?? '',
    exitCode: result.exitCode,
    durationMs: result.durationMs,
  };
  if (outcome === 'completed' && record === undefined) {
    return {
      rehearsal: { ...rehearsal, outcome: 'failed', message: 'it ended with success, but created no revision' },
    };
  }
  return record === undefined ? { rehearsal } : { rehearsal, revision: await recordIn(record) };
}

function outcomeOf({ cancelled, ok, timedOut }: HelmResult): RehearsedUpgrade['rehearsal']['outcome'] {
  if (cancelled) return 'cancelled';
  if (timedOut) return 'timedOut';
  return ok ? 'completed' : 'failed';
}
