import type { RunOptions, FailureCase } from './provoke';

const plain = { 'plain.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {a: one}\n' };

/** A chart that Helm cannot find or cannot read. */
const chartAt =
  (reference: string, args: readonly string[] = []): FailureCase =>
  ({ fails }) =>
    fails(reference, { args });

const withArguments =
  (...args: string[]): FailureCase =>
  ({ chart, fails }) =>
    fails(chart(plain), { args });

/** A chart with these files in addition to, or instead of, those of the plain chart. */
const withFiles =
  (files: Readonly<Record<string, string>>, options: RunOptions = {}): FailureCase =>
  ({ chart, fails }) =>
    fails(chart({ ...plain, ...files }), options);

/** Upgrades an object from `before` to `after`. */
const changed =
  (before: string, after: string): FailureCase =>
  async ({ chart, fails, works }) => {
    await works(chart({ 'a.yaml': before }));
    return fails(chart({ 'a.yaml': after }));
  };

const chartFile = (rest: string): Record<string, string> => ({
  'Chart.yaml': `apiVersion: v2\nname: web\nversion: 1.0.0\n${rest}`,
});

const deployment = (app: string): string =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 0, selector: {matchLabels: {app: ${app}}}, template: {metadata: {labels: {app: ${app}}}, spec: {containers: [{name: web, image: a}]}}}\n`;

const immutableMap = (text: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\nimmutable: true\ndata: {a: ${text}}\n`;

const job = (image: string): string =>
  `apiVersion: batch/v1\nkind: Job\nmetadata: {name: plain}\nspec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: a, image: ${image}}]}}}\n`;

const statefulSet = (service: string): string =>
  `apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: plain}\nspec: {replicas: 0, serviceName: ${service}, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}\n`;

