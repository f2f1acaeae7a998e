import { isRunner } from '../../tasks/common/core/rollout/runner';
import { isJudged } from '../../tasks/common/core/status/result';
import type { ReportedEvidence, ReportedObject } from '../../tasks/common/core/report/report';

/** How something is doing, as a word, a shape and a colour. */
export type Tone = 'good' | 'bad' | 'warning' | 'busy' | 'neutral' | 'unknown';

export interface TreeNode {
  /** `Kind/name`. */
  name: string;
  namespace: string;
  tone: Tone;
  word: string;
  text: string;
  /** ISO time, or empty. */
  since: string;
  evidence: readonly ReportedEvidence[];
  children: readonly TreeNode[];
}

export interface Tree {
  /** Objects that run pods. What is broken comes first. */
  workloads: readonly TreeNode[];
  others: readonly TreeNode[];
  /** Evidence of objects that the report does not list. */
  loose: readonly ReportedEvidence[];
}

export function treeOf(objects: readonly ReportedObject[], evidence: readonly ReportedEvidence[]): Tree {
  const owners = ownersOf(objects, evidence);
  const nodes = objects.map((object) => ({ object, node: nodeOf(object, owners.get(nameOf(object)) ?? []) }));
  const sorted = nodes.toSorted((one, other) => toneRank[one.node.tone] - toneRank[other.node.tone]);
  return {
    workloads: sorted.filter(({ object }) => isRunner(object)).map(({ node }) => node),
    others: sorted.filter(({ object }) => !isRunner(object)).map(({ node }) => node),
    loose: owners.get('') ?? [],
  };
}

const toneRank: Readonly<Record<Tone, number>> = { bad: 0, warning: 1, busy: 2, unknown: 3, neutral: 4, good: 5 };

function nameOf({ kind, name }: { kind: string; name: string }): string {
  return `${kind}/${name}`;
}

/** By `Kind/name` of the workload that explains the evidence; empty where none does. */
function ownersOf(
  objects: readonly ReportedObject[],
  evidence: readonly ReportedEvidence[],
): Map<string, ReportedEvidence[]> {
  const names = new Set(objects.map(nameOf));
  const runners = objects.filter(isRunner);
  const owned = new Map<string, ReportedEvidence[]>();
  let before = '';
  for (const item of evidence) {
    const own = names.has(item.object) ? item.object : ownerOfPod(item.object, runners);
    // The logs that follow a cause belong to it.
    const owner = own === '' && item.kind === 'log' ? before : own;
    owned.set(owner, [...(owned.get(owner) ?? []), item]);
    before = owner;
  }
  return owned;
}

/** A pod is named after its workload: the longest name that fits is the one. */
function ownerOfPod(object: string, runners: readonly ReportedObject[]): string {
  const pod = /^(?:Pod|ReplicaSet|Job)\/(.+)$/.exec(object)?.[1];
  if (pod === undefined) return '';
  const fitting = runners.filter(({ name }) => pod.startsWith(`${name}-`));
  const longest = fitting.toSorted((one, other) => other.name.length - one.name.length)[0];
  return longest === undefined ? '' : nameOf(longest);
}

function nodeOf(object: ReportedObject, evidence: readonly ReportedEvidence[]): TreeNode {
  const own = nameOf(object);
  return {
    name: own,
    namespace: object.namespace,
    ...healthOf(object),
    text: object.message,
    since: object.since,
    evidence: evidence.filter((item) => item.object === own),
    children: childrenOf(own, evidence),
  };
}

function childrenOf(own: string, evidence: readonly ReportedEvidence[]): TreeNode[] {
  const names = [...new Set(evidence.map(({ object }) => object).filter((name) => name !== own))];
  return names.map((name) => {
    const items = evidence.filter(({ object }) => object === name);
    const cause = items.find(({ kind }) => kind !== 'log');
    return {
      name,
      namespace: '',
      tone: cause === undefined ? 'unknown' : 'bad',
      word: cause === undefined ? 'log only' : 'failed',
      text: cause?.title ?? '',
      since: '',
      evidence: items,
      children: [],
    };
  });
}

function healthOf(object: ReportedObject): Pick<TreeNode, 'tone' | 'word'> {
  if (object.health === 'healthy') {
    return isJudged(object) ? { tone: 'good', word: 'healthy' } : { tone: 'neutral', word: 'not judged' };
  }
  if (object.isPreexisting) return { tone: 'warning', word: `${object.health}, as before` };
  if (object.health === 'failed') return { tone: 'bad', word: 'failed' };
  return object.health === 'progressing' ? { tone: 'busy', word: 'progressing' } : { tone: 'unknown', word: 'unknown' };
}

/** `3 failed, 12 healthy`. */
export function treeWords({ workloads, others }: Tree): string {
  const counts = new Map<string, number>();
  for (const { word } of [...workloads, ...others]) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, number]) => `${number} ${word}`).join(', ');
}
