import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { request, type ApiServer } from '../cluster/api';
import { command } from '../cluster/command';
import { waitFor } from '../cluster/wait';
import { failureCases } from './cases';
import { denyingWebhook } from './denyingWebhook';
import { faultProxy, kubeconfigText, type FaultPlan } from './faultProxy';

/** The place where Helm is made to fail: a cluster with administrator access. */
export interface Stage {
  readonly server: ApiServer;
  readonly kubeconfig: string;
}

export interface HelmRun {
  readonly code: number | null;
  readonly stderr: string;
}

export interface RunOptions {
  readonly args?: readonly string[];
  readonly kubeconfig?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The tools of one case: its own namespace and folder, and one Helm. */
export interface Actor {
  readonly major: number;
  readonly namespace: string;
  /** Writes a chart into the case's folder and returns its path. Templates are keyed by name, other files by path. */
  readonly chart: (files: Readonly<Record<string, string>>, name?: string) => string;
  /** Writes a file into the folder of the case and returns its path. */
  readonly file: (name: string, content: string, mode?: number) => string;
  readonly helm: (args: readonly string[], options?: RunOptions) => Promise<HelmRun>;
  /** Runs `helm upgrade --install web CHART`, which must fail, and returns its stderr. */
  readonly fails: (chart: string, options?: RunOptions) => Promise<string>;
  /** Runs the same command, which must succeed. */
  readonly works: (chart: string, options?: RunOptions) => Promise<void>;
  /** Creates an object of the cluster. It is deleted at the end of the case. */
  readonly create: (apiPath: string, object: unknown) => Promise<void>;
  /** Sends a request. Rejects if the API server refuses it. */
  readonly call: (method: string, apiPath: string, body?: unknown) => Promise<unknown>;
  /** Path of a kubeconfig that leads through a proxy with this fault. */
  readonly through: (plan: FaultPlan) => Promise<string>;
  /**
   * Installs a webhook that denies every ConfigMap of the namespace with this message. Resolves when the webhook is in
   * force.
   */
  readonly webhook: (name: string, message: string, silent?: boolean) => Promise<void>;
  /** Resolves when the creation of a ConfigMap is refused. */
  readonly untilRefused: () => Promise<void>;
  /** Path of a kubeconfig for the same cluster with a different user. */
  readonly kubeconfigOf: (user: unknown) => string;
}

export type FailureCase = (actor: Actor) => Promise<string>;

/** Thrown if Helm succeeds where another version fails. */
class NoFailure extends Error {}

/**
 * Runs one of `failureCases` with this Helm and returns its stderr, in which names and addresses are always the same.
 * Returns undefined if this Helm does not fail.
 */
export async function provoke(name: string, helm: string, stage: Stage): Promise<string | undefined> {
  const failureCase = failureCases[name];
  if (failureCase === undefined) throw new Error(`There is no case ${name}.`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'helm-failure-'));
  const namespace = `failure-${randomUUID().slice(0, 8)}`;
  const undo: (() => Promise<unknown>)[] = [];
  const call = async (method: string, apiPath: string, body?: unknown): Promise<unknown> => {
    const answer = await request(stage.server, method, apiPath, body);
    if (answer.status >= 300) throw new Error(`${method} ${apiPath}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body) as unknown;
  };
  try {
    await call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    undo.push(() => request(stage.server, 'DELETE', `/api/v1/namespaces/${namespace}`));
    const { stdout: version } = await command(helm, ['version', '--template', '{{.Version}}']);
    const said = await failureCase(actor({ helm, stage, folder, namespace, undo, call, version }));
    return normalised(said, { folder, namespace });
  } catch (error) {
    if (error instanceof NoFailure) return undefined;
    throw error;
  } finally {
    for (const each of undo.reverse()) await each().catch(() => undefined);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

interface Backstage {
  helm: string;
  stage: Stage;
  folder: string;
  namespace: string;
  undo: (() => Promise<unknown>)[];
  call: Actor['call'];
  version: string;
}

function actor({ helm, stage, folder, namespace, undo, call, version }: Backstage): Actor {
  const file = (name: string, content: string, mode = 0o644): string => {
    const target = path.join(folder, name);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, content, { mode });
    return target;
  };
  const run = (
    args: readonly string[],
    { kubeconfig = stage.kubeconfig, env = {} }: RunOptions = {},
  ): Promise<HelmRun> =>
    command(helm, [...args, '--namespace', namespace], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        HELM_CACHE_HOME: path.join(folder, 'cache'),
        HELM_CONFIG_HOME: path.join(folder, 'config'),
        HELM_DATA_HOME: path.join(folder, 'data'),
        KUBECONFIG: kubeconfig,
        ...env,
      },
    });
  const upgrade = (chart: string, options: RunOptions = {}): Promise<HelmRun> =>
    run(['upgrade', 'web', chart, '--install', '--timeout', '20s', ...(options.args ?? [])], options);
  const authority = { 'certificate-authority-data': Buffer.from(stage.server.ca).toString('base64') };
  const create: Actor['create'] = async (apiPath, object) => {
    await call('POST', apiPath, object);
    const { name } = (object as { metadata: { name: string } }).metadata;
    undo.push(() => call('DELETE', `${apiPath}/${name}`));
  };
  const untilRefused = (): Promise<void> =>
    waitFor('the denial to be in force', async () => {
      const probe = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'plain', namespace } };
      const answer = await request(
        stage.server,
        'POST',
        `/api/v1/namespaces/${namespace}/configmaps?dryRun=All`,
        probe,
      );
      return answer.status >= 300 && answer.status !== 409;
    });
  return {
    major: Number(/^v?(\d+)/.exec(version)?.[1]),
    namespace,
    file,
    chart: (files, name = 'web') => {
      const base = `charts/${name}-${randomUUID().slice(0, 4)}/${name}`;
      const all = { 'Chart.yaml': `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`, ...files };
      for (const [each, content] of Object.entries(all)) {
        file(/[/]|^Chart\.|^values/.test(each) ? `${base}/${each}` : `${base}/templates/${each}`, content);
      }
      return `./${base}`;
    },
    helm: run,
    fails: async (chart, options) => {
      const { code, stderr } = await upgrade(chart, options);
      if (code === 0) throw new NoFailure(stderr);
      return stderr;
    },
    works: async (chart, options) => {
      const { code, stderr } = await upgrade(chart, options);
      if (code !== 0) throw new Error(`Helm should have succeeded. It said: ${stderr}`);
    },
    call,
    create,
    through: async (plan) => {
      const proxy = await faultProxy(stage.server, plan);
      undo.push(() => proxy.close());
      return file(`through-${randomUUID()}`, proxy.kubeconfig, 0o600);
    },
    webhook: async (name, message, silent = false) => {
      const hook = await denyingWebhook(message, silent);
      undo.push(() => hook.close());
      await create('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingWebhookConfiguration',
        metadata: { name: `${namespace}-${randomUUID().slice(0, 4)}` },
        webhooks: [
          {
            name,
            clientConfig: { url: `${hook.url}/validate`, caBundle: hook.caBundle },
            rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            timeoutSeconds: 2,
          },
        ],
      });
      await untilRefused();
    },
    untilRefused,
    kubeconfigOf: (user) =>
      file(`user-${randomUUID()}`, kubeconfigText({ server: stage.server.url, ...authority }, user), 0o600),
  };
}

function normalised(said: string, { folder, namespace }: { folder: string; namespace: string }): string {
  return said
    .replaceAll(`${folder}/`, './')
    .replaceAll(folder, '.')
    .replaceAll(namespace, 'shop')
    .replace(/charts\/\w+-[0-9a-f]{4}\//g, 'charts/')
    .replace(/ on [\d.]+:53\b/g, ' on 192.0.2.53:53')
    .replace(/127\.0\.0\.1:\d+/g, '192.0.2.9:8443')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '00000000-0000-0000-0000-000000000000')
    .replace(/^([IWE])\d{4} [\d:.]+ +\d+ /gm, '$11130 00:00:00.000000       1 ')
    .replace(/^time=\S+ /gm, 'time=2026-11-30T00:00:00.000Z ')
    .replace(/^\d{4}\/\d\d\/\d\d [\d:]+ /gm, '2026/11/30 00:00:00 ');
}
