import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import { manifestObjects, objectKey, refOf } from '../../../tasks/common/core/kubernetes/manifest';
import type { Rehearsal } from '../../../tasks/common/core/helm/rehearsal';
import type { KeptField } from '../../../tasks/common/core/release/keptFields';
import { rehearsal, write } from '../rollbackScene';
import type { FakeCluster } from './fakeCluster';
import { merged, patchOf } from './fakeHelm';
import { inNamespace, owned } from './scene';

interface Change {
  base: string;
  wanted: string;
  fields: readonly KeptField[];
}

/** What Helm would write to get from one manifest to another. `isRollback`: Helm before 4.2 fails on strange objects. */
export function fakeRehearsal(cluster: FakeCluster, { base, wanted, fields }: Change, isRollback = false): Rehearsal {
  const live = (object: KubeObject) => cluster.objects.get(objectKey(refOf(inNamespace(object))));
  const keys = (objects: readonly KubeObject[]) => new Set(objects.map((object) => objectKey(refOf(object))));
  const [before, after] = [manifestObjects(base), manifestObjects(wanted)];
  const [known, kept] = [keys(before), keys(after)];
  const stranger = after.find((object) => live(object) !== undefined && !known.has(objectKey(refOf(object))));
  if (isRollback && stranger !== undefined) {
    const message = `no ${stranger.kind} with the name "${stranger.metadata.name}" found`;
    return rehearsal([], { outcome: 'failed', exitCode: 1, message });
  }
  const gone = before.filter((object) => live(object) !== undefined && !kept.has(objectKey(refOf(object))));
  try {
    const written = after.map((object) => {
      const now = live(object);
      if (now === undefined) return write('created', owned(object));
      const earlier = before.find((one) => objectKey(refOf(one)) === objectKey(refOf(object)));
      return write('changed', merged(earlier ?? {}, patchOf(owned(object), now, fields), now) as KubeObject);
    });
    return rehearsal([...written, ...gone.map((object) => write('deleted', live(object) ?? object))]);
  } catch (refused) {
    return rehearsal([], { outcome: 'failed', exitCode: 1, message: (refused as Error).message });
  }
}
