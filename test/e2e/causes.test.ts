import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { generate } from 'selfsigned';
import { images } from '../../scripts/cluster/images';
import { waitFor } from '../../scripts/cluster/wait';
import {
  brokenWorkloads,
  places,
  shell,
  widgetDefinition,
  workloadOf,
  type BrokenWorkload,
  type Place,
  type PodEvent,
} from '../support/brokenWorkloads';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { runCheck, type CheckEnd } from '../support/product';
import { openRegistry, type Registry } from '../support/registry';

/**
 * The longest time between the end of a grace and the verdict. It covers the start of the task and the kubelet's
 * intervals between two tries.
 */
const latitudeSeconds = 45;

describe('failure causes, provoked on a real node', () => {
  let cluster: TestCluster;
  let registry: Registry;
  let webhook: https.Server;
  let webhookCertificate: string;
  const namespaces = new Map<Place, string>();
  const ends = new Map<string, Promise<CheckEnd>>();
  const healing = new Map<string, Promise<CheckEnd>>();
  const startOne = turnstile(3);
  const healingCases: readonly { incident: string; act: (started: () => void) => Promise<CheckEnd> }[] = [
    { incident: 'an application restarts three times until the database of the same rollout is up', act: lateDatabase },
    { incident: 'a Secret is made after 20 s', act: lateSecret },
    { incident: 'old pods that end slowly free the quota', act: freedQuota },
    { incident: 'a registry is away for 30 s', act: lateRegistry },
    { incident: 'a node comes two minutes after the autoscaler has said so', act: lateNodeComes },
  ];

  const place = (name: Place): string => {
    const namespace = namespaces.get(name);
    assert.ok(namespace, `no namespace for ${name}`);
    return namespace;
  };

  /** The address at which pods, the API server and containerd reach this machine. */
  const hostAddress = (): string => {
    assert.ok(cluster.hostAddress);
    return cluster.hostAddress;
  };

  before(async function () {
    cluster = await testCluster();
    if (!cluster.hasRealNode) this.skip();
    await Promise.all(
      (Object.keys(places) as Place[]).map(async (name) =>
        namespaces.set(name, await cluster.namespace(name.toLowerCase())),
      ),
    );
    registry = await openRegistry(cluster, place('plain'));
    [webhook, webhookCertificate] = await refusingWebhook(hostAddress());
    await Promise.all([
      ...(Object.keys(places) as Place[])
        .filter((name) => places[name] !== '')
        .map((name) => cluster.apply(place(name), places[name])),
      cluster.apply(
        place('plain'),
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [widgetDefinition, ...admission()] }),
      ),
      cluster.runKubectl('label', 'namespace', place('restricted'), 'pod-security.kubernetes.io/enforce=restricted'),
    ]);
    await cluster.runKubectl('wait', '--for=condition=Established', `crd/${widgetDefinition.metadata.name}`);
    await Promise.all([refuses('policy'), refuses('webhook')]);
    for (const { incident, act } of healingCases) healing.set(incident, startOne(act));
    for (const scenario of brokenWorkloads(registry.host)) ends.set(scenario.workload, provoke(scenario));
    for (const end of [...ends.values(), ...healing.values()]) end.catch(() => undefined);
  });

  after(async () => {
    await Promise.allSettled([...ends.values(), ...healing.values()]);
    if (!cluster.hasRealNode) return;
    await cluster.runKubectl(
      'delete',
      '--ignore-not-found',
      '--wait=false',
      `crd/${widgetDefinition.metadata.name}`,
      ...admission().map(({ kind, metadata }) => `${kind}/${metadata.name}`),
      `node/${lateNode}`,
    );
    await cluster.cleanUp();
    await registry.close();
    webhook.close();
  });

  for (const scenario of brokenWorkloads('localhost:0')) {
    it(`${scenario.incident}: ${scenario.code} @real-node`, async () => {
      const end = await ends.get(scenario.workload);
      assert.ok(end);
      judged(scenario, end);
    });
  }

  for (const { incident } of healingCases) {
    it(`${incident}: healthy @real-node`, async () => {
      const end = await healing.get(incident);
      assert.ok(end, 'not started');
      assert.equal(end.outputs['health'], 'healthy', end.log);
      assert.equal(end.result, 'Succeeded');
    });
  }

  async function provoke(scenario: BrokenWorkload): Promise<CheckEnd> {
    for (const { manifest, until } of scenario.before ?? []) {
      await cluster.apply(place(scenario.place), JSON.stringify(manifest));
      await untilTrue(scenario.place, ...until);
    }
    return startOne(async (started) => {
      await cluster.apply(place(scenario.place), JSON.stringify(scenario.manifest));
      if (scenario.said !== undefined) await say(scenario.place, `app=${nameIn(scenario)}`, scenario.said);
      return check(scenario.place, { workloads: scenario.workload, ...scenario.inputs }, started);
    });
  }

  /** Calls `started` as soon as the task follows the objects that it checks. */
  function check(where: Place, inputs: Record<string, string>, started: () => void): Promise<CheckEnd> {
    const onLine = ({ text }: { text: string }): void => {
      if (/\d objects: /.test(text)) started();
    };
    return runCheck({ cluster, namespace: place(where), inputs }, { onLine });
  }

  async function untilTrue(where: Place, object: string, condition: string): Promise<void> {
    const wait = ['wait', '--namespace', place(where), object, `--for=${condition}`, '--timeout=30s'];
    const isTrue = async (): Promise<boolean> => (await cluster.runKubectl(...wait)) !== '';
    await waitFor(`${object} to be ${condition}`, isTrue, { timeoutSeconds: 60, intervalMilliseconds: 500 });
  }

  /** Waits until the API server enforces a new policy or webhook, which takes a moment. */
  async function refuses(where: Place): Promise<void> {
    const create = ['run', 'trial', '--namespace', place(where), '--image=none', '--dry-run=server'];
    const isRefused = (): Promise<boolean> =>
      cluster.runKubectl(...create).then(
        () => false,
        () => true,
      );
    await waitFor(`${where} to refuse pods`, isRefused, { intervalMilliseconds: 500 });
  }

  function judged(scenario: BrokenWorkload, end: CheckEnd): void {
    const { outputs, report } = end;
    const told = `${outputs['summary'] ?? ''}\n${end.log}`;
    assert.ok(report, told);
    assert.equal(outputs['reason'], scenario.code, told);
    assert.equal(outputs['health'], 'unhealthy');
    assert.equal(end.result, 'Failed');
    assert.equal(report.timedOut, scenario.timedOut, told);
    assert.match(report.message, scenario.message ?? /./, told);
    const evidence = report.evidence.flatMap(({ lines }) => lines).join('\n');
    assert.match(evidence, scenario.evidence ?? /./, told);
    const seconds = (Date.parse(report.finishedAt) - Date.parse(report.startedAt)) / 1000;
    assert.ok(seconds >= scenario.graceSeconds, `given up after ${seconds} s, the grace is ${scenario.graceSeconds} s`);
    const latest = scenario.withinSeconds ?? scenario.graceSeconds + latitudeSeconds;
    assert.ok(seconds <= latest, `told after ${seconds} s\n${told}`);
  }

  async function lateDatabase(started: () => void): Promise<CheckEnd> {
    const probe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
    const database = workloadOf('Deployment', 'database', {
      containers: [shell('sleep 25; exec httpd -f -p 8080 -h /', { readinessProbe: probe })],
    });
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'database' },
      spec: { selector: { app: 'database' }, ports: [{ port: 80, targetPort: 8080 }] },
    };
    const script = '/app get http://database/etc/passwd || { echo "no database"; exit 1; }; exec httpd -f';
    const client = workloadOf('Deployment', 'client', { containers: [shell(script, { image: images.app })] });
    await cluster.apply(
      place('plain'),
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [database, service, client] }),
    );
    return check('plain', { workloads: 'deployment/client\ndeployment/database' }, started);
  }

  async function lateSecret(started: () => void): Promise<CheckEnd> {
    const env = [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'late', key: 'password' } } }];
    const workload = workloadOf('Deployment', 'patient', { containers: [shell('exec httpd -f', { env })] });
    await cluster.apply(place('plain'), JSON.stringify(workload));
    const end = check('plain', { workloads: 'deploy/patient' }, started);
    await delay(20_000);
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'late' }, stringData: { password: 'p' } };
    await cluster.apply(place('plain'), JSON.stringify(secret));
    return end;
  }

  async function freedQuota(started: () => void): Promise<CheckEnd> {
    const revision = (version: string): object =>
      workloadOf(
        'Deployment',
        'moving',
        {
          terminationGracePeriodSeconds: 15,
          containers: [shell(`trap "" TERM; httpd -p 8080; while :; do sleep 1; done # ${version}`)],
        },
        { replicas: 2, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } },
      );
    await cluster.apply(place('tight'), JSON.stringify(revision('1')));
    await untilTrue('tight', 'deployment/moving', 'jsonpath={.status.readyReplicas}=2');
    await cluster.apply(place('tight'), JSON.stringify(revision('2')));
    return check('tight', { workloads: 'deployment/moving' }, started);
  }

  async function lateRegistry(started: () => void): Promise<CheckEnd> {
    const container = { name: 'app', image: `${registry.host}/away/app:1`, command: ['sleep', '1000'] };
    await cluster.apply(
      place('plain'),
      JSON.stringify(workloadOf('Deployment', 'remote', { containers: [container] })),
    );
    const end = check('plain', { workloads: 'deployment/remote' }, started);
    await delay(30_000);
    registry.comeBack();
    return end;
  }

  /** A new node would keep the proof that no node fits from the scenarios that expect it. */
  async function noNodeEnds(): Promise<void> {
    const waited = ['deployment/huge', 'deployment/choosy'].map((workload) => ends.get(workload));
    assert.ok(waited.every((end) => end !== undefined));
    await Promise.allSettled(waited);
  }

  async function lateNodeComes(started: () => void): Promise<CheckEnd> {
    const pod = {
      nodeSelector: { pool: lateNode },
      tolerations: [{ operator: 'Exists' }],
      containers: [shell('exec httpd -f')],
    };
    await cluster.apply(place('plain'), JSON.stringify(workloadOf('Deployment', 'scaled', pod)));
    const end = check('plain', { workloads: 'deployment/scaled' }, started);
    await say('plain', 'app=scaled', {
      source: 'cluster-autoscaler',
      reason: 'TriggeredScaleUp',
      message: 'pod triggered scale-up: [{late 0->1 (max: 3)}]',
    });
    await Promise.all([delay(125_000), noNodeEnds()]);
    await cluster.apply(place('plain'), JSON.stringify(simulatedNode(lateNode)));
    return end;
  }

  /** Writes an event about a pod, as a cluster component would. */
  async function say(where: Place, selector: string, { source, reason, message }: PodEvent): Promise<void> {
    const namespace = place(where);
    const pods = async (): Promise<{ metadata: { name: string; uid: string } }[]> =>
      (
        await cluster.kubectlJson<{ items: { metadata: { name: string; uid: string } }[] }>(
          'get',
          'pods',
          '--namespace',
          namespace,
          '--selector',
          selector,
        )
      ).items;
    await waitFor(`a pod with ${selector}`, async () => (await pods()).length > 0);
    const [pod] = await pods();
    const now = new Date().toISOString().replace(/\.\d+/, '');
    await cluster.apply(
      namespace,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${source}-${pod?.metadata.name ?? ''}` },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name: pod?.metadata.name, uid: pod?.metadata.uid },
        type: 'Normal',
        reason,
        message,
        source: { component: source },
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      }),
    );
  }

  function admission(): { kind: string; metadata: { name: string } }[] {
    const { port } = webhook.address() as AddressInfo;
    return [
      ...denyingPolicy(place('policy')),
      webhookConfiguration(place('webhook'), `https://${hostAddress()}:${port}/`, webhookCertificate),
      webhookConfiguration(place('lostWebhook'), `https://${hostAddress()}:1/`, webhookCertificate),
    ];
  }
});

