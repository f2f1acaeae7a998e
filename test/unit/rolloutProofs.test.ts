import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { namesDependency } from '../../tasks/common/core/rollout/crashProof';
import { releaseFacts } from '../../tasks/common/core/rollout/configProof';
import { noFacts, type Facts } from '../../tasks/common/core/rollout/facts';
import { makesNodes } from '../../tasks/common/core/rollout/nodeProof';
import {
  baselineOf,
  judge,
  type RolloutMemory,
  type RolloutPolicy,
  type RolloutVerdict,
} from '../../tasks/common/core/rollout/verdict';
import {
  at,
  crashedPod,
  deployment,
  event,
  iso,
  object,
  plainPod,
  runningPod,
  snapshotOf,
  unschedulablePod,
  waitingPod,
  type CrashedRun,
  type Fields,
} from '../support/rolloutObjects';

const policy: RolloutPolicy = { failFast: true, deadline: at(600), isApplied: true, graces: {}, statusRules: [] };

interface Frame {
  second: number;
  objects: readonly KubeObject[];
  facts?: Partial<Facts>;
}

/** Judges the frames in order, each with the memory of the one before, and returns the last verdict. */
function judged(frames: readonly Frame[], change: Partial<RolloutPolicy> = {}, memory?: RolloutMemory): RolloutVerdict {
  let verdict: RolloutVerdict | undefined;
  for (const { second, objects, facts } of frames) {
    const snapshot = snapshotOf(objects, { ...noFacts, ...facts });
    verdict = judge(snapshot, { ...policy, ...change }, verdict?.memory ?? memory, at(second));
  }
  assert.ok(verdict);
  return verdict;
}

function codeOf({ health, decisive }: RolloutVerdict): string {
  const cause = decisive?.cause ?? decisive?.suspects[0];
  return `${health} ${[cause?.code, cause?.detail].filter(Boolean).join(' ')}`.trim();
}

const line = (second: number, text: string): string => `${iso(second).replace('Z', '123456Z')} ${text}\n`;
const logKey = (run: number, pod = 'web-2-0', container = 'app'): string => `Pod-${pod}/${container}#${run}`;

interface Loop {
  /** What the first and the second run said last. */
  said: readonly [string, string];
  runs?: readonly [Partial<CrashedRun>, Partial<CrashedRun>];
  others?: (second: number) => readonly KubeObject[];
  podSpec?: Fields;
  /** Pods beside the crashing one. */
  pods?: readonly Fields[];
  spec?: Fields;
}

/** A container that ends at second 1 and again at second 3. */
function loop({ said, runs = [{}, {}], others = () => [], podSpec, pods = [], spec }: Loop): Frame[] {
  const isInit = runs[0].isInit === true;
  const key = (run: number): string => logKey(run, 'web-2-0', isInit ? 'init' : 'app');
  const logs = { [key(1)]: line(1, said[0]), [key(2)]: line(3, said[1]) };
  return [0, 1].map((index): Frame => {
    const second = [1, 3][index] ?? 0;
    const pod = crashedPod({ ended: index + 1, began: second, ...runs[index] });
    const more = { ...(podSpec && { podSpec }), ...(spec && { spec }) };
    return {
      second: second + 0.3,
      objects: [...deployment('web', [pod, ...pods], more), ...others(second)],
      facts: { logs },
    };
  });
}

const fatal = (at: string): [string, string] => [
  `FATAL ${at} 17: DB_URL is not set`,
  `FATAL ${at} 18: DB_URL is not set`,
];
const same = fatal('12:00:01');

