import { read } from './api';
import type { Ground } from './ground';
import {
  leaseViolations,
  manifestViolations,
  recordViolations,
  stateViolations,
  type Golden,
  type LeaseSeen,
  type Moment,
  type Violation,
} from './invariants';
import { readState } from './liveState';
import { readRecords, type RecordSeen } from './records';

/** The means to check the release of a namespace. */
export interface ReleaseLook {
  readonly ground: Ground;
  readonly namespace: string;
  /** The release, or the name under which plain workloads are locked. */
  readonly subject: string;
  /** The objects of a fresh install of the revision with that text. Undefined if nobody deployed such a revision. */
  readonly golden: (text: string) => Promise<Golden> | undefined;
  /** The output of all runs. Undefined if some of it was lost with the agent. */
  readonly told: () => string | undefined;
}

/** All rules that the release violates now: its records, its objects and its lease. */
export async function releaseViolations(look: ReleaseLook, when: Moment): Promise<Violation[]> {
  const records = await readRecords(look.ground.server, look.namespace);
  return [
    ...recordViolations(records, when),
    ...manifestViolations(records, await manifestsOf(look, records), when),
    ...(await deployedViolations(look, records, when)),
    ...leaseViolations(await readLease(look), when),
  ];
}

/** Manifests by the text of their revision. */
async function manifestsOf({ golden }: ReleaseLook, records: readonly RecordSeen[]): Promise<Map<string, string>> {
  const texts = [...new Set(records.map(({ text }) => text))];
  const found = await Promise.all(texts.map(async (text) => [text, (await golden(text))?.manifest] as const));
  return new Map(found.flatMap(([text, manifest]) => (manifest === undefined ? [] : [[text, manifest]])));
}

async function deployedViolations(
  { ground, namespace, golden, told }: ReleaseLook,
  records: readonly RecordSeen[],
  when: Moment,
): Promise<Violation[]> {
  const deployed = records.findLast(({ status }) => status === 'deployed');
  const wanted = deployed === undefined ? undefined : await golden(deployed.text);
  if (wanted === undefined) return [];
  return stateViolations(await readState(ground.server, namespace), wanted, told(), when);
}

export type LeaseLook = Pick<ReleaseLook, 'ground' | 'namespace' | 'subject'>;

const workAnnotation = 'helm-safe-deploy/work';

export async function readLease({ ground, namespace, subject }: LeaseLook): Promise<LeaseSeen | undefined> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/helm-safe-deploy.${subject}`;
  const lease = await read(ground.server, path);
  if (lease === undefined) return undefined;
  const { holderIdentity = '' } = lease['spec'] as { holderIdentity?: string };
  return { holder: holderIdentity, work: lease.metadata.annotations?.[workAnnotation] ?? '' };
}
