import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { TaskError } from '../../core/failure';
import { helmProvenance } from '../../core/helm/provenance';
import type { RollbackHelm } from '../../core/ports';
import { withoutSecretVariables } from '../../core/text/secretSources';
import { openFence } from '../gateway/openFence';
import type { GatewayOptions } from '../gateway/openGateway';
import { rehearseRollback } from './rehearseRollback';
import { createReleaseHelm, helmBuild, type ReleaseHelmOptions } from './helm';
import type { PrivateFolder } from '../agent/privateFolder';

export interface RollbackHelmOptions {
  helm: ReleaseHelmOptions;
  folder: PrivateFolder;
  onSecret: (secret: string) => void;
  /** Of the binary, where the pipeline names one. */
  helmSha256?: string;
}

/** It waits for nothing: what takes longer hangs. */
const rehearsalSeconds = 120;

/** The step's Helm, led through the gateway. */
export function createRollbackHelm(options: RollbackHelmOptions): RollbackHelm {
  const { helm, folder, onSecret, helmSha256 } = options;
  const { binary, kubeconfig, namespace, environment, releaseName, workingDirectory, redact } = helm;
  const gateway: GatewayOptions = { kubeconfig, namespace, folder, environment, onSecret, redact };
  return {
    async provenance(signal) {
      const [build, sha256] = await Promise.all([
        helmBuild(helm, signal),
        helmSha256 === undefined ? undefined : sha256Of(binary),
      ]);
      return helmProvenance({ build, sha256 }, helmSha256);
    },

    async rehearse({ revision, applyMethod }, records, signal) {
      const isForced = applyMethod === 'ssa' && (await isHelm4(helm, signal));
      return rehearseRollback({
        ...gateway,
        binary,
        release: releaseName,
        revision,
        records,
        // As in the execution.
        ...(isForced ? { extraArguments: ['--force-conflicts'] } : {}),
        workingDirectory,
        timeoutSeconds: rehearsalSeconds,
        signal,
      });
    },

    async rollback({ policy, lost, target, description, timeoutSeconds, endAfterSeconds, wait }) {
      const { revision, applyMethod } = target;
      // What somebody has set by hand is in the plan; it must not stop a rollback that is approved.
      const forceConflicts = applyMethod === 'ssa';
      const fence = await openFence({ ...gateway, release: releaseName, policy, lost });
      try {
        const fenced = createReleaseHelm({
          ...helm,
          kubeconfig: fence.kubeconfig,
          // The fence proves to the API server who asks.
          environment: { ...withoutSecretVariables(environment), ...fence.environment },
        });
        const options = { revision, description, timeoutSeconds, endAfterSeconds, wait, forceConflicts };
        const result = await fenced.rollback(options);
        return { result, fence: fence.record() };
      } finally {
        await fence.close();
      }
    },
  };
}

async function isHelm4(helm: ReleaseHelmOptions, signal: AbortSignal): Promise<boolean> {
  const build = await helmBuild(helm, signal);
  return Number(/^v(\d+)/.exec(build?.version ?? '')?.[1] ?? 0) >= 4;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    const message = `Reading ${file} for its SHA-256 failed: ${(error as Error).message}.`;
    throw new TaskError('HelmMissing', message, { cause: error });
  }
  return hash.digest('hex');
}