describe('proof: a container that ended twice in the same way', () => {
  const proven: readonly (readonly [string, Loop])[] = [
    ['says the same apart from numbers and times', { said: same }],
    ['is an init container', { said: same, runs: [{ isInit: true }, { isInit: true }] }],
    ['ran for some seconds', { said: same, runs: [{ seconds: 8 }, { seconds: 0 }] }],
    [
      'is a segmentation fault',
      { said: ['Segmentation fault', 'Segmentation fault'], runs: [{ exitCode: 139 }, { exitCode: 139 }] },
    ],
    ['runs beside a workload that was ready before', { said: same, others: () => deployment('api', [runningPod()]) }],
  ];
  for (const [what, incident] of proven) {
    it(`cannot recover, and fails after the second run: it ${what}`, () => {
      const frames = loop(incident);
      assert.equal(judged(frames.slice(0, 1)).health, 'progressing');
      const verdict = judged(frames);
      assert.match(codeOf(verdict), /^failed (CrashLoop|InitContainerFailed)$/);
      assert.match(verdict.decisive?.cause?.message ?? '', /Two runs in a row have ended in the same way/);
    });
  }

  const keptOpen: readonly (readonly [string, Loop])[] = [
    ['it says nothing', { said: ['', ''] }],
    ['it says only numbers', { said: ['17', '18'] }],
    ['it says something else', { said: ['FATAL: no DB_URL', 'FATAL: no DB_PASSWORD'] }],
    ['it ended with another exit code', { said: same, runs: [{ exitCode: 1 }, { exitCode: 2 }] }],
    ['it ended without an error', { said: same, runs: [{ exitCode: 0 }, { exitCode: 0 }] }],
    ['it was killed from outside', { said: same, runs: [{ exitCode: 137 }, { exitCode: 137 }] }],
    ['it ran for long', { said: same, runs: [{ seconds: 0 }, { seconds: 11 }] }],
    ['a run between the two was not seen', { said: same, runs: [{}, { ended: 3 }] }],
    ['the next run has begun', { said: same, runs: [{}, { isRunning: true }] }],
    ['another workload is still starting', { said: same, others: () => deployment('db', [runningPod(false)]) }],
    [
      'another workload was ready too late',
      { said: same, others: (second) => deployment('db', [runningPod(second > 1)]) },
    ],
    [
      'another workload keeps ending for a reason that is not known',
      { said: same, others: (second) => deployment('db', [crashedPod({ ended: second, began: second })]) },
    ],
    ['another pod of it is ready', { said: same, pods: [runningPod()] }],
    ['another pod of it is starting', { said: same, pods: [runningPod(false)] }],
    [
      'it may wait for an optional Secret',
      {
        said: same,
        podSpec: { containers: [{ name: 'app', envFrom: [{ secretRef: { name: 's', optional: true } }] }] },
      },
    ],
  ];
  for (const [what, incident] of keptOpen) {
    it(`keeps its grace: ${what}`, () => {
      assert.equal(judged(loop(incident)).health, 'progressing');
    });
  }

  it('keeps its grace while a container beside it is not ready', () => {
    const frames = loop({ said: same }).map((frame) => ({
      ...frame,
      objects: frame.objects.map((item) => {
        if (item.kind !== 'Pod') return item;
        const status = item['status'] as { containerStatuses: Fields[] };
        const proxy = { name: 'proxy', ready: false, restartCount: 0, state: { running: {} } };
        return { ...item, status: { ...status, containerStatuses: [...status.containerStatuses, proxy] } };
      }),
    }));
    assert.equal(judged(frames).health, 'progressing');
  });

  it('keeps its grace if one log was read twice', () => {
    const [first, last] = loop({ said: same });
    assert.ok(first && last);
    const logs = { [logKey(1)]: line(3, same[1]), [logKey(2)]: line(3, same[1]) };
    assert.equal(judged([first, { ...last, facts: { logs } }]).health, 'progressing');
  });

  it('keeps its grace if the logs could not be read', () => {
    const frames = loop({ said: same }).map(({ second, objects }) => ({ second, objects }));
    assert.equal(judged(frames).health, 'progressing');
  });

  it('keeps a grace that the user has set', () => {
    assert.equal(judged(loop({ said: same }), { graces: { CrashLoop: 60 } }).health, 'progressing');
  });

  it('is not proven for pods of the template before, while Helm still runs hooks', () => {
    const before = baselineOf(snapshotOf(deployment('web', [runningPod()])), at(0));
    assert.equal(judged(loop({ said: same }), { isApplied: false }, before).health, 'progressing');
    assert.equal(judged(loop({ said: same }), { isApplied: false }).health, 'failed');
  });

  it('two workloads that keep ending do not wait for each other', () => {
    const others = (second: number): KubeObject[] =>
      deployment('api', [crashedPod({ ended: second === 1 ? 1 : 2, began: second })]);
    const frames = loop({ said: same, others }).map((frame) => {
      const own = { [logKey(1, 'api-2-0')]: line(1, 'bad flag'), [logKey(2, 'api-2-0')]: line(3, 'bad flag') };
      return { ...frame, facts: { logs: { ...frame.facts?.logs, ...own } } };
    });
    assert.equal(codeOf(judged(frames)), 'failed CrashLoop');
  });

  it('asks for the log of each ended run, and for none of a Job', () => {
    const [first] = loop({ said: same });
    assert.ok(first);
    const log = { namespace: 'shop', pod: 'web-2-0', container: 'app', previous: true };
    assert.deepEqual(judged([first]).questions, [{ about: 'log', key: logKey(1), log }]);
    assert.deepEqual(judged([first], { failFast: false }).questions, []);
  });
});

