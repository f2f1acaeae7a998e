import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { valueOfFlag } from '../../core/inputs/argumentsInput';
import type { DeployRequest, ReleaseRequest } from '../../core/inputs/deployRequest';
import { TaskError } from '../../core/failure';
import { onlyExe } from '../../core/inputs/helmPathInput';
import type { SecretValuesForHelm } from '../../core/inputs/commandLine';
import type { SecretValuesRequest } from '../../core/inputs/secretValues';
import { holderOf } from '../../core/lock/holder';
import type { UninstallRequest } from '../../core/inputs/uninstallRequest';
import type { ReleaseHelm, ReleaseStorage, RollbackHelm } from '../../core/ports';
import type { DeployStart, LeaseContext, RolloutContext } from '../../core/releaseContext';
import { isPluginAddress } from '../../core/inputs/valuesFile';
import { azureRegistryHost } from '../../core/inputs/chartLogins';
import { secretFinder } from '../../core/text/secrets';
import { withoutSopsKey } from '../../core/text/secretSources';
import type { Sha256 } from '../../core/rollbackPlan/model/types';
import { childrenVariable, helmVariable } from '../../core/inputs/taskVariables';
import { systemClock } from '../system/clock';
import { withCluster, withMetrics } from './clusterTask';
import { helmSums } from '../../core/helm/helmSums';
import { provideHelm } from '../helm/helmTool';
import { createGuard, type HelmGuard } from '../helm/guard';
import { isExecutable } from '../agent/inputFiles';
import { findHelm } from '../system/platform';
import { azureRegistryLogin } from '../azure/containerRegistry';
import { openVaultIdentity } from '../azure/vaultIdentity';
import { prepareChartLogins, type AzureRegistry } from '../helm/chartLogins';
import { decryptValues } from '../helm/secretValues';
import { helmLoginSecrets } from '../helm/helmLoginFiles';
import { createHelm, createReleaseHelm, type ReleaseHelmOptions } from '../helm/helm';
import { createPlanStore, sha256 } from '../helm/planStore';
import { isProcessGone, processMark } from '../system/processes';
import { createRollbackHelm } from '../helm/rollbackHelm';
import type { Transport } from '../kubernetes/transport';
import type { TaskAgent } from '../agent/agent';
import type { TaskRun } from '../agent/runTask';

/** Has no lease, because the flow acquires it. */
type ReleaseStart = RolloutContext &
  LeaseContext & {
    storage: ReleaseStorage;
    helmOptions: ReleaseHelmOptions;
    transport: Transport;
    rollbackHelm: RollbackHelm;
    sha256: Sha256;
  };

export async function withRelease<T>(
  run: TaskRun,
  request: ReleaseRequest & { helmSha256?: string },
  flow: (start: ReleaseStart) => Promise<T>,
): Promise<T> {
  const { agent, signal } = run;
  const { childEnvironment: environment } = agent.environment;
  const binary = await helmOf(run, request);
  const { helmSha256, releaseName } = request;
  for (const secret of helmLoginSecrets(environment)) agent.mask(secret);
  return withCluster(run, request, async ({ cluster, transport, kubeconfigPath, identity, namespace, storageOf }) => {
    const guard = announcing(agent, createGuard({ environment, onWarning: (message) => { agent.log(message); } })); // prettier-ignore
    const helmOptions = {
      binary,
      kubeconfig: kubeconfigPath,
      identity,
      namespace,
      releaseName,
      guard,
      workingDirectory: agent.workingDirectory,
      environment,
      isDebug: agent.isDebug,
      onLine: (line: string) => {
        agent.log(`  ${line}`);
      },
      redact: agent.redact,
    };
    const holder = holderOf((name) => agent.environment.variable(name), processMark(process.pid) ?? '', agent.redact);
    const rollbackHelm = createRollbackHelm({
      helm: helmOptions,
      folder: agent.privateFolder,
      onSecret: (secret) => {
        agent.mask(secret);
      },
      ...(helmSha256 === undefined ? {} : { helmSha256 }),
    });
    const storage = storageOf(releaseName);
    const ports = { agent, cluster, transport, clock: systemClock, guard, storage, helmOptions, rollbackHelm, sha256 };
    try {
      return await flow({ ...ports, phases: [], request, namespace, signal, holder, isProcessGone });
    } finally {
      await guard.close();
    }
  });
}

export async function withUninstall<T>(
  run: TaskRun,
  request: UninstallRequest,
  flow: (start: ReleaseStart & { helm: ReleaseHelm; request: UninstallRequest }) => Promise<T>,
): Promise<T> {
  return withRelease(run, request, (start) => flow({ ...start, request, helm: createReleaseHelm(start.helmOptions) }));
}

