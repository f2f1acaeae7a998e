import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { asTaskError, TaskError } from '../../core/failure';
import { isRecord } from '../../core/kubernetes/json';
import type { Execution, FoundPlan, PlanStore } from '../../core/rollbackPlan/document/keptPlan';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import type { Cluster } from '../../core/ports';
import { plainDigest, planJson, readPlan } from '../../core/rollbackPlan/document/document';
import { redactedTexts } from '../../core/rollbackPlan/planRollback';
import type { ChangePlan } from '../../core/rollbackPlan/model/types';
import type { Redact } from '../../core/text/secrets';

interface PlanStoreOptions {
  namespace: string;
  /** The release, or the lock of plain workloads. */
  subject: string;
  /** The kind of Helm's records, because whoever may change the records may also keep plans. */
  kind: 'Secret' | 'ConfigMap';
  redact?: Redact;
}

const planLabel = 'helm-safe-deploy/plan';
const inflatedMaxBytes = 64 * 1024 * 1024;
/** The API server accepts objects of about one megabyte. Base64 adds a third, and a Secret is encoded twice. */
const storedMaxBytes = 600_000;
const digestDigits = 32;
/** A ManualValidation waits at most 30 days. */
const longestGateMs = 30 * 24 * 3_600_000;
const updateTries = 5;

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Stores each plan in its own object, which is named after the digest. */
export function createPlanStore(cluster: Cluster, options: PlanStoreOptions): PlanStore {
  const { namespace, subject, kind, redact = (text: string) => text } = options;
  const refOf = (digest: string): ObjectRef => {
    const name = `helm-safe-deploy.plan.${subject}.${plainDigest(digest).slice(0, digestDigits)}`;
    return { apiVersion: 'v1', kind, namespace, name };
  };

  const change = async (digest: string, fields: (data: StoredData) => Partial<StoredData>): Promise<boolean> => {
    for (let tries = 1; ; tries++) {
      const object = await cluster.get(refOf(digest));
      if (object === undefined) return false;
      try {
        const data = dataOf(object, kind);
        await cluster.update({ ...object, data: encoded({ ...data, ...fields(data) }, kind) });
        return true;
      } catch (error) {
        if (asTaskError(error).reason !== 'Conflict' || tries === updateTries) throw error;
      }
    }
  };

  return {
    async keep({ plan, salt, expiresAt }) {
      const kept: StoredData = {
        plan: await stored(redactedTexts(plan, redact)),
        salt,
        expires: expiresAt.toISOString(),
      };
      if (await change(plan.digest, () => kept)) return;
      const { name } = refOf(plan.digest);
      const metadata = { name, namespace, labels: { [planLabel]: subject } };
      const data = encoded(kept, kind);
      const type = kind === 'Secret' ? { type: 'helm-safe-deploy/plan' } : {};
      await cluster.create({ apiVersion: 'v1', kind, metadata, ...type, data });
    },

    async find(digest): Promise<FoundPlan> {
      const object = await cluster.get(refOf(digest));
      if (object === undefined) return { found: 'nothing' };
      const data = dataOf(object, kind);
      const text = await inflated(data.plan ?? '');
      if (text === undefined) return { found: 'unusable', problem: 'this task did not write it' };
      const read = readPlan(text, digest, sha256);
      if ('problem' in read) return { found: 'unusable', problem: read.problem };
      const madeAt = read.isTimeProven ? dateOf(read.plan.createdAt) : lastMade(data);
      if (madeAt === undefined) return { found: 'unusable', problem: 'it does not show when it was made' };
      const salt = data.salt ?? '';
      return { found: 'plan', plan: read.plan, salt, madeAt, execution: executionOf(data.execution) };
    },

    async note(digest, execution) {
      if (await change(digest, () => ({ execution: JSON.stringify(execution) }))) return;
      const message = `The plan ${digest} is no longer in namespace ${namespace}: somebody has removed it.`;
      throw new TaskError('PlanMissing', message);
    },

    async prune(now) {
      const objects = await cluster.list({
        apiVersion: 'v1',
        kind,
        namespace,
        labelSelector: `${planLabel}=${subject}`,
      });
      for (const object of objects) {
        const { uid, name } = object.metadata;
        if (uid === undefined || expiryOf(dataOf(object, kind)) >= now) continue;
        await cluster.delete({ apiVersion: 'v1', kind, namespace, name }, { uid });
      }
    },
  };
}

interface StoredData {
  /** It holds gzipped JSON in base64. */
  plan?: string;
  salt?: string;
  /** The time is in ISO format. */
  expires?: string;
  /** Earlier versions kept here the API server's time at which each run made the plan. */
  made?: string;
  execution?: string;
}

const names = ['plan', 'salt', 'expires', 'made', 'execution'] as const;

function expiryOf(data: StoredData): Date {
  return dateOf(data.expires) ?? new Date((lastMade(data)?.getTime() ?? 0) + longestGateMs);
}

function lastMade({ made }: StoredData): Date | undefined {
  const value = parsed(made);
  const times = Object.values(isRecord(value) ? value : {}).flatMap((time) => dateOf(time) ?? []);
  return times.sort((one, other) => one.getTime() - other.getTime()).at(-1);
}

function dataOf(object: KubeObject, kind: PlanStoreOptions['kind']): StoredData {
  const data = isRecord(object['data']) ? object['data'] : {};
  const text = (value: unknown): string => {
    if (typeof value !== 'string') return '';
    return kind === 'Secret' ? Buffer.from(value, 'base64').toString('utf8') : value;
  };
  const given = names.map((name): [string, string] => [name, text(data[name])]).filter(([, value]) => value !== '');
  return Object.fromEntries(given);
}

function encoded(data: StoredData, kind: PlanStoreOptions['kind']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data as Record<string, string>).map(([name, value]) => [
      name,
      kind === 'Secret' ? Buffer.from(value).toString('base64') : value,
    ]),
  );
}

/** A plan that is too large loses its differences, which its execution does not need. */
async function stored(plan: ChangePlan): Promise<string> {
  const whole = await zipped(planJson(plan));
  if (whole.length <= storedMaxBytes) return whole;
  const objects = plan.objects.map((object) => ({
    ...object,
    diff: [],
    diffCut: object.diffCut + object.diff.length,
    drift: [],
  }));
  return zipped(planJson({ ...plan, objects }));
}

async function zipped(text: string): Promise<string> {
  return (await promisify(gzip)(text)).toString('base64');
}

async function inflated(text: string): Promise<string | undefined> {
  try {
    const bytes = await promisify(gunzip)(Buffer.from(text, 'base64'), { maxOutputLength: inflatedMaxBytes });
    return bytes.toString('utf8');
  } catch {
    return undefined;
  }
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

function dateOf(value: unknown): Date | undefined {
  const date = new Date(typeof value === 'string' ? value : '');
  return isNaN(date.getTime()) ? undefined : date;
}

function executionOf(text: string | undefined): Execution | undefined {
  const value = parsed(text);
  if (!isRecord(value)) return undefined;
  const { state, revision } = value;
  if ((state !== 'begun' && state !== 'done') || typeof revision !== 'number') return undefined;
  return { state, revision };
}