const service = (address: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: plain}\nspec: {${address}ports: [{port: 80}]}\n`;

/** A hook Job for this event. Its pod fits no node, so it never runs. */
const hook = (event: string): string =>
  `apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: ${event}}}\nspec: {backoffLimit: 0, activeDeadlineSeconds: 1, template: {spec: {restartPolicy: Never, nodeSelector: {none: z}, containers: [{name: a, image: a}]}}}\n`;

const upgradeWith =
  (files: Readonly<Record<string, string>>, options: RunOptions = {}): FailureCase =>
  async ({ chart, fails, works }) => {
    await works(chart(plain));
    return fails(chart({ ...plain, ...files }), options);
  };

const unready = { 'web.yaml': deployment('web').replace('replicas: 0', 'replicas: 1').replace('spec: {containers', 'spec: {nodeSelector: {none: z}, containers') }; // prettier-ignore

/** Failures before Helm reaches the cluster, and failures of objects that are wrong in themselves. */
export const plainCases: Readonly<Record<string, FailureCase>> = {
  'chart-bare-name': chartAt('demo'),
  'chart-folder-missing': chartAt('./nosuch'),
  'chart-repo-unknown': chartAt('myrepo/demo'),
  'chart-protocol-unknown': chartAt('ftp://charts.invalid/demo-1.0.0.tgz'),
  'chart-url-host-unknown': chartAt('https://charts.invalid/demo-1.0.0.tgz'),
  'chart-http-host-unknown': chartAt('demo', ['--repo', 'https://charts.invalid']),
  'chart-http-unreachable': chartAt('demo', ['--repo', 'http://127.0.0.1:9']),
  'chart-oci-unreachable': chartAt('oci://127.0.0.1:9/demo', ['--version', '1.0.0']),
  'chart-empty-folder': ({ file, fails }) => fails(file('empty/.keep', '').slice(0, -6)),
  'chart-garbage-archive': ({ file, fails }) => fails(file('garbage.tgz', 'garbage')),
  'chart-bad-metadata': withFiles({ 'Chart.yaml': 'apiVersion: v2\nversion: 1.0.0\n' }),
  'chart-library': withFiles(chartFile('type: library\n')),
  'chart-kube-version': withFiles(chartFile('kubeVersion: ">=9.0.0"\n')),
  'chart-dependency-missing': withFiles(
    chartFile('dependencies: [{name: sub, version: 1.0.0, repository: "https://charts.invalid"}]\n'),
  ),

  'flag-unknown': withArguments('--no-such-flag'),
  'flag-shorthand-unknown': withArguments('-Q'),
  'flag-value-invalid': withArguments('--timeout', 'soon'),
  'values-file-missing': withArguments('--values', 'nosuch.yaml'),
  'set-no-value': withArguments('--set', 'justakey'),
  'set-json-broken': withArguments('--set-json', 'a={'),
  'set-file-missing': withArguments('--set-file', 'a=nosuch.txt'),
  'values-file-broken': ({ chart, fails, file }) =>
    fails(chart(plain), { args: ['--values', file('bad-values.yaml', 'a: 1\n b: [\n')] }),
  'values-file-list': ({ chart, fails, file }) =>
    fails(chart(plain), { args: ['--values', file('list-values.yaml', '- a\n')] }),
  'values-schema': withFiles({
    'values.schema.json': '{"type":"object","required":["image"],"properties":{"replicas":{"type":"integer"}}}',
    'values.yaml': 'replicas: many\n',
  }),
  'release-name-invalid': ({ chart, helm }) =>
    helm(['upgrade', 'Bad_Name', chart(plain), '--install']).then(({ stderr }) => stderr),

  'template-fail': withFiles({ 'a.yaml': '{{ fail "replicas must be odd" }}' }),
  'template-required': withFiles({ 'a.yaml': '{{ required "image.tag is required" .Values.tag }}' }),
  'template-nil': withFiles({ 'a.yaml': 'a: {{ .Values.a.b.c }}\n' }),
  'template-syntax': withFiles({ 'a.yaml': '{{ if }}{{ end }}' }),
  'template-function-unknown': withFiles({ 'a.yaml': '{{ nosuchfunction 1 }}' }),
  'template-include-unknown': withFiles({ 'a.yaml': '{{ include "nosuch" . }}' }),
  'template-yaml-error': withFiles({ 'a.yaml': 'apiVersion: v1\nkind: ConfigMap\n metadata: {\n' }),
  'object-without-kind': withFiles({ 'a.yaml': 'apiVersion: v1\nmetadata: {name: a}\n' }),
  'kind-unknown': withFiles({ 'a.yaml': 'apiVersion: example.com/v1\nkind: Rocket\nmetadata: {name: a}\n' }),
  'object-name-invalid': withFiles({ 'a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n' }),

  'immutable-deployment': changed(deployment('one'), deployment('two')),
  'immutable-config-map': changed(immutableMap('one'), immutableMap('two')),
  'immutable-job': changed(job('one'), job('two')),
  'immutable-stateful-set': changed(statefulSet('one'), statefulSet('two')),
  'immutable-service': changed(service(''), service('clusterIP: None, ')),

  'hook-invalid': withFiles({ 'hook.yaml': hook('pre-install').replace('name: migrate', 'name: Bad_Hook') }),
  'hook-pre-install-failed': withFiles({ 'hook.yaml': hook('pre-install') }),
  'hook-post-install-failed': withFiles({ 'hook.yaml': hook('post-install') }),
  'hook-pre-upgrade-failed': upgradeWith({ 'hook.yaml': hook('pre-upgrade') }),
  'hook-post-upgrade-failed': upgradeWith({ 'hook.yaml': hook('post-upgrade') }),
  'hook-timeout': withFiles(
    { 'hook.yaml': hook('pre-install').replace('activeDeadlineSeconds: 1, ', '') },
    { args: ['--timeout', '2s'] },
  ),
  'wait-timeout': withFiles(unready, { args: ['--wait', '--timeout', '2s'] }),
  'wait-timeout-upgrade': upgradeWith(unready, { args: ['--wait', '--timeout', '2s'] }),

  'namespace-missing-object': withFiles({
    'a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nosuchns}\n',
  }),
  'rollback-revision-missing': async ({ chart, works, helm }) => {
    await works(chart(plain));
    return (await helm(['rollback', 'web', '7'])).stderr;
  },
  'rollback-release-missing': async ({ helm }) => (await helm(['rollback', 'nosuch', '1'])).stderr,
  'uninstall-release-missing': async ({ helm }) => (await helm(['uninstall', 'nosuch'])).stderr,
  'server-unknown': ({ chart, fails, file }) =>
    fails(chart(plain), { kubeconfig: file('unknown', kubeconfigTo('https://cluster.invalid:6443'), 0o600) }),
  'server-refuses': ({ chart, fails, file }) =>
    fails(chart(plain), { kubeconfig: file('refuses', kubeconfigTo('https://127.0.0.1:9'), 0o600) }),
  'token-rejected': ({ chart, fails, kubeconfigOf }) =>
    fails(chart(plain), { kubeconfig: kubeconfigOf({ token: 'wrong' }) }),
};

function kubeconfigTo(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'a',
    clusters: [{ name: 'a', cluster: { server } }],
    users: [{ name: 'a', user: {} }],
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
  });
}