describe('the grace of an image that its registry may not have yet', () => {
  const missing = (image: string, more: Parameters<typeof deployment>[2] = {}): KubeObject[] => {
    const message = `Back-off pulling image "${image}": ErrImagePull: failed to resolve reference "${image}": ${image}: not found`;
    return deployment('web', [waitingPod('ImagePullBackOff', message)], {
      podSpec: { containers: [{ name: 'app', image }] },
      ...more,
    });
  };
  const copied = 'shop.azurecr.io/web:42';
  const used = { old: [runningPod()] };
  const cases: readonly (readonly [string, KubeObject[], number, string])[] = [
    ['a registry that replicates', missing(copied), 59, 'progressing ImageNotFound replicating'],
    ['a registry that replicates', missing(copied), 60, 'failed ImageNotFound replicating'],
    ['a digest', missing('shop.azurecr.io/web@sha256:ab'), 59, 'progressing ImageNotFound replicating'],
    ['another one', missing('1.dkr.ecr.eu-west-1.amazonaws.com/web:1'), 59, 'progressing ImageNotFound replicating'],
    ['an image of an earlier revision', missing(copied, used), 0, 'failed ImageNotFound replicating'],
    ['any other registry', missing('r.example/web:1'), 0, 'failed ImageNotFound'],
    [
      'a repository with the name of such a registry',
      missing('r.example/shop.azurecr.io/web:1'),
      0,
      'failed ImageNotFound',
    ],
  ];
  for (const [what, objects, second, code] of cases) {
    it(`${what}, after ${second} s: ${code}`, () => {
      const frames = [0, 25, 50].filter((each) => each < second).map((each) => ({ second: each, objects }));
      assert.equal(codeOf(judged([...frames, { second, objects }])), code);
    });
  }

  it('is as long as the user says', () => {
    const graces = { ImageNotFound: 0 };
    assert.equal(judged([{ second: 0, objects: missing(copied) }], { graces }).health, 'failed');
  });
});

describe('proof: words of a container that waits for something', () => {
  const waits = [
    'dial tcp 10.0.0.1:5432: connect: connection refused',
    'could not translate host name "db" to address: Name or service not known',
    'getaddrinfo ENOTFOUND redis',
    'java.net.UnknownHostException: broker-0.broker',
    'context deadline exceeded',
    'Timed out waiting for the ledger',
    'read ECONNRESET',
    'upstream is not ready',
    'FATAL: the database system is starting up',
    '503 Service Unavailable',
    'host not found in upstream "api"',
    'x509: certificate signed by unknown authority',
    'relation "users" does not exist',
    'open /vault/secrets/config: no such file or directory',
    'lock is held by another process',
    'listen tcp :8080: bind: address already in use',
    'pods is forbidden: User "web" cannot list resource',
    'AccessDenied: not authorized to perform sts:AssumeRole',
    'No leader elected yet',
    'unexpected EOF',
    'write /data/wal: no space left on device',
    'another instance is already running',
    'failed to fetch the signing keys',
    'unable to reach the ledger',
    'stream orders not found',
    'migration 41 is pending',
  ];
  for (const text of waits)
    it(`waits: ${text}`, () => {
      assert.equal(namesDependency(text), true);
    });

  const final = [
    'FATAL: DB_URL is not set',
    "Error: Cannot find module './app'",
    'panic: runtime error: index out of range [5] with length 3',
    'yaml: line 4: did not find expected key',
    'java.lang.NullPointerException',
    'invalid value "abc" for PORT: must be a number',
    'Segmentation fault (core dumped)',
    'SyntaxError: invalid syntax',
    'failed to load config: missing field `port`',
    'Error: Config validation error: "PORT" is required',
  ];
  for (const text of final)
    it(`does not wait: ${text}`, () => {
      assert.equal(namesDependency(text), false);
    });
});

describe('a container that ends again and again, in its fourth run after 34 s', () => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    ['could not reach something', 'dial tcp 10.0.0.1:5432: connect: connection refused', 4, 'progressing'],
    ['could not reach something, in its fifth run', 'dial tcp: lookup db: no such host', 5, 'failed'],
    ['names something that it has reached', 'relation "orders" has no column price', 4, 'failed'],
    ['says nothing', '', 4, 'failed'],
  ];
  for (const [what, text, ended, health] of cases) {
    it(`${what}: ${health} after its grace`, () => {
      const frame = (number: number, second: number): Frame => ({
        second,
        objects: deployment('web', [crashedPod({ ended: number, began: second - 1 })]),
        facts: { logs: { [logKey(2)]: line(3, text) } },
      });
      const frames = [frame(1, 1), frame(2, 3), frame(3, 14), frame(4, 34), ...(ended > 4 ? [frame(5, 75)] : [])];
      const end = judged([...frames, { ...(frames.at(-1) ?? frame(1, 1)), second: ended > 4 ? 91 : 60 }]);
      assert.equal(end.health, health);
    });
  }
});

