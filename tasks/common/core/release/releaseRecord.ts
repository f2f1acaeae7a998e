import type { Redact } from '../text/secrets';
import { revisionStatuses, type Hook, type Revision, type RevisionStatus } from './release';

/** A revision as Helm's JSON has it. Fields that are not known here are kept as they are. */
export type ReleaseRecord = Readonly<Record<string, unknown>>;

export function isReleaseRecord(value: unknown): value is ReleaseRecord {
  return isFields(value) && typeof value['name'] === 'string' && isRevisionNumber(value['version']);
}

/** What we read of a record. Helm leaves out what is empty, so everything but name and version may be missing. */
export function revisionOf(
  record: ReleaseRecord,
  stored: Pick<Revision, 'namespace' | 'labels' | 'writtenAt' | 'createdAt'>,
): Revision {
  const info = fields(record['info']);
  const chart = fields(fields(record['chart'])['metadata']);
  return {
    name: text(record['name']),
    namespace: text(record['namespace']) || stored.namespace,
    revision: isRevisionNumber(record['version']) ? record['version'] : 0,
    status: statusOf(info['status']),
    description: text(info['description']),
    lastDeployed: text(info['last_deployed']),
    chart: { name: text(chart['name']), version: text(chart['version']), appVersion: text(chart['appVersion']) },
    ...annotationsOf(chart['annotations']),
    ...(text(record['apply_method']) === '' ? {} : { applyMethod: text(record['apply_method']) }),
    ...(isRevisionNumber(info['rollback_revision']) ? { rollbackRevision: info['rollback_revision'] } : {}),
    manifest: text(record['manifest']),
    config: fields(record['config']),
    notes: text(info['notes']),
    hooks: hooksOf(record['hooks']),
    labels: stored.labels,
    writtenAt: stored.writtenAt,
    ...(stored.createdAt === undefined ? {} : { createdAt: stored.createdAt }),
  };
}

/** The revision as it may be shown and quoted. */
export function readableRevision(
  record: ReleaseRecord,
  stored: Parameters<typeof revisionOf>[1],
  redact: Redact,
): Revision {
  const revision = revisionOf(record, stored);
  const description = redact(revision.description);
  return description === revision.description ? revision : { ...revision, description, describesSecret: true };
}

/** The record without secrets in its description; what Helm deploys from it is left as it is. */
export function withoutSecrets(record: ReleaseRecord, redact: Redact): ReleaseRecord {
  const info = fields(record['info']);
  const description = text(info['description']);
  return description === '' ? record : { ...record, info: { ...info, description: redact(description) } };
}

/** The record with a change made to it. */
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

/**
 * Helm reads of a revision that it merges from the manifest, the values and the chart's own values, for `--reuse-values`
 * (pkg/action, upgrade.go and rollback.go), of one that it uninstalls the hooks too (uninstall.go).
 */
function withoutBulk(record: ReleaseRecord): ReleaseRecord {
  const { templates: _, files: __, schema: ___, ...chart } = fields(record['chart']);
  const { notes: ____, ...info } = fields(record['info']);
  return { ...record, chart, info };
}

/** The record with what `withoutBulk` has left out, as an earlier copy of it has that. */
export function withBulkOf(record: ReleaseRecord, copy: ReleaseRecord): ReleaseRecord {
  const { notes } = fields(copy['info']);
  return {
    ...record,
    chart: copy['chart'],
    info: { ...fields(record['info']), ...(notes === undefined ? {} : { notes }) },
  };
}

/** The labels of the storage object after a change. Helm looks for a revision's status in the label, not in the record. */
export function changedLabels(
  labels: Readonly<Record<string, string>>,
  change: RecordChange,
  now: Date,
): Record<string, string> {
  const changed: Record<string, string | undefined> = {
    ...labels,
    // Helm too notes each of its changes here.
    modifiedAt: String(Math.floor(now.getTime() / 1000)),
    ...(change.status === undefined ? {} : { status: change.status }),
    ...change.labels,
  };
  return Object.fromEntries(
    Object.entries(changed).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** The name of a revision's Secret or ConfigMap. */
export function storageName(release: string, revision: number): string {
  return `sh.helm.release.v1.${release}.v${revision}`;
}

/** The name of the copy of a record that is edited for the time of a change. Helm does not look for it. */
export function copyName(release: string, revision: number): string {
  return `helm-safe-deploy.copy.${release}.v${revision}`;
}

/** The name of the Secret that holds objects as they were before a deploy; see core/release/preexisting. */
export function keptObjectsName(release: string): string {
  return `helm-safe-deploy.preexisting.${release}`;
}

/** The revision that a storage object's name stands for, or undefined if it is not one of that release. */
export function storedRevision(release: string, objectName: string): number | undefined {
  const prefix = storageName(release, 0).slice(0, -1);
  if (!objectName.startsWith(prefix)) return undefined;
  const digits = objectName.slice(prefix.length);
  return /^[1-9]\d{0,15}$/.test(digits) ? Number(digits) : undefined;
}

function annotationsOf(value: unknown): Pick<Revision, 'chartAnnotations'> {
  const known = Object.entries(fields(value)).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
  return known.length === 0 ? {} : { chartAnnotations: Object.fromEntries(known) };
}

function hooksOf(value: unknown): Hook[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isFields).map((hook) => ({
    name: text(hook['name']),
    kind: text(hook['kind']),
    events: Array.isArray(hook['events']) ? hook['events'].filter((event) => typeof event === 'string') : [],
    lastPhase: text(fields(hook['last_run'])['phase']),
    ...(text(hook['manifest']) === '' ? {} : { manifest: text(hook['manifest']) }),
  }));
}

function statusOf(value: unknown): RevisionStatus {
  return revisionStatuses.find((status) => status === value) ?? 'unknown';
}

function isRevisionNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fields(value: unknown): Record<string, unknown> {
  return isFields(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A change to a revision's record in Helm's storage. What is absent stays. */
export interface RecordChange {
  status?: RevisionStatus;
  description?: string;
  manifest?: string;
  config?: Readonly<Record<string, unknown>>;
  /**
   * `left out`: the chart's templates and files, and the notes, which Helm reads of no revision that it merges from;
   * `from copy`: they are put back from what `keepCopy` has kept.
   */
  bulk?: 'left out' | 'from copy';
  /** Labels of the storage object to set; `undefined` removes one. */
  labels?: Readonly<Record<string, string | undefined>>;
}
