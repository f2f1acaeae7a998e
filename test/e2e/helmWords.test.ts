import assert from 'node:assert/strict';
import path from 'node:path';
import { faultProxy } from '../../scripts/helmFailures/faultProxy';
import { adminApiServer } from '../../scripts/cluster/cluster';
import { kubeconfigConnection, type DeployEnd } from '../support/product';
import { assertReport } from '../support/reportSchema';
import { assertOutcome, charts, helms, scenes, type Scene } from './scenes';

const configMap = (name: string, data: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

function deploy(s: Scene, helm: string, objects: readonly object[], kubeconfig?: string): Promise<DeployEnd> {
  const valueFiles = s.file('values.json', JSON.stringify({ objects }));
  const connection = kubeconfig === undefined ? {} : { connection: kubeconfigConnection(kubeconfig) };
  return s.deploy({ helm, chart: path.join(charts, 'objects'), inputs: { valueFiles }, ...connection });
}

/** Adds a policy to the namespace: no ConfigMap may hold `forbidden`. Returns when the policy is in force. */
async function forbid(s: Scene): Promise<() => Promise<unknown>> {
  const name = `forbid-${s.namespace}`;
  const group = 'admissionregistration.k8s.io/v1';
  await s.create(`/apis/${group}/validatingadmissionpolicies`, {
    apiVersion: group,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name },
    spec: {
      matchConstraints: {
        resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': s.namespace } },
      },
      validations: [{ expression: "!('forbidden' in object.data)", message: 'data must not hold the key forbidden' }],
    },
  });
  await s.create(`/apis/${group}/validatingadmissionpolicybindings`, {
    apiVersion: group,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'] },
  });
  await s.until('the policy to be in force', () =>
    s.create('/api/v1/namespaces/$ns/configmaps?dryRun=All', configMap('probe', { forbidden: '' })).then(
      () => false,
      (error: unknown) => String(error).includes('must not hold'),
    ),
  );
  return () =>
    s.cluster.runKubectl('delete', 'validatingadmissionpolicy,validatingadmissionpolicybinding', name, '--wait=false');
}

/**
 * Adds a webhook for new Services in the namespace, at an address where nothing answers. Returns when it is in force.
 */
async function loseWebhook(s: Scene, service: object): Promise<() => Promise<unknown>> {
  const name = `lost-${s.namespace}`;
  const group = 'admissionregistration.k8s.io/v1';
  await s.create(`/apis/${group}/validatingwebhookconfigurations`, {
    apiVersion: group,
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name },
    webhooks: [
      {
        name: 'policy.example.com',
        clientConfig: { url: 'https://127.0.0.1:9/validate' },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['services'] }],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': s.namespace } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        timeoutSeconds: 2,
      },
    ],
  });
  await s.until('the webhook to be in force', () =>
    s.create('/api/v1/namespaces/$ns/services?dryRun=All', service).then(
      () => false,
      (error: unknown) => String(error).includes('failed calling webhook'),
    ),
  );
  return () => s.cluster.runKubectl('delete', 'validatingwebhookconfiguration', name, '--wait=false');
}

function groupsOf({ job }: DeployEnd): { title: string; lines: string[] }[] {
  const groups: { title: string; lines: string[] }[] = [];
  for (const { text } of job.log) {
    const title = /^##\[group\](.*)/.exec(text)?.[1];
    if (title !== undefined) groups.push({ title, lines: [] });
    else groups.at(-1)?.lines.push(text);
  }
  return groups;
}

describe("Helm's error messages", () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: a refusal by a policy is reported once, with the object and the policy, and not as a fault of the task`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await deploy(s, helm, [configMap('plain', { a: '1' })]), 'deployed');
        const allow = await forbid(s);
        try {
          const objects = [configMap('plain', { a: '2' }), configMap('second', { forbidden: 'x' })];
          const end = await deploy(s, helm, objects);
          assertOutcome(end, 'rolledBack', 'ApplyRejected');
          assertReport(end.report);
          const words = 'data must not hold the key forbidden';
          assert.equal(end.outputs['failedWorkload'], 'ConfigMap/second');
          const told = end.job.log.filter(({ text }) => text.includes(words));
          assert.equal(told.length, 2, `once as Helm said it, once as the issue:\n${end.log}`);
          assert.match(end.report?.advice ?? '', /policy of the cluster/);
          const [evidence] = end.report?.evidence ?? [];
          assert.equal(evidence?.object, 'ConfigMap/second');
          assert.ok(evidence.lines.join(' ').includes(words));
          assert.doesNotMatch(end.log, /ObjectMissing|fault of the task/);
          const groups = groupsOf(end);
          assert.deepEqual(
            groups.filter(({ lines }) => lines[0] === '##[endgroup]'),
            [],
          );
          assert.equal(new Set(groups.map(({ title }) => title)).size, groups.length, end.log);
        } finally {
          await allow();
        }
      },
    );

    scene(`Helm ${major}: a webhook that does not answer: the object not created is named`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await deploy(s, helm, [configMap('plain', { a: '1' })]), 'deployed');
      const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { ports: [{ port: 80 }] } };
      const last = {
        apiVersion: 'v1',
        kind: 'ReplicationController',
        metadata: { name: 'last' },
        spec: { replicas: 0 },
      };
      const restore = await loseWebhook(s, service);
      try {
        const end = await deploy(s, helm, [configMap('plain', { a: '2' }), service, last]);
        assertOutcome(end, 'rolledBack', 'ApplyRejected');
        assert.equal(end.outputs['failedWorkload'], 'Service/web');
        assert.equal(end.report?.evidence[0]?.object, 'Service/web');
        assert.match(end.report.advice, /webhook of the cluster does not answer/);
      } finally {
        await restore();
      }
    });

    scene(
      `Helm ${major}: when the API server is away for a moment, the message says so and advises to run the step again`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const proxy = await faultProxy(adminApiServer(s.cluster.name), {
          when: ({ method, path: asked }) =>
            ['POST', 'PATCH'].includes(method) && /\/configmaps(\/plain)?$/.test(asked),
          fault: { kind: 'end' },
        });
        try {
          const kubeconfig = s.file('kubeconfig', proxy.kubeconfig);
          const end = await deploy(s, helm, [configMap('plain', { a: '1' })], kubeconfig);
          assertOutcome(end, 'failed', 'TransientFailure');
          assert.match(end.report?.advice ?? '', /^Run the step again/);
          assert.match(end.job.issues[0]?.message ?? '', /EOF/);
        } finally {
          await proxy.close();
        }
      },
    );
  }
});
