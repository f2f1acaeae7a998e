import type { DeclaredKind } from '../../core/helm/chartCrds';
import type { KubeObject } from '../../core/kubernetes/object';
import { storedRevision } from '../../core/release/releaseRecord';
import type { GatewayRequest } from './loopbackServer';
import { createMemory } from './memory';
import { createReadAhead } from './readAhead';
import type { Reply } from './reply';
import type { Upstream } from './upstream';
import { type Recording, type Scene, inOrder } from './rehearsalRecording';
import type { ReleaseName } from './releaseStorage';
import { read } from './rehearsedReads';
import { write } from './rehearsedWrites';
import { deleteCollection } from './rehearsedDeletions';

/** Reads show the live cluster with the rehearsed writes; no write is stored. */
export interface Stage {
  handle(request: GatewayRequest): Promise<Reply>;
  recording(): Recording;
}

interface Setting {
  /** They replace the live objects with these names. */
  records?: readonly KubeObject[];
  /** Kinds that are not installed yet. What Helm sends of them is remembered as it is. */
  newKinds?: readonly DeclaredKind[];
}

/**
 * Sends every write as a dry run and remembers the result. Aggregated API servers that are built with Kubernetes'
 * library honour a dry run.
 */
export function rehearsalStage(
  upstream: Upstream,
  names: ReleaseName,
  { records = [], newKinds = [] }: Setting = {},
): Stage {
  const scene: Scene = {
    ...names,
    upstream,
    newKinds,
    memory: createMemory(),
    readAhead: createReadAhead(upstream),
    requests: { reads: 0, dryRuns: 0 },
    warnings: new Set(),
    writes: [],
    storage: [],
  };
  for (const record of records) {
    const resource = record.kind === 'ConfigMap' ? 'configmaps' : 'secrets';
    const { namespace } = names;
    scene.memory.remember({ apiVersion: record.apiVersion, resource, namespace }, record, false);
  }
  let arrived = 0;
  return {
    handle(request) {
      const { asked } = request;
      const order = arrived++;
      switch (asked.type) {
        case 'read':
          return read(scene, request, asked.target);
        case 'write':
          return write({ scene, request, verb: asked.verb, target: asked.target, order });
        case 'deleteCollection':
          return deleteCollection({ scene, request, verb: 'delete', target: asked.target, order });
      }
    },
    recording() {
      const storage = inOrder(scene.storage);
      const made = storage.filter(({ verb, refusal }) => verb === 'create' && refusal === undefined);
      const name = made.at(-1)?.name;
      const record = ['secrets', 'configmaps']
        .flatMap((resource) => scene.memory.within({ apiVersion: 'v1', resource, namespace: names.namespace }))
        .find((each) => each.name === name && each.isNew)?.object;
      return {
        ...(record === undefined ? {} : { record }),
        writes: inOrder(scene.writes),
        storage,
        revision: made.map(({ name }) => storedRevision(scene.release, name)).at(-1),
        warnings: [...scene.warnings],
        requests: { ...scene.requests },
      };
    },
  };
}
