import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import { TaskError } from '../../core/failure';
import { creation, lastWrite, type KubeObject } from '../../core/kubernetes/object';
import type { Cluster, ReleaseStorage } from '../../core/ports';
import type { Revision } from '../../core/release/release';
import type { Redact } from '../../core/text/secrets';
import { createObjectKeeper } from './objectKeeper';
import { readInTurns } from './readInTurns';
import {
  changedLabels,
  changedRecord,
  copyName,
  crdFilesOf,
  isReleaseRecord,
  readableRevision,
  revisionOf,
  storageName,
  storedRevision,
  withBulkOf,
  withoutSecrets,
  type ReleaseRecord,
  type RecordChange,
} from '../../core/release/releaseRecord';

interface StorageOptions {
  release: string;
  namespace: string;
  /** HELM_DRIVER; Helm's default is `secret`. */
  driver: string | undefined;
  /** Redacts descriptions, which quote the API server and templates. */
  redact?: Redact;
  /** Gets a sentence about each older record that cannot be read. */
  onNotice?: (notice: string) => void;
}

interface Driver {
  kind: 'Secret' | 'ConfigMap';
  /** `stored` is the field `release` of the object's data. */
  decode(stored: string): Buffer;
  encode(zipped: Buffer): string;
  /** Returns bytes, as the API server counts the data. */
  sizeOf(object: KubeObject): number;
}

/** `MaxSecretSize` of k8s.io/api, which limits a ConfigMap too. */
const recordMaxBytes = 1024 * 1024;

function texts({ data }: KubeObject): string[] {
  return Object.values((data ?? {}) as Record<string, string>);
}

const inflatedMaxBytes = 100 * 1024 * 1024;
const updateTries = 5;
/** The last revision, the one before it, and the one that served before these. */
const revisionsReadAhead = 3;

/** Helm encodes the record once, and Kubernetes encodes the data of a Secret once more. */
const secretDriver: Driver = {
  kind: 'Secret',
  decode: (stored) => Buffer.from(Buffer.from(stored, 'base64').toString('latin1'), 'base64'),
  encode: (zipped) => Buffer.from(zipped.toString('base64')).toString('base64'),
  sizeOf: (object) => texts(object).reduce((sum, text) => sum + Buffer.byteLength(text, 'base64'), 0),
};

const configMapDriver: Driver = {
  kind: 'ConfigMap',
  decode: (stored) => Buffer.from(stored, 'base64'),
  encode: (zipped) => zipped.toString('base64'),
  sizeOf: (object) => texts(object).reduce((sum, text) => sum + Buffer.byteLength(text), 0),
};

/**
 * Throws `StorageUnsupported` if the records are not in the cluster. Reading throws `RecordUnreadable` for the newest
 * record; an older one causes a notice and gets the status `unknown`.
 */
export function createReleaseStorage(cluster: Cluster, options: StorageOptions): ReleaseStorage {
  const driver = driverNamed(options.driver);
  const { release, namespace, redact = unredacted } = options;
  const ref = (revision: number) =>
    ({ apiVersion: 'v1', kind: driver.kind, namespace, name: storageName(release, revision) }) as const;

  const wholeRecord = async (object: KubeObject, revision: number, { bulk }: RecordChange): Promise<ReleaseRecord> => {
    const record = await readRecord(object, driver);
    if (bulk !== 'from copy') return record;
    const copy = await cluster.get({ ...ref(revision), name: copyName(release, revision) });
    return copy === undefined ? record : withBulkOf(record, await readRecord(copy, driver));
  };

  const changed = async (revision: number, change: RecordChange): Promise<KubeObject> => {
    const object = await cluster.get(ref(revision));
    if (object === undefined) {
      const message = `Could not change revision ${revision} of release ${release}: its record ${where(driver, options, revision)} is gone.`;
      throw new TaskError('Conflict', message, { facts: { release, revision } });
    }
    const record = withoutSecrets(changedRecord(await wholeRecord(object, revision, change), change), redact);
    const labels = changedLabels(object.metadata.labels ?? {}, change, new Date());
    const data = { ...(object['data'] as Record<string, string>), release: await writeRecord(record, driver) };
    return { ...object, metadata: { ...object.metadata, labels }, data };
  };

  return {
    kind: driver.kind,
    async history() {
      const objects = await cluster.list({
        apiVersion: 'v1',
        kind: driver.kind,
        namespace,
        labelSelector: `owner=helm,name=${release}`,
      });
      const stored = objects
        .map((object) => ({ object, revision: storedRevision(release, object.metadata.name) }))
        .filter((each): each is Stored => each.revision !== undefined)
        .sort((one, other) => one.revision - other.revision);
      const revisions = await Promise.all(
        stored.map((each) => readRevision(each, { driver, options, newest: stored.at(-1) === each })),
      );
      for (const { manifest } of revisions.slice(-revisionsReadAhead)) await readInTurns(manifest);
      return revisions;
    },
    async update(revision, change, beforeWrite = () => Promise.resolve()) {
      for (let tries = 1; ; tries++) {
        try {
          const object = await changed(revision, change);
          await beforeWrite();
          await cluster.update(object);
          return;
        } catch (error) {
          const isRace = error instanceof TaskError && error.reason === 'Conflict' && error.facts['status'] === 409;
          if (!isRace || tries === updateTries) throw error;
          await delay(50 * tries * Math.random());
        }
      }
    },
    changed,
    fits: async (revision, change) => driver.sizeOf(await changed(revision, change)) <= recordMaxBytes,
    remove: (revision) => cluster.delete(ref(revision)),
    async crdFiles(revision) {
      const object = await cluster.get(ref(revision));
      return object === undefined ? [] : crdFilesOf(await readRecord(object, driver));
    },
    async keepCopy(revision) {
      const object = await cluster.get(ref(revision));
      if (object === undefined) return;
      try {
        await cluster.create(copyObject(object, copyName(release, revision)));
      } catch (error) {
        if (!(error instanceof TaskError && error.facts['status'] === 409)) throw error;
      }
    },
    async copyOf(revision) {
      const object = await cluster.get({ ...ref(revision), name: copyName(release, revision) });
      if (object === undefined) return undefined;
      const stored = { namespace, labels: object.metadata.labels ?? {}, writtenAt: lastWrite(object) };
      return { ...readableRevision(await readRecord(object, driver), stored, redact), revision };
    },
    dropCopy: (revision) => cluster.delete({ ...ref(revision), name: copyName(release, revision) }),
    ...createObjectKeeper(cluster, { release, namespace }),
  };
}

