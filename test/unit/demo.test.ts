import assert from 'node:assert/strict';
import { currentEndpoints } from '../../scripts/demo/endpoints';
import { isLocalServer, type LocalAddress } from '../../scripts/demo/locality';
import { demoOptions, UsageError } from '../../scripts/demo/options';
import { checks, type DemoOutcome } from '../../scripts/demo/verdict';
import { replicaCounts } from '../../scripts/demo/watch';

describe('the demo asks before it uses a cluster that is not on this machine', () => {
  const addresses: LocalAddress[] = [
    { address: '127.0.0.1', cidr: '127.0.0.1/8', isInside: false },
    { address: '10.1.2.3', cidr: '10.1.0.0/16', isInside: false },
    { address: '172.18.0.1', cidr: '172.18.0.1/16', isInside: true },
    { address: 'fd00::1', cidr: 'fd00::1/64', isInside: true },
  ];
  const cases: readonly [string, string, boolean][] = [
    ['loopback', 'https://127.0.0.1:6443', true],
    ['another loopback address', 'https://127.8.9.10:6443', true],
    ['loopback, IPv6', 'https://[::1]:6443', true],
    ['localhost', 'https://localhost:6443', true],
    ['a name below localhost', 'https://cluster.localhost', true],
    ['Docker Desktop', 'https://kubernetes.docker.internal:6443', true],
    ["this machine's own address", 'https://10.1.2.3:6443', true],
    ['a container on a bridge of this machine', 'https://172.18.0.5:6443', true],
    ['the same over IPv6', 'https://[fd00::5]:6443', true],
    ["a private address in this machine's network", 'https://10.1.2.4:6443', false],
    ['a private address elsewhere', 'https://192.168.1.10:6443', false],
    ['a public address', 'https://203.0.113.7', false],
    ['a public address, IPv6', 'https://[2001:db8::1]', false],
    ['a managed cluster', 'https://prod-1234.hcp.westeurope.azmk8s.io:443', false],
    ['a name that only looks local', 'https://localhost.example.com', false],
    ['an address as part of a name', 'https://127.0.0.1.example.com', false],
  ];
  for (const [name, server, isLocal] of cases) {
    it(`${name} is ${isLocal ? '' : 'not '}on this machine`, () => {
      assert.equal(isLocalServer(server, addresses), isLocal);
    });
  }
});

describe('the client calls the endpoints that a Service leads to', () => {
  const endpoint = (pod: string, conditions: object) => ({
    addresses: [`10.0.0.${pod}`],
    conditions,
    targetRef: { kind: 'Pod', name: `pod-${pod}` },
  });
  const slice = (
    endpoints: readonly object[] | null,
    ports: readonly object[] | null = [{ name: 'http', port: 80 }],
  ) => ({
    addressType: 'IPv4',
    endpoints,
    ports,
  });
  const pods = (...slices: readonly object[]): string[] => currentEndpoints(slices).map(({ pod }) => pod);

  it('a pod that is not ready, or terminates, gets no request', () => {
    const slices = slice([
      endpoint('1', { ready: true, serving: true, terminating: false }),
      endpoint('2', { ready: false, serving: false, terminating: false }),
      endpoint('3', { ready: false, serving: true, terminating: true }),
    ]);
    assert.deepEqual(pods(slices), ['pod-1']);
    assert.deepEqual(currentEndpoints([slices]), [{ address: '10.0.0.1', port: 80, pod: 'pod-1' }]);
  });

  it('with only terminating pods left, those that still serve get the requests', () => {
    const ended = endpoint('1', { ready: false, serving: false, terminating: true });
    const serving = endpoint('2', { ready: false, serving: true, terminating: true });
    assert.deepEqual(pods(slice([ended, serving])), ['pod-2']);
  });

  it('missing conditions count as true', () => {
    assert.deepEqual(pods(slice([endpoint('1', {})])), ['pod-1']);
  });

  it('an endpoint that is in two slices while it moves is one endpoint', () => {
    const ready = endpoint('1', { ready: true });
    assert.deepEqual(pods(slice([ready]), slice([ready, endpoint('2', { ready: true })])), ['pod-1', 'pod-2']);
  });

  it('a Service without pods, or without ports, has no endpoint', () => {
    assert.deepEqual(pods(slice(null)), []);
    assert.deepEqual(pods(slice([endpoint('1', { ready: true })], null)), []);
  });
});

describe('the demo compares ready replicas with the number that the strategy allows', () => {
  const deployment = (maxUnavailable: unknown) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'shop' },
    spec: { replicas: 5, strategy: { rollingUpdate: { maxUnavailable } } },
    status: { readyReplicas: 4 },
  });
  it('a number and a percentage, which is rounded down', () => {
    assert.deepEqual(replicaCounts(deployment(2)), { wanted: 5, ready: 4, allowed: 3 });
    assert.deepEqual(replicaCounts(deployment('30%')), { wanted: 5, ready: 4, allowed: 4 });
    assert.deepEqual(replicaCounts(deployment(0)), { wanted: 5, ready: 4, allowed: 5 });
  });
});

