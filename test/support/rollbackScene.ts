import { createHash } from 'node:crypto';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import { rulesOf, type HelmProvenance } from '../../tasks/common/core/helm/provenance';
import type { RehearsedWrite, Rehearsal } from '../../tasks/common/core/helm/rehearsal';
import type { Hook, Revision } from '../../tasks/common/core/release/release';
import { planRollback } from '../../tasks/common/core/rollbackPlan/planRollback';
import { servedKey } from '../../tasks/common/core/rollbackPlan/model/places';
import type {
  PlannedObject,
  ReleasePlanInputs,
  ChangePlan,
  RollbackPolicy,
  ServedKind,
} from '../../tasks/common/core/rollbackPlan/model/types';
import { assertPlan } from './planSchema';

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const strict: RollbackPolicy = {
  allow: [],
  allowUnverifiedTarget: false,
  allowIrreversible: [],
  allowUnknownHelm: false,
  allowPodDelete: false,
  maxDeletions: 10,
};

export function helm(version = 'v3.17.3'): HelmProvenance {
  return { from: 'release', version, rules: rulesOf(version) };
}

export function manifest(...objects: unknown[]): string {
  return objects.map((one) => `---\n${JSON.stringify(one)}\n`).join('');
}

export function object(kind: string, name: string, more: object = {}, apiVersion = 'v1'): KubeObject {
  return { apiVersion, kind, metadata: { name }, ...more };
}

export function deployment(name: string, podSpec: object, more: object = {}): KubeObject {
  const labels = { app: name };
  const spec = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec }, ...more };
  return object('Deployment', name, { spec }, 'apps/v1');
}

export function web(image: string, more: object = {}): KubeObject {
  return deployment('web', { containers: [{ name: 'web', image }] }, more);
}

/** The mark of a revision that was seen healthy. */
export function verified(revision: number): Record<string, string> {
  return { 'helm-safe-deploy/verified': String(revision) };
}

export function revision(
  number: number,
  status: Revision['status'],
  objects: unknown[],
  more: Partial<Revision> = {},
): Revision {
  return {
    name: 'web',
    namespace: 'shop',
    revision: number,
    status,
    description: number === 1 ? 'Install complete' : 'Upgrade complete',
    lastDeployed: `2026-08-20T10:0${number % 10}:00.123456Z`,
    chart: { name: 'web', version: `1.${number}.0`, appVersion: `2.${number}` },
    manifest: manifest(...objects),
    config: {},
    notes: '',
    hooks: [],
    labels: {},
    writtenAt: undefined,
    ...more,
  };
}

export function hook(kind: string, name: string, events: string[], lastPhase = 'Succeeded', more: object = {}): Hook {
  const made = object(kind, name, more, kind === 'Job' ? 'batch/v1' : 'v1');
  return { name, kind, events, lastPhase, manifest: JSON.stringify(made) };
}

const clusterScoped = new Set(['Namespace', 'CustomResourceDefinition', 'ClusterRole', 'PersistentVolume']);

/** An object of this release as the API server stores it. */
export function live(
  declared: KubeObject,
  more: { uid?: string; owner?: string | null; annotations?: object } = {},
): KubeObject {
  const { owner = 'web', annotations = {}, uid = `uid-${declared.kind}-${declared.metadata.name}` } = more;
  const marks = owner === null ? {} : { 'meta.helm.sh/release-name': owner, 'meta.helm.sh/release-namespace': 'shop' };
  return {
    ...declared,
    metadata: {
      ...declared.metadata,
      ...(clusterScoped.has(declared.kind) ? {} : { namespace: declared.metadata.namespace ?? 'shop' }),
      uid,
      resourceVersion: '1',
      labels: { ...declared.metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: { ...declared.metadata.annotations, ...marks, ...annotations },
    },
  };
}

/** A write as a rehearsal records it. A deletion records only the reference of its object. */
export function write(
  effect: RehearsedWrite['effect'],
  after: KubeObject,
  more: Partial<RehearsedWrite> = {},
): RehearsedWrite {
  const verbs = { created: 'create', changed: 'patch', deleted: 'delete', refused: 'patch' } as const;
  return {
    verb: verbs[effect],
    ref: refOf(after),
    resource: plural(after.kind),
    effect,
    client: 'Helm/3.17.3',
    ...(after.metadata.uid === undefined ? {} : { uid: after.metadata.uid }),
    ...(effect === 'created' || effect === 'changed' ? { object: after } : {}),
    ...more,
  };
}

function plural(kind: string): string {
  return kind.endsWith('y') ? `${kind.slice(0, -1).toLowerCase()}ies` : `${kind.toLowerCase()}s`;
}

export function rehearsal(writes: readonly RehearsedWrite[], more: Partial<Rehearsal> = {}): Rehearsal {
  return {
    outcome: 'completed',
    message: '',
    exitCode: 0,
    writes,
    storage: [],
    revision: 3,
    warnings: [],
    requests: { reads: 0, dryRuns: writes.length },
    durationMs: 400,
    ...more,
  };
}

export interface Scene extends Partial<Omit<ReleasePlanInputs, 'live' | 'served'>> {
  live?: readonly KubeObject[];
  /** The writes of a complete rehearsal. `null` means that there was no rehearsal. */
  writes?: readonly RehearsedWrite[] | null;
  /** Kinds (`apiVersion/Kind`) that the API server does not serve. */
  unserved?: readonly string[];
}

export function inputsOf(scene: Scene): ReleasePlanInputs {
  const { live: objects = [], writes = [], unserved = [], history = [], ...rest } = scene;
  const rehearsed = writes === null ? {} : { rehearsal: rehearsal(writes) };
  return {
    change: 'rollback',
    release: 'web',
    namespace: 'shop',
    toRevision: 'verified',
    policy: strict,
    helm: helm(),
    served: servedKinds(history, unserved),
    autoscalers: [],
    pods: [],
    claims: [],
    now: new Date('2026-08-20T12:00:00Z'),
    sha256,
    ...rehearsed,
    ...rest,
    history,
    live: new Map(objects.map((one) => [objectKey(refOf(one)), one])),
  };
}

function servedKinds(history: readonly Revision[], unserved: readonly string[]): Map<string, ServedKind> {
  const kinds = new Map<string, ServedKind>();
  const text = history
    .map(({ manifest: written, hooks }) => written + hooks.map((one) => one.manifest ?? '').join(''))
    .join('');
  for (const [, apiVersion = '', kind = ''] of text.matchAll(/"apiVersion":"([^"]+)","kind":"([^"]+)"/g)) {
    const key = servedKey({ apiVersion, kind });
    if (unserved.includes(key)) kinds.set(key, { isServed: false });
    else kinds.set(key, { isServed: true, namespaced: !clusterScoped.has(kind), plural: plural(kind) });
  }
  return kinds;
}

/** The plan, after a check against its schema. */
export function plan(scene: Scene): ChangePlan {
  const made = planRollback(inputsOf(scene));
  assertPlan(made);
  return made;
}

export function codes({ findings }: ChangePlan, severity?: 'refusal' | 'warning' | 'note'): string[] {
  return findings.filter((one) => severity === undefined || one.severity === severity).map(({ code }) => code);
}

export function fatesOf({ objects }: ChangePlan): Record<string, string> {
  return Object.fromEntries(objects.map((one) => [`${one.kind}/${one.name}`, one.fate]));
}

export function objectOf({ objects }: ChangePlan, name: string): PlannedObject {
  const found = objects.find((one) => `${one.kind}/${one.name}` === name);
  if (found === undefined) throw new Error(`${name} is not in the plan`);
  return found;
}
