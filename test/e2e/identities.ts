import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { adminApiServer } from '../../scripts/cluster/cluster';
import type { ServiceConnection } from '../support/agent';
import type { Scene } from './scenes';

export interface Rule {
  apiGroups: readonly string[];
  resources: readonly string[];
  resourceNames?: readonly string[];
  verbs: readonly string[];
}

/** The rights that Helm itself needs for the test chart, and no others: no watch, no list of workloads, no pods. */
export const helmsRights: readonly Rule[] = [
  { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'create', 'update', 'delete'] },
  { apiGroups: [''], resources: ['configmaps', 'services'], verbs: ['get', 'create', 'patch', 'delete'] },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'create', 'patch', 'delete'] },
];

const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/$ns';

/** Makes a service account in the scene's namespace with these rights there, and returns its token. */
export async function serviceAccount(s: Scene, rules: readonly Rule[], name = 'deployer'): Promise<string> {
  await s.create('/api/v1/namespaces/$ns/serviceaccounts', { metadata: { name } });
  await s.create(`${rbac}/roles`, { metadata: { name }, rules });
  await s.create(`${rbac}/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: s.namespace }],
  });
  return serviceAccountToken(s, name);
}

/** A token of a service account that is there. */
export async function serviceAccountToken(s: Scene, name: string): Promise<string> {
  const answer = await s.create(`/api/v1/namespaces/$ns/serviceaccounts/${name}/token`, { spec: {} });
  return (answer as { status: { token: string } }).status.token;
}

/** A connection of the type «Service account», as the server hands it over. */
export function serviceAccountConnection(
  s: Scene,
  token: string,
  change: { auth?: Record<string, string>; data?: Record<string, string>; url?: string } = {},
): ServiceConnection {
  const { url, ca } = adminApiServer(s.cluster.name);
  return {
    id: randomUUID(),
    name: 'cluster',
    type: 'kubernetes',
    url: change.url ?? url,
    scheme: 'Token',
    auth: { apitoken: base64(token), serviceAccountCertificate: base64(ca), ...change.auth },
    data: { authorizationType: 'ServiceAccount', ...change.data },
  };
}

export interface KubeconfigParts {
  name: string;
  server: string;
  ca?: string;
  token: string;
  /** A credential plug-in instead of the token. */
  exec?: object;
  namespace?: string;
}

/** A kubeconfig with one context for each part. The first context is the current one. */
export function kubeconfigText(...parts: readonly KubeconfigParts[]): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': parts[0]?.name,
    clusters: parts.map(({ name, server, ca }) => ({
      name,
      cluster: { server, ...(ca === undefined ? {} : { 'certificate-authority-data': base64(ca) }) },
    })),
    users: parts.map(({ name, token, exec }) => ({ name, user: exec === undefined ? { token } : { exec } })),
    contexts: parts.map(({ name, namespace }) => ({ name, context: { cluster: name, user: name, namespace } })),
  });
}

export function kubeconfigConnectionOf(
  text: string,
  auth: Record<string, string> = {},
  data: Record<string, string> = {},
): ServiceConnection {
  return {
    id: randomUUID(),
    name: 'cluster',
    type: 'kubernetes',
    url: 'https://127.0.0.1',
    scheme: 'Kubernetes',
    auth: { kubeconfig: text, ...auth },
    data: { authorizationType: 'Kubeconfig', ...data },
  };
}

/** Parts of a kubeconfig for the administrator. */
export function adminParts(s: Scene, change: Partial<KubeconfigParts> = {}): KubeconfigParts {
  const { url, ca, token } = adminApiServer(s.cluster.name);
  return { name: 'admin', server: url, ca, token, ...change };
}

/** Gives `body` a folder that is deleted when `body` ends. */
export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'scene-'));
  try {
    await body(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