describe('proof: a container that was killed for its memory', () => {
  const kill = (number: number, seconds = 1): Frame => {
    const run = { ended: number, exitCode: 137, reason: 'OOMKilled', began: 2 * number, seconds };
    return { second: 2 * number + seconds, objects: deployment('web', [crashedPod(run)]) };
  };
  const cases: readonly (readonly [string, readonly Frame[], string])[] = [
    ['twice soon after its start', [kill(1), kill(2)], 'failed OutOfMemory'],
    ['once', [kill(1)], 'progressing OutOfMemory'],
    ['twice, the second time late', [kill(1), kill(2, 11)], 'progressing OutOfMemory'],
    ['and the run before was not seen', [kill(2)], 'progressing OutOfMemory'],
  ];
  for (const [what, frames, code] of cases)
    it(`${what}: ${code}`, () => {
      assert.equal(codeOf(judged(frames)), code);
    });
});

describe('proof: a container that says that it can never start', () => {
  const usage = 'Usage of server:\n  -port int\n';
  const withTimes = (text: string): string =>
    text
      .split('\n')
      .map((each) => line(1, each).trimEnd())
      .join('\n');
  const cases: readonly (readonly [string, string, Partial<CrashedRun>, string])[] = [
    ['another processor', 'exec /app/server: exec format error', { exitCode: 255 }, 'failed StartError'],
    [
      'an older runtime',
      'standard_init_linux.go:228: exec user process caused: exec format error',
      {},
      'failed StartError',
    ],
    ['a file that may not be run', 'sh: /app/run.sh: Permission denied', { exitCode: 126 }, 'failed StartError'],
    ['a file of its own that it may not read', 'open /data/x: Permission denied', {}, 'progressing CrashLoop'],
    ['a flag of Go', `flag provided but not defined: -colour\n${usage}`, { exitCode: 2 }, 'failed StartError'],
    ['a flag of cobra', `Error: unknown flag: --colour\n${usage}`, {}, 'failed StartError'],
    [
      'a flag of Python',
      `${usage}server.py: error: unrecognized arguments: --colour=red`,
      { exitCode: 2 },
      'failed StartError',
    ],
    ['a flag without its usage', 'unknown flag: --colour', {}, 'progressing CrashLoop'],
    ['a flag that the pod does not give', `unknown flag: --color\n${usage}`, {}, 'progressing CrashLoop'],
    ['a sentence about the error', 'the worker reported exec format error', {}, 'progressing CrashLoop'],
  ];
  for (const [what, text, run, code] of cases) {
    it(`${what}: ${code}`, () => {
      const podSpec = {
        containers: [{ ...(plainPod['containers'] as Fields[])[0], args: ['--colour', 'red', '--colour=red'] }],
      };
      const objects = deployment('web', [crashedPod({ ended: 1, began: 1, ...run })], { podSpec });
      const frame = { second: 2, objects, facts: { logs: { [logKey(1)]: withTimes(text) } } };
      assert.equal(codeOf(judged([frame])), code);
    });
  }
});

