/**
 * What the name of an attachment tells, so that a reader of many needs no content. Documented in docs/templates/fleet.md.
 */
export interface AttachmentName {
  kind: AttachmentKind;
  /** How the step ended; empty if the name does not tell. */
  outcome: string;
  /** Ring and cluster are empty outside of a fleet. */
  ring: string;
  cluster: string;
  namespace: string;
  release: string;
  /** `System.JobAttempt`, from 1. */
  attempt: number;
}

const kinds = ['deploy', 'deployPlan', 'health', 'plan', 'rollback', 'repair', 'resume', 'fleet'] as const;

export type AttachmentKind = (typeof kinds)[number];

/** The agent's file systems and the server take a name of this length. Unit: characters. */
export const attachmentNameLimit = 200;

const separator = ',';
const extension = '.json';
/** A longer field is cut and ends with this mark, which no escape contains. */
const cutMark = '_';
const limits = { outcome: 12, ring: 30, cluster: 57, namespace: 38, release: 38 } as const;
const fields = ['outcome', 'ring', 'cluster', 'namespace', 'release'] as const;

/** Valid as a file name on every system, and at most 200 characters long. */
export function attachmentName(parts: AttachmentName): string {
  const texts = fields.map((field) => escaped(parts[field], limits[field]));
  return [parts.kind, ...texts, String(parts.attempt)].join(separator) + extension;
}

/** Everything but letters, digits, dots and hyphens becomes `_` and the two hexadecimal digits of each byte. */
function escaped(text: string, limit: number): string {
  const parts = Array.from(text, (character) => (/[A-Za-z0-9.-]/.test(character) ? character : bytesOf(character)));
  const whole = parts.join('');
  if (whole.length <= limit) return whole;
  let cut = '';
  for (const part of parts) {
    if (cut.length + part.length > limit - cutMark.length) break;
    cut += part;
  }
  return cut + cutMark;
}

function bytesOf(character: string): string {
  return [...new TextEncoder().encode(character)].map((byte) => `_${byte.toString(16).padStart(2, '0')}`).join('');
}

/** Names of earlier versions tell the kind and the release. Returns undefined for a name that is not of this extension. */
export function readAttachmentName(name: string): AttachmentName | undefined {
  const bare = name.endsWith(extension) ? name.slice(0, -extension.length) : name;
  const [kind, outcome, ring, cluster, namespace, release, attempt, ...more] = bare.split(separator);
  const known = kinds.find((each) => each === kind);
  if (known === undefined) return readEarlierName(bare);
  if (more.length > 0 || attempt === undefined || !/^[1-9]\d{0,5}$/.test(attempt)) return undefined;
  const [first, second, third, fourth, fifth] = [outcome, ring, cluster, namespace, release].map(unescaped);
  return {
    kind: known,
    outcome: first ?? '',
    ring: second ?? '',
    cluster: third ?? '',
    namespace: fourth ?? '',
    release: fifth ?? '',
    attempt: Number(attempt),
  };
}

function unescaped(text = ''): string {
  const bytes: number[] = [];
  for (const [part] of text.matchAll(/_[0-9a-f]{2}|[^]/g)) {
    if (part.length === 3) bytes.push(Number.parseInt(part.slice(1), 16));
    else bytes.push(...new TextEncoder().encode(part));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

function readEarlierName(bare: string): AttachmentName | undefined {
  const [, task, action, rest] =
    /^(HelmSafeDeploy|RolloutHealthCheck|ApproveAndRollback)-(?:(plan|rollback)-)?(.+)$/.exec(bare) ?? [];
  if (task === undefined || rest === undefined) return undefined;
  const isAfter = rest.endsWith('-after-the-job');
  const kind = earlierKind(task, action, isAfter);
  const release = rest.replace(/-after-the-job$/, '').replace(/-plan$/, (end) => (kind === 'plan' ? '' : end));
  return { kind, outcome: '', ring: '', cluster: '', namespace: '', release, attempt: 1 };
}

function earlierKind(task: string, action: string | undefined, isAfter: boolean): AttachmentKind {
  if (task === 'HelmSafeDeploy') return isAfter ? 'repair' : 'deploy';
  if (task === 'RolloutHealthCheck') return 'health';
  if (isAfter) return 'resume';
  return action === 'plan' ? 'plan' : 'rollback';
}
