import type { Facts } from '../../tasks/common/core/rollout/facts';
import { releaseFacts } from '../../tasks/common/core/rollout/configProof';
import { iso, object, type Fields } from './rolloutObjects';
import { between, oneOf, type Random, type Run, type Simulated, type Simulation, type World } from './simulatedRollout';

/** A kind of rollout. `world` makes one of it; its workloads may ask the simulation for the state of others. */
export interface Case {
  name: string;
  world(random: Random, simulation: () => Simulation): World;
}

const serves = (readyAfter = 1): Run => ({ readyAfter });
const fails = (lines: readonly string[], more: Run = {}): Run => ({ seconds: 0.5, exitCode: 1, lines, ...more });

/** A workload of the same rollout that is in order and ready soon. */
function companion(random: Random): Simulated[] {
  const readyAfter = between(random, 0, 8);
  return random() < 0.5 ? [{ name: 'front', replicas: oneOf(random, [1, 2, 3]), run: () => serves(readyAfter) }] : [];
}

const waits = [
  'dial tcp 10.0.0.1:5432: connect: connection refused',
  'could not connect to server',
  'getaddrinfo ENOTFOUND db',
  'Timed out waiting for db:5432',
  'FATAL: the database system is starting up',
  'No leader elected yet',
  '503 Service Unavailable',
  'schema version 41 is older than 42: migrations pending',
];
const hopelessWords = [
  'FATAL: DB_URL is not set',
  "Error: Cannot find module './app'",
  'panic: runtime error: index out of range [5] with length 3',
  'yaml: line 4: did not find expected key',
  'Unrecognized VM option MaxHeap',
  'Segmentation fault (core dumped)',
];
const noise = (random: Random): string[] =>
  Array.from(
    { length: Math.floor(random() * 4) },
    (_, index) => `${iso(index)} INFO step ${Math.floor(random() * 1000)}`,
  );

/** The key of the Secret `db-login`. */
const login = '/Secret/shop/db-login';

function secret(name: string): string {
  return `secret "${name}" not found`;
}

const earlier = object('apps/v1', 'Deployment', 'web', {
  spec: { template: { spec: { containers: [{ name: 'app', image: 'web:1' }] } } },
});
const release = releaseFacts([], [earlier]);
const fixedNode = (name: string, more: Fields = {}): ReturnType<typeof object> =>
  object(
    'v1',
    'Node',
    name,
    {
      spec: more,
      status: { allocatable: { cpu: '4', memory: '8Gi' }, conditions: [{ type: 'Ready', status: 'True' }] },
    },
    { creationTimestamp: iso(-7200) },
  );
const tooLittle = '0/2 nodes are available: 2 Insufficient memory.';
const big: Fields = { containers: [{ name: 'app', resources: { requests: { memory: '64Gi' } } }] };
const refusal = 'pods "web-2-a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3';
const quota = (pods: string): ReturnType<typeof object> =>
  object('v1', 'ResourceQuota', 'small', { spec: { hard: { pods } }, status: { hard: { pods } } });
const standing = (name: string, kind = 'ReplicaSet', more: Fields = {}): ReturnType<typeof object> =>
  object(
    'v1',
    'Pod',
    name,
    { spec: { containers: [] }, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } },
    {
      creationTimestamp: iso(-7200),
      ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'x', uid: 'x', controller: true }],
      ...more,
    },
  );