describe('the demo succeeds only if everything that it promises has happened', () => {
  const client = {
    seconds: 40,
    requests: 1000,
    failed: 0,
    perSecond: 25,
    failures: {},
    pods: ['a', 'b'],
    medianMs: 1,
    slowestMs: 10,
    longestPauseMs: 50,
  };
  const history = [
    { revision: 1, status: 'superseded', chart: 'shop-1.0.0' },
    { revision: 2, status: 'failed', chart: 'shop-2.0.0' },
    { revision: 3, status: 'deployed', chart: 'shop-1.0.0' },
  ];
  const outputs = { outcome: 'rolledBack', reason: 'ReadinessProbeFailed', failedWorkload: 'Deployment/shop' };
  const bad = { result: 'Failed', outputs: { ...outputs, verifiedRevision: '3' } };
  const good: DemoOutcome = {
    good: { result: 'Succeeded', outputs: { outcome: 'deployed' } },
    bad,
    history,
    replicas: { wanted: 2, allowed: 2, lowestReady: 2 },
    client,
  };
  const failed = (outcome: Partial<DemoOutcome>): string[] =>
    checks({ ...good, ...outcome }).flatMap(({ isTrue, text }) => (isTrue ? [] : [text]));

  it('it succeeds when all is well, with and without a client', () => {
    assert.deepEqual(failed({}), []);
    assert.deepEqual(failed({ client: undefined }), []);
  });

  const cases: readonly [string, Partial<DemoOutcome>, RegExp][] = [
    ['version 1 was not deployed', { good: { result: 'Failed', outputs: { outcome: 'failed' } } }, /^version 1/],
    ['version 2 was deployed', { bad: { ...bad, outputs: { ...bad.outputs, outcome: 'deployed' } } }, /^version 2/],
    ['the step of version 2 is green', { bad: { ...bad, result: 'Succeeded' } }, /^version 2/],
    ['nobody says why', { bad: { ...bad, outputs: { ...bad.outputs, reason: '' } } }, /^explained/],
    ['version 2 serves', { history: history.slice(0, 2) }, /^serving now/],
    [
      'the rollback was not verified',
      { bad: { ...bad, outputs: { ...bad.outputs, verifiedRevision: '1' } } },
      /^serving now/,
    ],
    [
      'one request failed',
      { client: { ...client, failed: 1, failures: { 'no answer': 1 } } },
      /^failed requests: 1.*no answer: 1/,
    ],
    ['the client sent nothing', { client: { ...client, requests: 0 } }, /^failed requests/],
    ['the client was slow', { client: { ...client, perSecond: 19.9 } }, /^requests a second/],
    ['a replica was missing', { replicas: { wanted: 2, allowed: 2, lowestReady: 1 } }, /^ready replicas/],
    ['no replica was ever seen', { replicas: { wanted: 0, allowed: 0, lowestReady: 0 } }, /^ready replicas/],
  ];
  for (const [name, outcome, expected] of cases) {
    it(`it fails: ${name}`, () => {
      const [text = '', ...others] = failed(outcome);
      assert.match(text, expected);
      assert.deepEqual(others, []);
    });
  }
});

describe('the command line of the demo', () => {
  const refusal = (...args: string[]): string => {
    try {
      demoOptions(args);
    } catch (error) {
      assert.ok(error instanceof UsageError);
      return error.message;
    }
    return 'accepted';
  };

  it('without options it starts a cluster on this machine', () => {
    assert.deepEqual(demoOptions([]), {
      where: 'embedded cluster',
      cluster: 'default',
      realNode: true,
      helm: undefined,
      keep: false,
    });
  });

  it('with a kubeconfig it uses that cluster, and an image that can be pulled', () => {
    const options = demoOptions(['--kubeconfig', 'k', '--helm', 'h', '--keep']);
    assert.ok(options?.where === 'own cluster');
    assert.deepEqual([options.kubeconfig, options.helm, options.keep, options.yes], ['k', 'h', true, false]);
    assert.doesNotMatch(options.image, /localhost/);
  });

  it('--help is not a mistake', () => {
    assert.equal(demoOptions(['--help']), undefined);
  });

  it('mistakes are named', () => {
    assert.match(refusal('--yes'), /--yes: only together with --kubeconfig/);
    assert.match(refusal('--kubeconfig', 'k', '--no-node'), /--no-node: not together with --kubeconfig/);
    assert.match(refusal('--kubeconfig', 'k', '--image', 'i'), /--image needs --port/);
    assert.match(refusal('--kubeconfig', 'k', '--image', 'i', '--port', '0'), /--port is "0"/);
    assert.match(refusal('--kubconfig', 'k'), /--kubconfig/);
  });
});
