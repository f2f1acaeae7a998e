import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectKey, refOf } from '../../core/kubernetes/manifest';
import type { Cluster, ObjectKeeper } from '../../core/ports';
import { fitting, type KeptObject } from '../../core/release/preexisting';
import { keptObjectsName } from '../../core/release/releaseRecord';

/** For the gzipped objects; a Secret holds at most 1 MiB of data (k8s.io/api, core/v1: MaxSecretSize). */
const keptMaxBytes = 1_000_000;
const inflatedMaxBytes = 16 * 1024 * 1024;

type Data = Readonly<Record<string, string>>;

/** Keeps the objects of one release in one Secret, each as gzipped JSON under a hash of its name. */
export function createObjectKeeper(
  cluster: Pick<Cluster, 'get' | 'create' | 'update' | 'delete'>,
  { release, namespace }: { release: string; namespace: string },
): ObjectKeeper {
  const ref: ObjectRef = { apiVersion: 'v1', kind: 'Secret', namespace, name: keptObjectsName(release) };
  return {
    async keepObjects(objects) {
      const found = await cluster.get(ref);
      const before = dataOf(found);
      const added = objects.filter((one) => !Object.hasOwn(before, nameOf(one)));
      const values = await Promise.all(added.map(packed));
      const limit = keptMaxBytes - Object.values(before).reduce((sum, value) => sum + bytesOf(value), 0);
      const fits = fitting(added, values.map(bytesOf), limit);
      const entries = added.flatMap((one, index) => (fits.has(one) ? [[nameOf(one), values[index] ?? '']] : []));
      if (entries.length > 0) {
        const data: Data = { ...before, ...(Object.fromEntries(entries) as Data) };
        await (found === undefined ? cluster.create(secret(ref, data)) : cluster.update({ ...found, data }));
      }
      return added.filter((one) => !fits.has(one));
    },
    async keptObjects() {
      const kept = await Promise.all(Object.values(dataOf(await cluster.get(ref))).map(unpacked));
      return kept.flatMap((one) => one ?? []);
    },
    dropObjects: () => cluster.delete(ref),
  };
}

function secret({ apiVersion, kind, namespace = '', name }: ObjectRef, data: Data): KubeObject {
  const labels = { 'app.kubernetes.io/managed-by': 'helm-safe-deploy' };
  return { apiVersion, kind, metadata: { name, namespace, labels }, type: 'helm-safe-deploy/preexisting', data };
}

function dataOf(object: KubeObject | undefined): Data {
  const data = object?.['data'];
  if (!isRecord(data)) return {};
  return Object.fromEntries(
    Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function nameOf({ object }: KeptObject): string {
  return createHash('sha256')
    .update(objectKey(refOf(object)))
    .digest('hex')
    .slice(0, 32);
}

function bytesOf(value: string): number {
  return Math.floor((value.length * 3) / 4);
}

async function packed(one: KeptObject): Promise<string> {
  return (await promisify(gzip)(JSON.stringify(one))).toString('base64');
}

/** Undefined for a value that this task did not write. */
async function unpacked(value: string): Promise<KeptObject | undefined> {
  try {
    const inflate = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);
    const json = await inflate(Buffer.from(value, 'base64'), { maxOutputLength: inflatedMaxBytes });
    const one: unknown = JSON.parse(json.toString('utf8'));
    return isKept(one) ? one : undefined;
  } catch {
    return undefined;
  }
}

function isKept(value: unknown): value is KeptObject {
  if (!isRecord(value) || (value['purpose'] !== 'object' && value['purpose'] !== 'hook')) return false;
  const { object } = value;
  if (!isRecord(object) || typeof object['apiVersion'] !== 'string' || typeof object['kind'] !== 'string') return false;
  return isRecord(object['metadata']) && typeof object['metadata']['name'] === 'string';
}