/** Rollouts that heal when they are left alone, on the default settings. */
export const healing: readonly Case[] = [
  {
    name: 'crashes until a workload of the same rollout is ready, and does not say why',
    world: (random, simulation) => {
      const [upAt, words] = [between(random, 1, 100), oneOf(random, hopelessWords)];
      const run = (_: number, time: number): Run =>
        time > 0 && simulation().isReady('db', time) ? serves() : fails([...noise(random), words]);
      const db = { name: 'db', run: () => serves(upAt) };
      return { workloads: [{ name: 'web', replicas: oneOf(random, [1, 1, 3]), run }, db] };
    },
  },
  {
    name: 'crashes until a workload is ready that crashes itself until something outside is there',
    world: (random, simulation) => {
      const [upAt, words, why] = [between(random, 1, 12), oneOf(random, waits), oneOf(random, hopelessWords)];
      const dbRun = (_: number, time: number): Run => (time > upAt ? serves() : fails([words]));
      const run = (_: number, time: number): Run =>
        time > 0 && simulation().isReady('db', time) ? serves() : fails([why]);
      return {
        workloads: [
          { name: 'web', run },
          { name: 'db', run: dbRun },
        ],
      };
    },
  },
  {
    name: 'crashes until something outside of the rollout is there, and says so',
    world: (random) => {
      const [upAt, words] = [between(random, 1, 71), oneOf(random, waits)];
      const run = (_: number, time: number): Run =>
        time > upAt ? serves() : fails([...noise(random), words, 'exit 1']);
      return { workloads: [{ name: 'web', run }, ...companion(random)] };
    },
  },
  {
    name: 'an init container waits for something outside in this way',
    world: (random) => {
      const [upAt, words] = [between(random, 1, 71), oneOf(random, waits)];
      const initRun = (_: number, time: number): Run => (time > upAt ? fails([], { exitCode: 0 }) : fails([words]));
      return { workloads: [{ name: 'web', run: () => serves(), initRun }] };
    },
  },
  {
    name: 'crashes for an optional Secret that is made late',
    world: (random) => {
      const upAt = between(random, 1, 30);
      const podSpec = { containers: [{ name: 'app', envFrom: [{ secretRef: { name: 's', optional: true } }] }] };
      const run = (_: number, time: number): Run => (time > upAt ? serves() : fails(['PASSWORD is not set']));
      return { workloads: [{ name: 'web', podSpec, run }, ...companion(random)] };
    },
  },
  {
    name: 'crashes while another pod of it does something first',
    world: (random) => {
      const doneAt = between(random, 5, 30);
      const run = (_: number, time: number, index: number): Run =>
        index === 0 ? serves(doneAt) : time > doneAt ? serves() : fails(['seeding is under way elsewhere']);
      return { workloads: [{ name: 'web', replicas: 3, run }] };
    },
  },
  {
    name: 'crashes once or twice for different reasons',
    world: (random) => {
      const crashes = oneOf(random, [1, 2, 3]);
      const run = (number: number): Run =>
        number > crashes
          ? serves()
          : fails([`${hopelessWords[number] ?? ''} ${'ab'.repeat(number)}`], { exitCode: number });
      return { workloads: [{ name: 'web', run }, ...companion(random)] };
    },
  },
  {
    name: 'says nothing and crashes three times',
    world: (random) => {
      const lines = oneOf(random, [[], [''], ['17']]);
      return { workloads: [{ name: 'web', run: (number) => (number > 3 ? serves() : fails(lines)) }] };
    },
  },
  {
    name: 'is killed for its memory once at its start, or late',
    world: (random) => {
      const killed = (seconds: number): Run => ({ seconds, exitCode: 137, reason: 'OOMKilled', lines: [] });
      const isLate = random() < 0.5;
      const run = (number: number): Run =>
        number === 1 ? killed(2) : number === 2 && isLate ? killed(between(random, 11, 20)) : serves();
      return { workloads: [{ name: 'web', run }] };
    },
  },
  {
    name: 'a Secret is made late by a custom resource, a Job or an operator of the release',
    world: (random, simulation) => {
      const madeAt = between(random, 2, 45);
      const maker = oneOf(random, ['custom', 'job', 'operator', 'unknown', 'volume'] as const);
      const custom = object('external-secrets.io/v1', 'ExternalSecret', 'login', { spec: { target: 'db-login' } });
      const job = object('batch/v1', 'Job', 'keys', { spec: { args: ['--secret=db-login'] } });
      const declared = maker === 'job' ? [job] : [];
      const facts = (time: number): Partial<Facts> => ({
        ...(maker === 'unknown' ? {} : { release: releaseFacts(declared, [earlier]) }),
        makers: {
          [login]: { isThere: isMade(time), objects: maker === 'custom' || maker === 'volume' ? [custom] : [] },
        },
      });
      const operator: Simulated = { name: 'operator', run: () => serves(Math.max(0, madeAt - 5)) };
      const isMade = (time: number): boolean =>
        maker === 'operator' ? time > 5 && simulation().isReady('operator', time - 5) : time > madeAt;
      const trouble = (time: number): string | undefined => (isMade(time) ? undefined : secret('db-login'));
      const web: Simulated =
        maker === 'volume'
          ? {
              name: 'web',
              run: () => serves(),
              mount: (time) => trouble(time) && `MountVolume.SetUp failed for volume "v" : ${secret('db-login')}`,
            }
          : { name: 'web', run: () => serves(), config: trouble };
      return { workloads: [web, ...(maker === 'operator' ? [operator] : [])], facts };
    },
  },
  {
    name: 'a quota is freed by pods that end',
    world: (random) => {
      const freedAt = between(random, 5, 45);
      const who = oneOf(random, ['old', 'job', 'ending', 'rollout'] as const);
      const filling =
        who === 'job'
          ? standing('job-a', 'Job')
          : who === 'rollout'
            ? standing('other', 'ReplicaSet', { creationTimestamp: iso(-30) })
            : standing('leaving', 'ReplicaSet', { deletionTimestamp: iso(40), deletionGracePeriodSeconds: 40 });
      const web: Simulated = {
        name: 'web',
        run: () => serves(),
        refused: (time) => (time < freedAt ? refusal : undefined),
        ...(who === 'old' ? { oldEndsAt: freedAt } : {}),
      };
      const facts = (time: number): Partial<Facts> => ({
        quotas: { shop: { quotas: [quota('1')], pods: time < freedAt && who !== 'old' ? [filling] : [] } },
      });
      return { workloads: [web], facts };
    },
  },
  {
    name: 'a node is added',
    world: (random) => {
      const who = oneOf(random, ['autoscaler', 'silent', 'exchange', 'person'] as const);
      const addedAt = who === 'autoscaler' ? between(random, 60, 240) : between(random, 20, 110);
      const web: Simulated = {
        name: 'web',
        podSpec: big,
        run: () => serves(),
        unplaced: (time) => (time < addedAt ? tooLittle : undefined),
        ...(who === 'autoscaler'
          ? { events: [{ second: between(random, 2, 11), reason: 'TriggeredScaleUp', message: 'triggered' }] }
          : {}),
      };
      const nodes = [fixedNode('a'), fixedNode('b', who === 'exchange' ? { unschedulable: true } : {})];
      const facts = (): Partial<Facts> => (who === 'person' ? {} : { nodes: { nodes, mayGrow: who !== 'exchange' } });
      return { workloads: [web], facts };
    },
  },
  {
    name: 'a registry flaps',
    world: (random) => {
      const backAt = between(random, 1, 30);
      const image = oneOf(random, [
        'shop.azurecr.io/web:42',
        '1.dkr.ecr.eu-west-1.amazonaws.com/web:1',
        'quay.io/shop/web:2',
      ]);
      const isCopying = random() < 0.5;
      const said = isCopying
        ? `failed to resolve reference "${image}": ${image}: not found`
        : oneOf(random, [
            'dial tcp 10.0.0.9:443: connect: connection refused',
            'unexpected status from HEAD: 503 Service Unavailable',
          ]);
      const podSpec = { containers: [{ name: 'app', image }] };
      const pull = (time: number): string | undefined => (time < backAt ? said : undefined);
      return {
        workloads: [{ name: 'web', podSpec, run: () => serves(), pull }, ...companion(random)],
        facts: () => ({ release }),
      };
    },
  },
];

