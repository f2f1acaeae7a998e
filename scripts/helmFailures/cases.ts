import { randomBytes } from 'node:crypto';
import type { Asked, Fault } from './faultProxy';
import { plainCases } from './plainCases';
import type { Actor, FailureCase } from './provoke';

const configMap = (name: string, rest = 'data: {a: one}'): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\n${rest}\n`;

const deployment = (rest: string, container = 'name: web, image: "example.com/web:1"'): string =>
  [
    'apiVersion: apps/v1',
    'kind: Deployment',
    'metadata: {name: web}',
    'spec:',
    '  replicas: 0',
    '  selector: {matchLabels: {app: web}}',
    `  template: {metadata: {labels: {app: web}}, spec: {containers: [{${container}}]}}`,
    rest,
    '',
  ].join('\n');

const plain = { 'plain.yaml': configMap('plain') };
const plainChanged = { 'plain.yaml': configMap('plain', 'data: {a: two}') };

/** Matches a write of the chart's object. */
const onWrite = ({ method, path }: Asked): boolean =>
  (method === 'POST' || method === 'PATCH') && /\/configmaps(\/plain)?$/.test(path);
const onRecord = ({ method, path }: Asked): boolean => method === 'POST' && path.endsWith('/secrets');
const onFirst = ({ path }: Asked): boolean => path === '/version';

const unavailable: Fault = {
  kind: 'status',
  code: 503,
  reason: 'ServiceUnavailable',
  message: 'the server is currently unable to handle the request',
};
const tooMany = (headers: Readonly<Record<string, string>> = {}): Fault => ({
  kind: 'status',
  code: 429,
  reason: 'TooManyRequests',
  message: 'too many requests, please try again later',
  headers,
});
const etcd = (message: string): Fault => ({ kind: 'status', code: 500, reason: 'InternalError', message });
const modified: Fault = {
  kind: 'status',
  code: 409,
  reason: 'Conflict',
  message:
    'Operation cannot be fulfilled on configmaps "plain": the object has been modified; please apply your changes to the latest version and try again',
};

/** Lets the network or the API server fail at this point of an install. */
const onInstall =
  (when: (asked: Asked) => boolean, fault: Fault, http2 = false): FailureCase =>
  async ({ chart, fails, through }) =>
    fails(chart(plain), { kubeconfig: await through({ when, fault, http2 }) });

const onUpgrade =
  (when: (asked: Asked) => boolean, fault: Fault, http2 = false): FailureCase =>
  async ({ chart, fails, works, through }) => {
    await works(chart(plain));
    return fails(chart(plainChanged), { kubeconfig: await through({ when, fault, http2 }) });
  };

const kyverno = [
  '',
  '',
  'resource ConfigMap/shop/plain was blocked due to the following policies ',
  '',
  'require-labels:',
  "  check-labels: 'validation error: label app is required. rule check-labels failed at path /metadata/labels/app/'",
  '',
].join('\n');

const policy = (namespace: string): [string, unknown][] => [
  [
    '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: `no-plain-${namespace}` },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        },
        validations: [{ expression: "object.metadata.name != 'plain'", message: 'no ConfigMap may be called plain' }],
      },
    },
  ],
  [
    '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings',
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: `no-plain-${namespace}` },
      spec: { policyName: `no-plain-${namespace}`, validationActions: ['Deny'] },
    },
  ],
];

/** Random text that cannot be compressed, as a file of a chart. */
const noise = (bytes: number): string =>
  randomBytes(Math.ceil((bytes * 3) / 4))
    .toString('base64')
    .slice(0, bytes);

async function apply({ chart, fails, works }: Actor, first: string, second: string): Promise<string> {
  await works(chart({ 'a.yaml': first }));
  return fails(chart({ 'a.yaml': second }));
}

async function postRenderer({ file, major }: Actor, name: string, script: string): Promise<string[]> {
  const program = file(`plugins/${name}/${name}.sh`, script, 0o755);
  if (major < 4) return ['--post-renderer', program];
  file(
    `plugins/${name}/plugin.yaml`,
    [
      'apiVersion: v1',
      'type: postrenderer/v1',
      `name: ${name}`,
      'version: 0.1.0',
      'runtime: subprocess',
      'runtimeConfig:',
      '  platformCommand:',
      `    - command: \${HELM_PLUGIN_DIR}/${name}.sh`,
      '',
    ].join('\n'),
  );
  return Promise.resolve(['--post-renderer', name]);
}

const postRendering =
  (name: string, script: string): FailureCase =>
  async (actor) => {
    const args = await postRenderer(actor, name, script);
    return actor.fails(actor.chart(plain), {
      args,
      env: { HELM_PLUGINS: actor.file('plugins/.keep', '').slice(0, -6) },
    });
  };

const withDependency = (repository: string): Record<string, string> => ({
  ...plain,
  'Chart.yaml': `apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n  - name: sub\n    version: 1.0.0\n    repository: "${repository}"\n`,
});

const hook = (object: string): string => object.replace('{name: plain}', '{name: plain, annotations: {"helm.sh/hook": "pre-install,pre-upgrade"}}'); // prettier-ignore

const crd = (group: string): unknown => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `rockets.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'rockets', singular: 'rocket', kind: 'Rocket' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { stages: { type: 'integer', minimum: 1 } } } },
          },
        },
      },
    ],
  },
});

