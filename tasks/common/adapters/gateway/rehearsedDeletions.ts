import { randomUUID } from 'node:crypto';
import { isRecord } from '../../core/kubernetes/json';
import { groupOf } from './apiRequest';
import { labelSelector } from './labelSelector';
import { overlaidItems } from './memory';
import { type Reply, deletedReply } from './reply';
import { answeredReply, isSuccess, jsonOf } from './upstream';
import { type Act, record, refuse, refused } from './rehearsalRecording';
import { notThere } from './rehearsalRefusals';
import { deletedUid, dryRun } from './rehearsedDryRun';

export async function remove(act: Act): Promise<Reply> {
  const { scene, target } = act;
  const name = target.name ?? '';
  const before = scene.memory.recall(target);
  if (before !== undefined && before.object === undefined) return refuse(act, notThere(target));
  if (before?.isNew === true) return removed(act, name, before.object?.metadata.uid);
  const answered = await dryRun(act);
  return isSuccess(answered) ? removed(act, name, deletedUid(answered)) : refused(act, answered, undefined);
}

async function removed(act: Act, name: string, uid: string | undefined): Promise<Reply> {
  const { scene, target } = act;
  scene.memory.forget(target, name);
  await record(act, { name, effect: 'deleted', ...(uid === undefined ? {} : { uid }) });
  // kubectl waits for the end of an object with the old uid, and treats one with another uid as replaced.
  return deletedReply({ name, group: groupOf(target), kind: target.resource, uid: randomUUID() });
}

export async function deleteCollection(act: Act): Promise<Reply> {
  const { scene, target, request } = act;
  const answered = await dryRun(act);
  if (!isSuccess(answered)) return refused(act, answered, undefined);
  const list = jsonOf(answered.body);
  const items: unknown[] = isRecord(list) && Array.isArray(list['items']) ? list['items'] : [];
  const written = scene.memory.within(target);
  const isWanted = labelSelector(request.query.get('labelSelector') ?? '') ?? (() => true);
  const gone = overlaidItems(items, written, ({ metadata }) => isWanted(metadata.labels ?? {}));
  for (const item of gone) {
    const metadata = isRecord(item) && isRecord(item['metadata']) ? item['metadata'] : {};
    const { name, namespace, uid } = metadata;
    if (typeof name !== 'string') continue;
    const one = { ...target, ...(typeof namespace === 'string' ? { namespace } : {}) };
    scene.memory.forget(one, name);
    await record(
      { ...act, target: one },
      { name, effect: 'deleted', isOfCollection: true, ...(typeof uid === 'string' ? { uid } : {}) },
    );
  }
  return deletedReply({ group: groupOf(target), kind: target.resource });
}

export async function evict(act: Act): Promise<Reply> {
  const answered = await dryRun(act);
  if (!isSuccess(answered)) return refused(act, answered, undefined);
  const name = act.target.name ?? '';
  act.scene.memory.forget(act.target, name);
  await record(act, { name, effect: 'deleted' });
  return answeredReply(answered);
}
