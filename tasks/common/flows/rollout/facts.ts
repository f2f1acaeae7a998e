import { asTaskError, TaskError } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { at } from '../../core/kubernetes/read';
import { apiGroup, manifestObjects } from '../../core/kubernetes/manifest';
import type { Revision } from '../../core/release/release';
import type { RolloutContext } from '../../core/releaseContext';
import { releaseFacts } from '../../core/rollout/configProof';
import type { Facts, NodeFacts, Question } from '../../core/rollout/facts';
import { makesNodes, nodeMakers } from '../../core/rollout/nodeProof';
import { trimmed } from '../../core/rollout/trimmed';

/** Reads what may prove that waiting cannot help. What cannot be read proves nothing, and is logged once. */
interface FactFinder {
  found(): Facts;
  /** Begins to read. Nothing waits for an answer, because a node may never give one. */
  ask(questions: readonly Question[]): void;
  /**
   * Reads again what is not of this moment, before a verdict that may rest on it. Returns true if something was read.
   * An answer that does not come in time is forgotten.
   */
  renew(questions: readonly Question[]): Promise<boolean>;
  /** Aborts as soon as there are facts that the last call of `found` did not return. */
  news(): AbortSignal;
}

const logLines = 20;
const logBytes = 16 * 1024;
/** Milliseconds after which a fact is read again while it is asked for. It is forgotten after twice this time. */
const ages: Readonly<Record<Question['about'], number>> = {
  log: Infinity,
  tail: 10_000,
  release: Infinity,
  quota: 3_000,
  nodes: 10_000,
  makers: 10_000,
};

const momentMs = 1_000;
const renewMs = 5_000;

interface Answer {
  question: Question;
  at: number;
  facts: Partial<Facts>;
}

/** Without `earlier`, nothing is known of the earlier revisions of the release. */
interface Release {
  declared: readonly KubeObject[];
  earlier?: readonly Pick<Revision, 'manifest' | 'status'>[];
}

export function factFinder(context: RolloutContext, release: Release): FactFinder {
  const { clock, signal } = context;
  const answers = new Map<string, Answer>();
  const asked = new Map<string, number>();
  const unreadable = new Set<string>();
  let arrived = new AbortController();
  /** Logs a missing right once. Other errors may pass. */
  const refused = (what: string, error: unknown): void => {
    const { reason, message } = asTaskError(error);
    if (reason !== 'PermissionDenied' || unreadable.has(what) || signal.aborted) return;
    unreadable.add(what);
    context.agent.log(`  (Whether waiting can help is not known, so every grace is kept: ${message})`);
  };
  const read = async (question: Question): Promise<void> => {
    asked.set(question.key, clock.monotonicMs());
    try {
      const facts = await readers(context, question, { ...release, refused });
      answers.set(question.key, { question, at: clock.monotonicMs(), facts });
      arrived.abort();
    } catch (error) {
      refused(question.about, error);
    }
  };
  return {
    found: () => {
      arrived = new AbortController();
      const now = clock.monotonicMs();
      const valid = [...answers.values()].filter(({ question, at }) => now - at <= 2 * ages[question.about]);
      return together(valid.map(({ facts }) => facts));
    },
    ask: (questions) => {
      const now = clock.monotonicMs();
      for (const question of questions) {
        const isDue = now - (asked.get(question.key) ?? -Infinity) >= ages[question.about];
        if (isDue && !unreadable.has(question.about)) void read(question);
      }
    },
    renew: async (questions) => {
      const now = clock.monotonicMs();
      const old = questions.filter(({ key, about }) => {
        const answer = answers.get(key);
        return answer !== undefined && about !== 'tail' && ages[about] < Infinity && now - answer.at > momentMs;
      });
      for (const { key } of old) answers.delete(key);
      const over = new AbortController();
      const time = clock.sleep(renewMs, AbortSignal.any([over.signal, signal]));
      if (old.length > 0) await Promise.race([Promise.all(old.map(read)), time]);
      over.abort();
      return old.length > 0;
    },
    news: () => arrived.signal,
  };
}

