import { isRecord, textOf } from '../kubernetes/json';
import { fromBase64 } from '../text/base64';
import type { Redact } from '../text/secrets';
import { revisionStatuses, type Hook, type Revision, type RevisionStatus } from './release';

/** A revision as Helm's JSON. Unknown fields are kept. */
export type ReleaseRecord = Readonly<Record<string, unknown>>;

export function isReleaseRecord(value: unknown): value is ReleaseRecord {
  return isRecord(value) && typeof value['name'] === 'string' && isRevisionNumber(value['version']);
}

/** Helm leaves out empty fields, so all fields except name and version may be missing. */
export function revisionOf(
  record: ReleaseRecord,
  stored: Pick<Revision, 'namespace' | 'labels' | 'writtenAt' | 'createdAt'>,
): Revision {
  const info = fields(record['info']);
  const chart = fields(fields(record['chart'])['metadata']);
  return {
    name: textOf(record['name']),
    namespace: textOf(record['namespace']) || stored.namespace,
    revision: isRevisionNumber(record['version']) ? record['version'] : 0,
    status: revisionStatuses.find((status) => status === info['status']) ?? 'unknown',
    description: textOf(info['description']),
    lastDeployed: textOf(info['last_deployed']),
    chart: { name: textOf(chart['name']), version: textOf(chart['version']), appVersion: textOf(chart['appVersion']) },
    ...annotationsOf(chart['annotations']),
    ...(textOf(record['apply_method']) === '' ? {} : { applyMethod: textOf(record['apply_method']) }),
    ...(isRevisionNumber(info['rollback_revision']) ? { rollbackRevision: info['rollback_revision'] } : {}),
    manifest: textOf(record['manifest']),
    config: fields(record['config']),
    notes: textOf(info['notes']),
    hooks: hooksOf(record['hooks']),
    labels: stored.labels,
    writtenAt: stored.writtenAt,
    ...(stored.createdAt === undefined ? {} : { createdAt: stored.createdAt }),
  };
}

export function readableRevision(
  record: ReleaseRecord,
  stored: Parameters<typeof revisionOf>[1],
  redact: Redact,
): Revision {
  const revision = revisionOf(record, stored);
  const description = redact(revision.description);
  return description === revision.description ? revision : { ...revision, description, describesSecret: true };
}

/** Removes secrets from the description. All fields that Helm deploys from stay unchanged. */
export function withoutSecrets(record: ReleaseRecord, redact: Redact): ReleaseRecord {
  const info = fields(record['info']);
  const description = textOf(info['description']);
  return description === '' ? record : { ...record, info: { ...info, description: redact(description) } };
}

export function changedRecord(record: ReleaseRecord, change: RecordChange): ReleaseRecord {
  const { status, description, manifest, config, bulk } = change;
  return {
    ...(bulk === 'left out' ? withoutBulk(record) : record),
    info: {
      ...fields((bulk === 'left out' ? withoutBulk(record) : record)['info']),
      ...(status === undefined ? {} : { status }),
      ...(description === undefined ? {} : { description }),
    },
    ...(manifest === undefined ? {} : { manifest }),
    ...(config === undefined ? {} : { config }),
  };
}

/** Removes what Helm does not read of a revision that it merges from or uninstalls (pkg/action). */
function withoutBulk(record: ReleaseRecord): ReleaseRecord {
  const { templates: _, files: __, schema: ___, ...chart } = fields(record['chart']);
  const { notes: ____, ...info } = fields(record['info']);
  return { ...record, chart, info };
}

/** Restores the fields that `withoutBulk` left out. */
export function withBulkOf(record: ReleaseRecord, copy: ReleaseRecord): ReleaseRecord {
  const { notes } = fields(copy['info']);
  return {
    ...record,
    chart: copy['chart'],
    info: { ...fields(record['info']), ...(notes === undefined ? {} : { notes }) },
  };
}

/** Helm finds the status of a revision in the label of the storage object, not in the record. */
export function changedLabels(
  labels: Readonly<Record<string, string>>,
  change: RecordChange,
  now: Date,
): Record<string, string> {
  const changed: Record<string, string | undefined> = {
    ...labels,
    // Helm records each of its changes here too.
    modifiedAt: String(Math.floor(now.getTime() / 1000)),
    ...(change.status === undefined ? {} : { status: change.status }),
    ...change.labels,
  };
  return Object.fromEntries(
    Object.entries(changed).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

export function storageName(release: string, revision: number): string {
  return `sh.helm.release.v1.${release}.v${revision}`;
}

/** The copy of a record that is edited during a change. Helm does not look for this name. */
export function copyName(release: string, revision: number): string {
  return `helm-safe-deploy.copy.${release}.v${revision}`;
}

/** The Secret that keeps pre-existing objects during a deploy; see core/release/preexisting. */
export function keptObjectsName(release: string): string {
  return `helm-safe-deploy.preexisting.${release}`;
}

/** Returns undefined if the storage object does not belong to that release. */
export function storedRevision(release: string, objectName: string): number | undefined {
  const prefix = storageName(release, 0).slice(0, -1);
  if (!objectName.startsWith(prefix)) return undefined;
  const digits = objectName.slice(prefix.length);
  return /^[1-9]\d{0,15}$/.test(digits) ? Number(digits) : undefined;
}

/** Helm stores each file of a chart as Base64. */
export function crdFilesOf(record: ReleaseRecord): string[] {
  const { files } = fields(record['chart']);
  return (Array.isArray(files) ? files : [])
    .filter(isRecord)
    .filter(({ name }) => textOf(name).startsWith('crds/'))
    .flatMap(({ data }) => {
      try {
        return [fromBase64(textOf(data))];
      } catch {
        return [];
      }
    });
}

function annotationsOf(value: unknown): Pick<Revision, 'chartAnnotations'> {
  const known = Object.entries(fields(value)).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
  return known.length === 0 ? {} : { chartAnnotations: Object.fromEntries(known) };
}

function hooksOf(value: unknown): Hook[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).map((hook) => ({
    name: textOf(hook['name']),
    kind: textOf(hook['kind']),
    events: Array.isArray(hook['events']) ? hook['events'].filter((event) => typeof event === 'string') : [],
    lastPhase: textOf(fields(hook['last_run'])['phase']),
    ...timesOf(fields(hook['last_run'])),
    ...(textOf(hook['manifest']) === '' ? {} : { manifest: textOf(hook['manifest']) }),
  }));
}

/** Go writes a time that was never set as the year 1. */
function timesOf(run: Record<string, unknown>): Pick<Hook, 'startedAt' | 'completedAt'> {
  const time = (name: string): string | undefined => {
    const text = textOf(run[name]);
    return Date.parse(text) > 0 ? text : undefined;
  };
  const [startedAt, completedAt] = [time('started_at'), time('completed_at')];
  return { ...(startedAt && { startedAt }), ...(completedAt && { completedAt }) };
}

function isRevisionNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function fields(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

/** A change to a record in Helm's storage. */
export interface RecordChange {
  status?: RevisionStatus;
  description?: string;
  manifest?: string;
  config?: Readonly<Record<string, unknown>>;
  /** The bulk is what `withoutBulk` removes. `from copy` restores it from the copy of `keepCopy`. */
  bulk?: 'left out' | 'from copy';
  /** Labels of the storage object. `undefined` removes a label. */
  labels?: Readonly<Record<string, string | undefined>>;
}
