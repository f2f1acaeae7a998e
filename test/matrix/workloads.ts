import type { ApiServer } from '../../scripts/cluster/api';
import { waitFor } from '../../scripts/cluster/wait';
import { read, write, type LiveObject } from './api';

/** Workloads that no Helm has made, in the order of their rollback. */
export const workloadNames = ['one', 'two', 'three'] as const;
export const [firstWorkload] = workloadNames;

export const workloadLines = workloadNames.map((name) => `deployment/${name}`).join('\n');

function pathOf(namespace: string, name = ''): string {
  return `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`.replace(/\/$/, '');
}

/** `text` identifies the revision. A `broken` revision fits on no node. */
function workload(name: string, text: string, isBroken: boolean): object {
  const labels = { app: name };
  const nodeSelector = { type: 'kwok', ...(isBroken ? { none: 'z' } : {}) };
  const containers = [{ name: 'web', image: 'localhost/sample-app:1', env: [{ name: 'VERSION', value: text }] }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 1,
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { text } },
        spec: { containers, nodeSelector, tolerations: [{ operator: 'Exists' }] },
      },
    },
  };
}

export function textOfWorkload(object: LiveObject): string | undefined {
  const { template } = object['spec'] as { template: { metadata: { annotations?: Record<string, string> } } };
  return template.metadata.annotations?.['text'];
}

/** Creates the workloads with a first revision that serves. */
export async function makeWorkloads(server: ApiServer, namespace: string): Promise<void> {
  for (const name of workloadNames) await write(server, 'POST', pathOf(namespace), workload(name, 'one', false));
  for (const name of workloadNames) {
    await waitFor(`Deployment/${name} to be available`, async () => {
      const { availableReplicas } = await statusOf(server, namespace, name);
      return availableReplicas === 1;
    });
  }
}

/** Applies a second revision that does not get ready. */
export async function breakWorkloads(server: ApiServer, namespace: string): Promise<void> {
  const generations = await Promise.all(
    workloadNames.map(async (name) => {
      const { metadata } = await write(server, 'PUT', pathOf(namespace, name), workload(name, 'two', true));
      return [name, Number((metadata as { generation?: number }).generation)] as const;
    }),
  );
  for (const [name, generation] of generations) {
    await waitFor(`Deployment/${name} to have its second revision`, async () => {
      const { observedGeneration = 0, replicas } = await statusOf(server, namespace, name);
      return observedGeneration >= generation && replicas === 2;
    });
  }
}

interface DeploymentStatus {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly availableReplicas?: number;
}

async function statusOf(server: ApiServer, namespace: string, name: string): Promise<DeploymentStatus> {
  const object = await read(server, pathOf(namespace, name));
  return object?.['status'] ?? {};
}
