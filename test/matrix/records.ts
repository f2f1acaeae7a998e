import { gunzipSync } from 'node:zlib';
import type { ApiServer } from '../../scripts/cluster/api';
import { list, type LiveObject } from './api';

/** A revision from Helm's Secret, read without the code of the product. */
export interface RecordSeen {
  readonly revision: number;
  /** The status in the Secret's label, by which Helm finds the record. */
  readonly status: string;
  /** The status in the record itself. */
  readonly statusInside: string;
  readonly manifest: string;
  /** The value `text` of the deploy, which identifies the revision within a case. */
  readonly text: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const releaseName = 'web';

export function recordsPath(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/secrets?labelSelector=${encodeURIComponent(`owner=helm,name=${releaseName}`)}`;
}

/** The oldest revision comes first. */
export async function readRecords(server: ApiServer, namespace: string): Promise<RecordSeen[]> {
  const secrets = await list(server, recordsPath(namespace));
  return secrets.map(recordOf).sort((one, other) => one.revision - other.revision);
}

interface StoredRelease {
  readonly info: { readonly status: string };
  readonly manifest?: string;
  readonly config?: { readonly text?: unknown };
}

/** Helm encodes the zipped JSON, and Kubernetes encodes it once more. */
export function recordOf(secret: LiveObject): RecordSeen {
  const labels = secret.metadata.labels ?? {};
  const { release } = secret['data'] as { release: string };
  const zipped = Buffer.from(Buffer.from(release, 'base64').toString('latin1'), 'base64');
  const { info, manifest = '', config } = JSON.parse(gunzipSync(zipped).toString('utf8')) as StoredRelease;
  return {
    revision: Number(labels['version']),
    status: labels['status'] ?? '',
    statusInside: info.status,
    manifest,
    text: typeof config?.text === 'string' ? config.text : '',
    labels,
  };
}

/** A history as `1 superseded, 2 failed`. */
export function historyText(records: readonly RecordSeen[]): string {
  return records.map(({ revision, status }) => `${revision} ${status}`).join(', ') || '(no revision)';
}