describe('proof: a quota that has no room for one pod', () => {
  const asks = (requested: string): string =>
    `pods "web-2-a" is forbidden: exceeded quota: small, requested: ${requested}, used: pods=9, limited: pods=9`;
  const refused = (requested: string, more: { old?: Fields[]; pods?: Fields[] } = {}): KubeObject[] => {
    const condition = { type: 'ReplicaFailure', status: 'True', message: asks(requested) };
    const { pods = [], old } = more;
    const set = { replicas: pods.length, conditions: [condition] };
    const spec = { replicas: pods.length + 1 };
    return deployment('web', pods, { set, spec, status: { updatedReplicas: pods.length }, ...(old && { old }) }).map(
      (item) => (item.kind === 'ReplicaSet' && item.metadata.name === 'web-2' ? { ...item, spec } : item),
    );
  };
  const quota = (hard: Fields, more: Fields = {}): KubeObject =>
    object('v1', 'ResourceQuota', 'small', { spec: { hard, ...more }, status: { hard } });
  const resources = { requests: { cpu: '400m', memory: '1Gi' } };
  const other = (name: string, age: number, metadata: Fields = {}, kind = 'ReplicaSet'): KubeObject =>
    object(
      'v1',
      'Pod',
      name,
      { spec: { containers: [{ name: 'x', resources }] }, status: runningPod() },
      {
        creationTimestamp: iso(-age),
        ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'x', uid: 'x', controller: true }],
        ...metadata,
      },
    );
  const cases: readonly (readonly [string, KubeObject[], KubeObject, readonly KubeObject[], boolean])[] = [
    ['one pod asks for more than all of it', refused('requests.cpu=2'), quota({ 'requests.cpu': '1' }), [], true],
    ['it allows no pod', refused('pods=1'), quota({ pods: '0' }), [], true],
    ['it has room', refused('pods=1'), quota({ pods: '1' }), [], false],
    ['pods of others that stay fill it', refused('pods=1'), quota({ pods: '1' }), [other('a', 3600)], true],
    ['their requests fill it', refused('cpu=500m'), quota({ cpu: '1300m' }), [other('a', 900), other('b', 900)], false],
    [
      'their requests fill it to the last',
      refused('cpu=600m'),
      quota({ cpu: '1300m' }),
      [other('a', 900), other('b', 900)],
      true,
    ],
    ['a pod of another rollout is young', refused('pods=1'), quota({ pods: '1' }), [other('a', 60)], false],
    ['a pod ends', refused('pods=1'), quota({ pods: '1' }), [other('a', 3600, { deletionTimestamp: iso(9) })], false],
    ['a pod of a Job will end', refused('pods=1'), quota({ pods: '1' }), [other('a', 3600, {}, 'Job')], false],
    ['an old pod will end', refused('pods=1', { old: [runningPod()] }), quota({ pods: '1' }), [], false],
    ['pods of the new revision fill it', refused('pods=1', { pods: [runningPod()] }), quota({ pods: '1' }), [], true],
    [
      'it was raised a moment ago',
      refused('pods=1'),
      { ...quota({ pods: '5' }), status: { hard: { pods: '0' } } },
      [],
      false,
    ],
    [
      'it is for some pods only',
      refused('pods=1'),
      quota({ pods: '1' }, { scopes: ['BestEffort'] }),
      [other('a', 3600)],
      false,
    ],
    [
      'it is for some pods only, and allows none',
      refused('pods=1'),
      quota({ pods: '0' }, { scopes: ['BestEffort'] }),
      [],
      true,
    ],
  ];
  for (const [what, objects, found, others, isProven] of cases) {
    it(`${isProven ? 'fails at once' : 'keeps its grace'}: ${what}`, () => {
      const pods = [...objects.filter(({ kind }) => kind === 'Pod'), ...others];
      const facts = { quotas: { shop: { quotas: [found], pods } } };
      assert.equal(
        codeOf(judged([{ second: 0, objects, facts }])),
        `${isProven ? 'failed' : 'progressing'} QuotaExceeded`,
      );
    });
  }

  it('asks for the quotas of the namespace of the pods', () => {
    const { questions } = judged([{ second: 0, objects: refused('pods=1') }]);
    assert.deepEqual(questions, [{ about: 'quota', key: 'quota shop', namespace: 'shop' }]);
  });
});

const node = (name: string, labels: Record<string, string> = {}, more: Fields = {}): KubeObject =>
  object(
    'v1',
    'Node',
    name,
    {
      spec: more['spec'] ?? {},
      status: {
        allocatable: { cpu: '4', memory: '8Gi' },
        conditions: [{ type: 'Ready', status: more['ready'] ?? 'True' }],
      },
    },
    { labels, creationTimestamp: iso(-3600), ...(more['metadata'] as Fields) },
  );

