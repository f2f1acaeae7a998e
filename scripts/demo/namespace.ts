import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../../tasks/common/core/ports';

export async function createNamespace(cluster: Cluster, name: string): Promise<void> {
  await cluster.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

/** Resolves when pods can be created in the namespace: its service account appears shortly after the namespace. */
export async function namespaceReady(cluster: Cluster, name: string, signal: AbortSignal): Promise<void> {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', namespace: name, name: 'default' };
  const deadline = Date.now() + 30_000;
  while ((await cluster.get(account)) === undefined) {
    if (Date.now() > deadline) throw new Error(`Namespace ${name} got no service account within 30 s.`);
    await delay(50, undefined, { signal });
  }
}

/** With `wait` it waits until the namespace is gone, but at most a minute. */
export async function removeNamespace(cluster: Cluster, name: string, wait: boolean): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', name };
  await cluster.delete(namespace);
  if (!wait) return;
  const deadline = Date.now() + 60_000;
  while ((await cluster.get(namespace)) !== undefined) {
    if (Date.now() > deadline) throw new Error(`Namespace ${name} is still being removed after a minute.`);
    await delay(200);
  }
}