/** Rollouts that cannot heal. */
export const hopeless: readonly (Case & { code: string; mayCome?: true })[] = [
  {
    name: 'crashes at its start and says why',
    code: 'CrashLoop',
    world: (random) => {
      const [words, before] = [oneOf(random, hopelessWords), between(random, 0.5, 6)];
      const run = (): Run => fails([...noise(random), words], { seconds: before });
      return { workloads: [{ name: 'web', replicas: oneOf(random, [1, 1, 2]), run }, ...companion(random)] };
    },
  },
  {
    name: 'an init container does',
    code: 'InitContainerFailed',
    world: (random) => {
      const words = oneOf(random, hopelessWords);
      return {
        workloads: [
          { name: 'web', run: () => serves(), initRun: () => fails([words], { seconds: between(random, 0.5, 6) }) },
        ],
      };
    },
  },
  {
    name: 'crashes and says nothing',
    code: 'CrashLoop (silent)',
    world: () => ({ workloads: [{ name: 'web', run: () => fails([]) }] }),
  },
  {
    name: 'crashes because it cannot reach what never comes, and says so',
    code: 'CrashLoop (unreached)',
    mayCome: true,
    world: (random) => {
      const words = oneOf(random, waits);
      return { workloads: [{ name: 'web', run: () => fails([...noise(random), words]) }, ...companion(random)] };
    },
  },
  {
    name: 'runs for a while each time before it crashes',
    code: 'CrashLoop (late)',
    world: (random) => {
      const seconds = between(random, 11, 22);
      return { workloads: [{ name: 'web', run: () => fails([oneOf(random, hopelessWords)], { seconds }) }] };
    },
  },
  {
    name: 'the program does not know a flag',
    code: 'StartError (flag)',
    world: () => ({
      workloads: [
        {
          name: 'web',
          podSpec: { containers: [{ name: 'app', args: ['--colour'] }] },
          run: () => fails(['Error: unknown flag: --colour', 'Usage:', '  server [flags]']),
        },
      ],
    }),
  },
  {
    name: 'needs more memory than it may have',
    code: 'OutOfMemory',
    world: (random) => {
      const run = (): Run => ({ seconds: between(random, 0.5, 5), exitCode: 137, reason: 'OOMKilled', lines: [] });
      return { workloads: [{ name: 'web', run }] };
    },
  },
  {
    name: 'a ConfigMap of this revision lacks a key',
    code: 'ConfigMissing (key)',
    world: () => {
      const settings = object('v1', 'ConfigMap', 'settings', { data: { host: 'x' } });
      const config = (): string => "couldn't find key port in ConfigMap shop/settings";
      return {
        workloads: [{ name: 'web', run: () => serves(), config }],
        facts: () => ({ release: releaseFacts([settings], [earlier]) }),
      };
    },
  },
  {
    name: 'a Secret that nothing makes',
    code: 'ConfigMissing (object)',
    world: (random) => ({
      workloads: [{ name: 'web', run: () => serves(), config: () => secret('db-login') }, ...companion(random)],
      facts: () => ({ release, makers: { [login]: { isThere: false, objects: [] } } }),
    }),
  },
  {
    name: 'a quota that pods which stay fill',
    code: 'QuotaExceeded',
    world: () => ({
      workloads: [{ name: 'web', run: () => serves(), refused: () => refusal }],
      facts: () => ({ quotas: { shop: { quotas: [quota('1')], pods: [standing('other')] } } }),
    }),
  },
  {
    name: 'no node is large enough',
    code: 'Unschedulable',
    world: () => ({
      workloads: [{ name: 'web', podSpec: big, run: () => serves(), unplaced: () => tooLittle }],
      facts: () => ({ nodes: { nodes: [fixedNode('a'), fixedNode('b')], mayGrow: false } }),
    }),
  },
  {
    name: 'an image that the registry does not have',
    code: 'ImageNotFound',
    world: (random) => {
      const image = 'r.example/web:42';
      const pull = (): string => `failed to resolve reference "${image}": ${image}: not found`;
      return {
        workloads: [
          { name: 'web', podSpec: { containers: [{ name: 'app', image }] }, run: () => serves(), pull },
          ...companion(random),
        ],
      };
    },
  },
];