describe('proof: a pod that no node can take', () => {
  const wants = (spec: Fields): Fields => unschedulablePod('0/2 nodes are available: 2 Insufficient cpu.', spec);
  const asking = (requests: Fields): Fields => wants({ containers: [{ name: 'app', resources: { requests } }] });
  const affine = (...matchExpressions: Fields[]): Fields => {
    const required = { nodeSelectorTerms: [{ matchExpressions }] };
    return wants({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } } });
  };
  const two = [node('a', { disk: 'ssd' }), node('b')];
  const fixed = { nodes: two, mayGrow: false };
  const cases: readonly (readonly [string, Fields, Facts['nodes'], boolean])[] = [
    ['it asks for more than any node has', asking({ memory: '9Gi' }), fixed, true],
    [
      'its containers together do',
      wants({ containers: [{ resources: { requests: { cpu: '3' } } }, { resources: { requests: { cpu: '2' } } }] }),
      fixed,
      true,
    ],
    ['no node has the label', wants({ nodeSelector: { gpu: 'yes' } }), fixed, true],
    ['no node has the value', affine({ key: 'disk', operator: 'In', values: ['nvme'] }), fixed, true],
    [
      'the node with the label is too small',
      {
        ...asking({ cpu: '5' }),
        spec: {
          nodeName: undefined,
          nodeSelector: { disk: 'ssd' },
          containers: [{ name: 'app', resources: { requests: { cpu: '5' } } }],
        },
      },
      fixed,
      true,
    ],
    ['a node has the room, if others leave', asking({ memory: '8Gi' }), fixed, false],
    ['a node has the label', wants({ nodeSelector: { disk: 'ssd' } }), fixed, false],
    [
      'the expression is about something else',
      affine({ key: 'disk', operator: 'NotIn', values: ['ssd'] }),
      fixed,
      false,
    ],
    ['a device may appear', asking({ 'example.com/gpu': '1' }), fixed, false],
    ['something makes nodes', asking({ memory: '9Gi' }), { nodes: two, mayGrow: true }, false],
    ['nodes may not be read', asking({ memory: '9Gi' }), undefined, false],
    [
      'a node is new',
      asking({ memory: '9Gi' }),
      { nodes: [...two, node('c', {}, { metadata: { creationTimestamp: iso(-60) } })], mayGrow: false },
      false,
    ],
    [
      'a node is being emptied',
      asking({ memory: '9Gi' }),
      { nodes: [...two, node('c', {}, { spec: { unschedulable: true } })], mayGrow: false },
      false,
    ],
    [
      'a node is away',
      asking({ memory: '9Gi' }),
      { nodes: [...two, node('c', {}, { ready: 'Unknown' })], mayGrow: false },
      false,
    ],
  ];
  for (const [what, pod, nodes, isProven] of cases) {
    it(`${isProven ? 'fails after 15 s' : 'keeps its grace'}: ${what}`, () => {
      const facts = nodes === undefined ? {} : { nodes };
      const frames = [0, 14, 15].map((second) => ({ second, objects: deployment('web', [pod]), facts }));
      assert.equal(judged(frames.slice(0, 2)).health, 'progressing');
      assert.equal(judged(frames).health, isProven ? 'failed' : 'progressing');
    });
  }

  it('waits until the other workloads are done, which may label nodes, and 15 s more', () => {
    const frame = (second: number, isReady: boolean): Frame => ({
      second,
      objects: [
        ...deployment('web', [wants({ nodeSelector: { gpu: 'yes' } })]),
        ...deployment('labeller', [runningPod(isReady)]),
      ],
      facts: { nodes: fixed },
    });
    const frames = [frame(0, false), frame(25, false), frame(30, true), frame(44, true)];
    assert.equal(judged(frames).health, 'progressing');
    assert.equal(judged([...frames, frame(45, true)]).health, 'failed');
  });

  it('recognises nodes that something has made', () => {
    const made = [node('a', { 'karpenter.sh/nodepool': 'x' }), node('gk3-a'), node('a', { type: 'virtual-kubelet' })];
    assert.deepEqual([...made, node('a', { 'kubernetes.io/os': 'linux' })].map(makesNodes), [true, true, true, false]);
  });
});