const lateNode = 'late';

function nameIn({ workload }: BrokenWorkload): string {
  return workload.split('/')[1] ?? '';
}

function simulatedNode(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { type: 'kwok', pool: name }, annotations: { 'kwok.x-k8s.io/node': 'fake' } },
    spec: { taints: [{ key: 'kwok.x-k8s.io/node', value: 'fake', effect: 'NoSchedule' }] },
    status: { allocatable: { cpu: '8', memory: '8Gi', pods: '20' }, capacity: { cpu: '8', memory: '8Gi', pods: '20' } },
  };
}

const inNamespace = (name: string): object => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });
const podCreation = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] };

function denyingPolicy(namespace: string): { kind: string; metadata: { name: string } }[] {
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const policy = {
    apiVersion,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: namespace },
    spec: {
      matchConstraints: { resourceRules: [podCreation] },
      validations: [
        {
          expression: "has(object.metadata.labels) && 'cost-centre' in object.metadata.labels",
          message: 'pods need a cost centre',
        },
      ],
    },
  };
  const binding = {
    apiVersion,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: namespace },
    spec: {
      policyName: namespace,
      validationActions: ['Deny'],
      matchResources: { namespaceSelector: inNamespace(namespace) },
    },
  };
  return [policy, binding];
}

function webhookConfiguration(
  namespace: string,
  url: string,
  certificate: string,
): { kind: string; metadata: { name: string } } {
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: namespace },
    webhooks: [
      {
        name: 'friday.example.com',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        timeoutSeconds: 3,
        rules: [podCreation],
        namespaceSelector: inNamespace(namespace),
        clientConfig: { url, caBundle: Buffer.from(certificate).toString('base64') },
      },
    ],
  };
  return configuration;
}

/** At most `width` checks are starting at the same time. A check that has started no longer counts. */
function turnstile(width: number): <T>(act: (started: () => void) => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = width;
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return async (act) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    let hasLeft = false;
    const started = (): void => {
      if (!hasLeft) leave();
      hasLeft = true;
    };
    return act(started).finally(started);
  };
}

/** The API server calls this webhook like any webhook outside the cluster. */
async function refusingWebhook(address: string): Promise<[https.Server, string]> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'webhook' }], {
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: address }] },
    ],
  });
  const server = https.createServer({ key, cert }, (request, response) => {
    void json(request).then((review) => {
      const { uid } = (review as { request: { uid: string } }).request;
      const answer = { uid, allowed: false, status: { message: 'not on a Friday' } };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
    });
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return [server, cert];
}