const rocket = (namespace: string, stages: string): string =>
  `apiVersion: ${namespace}.example.com/v1\nkind: Rocket\nmetadata: {name: plain}\nspec: {stages: ${stages}}\n`;

async function withRockets({ create, call, namespace }: Actor): Promise<void> {
  const group = `${namespace}.example.com`;
  await create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd(group));
  for (;;) {
    const served = await call('GET', `/apis/${group}/v1`).then(
      () => true,
      () => false,
    );
    if (served) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Ways in which Helm fails on real clusters. The key is the name of the recorded text. */
export const failureCases: Readonly<Record<string, FailureCase>> = {
  ...plainCases,

  'webhook-denied': async ({ chart, fails, webhook }) => {
    await webhook('validation.gatekeeper.sh', '[all-must-have-owner] you must provide labels: {"owner"}');
    return fails(chart(plain));
  },
  'webhook-denied-upgrade': async ({ chart, fails, works, webhook }) => {
    await works(chart(plain));
    await webhook(
      'validation.gatekeeper.sh',
      '[azurepolicy-k8sazurev2noprivilege-1] Privileged container is not allowed: web',
    );
    return fails(chart(plainChanged));
  },
  'webhook-denied-kyverno': async ({ chart, fails, webhook, namespace }) => {
    await webhook('validate.kyverno.svc-fail', kyverno.replaceAll('shop', namespace));
    return fails(chart(plain));
  },
  'webhook-denied-hook': async ({ chart, fails, webhook }) => {
    await webhook('validation.gatekeeper.sh', '[all-must-have-owner] you must provide labels: {"owner"}');
    return fails(chart({ 'plain.yaml': hook(configMap('plain')) }));
  },
  // The message of this webhook looks like messages of other failures.
  'webhook-denied-with-words': async ({ chart, fails, webhook }) => {
    await webhook(
      'policy.example.com',
      'another operation (install/upgrade/rollback) is in progress: x509: no matches for kind "X"',
    );
    return fails(chart(plain));
  },
  'webhook-timeout': async ({ chart, fails, webhook }) => {
    await webhook('policy.example.com', '', true);
    return fails(chart(plain));
  },
  'policy-denied': async ({ chart, fails, create, namespace, untilRefused }) => {
    for (const [apiPath, object] of policy(namespace)) await create(apiPath, object);
    await untilRefused();
    return fails(chart(plain));
  },
  'policy-denied-upgrade': async ({ chart, fails, works, create, namespace, untilRefused }) => {
    await works(chart(plain));
    for (const [apiPath, object] of policy(namespace)) await create(apiPath, object);
    await untilRefused();
    return fails(chart(plainChanged));
  },

  'field-unknown': (actor) => apply(actor, deployment(''), deployment('  replica: 2')),
  'field-of-wrong-type': (actor) => apply(actor, deployment(''), deployment('  minReadySeconds: "many"')),
  'field-unknown-install': ({ chart, fails }) => fails(chart({ 'a.yaml': deployment('  replica: 2') })),
  'field-of-wrong-type-install': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': deployment('  minReadySeconds: "many"') })),
  'list-key-twice': ({ chart, fails }) =>
    fails(
      chart({ 'a.yaml': deployment('', 'name: web, image: a, ports: [{containerPort: 80}, {containerPort: 80}]') }),
    ),
  'env-twice': ({ chart, fails }) =>
    fails(
      chart({ 'a.yaml': deployment('', 'name: web, image: a, env: [{name: A, value: "1"}, {name: A, value: "2"}]') }),
    ),
  'env-value-number': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': deployment('', 'name: web, image: a, env: [{name: A, value: 1}]') })),
  'quantity-invalid': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': deployment('', 'name: web, image: a, resources: {requests: {memory: 1GB}}') })),
  'custom-resource-invalid': async (actor) => {
    await withRockets(actor);
    return actor.fails(actor.chart({ 'a.yaml': rocket(actor.namespace, '0') }));
  },
  'custom-resource-of-wrong-type': async (actor) => {
    await withRockets(actor);
    return actor.fails(actor.chart({ 'a.yaml': rocket(actor.namespace, 'many') }));
  },

  'generate-name': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': configMap('x').replace('name: x', 'generateName: plain-') })),
  'generate-name-upgrade': (actor) =>
    apply(actor, configMap('x'), configMap('x').replace('name: x', 'generateName: plain-')),
  'no-name': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {a: b}}\n' })),
  'declared-twice': ({ chart, fails }) => fails(chart({ ...plain, 'again.yaml': configMap('plain') })),
  'declared-twice-upgrade': async ({ chart, fails, works }) => {
    await works(chart({ 'other.yaml': configMap('other') }));
    return fails(chart({ ...plain, 'again.yaml': configMap('plain') }));
  },
  'owned-by-other-release': async ({ chart, fails, helm }) => {
    await helm(['upgrade', 'first', chart(plain), '--install']);
    return fails(chart(plain));
  },
  'owned-by-nobody-upgrade': async ({ chart, fails, works, call, namespace }) => {
    await works(chart({ 'other.yaml': configMap('other') }));
    await call('POST', `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name: 'plain' } });
    return fails(chart(plain));
  },
  'owned-by-nobody-install': async ({ chart, fails, call, namespace }) => {
    await call('POST', `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name: 'plain' } });
    return fails(chart(plain));
  },

  'api-unavailable-first': onInstall(onFirst, unavailable),
  'api-unavailable': onInstall(onWrite, unavailable),
  'api-unavailable-upgrade': onUpgrade(onWrite, unavailable),
  'api-unavailable-record': onInstall(onRecord, unavailable),
  'api-unavailable-rendering': async ({ chart, fails, through }) =>
    fails(chart(plain), {
      args: ['--dry-run=server'],
      kubeconfig: await through({ when: ({ path }) => path.endsWith('/secrets'), fault: unavailable }),
    }),
  'api-gateway-page': onInstall(onWrite, { kind: 'page', code: 502, html: '<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>' }), // prettier-ignore
  'api-too-many-requests': onInstall(onWrite, tooMany()),
  'api-too-many-requests-later': onInstall(onWrite, tooMany({ 'retry-after': '1' })),
  'api-timeout': onInstall(onWrite, { kind: 'status', code: 504, reason: 'Timeout', message: 'Timeout: request did not complete within requested timeout - context deadline exceeded' }), // prettier-ignore
  'api-shutting-down': onInstall(onWrite, { kind: 'status', code: 503, reason: 'ServiceUnavailable', message: 'apiserver is shutting down' }), // prettier-ignore
  'etcd-leader-changed': onInstall(onWrite, etcd('etcdserver: leader changed')),
  'etcd-leader-changed-upgrade': onUpgrade(onWrite, etcd('etcdserver: leader changed')),
  'etcd-timed-out': onInstall(onWrite, etcd('etcdserver: request timed out')),
  'etcd-full': onInstall(onWrite, etcd('etcdserver: mvcc: database space exceeded')),
  'etcd-unavailable': onInstall(onWrite, etcd('rpc error: code = Unavailable desc = keepalive ping failed to receive ACK within timeout')), // prettier-ignore
  'connection-reset': onInstall(onWrite, { kind: 'reset' }),
  'connection-reset-first': onInstall(onFirst, { kind: 'reset' }),
  'connection-ended': onInstall(onWrite, { kind: 'end' }),
  'connection-ended-first': onInstall(onFirst, { kind: 'end' }),
  'connection-ended-upgrade': onUpgrade(onWrite, { kind: 'end' }),
  'answer-cut': onInstall(onWrite, { kind: 'truncated' }),
  'http2-stream-error': onInstall(onWrite, { kind: 'streamError' }, true),
  'http2-go-away': onInstall(onWrite, { kind: 'goAway' }, true),
  'http2-connection-ended': onInstall(onWrite, { kind: 'end' }, true),
  'tls-handshake-timeout': onInstall(onRecord, { kind: 'noHandshake' }),
  'server-gone': onInstall(onRecord, { kind: 'noServer' }),
  'token-expired-meanwhile': onInstall(onWrite, { kind: 'status', code: 401, reason: 'Unauthorized', message: 'Unauthorized' }), // prettier-ignore
  'object-modified': onUpgrade(onWrite, modified),
  'record-exists': onInstall(onRecord, { kind: 'status', code: 409, reason: 'AlreadyExists', message: 'secrets "sh.helm.release.v1.web.v1" already exists' }), // prettier-ignore

  'api-service-broken': async ({ chart, fails, create, call, namespace }) => {
    const group = `${namespace}.example.com`;
    const apiPath = '/apis/apiregistration.k8s.io/v1/apiservices';
    await create(apiPath, {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `v1.${group}` },
      spec: {
        group,
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { name: 'nobody', namespace: 'default' },
      },
    });
    for (;;) {
      const seen = JSON.stringify(await call('GET', `${apiPath}/v1.${group}`));
      if (seen.includes('"type":"Available","status":"False"') || seen.includes('"status":"False"')) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const unknown = `apiVersion: ${group}/v1\nkind: Meter\nmetadata: {name: m}\n`;
    return fails(chart({ ...plain, 'meter.yaml': unknown, 'look.yaml': '{{/* {{ lookup "v1" "Pod" "" "" }} */}}' }));
  },

  'chart-lock-out-of-sync': async ({ chart, helm, file }) => {
    file('charts/sub/Chart.yaml', 'apiVersion: v2\nname: sub\nversion: 1.0.0\n');
    const lock = 'dependencies:\n- name: sub\n  repository: https://charts.invalid\n  version: 0.9.0\ndigest: sha256:0000\ngenerated: "2026-01-01T00:00:00Z"\n'; // prettier-ignore
    const { stderr } = await helm(['dependency', 'build', chart({ ...withDependency('https://charts.invalid'), 'Chart.lock': lock })]); // prettier-ignore
    return stderr;
  },
  'dependency-repository-unknown': ({ chart, fails }) =>
    fails(chart(withDependency('@myrepo')), { args: ['--dependency-update'] }),
  'dependency-repository-not-added': async ({ chart, helm }) => {
    const { stderr } = await helm([
      'dependency',
      'build',
      chart({ ...withDependency('https://charts.invalid'), 'Chart.lock': '' }),
    ]);
    return stderr;
  },
  'dependency-repository-unreachable': ({ chart, fails }) =>
    fails(chart(withDependency('https://charts.invalid')), { args: ['--dependency-update'] }),
  'dependency-folder-missing': ({ chart, fails }) =>
    fails(chart(withDependency('file://../nosuch')), { args: ['--dependency-update'] }),
  'dependency-oci-unreachable': ({ chart, fails }) =>
    fails(chart(withDependency('oci://charts.invalid/x')), { args: ['--dependency-update'] }),

  'post-renderer-failed': postRendering('broken', '#!/bin/sh\necho "x509: no matches for kind" >&2\nexit 3\n'),
  'post-renderer-missing': ({ chart, fails }) => fails(chart(plain), { args: ['--post-renderer', './nosuch'] }),

  'record-too-large': ({ chart, fails }) => fails(chart({ ...plain, 'files/blob.txt': noise(1_100_000) })),
  'record-too-large-upgrade': async ({ chart, fails, works }) => {
    await works(chart(plain));
    return fails(chart({ ...plain, 'files/blob.txt': noise(1_100_000) }));
  },
  'request-too-large': ({ chart, fails }) => fails(chart({ ...plain, 'files/blob.txt': noise(2_900_000) })),
  'object-too-large': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': configMap('plain', 'data: {a: "{{ repeat 1500000 "a" }}"}') })),
  'object-request-too-large': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': configMap('plain', 'data: {a: "{{ repeat 3300000 "a" }}"}') })),
  'annotations-too-large': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': configMap('plain').replace('{name: plain}', '{name: plain, annotations: {a: "{{ repeat 300000 "a" }}"}}') })), // prettier-ignore

  'exec-plugin-missing': ({ chart, fails, kubeconfigOf }) =>
    fails(chart(plain), {
      kubeconfig: kubeconfigOf({
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: 'kubelogin',
          args: ['get-token'],
          interactiveMode: 'Never',
          installHint: 'Install kubelogin.',
        },
      }),
    }),
  'exec-plugin-failed': ({ chart, fails, kubeconfigOf, file }) =>
    fails(chart(plain), {
      kubeconfig: kubeconfigOf({
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: file('kubelogin', '#!/bin/sh\necho "the token has expired" >&2\nexit 1\n', 0o755),
          interactiveMode: 'Never',
        },
      }),
    }),
  'auth-provider-gone': ({ chart, fails, kubeconfigOf }) =>
    fails(chart(plain), { kubeconfig: kubeconfigOf({ 'auth-provider': { name: 'azure', config: {} } }) }),

  'crd-refused': ({ chart, fails }) =>
    fails(chart({ ...plain, 'crds/bad.yaml': 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: wrong}\nspec: {group: x.com, scope: Namespaced, names: {plural: rockets, kind: Rocket}, versions: []}\n' })), // prettier-ignore
  'deprecated-version': ({ chart, fails }) =>
    fails(chart({ 'a.yaml': 'apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: web}\nspec: {minAvailable: 1}\n' })), // prettier-ignore
  'service-port-taken': async ({ chart, fails, works, helm }) => {
    const service = (name: string): string =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: NodePort, ports: [{port: 80, nodePort: 32123}]}\n`;
    await helm(['upgrade', 'first', chart({ 'a.yaml': service('first') }), '--install']);
    await works(chart(plain));
    return fails(chart({ ...plain, 'a.yaml': service('second') }));
  },
};