/** The copy is owned by its record, so that Kubernetes removes both. */
function copyObject({ apiVersion, kind, metadata, ...content }: KubeObject, name: string): KubeObject {
  const { namespace, uid = '' } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { 'app.kubernetes.io/managed-by': 'helm-safe-deploy' },
      ownerReferences: [{ apiVersion, kind, name: metadata.name, uid }],
    },
    data: content['data'],
  };
}

function driverNamed(name: string | undefined): Driver {
  switch ((name ?? '').trim()) {
    case '':
    case 'secret':
    case 'secrets':
      return secretDriver;
    case 'configmap':
    case 'configmaps':
      return configMapDriver;
    default: {
      const message =
        `HELM_DRIVER is "${String(name)}": Helm's record of the release would not be in the cluster, ` +
        'so the task can neither judge it nor roll back to it.';
      throw new TaskError('StorageUnsupported', message);
    }
  }
}

const unredacted: Redact = (text) => text;

interface Stored {
  object: KubeObject;
  revision: number;
}

interface Reading {
  driver: Driver;
  options: StorageOptions;
  newest: boolean;
}

async function readRevision({ object, revision }: Stored, reading: Reading): Promise<Revision> {
  const stored = {
    namespace: reading.options.namespace,
    labels: object.metadata.labels ?? {},
    writtenAt: lastWrite(object),
    createdAt: creation(object),
  };
  try {
    // Helm finds the record by the object's name, so the revision comes from there.
    const record = await readRecord(object, reading.driver);
    return { ...readableRevision(record, stored, reading.options.redact ?? unredacted), revision };
  } catch (error) {
    if (!(error instanceof TaskError) || reading.newest) throw error;
    reading.options.onNotice?.(error.message);
    const empty = { name: reading.options.release, version: revision, info: { description: error.message } };
    return revisionOf(empty, stored);
  }
}

/** The revision in a record of Helm, with its descriptions as they are. Throws `RecordUnreadable`. */
export async function recordIn(object: KubeObject): Promise<Revision> {
  const driver = driverNamed(object.kind.toLowerCase());
  const { namespace = '', labels = {} } = object.metadata;
  return revisionOf(await readRecord(object, driver), { namespace, labels, writtenAt: undefined });
}

/** Throws `RecordUnreadable`. */
async function readRecord(object: KubeObject, driver: Driver): Promise<ReleaseRecord> {
  const { name, namespace } = object.metadata;
  const unreadable = (why: string, cause?: unknown): TaskError => {
    const message = `Helm's record ${driver.kind}/${name} in namespace ${namespace ?? ''} cannot be read: ${why}.`;
    return new TaskError('RecordUnreadable', message, { cause });
  };
  const stored = (object['data'] as Record<string, unknown> | null | undefined)?.['release'];
  if (typeof stored !== 'string' || stored === '') throw unreadable('it has no data "release"');
  const json = await inflated(driver.decode(stored), unreadable);
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch {
    // The parser's message quotes the text, which may contain a secret value of the chart.
    throw unreadable('it does not hold JSON');
  }
  if (isReleaseRecord(value)) return value;
  throw unreadable('it holds no release with a name and a version');
}

const gzipMagic = Buffer.from([0x1f, 0x8b, 0x08]);

/** Helm before 2.0 final did not compress its records. */
async function inflated(bytes: Buffer, unreadable: (why: string, cause?: unknown) => TaskError): Promise<Buffer> {
  if (!bytes.subarray(0, gzipMagic.length).equals(gzipMagic)) return bytes;
  try {
    return await promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)(bytes, {
      maxOutputLength: inflatedMaxBytes,
    });
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    const limit = `it is over ${inflatedMaxBytes / 1024 / 1024} MiB when unpacked`;
    throw unreadable(isTooLarge ? limit : 'it cannot be unpacked', error);
  }
}

async function writeRecord(record: ReleaseRecord, driver: Driver): Promise<string> {
  const zip = promisify<Buffer, { level: number }, Buffer>(gzip);
  return driver.encode(await zip(Buffer.from(JSON.stringify(record)), { level: constants.Z_BEST_COMPRESSION }));
}

function where(driver: Driver, { release, namespace }: StorageOptions, revision: number): string {
  return `${driver.kind}/${storageName(release, revision)} in namespace ${namespace}`;
}
