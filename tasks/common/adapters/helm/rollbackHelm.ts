import { hideKubeconfig } from '../kubernetes/kubeconfig';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { TaskError } from '../../core/failure';
import { helmProvenance } from '../../core/helm/provenance';
import type { RollbackHelm } from '../../core/ports';
import { withoutCredentials } from '../../core/text/secretSources';
import { openFence } from '../gateway/openFence';
import type { GatewayOptions } from '../gateway/openGateway';
import { rehearseRollback } from './rehearseRollback';
import { createReleaseHelm, helmBuild, rehearsalSeconds, type ReleaseHelmOptions } from './helm';
import type { PrivateFolder } from '../agent/privateFolder';

interface RollbackHelmOptions {
  helm: ReleaseHelmOptions;
  folder: PrivateFolder;
  onSecret: (secret: string) => void;
  helmSha256?: string;
}

export function createRollbackHelm(options: RollbackHelmOptions): RollbackHelm {
  const { helm, folder, onSecret, helmSha256 } = options;
  const { binary, kubeconfig, namespace, environment, releaseName, workingDirectory, redact } = helm;
  const askToken = helm.identity?.askToken;
  const gateway: GatewayOptions = { kubeconfig, askToken, namespace, folder, environment, onSecret, redact };
  return {
    async provenance(signal) {
      const [build, sha256] = await Promise.all([
        helmBuild(helm, signal),
        helmSha256 === undefined ? undefined : sha256Of(binary),
      ]);
      return helmProvenance({ build, sha256 }, helmSha256);
    },

    async rehearse({ revision, applyMethod }, { records, kept }, signal) {
      const isForced = applyMethod === 'ssa' && (await isHelm4(helm, signal));
      const giveBack = hideKubeconfig(kubeconfig, folder);
      try {
        return await rehearseRollback({
          ...gateway,
          binary,
          release: releaseName,
          revision,
          records,
          kept,
          ...(isForced ? { extraArguments: ['--force-conflicts'] } : {}),
          workingDirectory,
          timeoutSeconds: rehearsalSeconds,
          signal,
        });
      } finally {
        giveBack();
      }
    },

    async rollback({ policy, lost, kept, target, description, timeoutSeconds, endAfterSeconds, wait }) {
      const { revision, applyMethod } = target;
      // Drift is part of the plan, so it must not stop an approved rollback.
      const forceConflicts = applyMethod === 'ssa';
      const fence = await openFence({ ...gateway, release: releaseName, policy, lost, kept });
      const giveBack = hideKubeconfig(kubeconfig, folder);
      try {
        const fenced = createReleaseHelm({
          ...helm,
          kubeconfig: fence.kubeconfig,
          identity: undefined,
          // Helm gets no secrets, because the fence authenticates at the API server.
          environment: { ...withoutCredentials(environment), ...fence.environment },
        });
        const options = { revision, description, timeoutSeconds, endAfterSeconds, wait, forceConflicts };
        const result = await fenced.rollback(options);
        return { result, fence: fence.record() };
      } finally {
        giveBack();
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