export async function withDeploy<T>(
  run: TaskRun,
  request: DeployRequest,
  flow: (start: DeployStart) => Promise<T>,
): Promise<T> {
  const { agent } = run;
  const onSecret = (secret: string): void => {
    agent.mask(secret);
  };
  const secretValues = request.secretValues && (await secretValuesOf(run, request, request.secretValues));
  const caFile = valueOfFlag(request.extraArguments, 'ca-file');
  const chartHome = await prepareChartLogins(request.chartLogins, {
    environment: agent.environment,
    folder: agent.privateFolder,
    signal: run.signal,
    onSecret,
    azureRegistry: azureRegistryOf(run, request),
    ...(caFile === undefined ? {} : { caFile: path.resolve(agent.workingDirectory, caFile) }),
  });
  return withRelease(run, request, ({ helmOptions, transport, ...start }) => {
    const secrets = secretFinder(agent.secrets());
    const onWarning = (message: string): void => {
      agent.warning(message);
    };
    const { environment } = helmOptions;
    const helm = createHelm({
      ...helmOptions,
      environment: { ...(needsSopsKey(request) ? environment : withoutSopsKey(environment)), ...chartHome },
      request,
      folder: agent.privateFolder,
      onSecret,
      onWarning,
      secrets,
      ...(secretValues === undefined ? {} : { secretValues }),
    });
    const { cluster, namespace, storage } = start;
    const subject = request.releaseName;
    const plans = createPlanStore(cluster, { namespace, subject, kind: storage.kind, redact: agent.redact });
    return withMetrics(run, request, transport, (metrics) =>
      flow({ ...start, request, helm, plans, newSalt, ...(metrics === undefined ? {} : { metrics }) }),
    );
  });
}

export function newSalt(): string {
  return randomBytes(32).toString('base64url');
}

function azureRegistryOf({ agent, signal }: TaskRun, { chart, connection }: DeployRequest): AzureRegistry | undefined {
  const host = azureRegistryHost(chart.reference);
  if (host === undefined || connection.type !== 'azureResourceManager') return undefined;
  return { host, signIn: () => azureRegistryLogin(agent, { id: connection.id, host }, { signal }) };
}

/** A plug-in may decrypt a values file inside of Helm. */
function needsSopsKey({ secretValues, valueFiles }: DeployRequest): boolean {
  return (
    secretValues === undefined ||
    valueFiles.some((file) => isPluginAddress(typeof file === 'string' ? file : file.reference))
  );
}

function secretValuesOf(
  { agent, signal }: TaskRun,
  { connection }: DeployRequest,
  request: SecretValuesRequest,
): Promise<SecretValuesForHelm> {
  const isAzure = connection.type === 'azureResourceManager';
  return decryptValues(request, {
    environment: agent.environment.childEnvironment,
    toolsFolder: agent.environment.variable('Agent.ToolsDirectory'),
    workingDirectory: agent.workingDirectory,
    folder: agent.privateFolder,
    signal,
    redact: agent.redact,
    onSecret: (secret) => {
      agent.mask(secret);
    },
    ...(isAzure && { openVault: () => openVaultIdentity(agent, connection.id, { signal }) }),
  });
}

/** The post-job phase waits for the announced processes that are left. */
function announcing(agent: TaskAgent, guard: HelmGuard): HelmGuard {
  return {
    ...guard,
    watch: (pid, kind) => {
      guard.watch(pid, kind);
      const marks = [processMark(pid), guard.start()].filter((mark) => mark !== undefined);
      agent.setTaskVariable(childrenVariable, marks.join('\n'));
    },
    done: (pid) => {
      guard.done(pid);
      agent.setTaskVariable(childrenVariable, '');
    },
  };
}

/** Every phase of a step runs the same Helm. */
async function helmOf({ agent, signal }: TaskRun, { helmPath, helmDownload }: ReleaseRequest): Promise<string> {
  const { environment } = agent;
  if (helmPath !== undefined) return helmPath;
  if (helmDownload === undefined) return helmOnPath(environment.childEnvironment);
  const earlier = environment.taskVariable(helmVariable);
  if (earlier !== undefined) return earlier;
  const file = await provideHelm({
    request: helmDownload,
    toolsFolder: environment.variable('Agent.ToolsDirectory') || agent.tempFolder,
    environment: environment.childEnvironment,
    signal,
    redact: agent.redact,
    sums: helmSums,
    onLine: (line) => {
      agent.log(line);
    },
  });
  agent.setTaskVariable(helmVariable, file);
  return file;
}

function helmOnPath(environment: NodeJS.ProcessEnv): string {
  const found = findHelm(process.platform, environment['PATH'], isExecutable);
  switch (found.kind) {
    case 'program':
      return found.file;
    case 'script':
      throw new TaskError(
        'HelmMissing',
        `The helm on PATH is ${found.file}, ${onlyExe}. Give the path of a helm.exe in helmPath.`,
      );
    case 'missing':
      throw new TaskError(
        'HelmMissing',
        'There is no helm on PATH, and the inputs helmVersion and helmPath are empty.',
      );
  }
}