describe('a DaemonSet with a node that is away', () => {
  const agents = (
    pods: readonly [name: string, nodeName: string, status: Fields, metadata?: Fields][],
  ): KubeObject[] => {
    const status = {
      observedGeneration: 1,
      desiredNumberScheduled: 3,
      currentNumberScheduled: 3,
      updatedNumberScheduled: 3,
      numberReady: 2,
      numberAvailable: 2,
    };
    const annotations = { 'deprecated.daemonset.template.generation': '2' };
    const owner = object(
      'apps/v1',
      'DaemonSet',
      'agent',
      { spec: { template: { spec: plainPod } }, status },
      { annotations },
    );
    const { apiVersion, kind, metadata } = owner;
    const ownerReferences = [{ apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }];
    return [
      owner,
      ...pods.map(([name, nodeName, podStatus, more]) =>
        object(
          'v1',
          'Pod',
          name,
          { spec: { ...plainPod, nodeName }, status: podStatus },
          { ownerReferences, labels: { 'pod-template-generation': '2' }, ...more },
        ),
      ),
    ];
  };
  const silent = {
    ...runningPod(),
    conditions: [
      { type: 'Ready', status: 'False' },
      { type: 'ContainersReady', status: 'True' },
    ],
  };
  const leaving = { deletionTimestamp: iso(-60), deletionGracePeriodSeconds: 30 };
  const facts = { nodes: { nodes: [node('a'), node('b'), node('c', {}, { ready: 'Unknown' })], mayGrow: true } };
  const good: [string, string, Fields][] = [
    ['agent-a', 'a', runningPod()],
    ['agent-b', 'b', runningPod()],
  ];
  const cases: readonly (readonly [string, KubeObject[], Partial<Facts>, string])[] = [
    ['its pods on ready nodes are ready', agents([...good, ['agent-c', 'c', silent]]), facts, 'healthy'],
    ['its pod there is being deleted', agents([...good, ['agent-c', 'c', silent, leaving]]), facts, 'healthy'],
    [
      'its pod there is of the template before',
      agents([...good, ['agent-c', 'c', silent, { labels: {} }]]),
      facts,
      'healthy',
    ],
    [
      'a pod on a ready node is not ready',
      agents([
        ['agent-a', 'a', runningPod()],
        ['agent-b', 'b', runningPod(false)],
        ['agent-c', 'c', silent],
      ]),
      facts,
      'progressing',
    ],
    [
      'a pod on a ready node is of the template before',
      agents([
        ['agent-a', 'a', runningPod()],
        ['agent-b', 'b', runningPod(), { labels: {} }],
        ['agent-c', 'c', silent],
      ]),
      facts,
      'progressing',
    ],
    [
      'a ready node has no pod',
      agents([
        ['agent-a', 'a', runningPod()],
        ['agent-c', 'c', silent],
      ]),
      facts,
      'progressing',
    ],
    ['nodes may not be read', agents([...good, ['agent-c', 'c', silent]]), {}, 'progressing'],
  ];
  for (const [what, objects, found, health] of cases) {
    it(`${health}: ${what}`, () => {
      const verdict = judged([0, 26].map((second) => ({ second, objects, facts: found })));
      assert.equal(verdict.health, health);
      if (health === 'healthy')
        assert.match(verdict.workloads[0]?.status.message ?? '', /lost nodes are not waited for: c/);
    });
  }

  it('asks for the nodes', () => {
    const { questions } = judged([{ second: 0, objects: agents([...good, ['agent-c', 'c', silent]]) }]);
    assert.deepEqual(questions, [{ about: 'nodes', key: 'nodes' }]);
  });
});

