import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAgent } from '../../tasks/common/adapters/agent/agent';
import { openConnection } from '../../tasks/common/adapters/kubernetes/connection';
import { TaskError } from '../../tasks/common/core/failure';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const authority = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n';
const id = '7b1f0e9c-0000-4000-8000-000000000001';
const kubeconfig = `
clusters: [{name: c, cluster: {server: 'https://one:6443'}}]
users: [{name: u, user: {token: geheim-token}}, {name: v, user: {token: other-token}}]
contexts: [{name: a, context: {cluster: c, user: u}}, {name: b, context: {cluster: c, user: v, namespace: from-context}}]
current-context: a
`;

describe('connections to a cluster', () => {
  let temp = '';
  beforeEach(() => {
    temp = mkdtempSync(path.join(tmpdir(), 'connection-'));
  });
  afterEach(() => {
    rmSync(temp, { recursive: true, force: true });
  });

  function agentWith(environment: NodeJS.ProcessEnv) {
    const lines: string[] = [];
    const all = { AGENT_TEMPDIRECTORY: temp, HOME: temp, ...environment };
    const agent = createAgent({ environment: all, write: (text) => lines.push(text.trimEnd()) });
    return { agent, lines };
  }

  function connectionOf(type: string, more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return {
      [`ENDPOINT_URL_${id}`]: 'https://api.example.org:6443/',
      [`ENDPOINT_AUTH_SCHEME_${id}`]: 'Kubernetes',
      [`ENDPOINT_DATA_${id}_AUTHORIZATIONTYPE`]: type,
      ...more,
    };
  }

  const request = { type: 'kubernetesServiceConnection', id } as const;

  function userOf(file: string): unknown {
    return (JSON.parse(readFileSync(file, 'utf8')) as { users: { user: unknown }[] }).users[0]?.user;
  }

  it('a connection to Azure in kubernetesServiceConnection: the message names both inputs', () => {
    const { agent } = agentWith(connectionOf('', { [`ENDPOINT_AUTH_SCHEME_${id}`]: 'WorkloadIdentityFederation' }));
    assert.throws(
      () => openConnection(agent, request),
      (error) =>
        error instanceof TaskError &&
        error.reason === 'ConnectionInvalid' &&
        /kubernetesServiceConnection is one for Azure Resource Manager .*name it in azureSubscription/.test(
          error.message,
        ),
    );
    assert.deepEqual(readdirSync(temp), []);
  });

  it('a Kubeconfig connection with a context gets a private file, announced and masked before it is written, deleted at the end', () => {
    const { agent, lines } = agentWith(connectionOf('Kubeconfig', {
      [`ENDPOINT_AUTH_PARAMETER_${id}_KUBECONFIG`]: kubeconfig,
      [`ENDPOINT_AUTH_PARAMETER_${id}_CLUSTERCONTEXT`]: 'b',
    })); // prettier-ignore
    const connection = openConnection(agent, request);
    assert.equal(connection.namespace, 'from-context');
    assert.equal(connection.server, 'https://one:6443');
    assert.deepEqual(userOf(connection.kubeconfigPath), { token: 'other-token' });
    assert.equal(statSync(connection.kubeconfigPath).mode & 0o777, 0o600);
    assert.equal(statSync(path.dirname(connection.kubeconfigPath)).mode & 0o777, 0o700);
    assert.deepEqual(lines, [
      '##vso[task.setsecret]other-token',
      `##vso[task.settaskvariable variable=helmSafeDeployPrivateFolder;]${path.dirname(connection.kubeconfigPath)}`,
    ]);
    assert.equal(agent.redact('x other-token'), 'x ***');
    connection.close();
    connection.close();
    assert.deepEqual(readdirSync(temp), []);
  });

  for (const type of ['ServiceAccount', 'AzureSubscription']) {
    it(`${type}: the token is decoded and masked, and the connection's namespace is used`, () => {
      const { agent, lines } = agentWith(connectionOf(type, {
        [`ENDPOINT_AUTH_PARAMETER_${id}_APITOKEN`]: base64('decoded-token'),
        [`ENDPOINT_AUTH_PARAMETER_${id}_SERVICEACCOUNTCERTIFICATE`]: base64(authority),
        [`ENDPOINT_DATA_${id}_NAMESPACE`]: 'shop',
        [`ENDPOINT_DATA_${id}_ACCEPTUNTRUSTEDCERTS`]: 'true',
      })); // prettier-ignore
      const connection = openConnection(agent, { ...request, id: id.toUpperCase() });
      assert.equal(connection.namespace, 'shop');
      assert.equal(connection.server, 'https://api.example.org:6443/');
      assert.deepEqual(userOf(connection.kubeconfigPath), { token: 'decoded-token' });
      assert.ok(lines.includes('##vso[task.setsecret]decoded-token'));
      assert.match(readFileSync(connection.kubeconfigPath, 'utf8'), /"insecure-skip-tls-verify": true/);
      connection.close();
    });
  }

  for (const [name, environment, reason, expected] of [
    ['the agent handed over none', {}, 'ConnectionMissing', /no service connection/],
    ['no kubeconfig in it', connectionOf('Kubeconfig', {}), 'ConnectionInvalid', /holds no kubeconfig/],
    ['no token in it', connectionOf('ServiceAccount', {}), 'ConnectionInvalid', /holds no token/],
    ['of an unknown kind', connectionOf('Magic', {}), 'ConnectionInvalid', /"Magic" is not known/],
  ] as const) {
    it(`refused before anything is written: ${name}`, () => {
      const { agent } = agentWith(environment);
      assert.throws(
        () => openConnection(agent, request),
        (error) => error instanceof TaskError && error.reason === reason && expected.test(error.message),
      );
      assert.deepEqual(readdirSync(temp), []);
    });
  }

  describe('a task without a service connection', () => {
    const none = { type: 'none' } as const;

    function write(name: string, text: string): string {
      const file = path.join(temp, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
      return file;
    }

    it('uses KUBECONFIG, of which one file is missing, with the context that an earlier step chose for Helm', () => {
      const file = write('mine.yaml', kubeconfig);
      const { agent } = agentWith({
        KUBECONFIG: [path.join(temp, 'gone'), file].join(path.delimiter),
        HELM_KUBECONTEXT: 'b',
      });
      const connection = openConnection(agent, none);
      assert.equal(connection.namespace, 'from-context');
      assert.deepEqual(userOf(connection.kubeconfigPath), { token: 'other-token' });
      connection.close();
      assert.ok(existsSync(file));
    });

    it("uses the kubeconfig in the home folder, changed by Helm's own variables", () => {
      write('.kube/config', kubeconfig);
      const { agent } = agentWith({ HELM_KUBETOKEN: 'helm-token', HELM_KUBEASUSER: 'bot', HELM_NAMESPACE: 'ns' });
      const connection = openConnection(agent, none);
      assert.equal(connection.namespace, 'ns');
      assert.deepEqual(userOf(connection.kubeconfigPath), { token: 'helm-token', as: 'bot' });
      assert.ok(agent.secrets().includes('helm-token'));
      connection.close();
    });

    it('uses the service account of the pod', () => {
      const pod = path.dirname(write('pod/token', 'pod-token'));
      write('pod/ca.crt', authority);
      write('pod/namespace', 'agents');
      const { agent } = agentWith({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' });
      const connection = openConnection(agent, none, pod);
      assert.equal(connection.server, 'https://[fd00::1]:443');
      assert.equal(connection.namespace, 'agents');
      assert.deepEqual(userOf(connection.kubeconfigPath), { tokenFile: path.join(pod, 'token'), token: 'pod-token' });
      connection.close();
    });

    it('finds no cluster and names the places where it searched', () => {
      const { agent } = agentWith({});
      assert.throws(
        () => openConnection(agent, none, path.join(temp, 'pod')),
        /connectionType is none.*\.kube\/config/,
      );
    });
  });

  describe('removing private files in the post-job phase', () => {
    const postJob = path.resolve('tasks/HelmSafeDeploy/postJob.ts');

    function runPostJob(environment: NodeJS.ProcessEnv) {
      const env = { PATH: process.env['PATH'], AGENT_TEMPDIRECTORY: temp, ...environment };
      return spawnSync(process.execPath, ['--import', 'tsx', postJob], { env, encoding: 'utf8' });
    }

    it('a killed main phase: the post-job phase removes the announced folder', () => {
      const { agent, lines } = agentWith({ KUBECONFIG: undefined });
      const file = agent.privateFolder.write('kubeconfig', 'left behind');
      const announced = /\]([^]*)$/.exec(lines[0] ?? '')?.[1];
      assert.equal(announced, path.dirname(file));
      const { status, stdout } = runPostJob({ VSTS_TASKVARIABLE_HELMSAFEDEPLOYPRIVATEFOLDER: announced });
      assert.equal(status, 0);
      assert.equal(stdout, '');
      assert.ok(!existsSync(path.dirname(file)));
    });

    it('a task variable that names something else removes nothing', () => {
      const other = path.join(temp, 'other');
      mkdirSync(other);
      const uuid = 'helm-safe-deploy-7b1f0e9c-0000-4000-8000-000000000001';
      const elsewhere = mkdtempSync(path.join(tmpdir(), 'elsewhere-'));
      mkdirSync(path.join(elsewhere, uuid));
      for (const folder of [other, temp, path.join(elsewhere, uuid), path.join(temp, uuid, '..', 'other')]) {
        assert.equal(runPostJob({ VSTS_TASKVARIABLE_HELMSAFEDEPLOYPRIVATEFOLDER: folder }).status, 0);
        assert.ok(existsSync(folder.endsWith('other') ? other : folder));
      }
      rmSync(elsewhere, { recursive: true });
    });

    it('without an announced folder nothing is removed', () => {
      assert.equal(runPostJob({}).status, 0);
    });
  });
});