function together(all: readonly Partial<Facts>[]): Facts {
  return Object.assign({}, ...all, {
    logs: Object.assign({}, ...all.map(({ logs }) => logs)) as Facts['logs'],
    quotas: Object.assign({}, ...all.map(({ quotas }) => quotas)) as Facts['quotas'],
    makers: Object.assign({}, ...all.map(({ makers }) => makers)) as Facts['makers'],
  }) as Facts;
}

interface Source extends Release {
  refused: (what: string, error: unknown) => void;
}

async function readers(context: RolloutContext, question: Question, source: Source): Promise<Partial<Facts>> {
  const { cluster } = context;
  switch (question.about) {
    case 'log':
    case 'tail': {
      const { namespace, pod: name, container, previous } = question.log;
      const options = { previous, tailLines: logLines, limitBytes: logBytes, timestamps: true };
      return { logs: { [question.key]: await cluster.podLog({ namespace, name, container }, options) } };
    }
    case 'quota': {
      const { namespace } = question;
      const [quotas, pods] = await Promise.all([
        cluster.list({ apiVersion: 'v1', kind: 'ResourceQuota', namespace }),
        cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }),
      ]);
      return { quotas: { [namespace]: { quotas, pods: pods.map(trimmed) } } };
    }
    case 'nodes':
      return { nodes: await readNodes(context, source) };
    case 'makers':
      return { makers: { [question.key]: await readMakers(context, question.missing) } };
    case 'release': {
      const { declared, earlier = [] } = source;
      const objects = (revisions: typeof earlier): KubeObject[] =>
        revisions.flatMap(({ manifest }) => manifestObjects(manifest));
      const deployed = earlier.filter(({ status }) => status === 'deployed' || status === 'superseded');
      return { release: releaseFacts(declared, objects(earlier), objects(deployed)) };
    }
  }
}

/** Reads the custom resources of the namespace, except those that an aggregated API computes. */
async function readMakers(
  { cluster }: RolloutContext,
  missing: ObjectRef & { namespace: string },
): Promise<Facts['makers'][string]> {
  const kinds = await cluster.customKinds();
  if (kinds === undefined) throw new TaskError('KindNotServed', 'The API server does not list all kinds at once.');
  const listed = kinds.filter(({ apiVersion, namespaced }) => namespaced && !/metrics\.k8s\.io/.test(apiVersion));
  const { namespace } = missing;
  const lists = listed.map(({ apiVersion, kind }) => cluster.list({ apiVersion, kind, namespace }));
  const objects = (await Promise.all(lists)).flat();
  // This is read last, because a controller may make the object meanwhile.
  const found = await cluster.get(missing, { metadataOnly: true });
  return { isThere: found !== undefined, objects };
}

async function readNodes({ cluster }: RolloutContext, { refused }: Source): Promise<NodeFacts> {
  const nodes = await cluster.list({ apiVersion: 'v1', kind: 'Node' });
  const autoscaler = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    namespace: 'kube-system',
    name: 'cluster-autoscaler-status',
  };
  const status = await cluster.get(autoscaler, { metadataOnly: true }).catch((error: unknown) => {
    refused('autoscaler', error);
    return autoscaler;
  });
  const kinds = await cluster.customKinds();
  const isMaker = kinds === undefined || kinds.some(({ apiVersion }) => nodeMakers.has(apiGroup(apiVersion)));
  return { nodes: nodes.map(trimmedNode), mayGrow: isMaker || status !== undefined || nodes.some(makesNodes) };
}

function trimmedNode({ apiVersion, kind, metadata, spec, status }: KubeObject): KubeObject {
  return {
    apiVersion,
    kind,
    metadata,
    spec,
    status: { allocatable: at(status, 'allocatable'), conditions: at(status, 'conditions') },
  };
}