describe('proof: a ConfigMap, a Secret or a key that nobody makes', () => {
  const lacking = (message: string): Fields => waitingPod('CreateContainerConfigError', message);
  const noKey = lacking("couldn't find key port in ConfigMap shop/settings");
  const noSecret = lacking('secret "db-login" not found');
  const settings = (more: Fields = {}, metadata: Fields = {}): KubeObject =>
    object('v1', 'ConfigMap', 'settings', { data: { host: 'x' }, ...more }, metadata);
  const custom = (kind: string, name: string, spec: Fields = {}, group = 'external-secrets.io'): KubeObject =>
    object(`${group}/v1`, kind, name, { spec });
  const web = (spec: Fields): KubeObject => object('apps/v1', 'Deployment', 'web', { spec: { template: { spec } } });
  const before = web({ containers: [{ name: 'app', image: 'web:1', envFrom: [{ configMapRef: { name: 'other' } }] }] });
  const referred = web({ containers: [{ env: [{ valueFrom: { secretKeyRef: { name: 'db-login', key: 'p' } } }] }] });
  const facts = (
    declared: KubeObject[],
    earlier: KubeObject[] = [before],
    found: KubeObject[] = [],
  ): Partial<Facts> => ({
    release: releaseFacts(declared, earlier),
    makers: { '/Secret/shop/db-login': { isThere: false, objects: found } },
  });
  const mounted = waitingPod('ContainerCreating', '');
  const cases: readonly (readonly [string, Fields, Partial<Facts>, number | undefined])[] = [
    ['this revision declares it without the key', noKey, facts([settings()]), 0],
    ['it does so at the first install', noKey, facts([settings()], []), 0],
    ['the manifest has the key', noKey, facts([settings({ binaryData: { port: 'eA==' } })]), undefined],
    [
      'a controller may fill it',
      noKey,
      facts([settings({}, { annotations: { 'example.com/inject': 'true' } })]),
      undefined,
    ],
    ['it is declared empty', noKey, facts([settings({ data: {} })]), undefined],
    [
      'a declared custom resource names it',
      noKey,
      facts([settings(), custom('Merge', 'a', { target: 'settings' })]),
      undefined,
    ],
    [
      'a program is told its name',
      noKey,
      facts([settings(), web({ containers: [{ args: ['--config-map=settings'] }] })]),
      undefined,
    ],
    [
      'a role may write it',
      noKey,
      facts([
        settings(),
        object('rbac.authorization.k8s.io/v1', 'Role', 'r', { rules: [{ resourceNames: ['settings'] }] }),
      ]),
      undefined,
    ],
    ['nothing makes it, and the reference is new', noSecret, facts([]), 15],
    [
      'an unrelated custom resource is there',
      noSecret,
      facts([], [before], [custom('Thing', 'cache', { key: 'x' })]),
      15,
    ],
    ['the release was not there before', noSecret, facts([], []), undefined],
    ['an earlier revision refers to it', noSecret, facts([], [before, referred]), undefined],
    [
      'an ExternalSecret names it',
      noSecret,
      facts([], [before], [custom('ExternalSecret', 'a', { target: { name: 'db-login' } })]),
      undefined,
    ],
    [
      'an operator names it after its resource',
      noSecret,
      facts([], [before], [custom('Cluster', 'db', {}, 'postgresql.cnpg.io')]),
      undefined,
    ],
    [
      'a namesake of a kind that makes nothing',
      noSecret,
      facts([], [before], [custom('ServiceMonitor', 'db', {}, 'monitoring.coreos.com')]),
      15,
    ],
    ['custom resources may not be read', noSecret, { release: releaseFacts([], [before]) }, undefined],
    [
      'nothing is known of the release',
      noSecret,
      { makers: { '/Secret/shop/db-login': { isThere: false, objects: [] } } },
      undefined,
    ],
    [
      'it is declared, and not there',
      noSecret,
      facts([object('v1', 'Secret', 'db-login', { stringData: { p: 'x' } })]),
      undefined,
    ],
    [
      'a Job may make it',
      noSecret,
      facts([object('batch/v1', 'Job', 'keys', { spec: { args: ['db-login'] } })]),
      undefined,
    ],
  ];
  for (const [what, pod, found, second] of cases) {
    it(`${second === undefined ? 'keeps its grace' : `fails after ${second} s`}: ${what}`, () => {
      const frames = [0, 14, 15, 59].map((each) => ({ second: each, objects: deployment('web', [pod]), facts: found }));
      const failed = frames.findIndex((_, index) => judged(frames.slice(0, index + 1)).health === 'failed');
      assert.equal(frames[failed]?.second, second);
    });
  }

  it('waits until the other workloads of the release are done, and 15 s more', () => {
    const frame = (second: number, isReady: boolean): Frame => ({
      second,
      objects: [...deployment('web', [noSecret]), ...deployment('operator', [runningPod(isReady)])],
      facts: facts([]),
    });
    const frames = [frame(0, false), frame(25, false), frame(30, true), frame(44, true)];
    assert.equal(judged(frames).health, 'progressing');
    assert.equal(judged([...frames, frame(45, true)]).health, 'failed');
  });

  it('knows the object of a key in a volume', () => {
    const podSpec = { containers: [{ name: 'app' }], volumes: [{ name: 'conf', configMap: { name: 'settings' } }] };
    const objects = deployment('web', [mounted], { podSpec });
    const pod = objects.find(({ kind }) => kind === 'Pod') as KubeObject;
    const said = 'MountVolume.SetUp failed for volume "conf" : references non-existent config key: port';
    const verdict = judged([
      { second: 0, objects: [...objects, event(pod, 'FailedMount', said)], facts: facts([settings()]) },
    ]);
    assert.equal(codeOf(verdict), 'failed ConfigMissing');
    assert.match(verdict.decisive?.cause?.message ?? '', /declares ConfigMap.settings without the key port/);
  });

  it('asks for the release and for the custom resources of the namespace', () => {
    const { questions } = judged([{ second: 0, objects: deployment('web', [noKey]) }]);
    assert.deepEqual(questions, [
      { about: 'release', key: 'release' },
      {
        about: 'makers',
        key: '/ConfigMap/shop/settings',
        missing: { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'settings' },
      },
    ]);
  });

  it('an image that an earlier revision has deployed is not new to its registry', () => {
    const image = 'shop.azurecr.io/web:42';
    const used = web({ containers: [{ image }] });
    const objects = deployment('web', [waitingPod('ErrImagePull', `${image}: not found`)], {
      podSpec: { containers: [{ name: 'app', image }] },
    });
    const seen = (release: Facts['release']): string =>
      judged([{ second: 0, objects, facts: { release: release as NonNullable<typeof release> } }]).health;
    assert.equal(seen(releaseFacts([], [used], [used])), 'failed');
    assert.equal(seen(releaseFacts([], [used], [])), 'progressing', 'a revision that failed');
  });
});
