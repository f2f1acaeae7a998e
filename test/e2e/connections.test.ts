import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {
  adminParts,
  helmsRights,
  kubeconfigConnectionOf,
  kubeconfigText,
  serviceAccount,
  serviceAccountConnection,
  withFolder,
} from './identities';
import type { DeployEnd } from '../support/product';
import { assertOutcome, bare, fake, helms, scenes, type Scene } from './scenes';

describe('connections to the cluster', () => {
  const { scene } = scenes();

  scene('a kubeconfig with two contexts: the task uses the context that the connection names', async (s) => {
    const elsewhere = adminParts(s, { name: 'elsewhere', server: closedPort });
    const text = kubeconfigText(elsewhere, adminParts(s, { name: 'here' }));
    const connection = kubeconfigConnectionOf(text, { clusterContext: 'here' });
    assertOutcome(await s.deploy({ connection, set: bare }), 'deployed');
    assert.equal(await s.history(), '1 deployed');
  });

  scene('an empty namespace input takes the namespace of the connection', async (s) => {
    const connection = kubeconfigConnectionOf(kubeconfigText(adminParts(s)), {}, { namespace: s.namespace });
    const end = await s.deploy({ connection, set: bare, inputs: { namespace: '' } });
    assertOutcome(end, 'deployed');
    assert.equal(await s.history(), '1 deployed');
  });

  scene('the namespace of the context is used when neither input nor connection has one', async (s) => {
    const connection = kubeconfigConnectionOf(kubeconfigText(adminParts(s, { namespace: s.namespace })));
    assertOutcome(await s.deploy({ connection, set: bare, inputs: { namespace: '' } }), 'deployed');
    assert.equal(await s.history(), '1 deployed');
  });

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: a service account with only Helm's own rights deploys, upgrades and rolls back`,
      async (s) => {
        const helm = major === '3' ? s.cluster.helm3 : s.cluster.helm4;
        const token = await serviceAccount(s, helmsRights);
        const connection = serviceAccountConnection(s, token);
        assertOutcome(await s.deploy({ helm, connection, set: fake }), 'deployed');
        assertOutcome(await s.deploy({ helm, connection, set: [...fake, 'text=two'] }), 'deployed');
        const stuck = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1'];
        assertOutcome(await s.deploy({ helm, connection, set: stuck }), 'rolledBack');
        assert.equal(await s.history(), '1 superseded, 2 superseded, 3 failed, 4 deployed');
      },
    );
  }

  scene('a connection created from an Azure subscription works with its service account', async (s) => {
    const token = await serviceAccount(s, helmsRights);
    const data = { authorizationType: 'AzureSubscription', azureSubscriptionId: 'a', clusterId: 'b' };
    const connection = serviceAccountConnection(s, token, { data });
    assertOutcome(await s.deploy({ connection, set: bare }), 'deployed');
  });

  scene('acceptUntrustedCerts: a certificate of an unknown authority is accepted', async (s) => {
    const token = await serviceAccount(s, helmsRights);
    const data = { authorizationType: 'ServiceAccount', acceptUntrustedCerts: 'true' };
    const connection = serviceAccountConnection(s, token, { auth: { serviceAccountCertificate: '' }, data });
    assertOutcome(await s.deploy({ connection, set: bare }), 'deployed');
  });

  scene('connectionType none uses the KUBECONFIG of the agent', async (s) => {
    await withFolder(async (folder) => {
      const file = path.join(folder, 'config');
      fs.writeFileSync(file, kubeconfigText(adminParts(s)));
      const inputs = { connectionType: 'none', kubernetesServiceConnection: '' };
      const end = await s.deploy({ set: bare, inputs, variables: { KUBECONFIG: file } });
      assertOutcome(end, 'deployed');
    });
  });

  scene('forbidden: the message names verb, resource and namespace to grant, nothing is changed', async (s) => {
    const rights = helmsRights.filter(({ resources }) => !resources.includes('deployments'));
    const connection = serviceAccountConnection(s, await serviceAccount(s, rights));
    const end = await s.deploy({ connection, set: fake });
    assertOutcome(end, 'failed', 'PermissionDenied');
    const said = errorOf(end);
    assert.match(
      said,
      new RegExp(`get, create deployments.apps in namespace ${s.namespace}|deployments.*${s.namespace}`),
    );
    await assertUntouched(s);
  });

  scene('a missing right to read Helm’s record is reported as a missing right', async (s) => {
    const rights = helmsRights.filter(({ resources }) => !resources.includes('secrets'));
    const connection = serviceAccountConnection(s, await serviceAccount(s, rights));
    const end = await s.deploy({ connection, set: bare });
    assertOutcome(end, 'failed', 'PermissionDenied');
    assert.match(errorOf(end), new RegExp(`list .*secrets.*${s.namespace}`));
    await assertUntouched(s);
  });

  scene('an expired token is reported, and no line of the log shows it', async (s) => {
    const token = `${await serviceAccount(s, helmsRights)}x`;
    const end = await s.deploy({ connection: serviceAccountConnection(s, token), set: bare });
    assertOutcome(end, 'failed', 'CredentialsRejected');
    assert.ok(!end.job.steps.some(({ raw }) => raw.some(({ line }) => line.includes(token) && !isMasking(line))));
    await assertUntouched(s);
  });

  for (const [helm, word] of [
    ['3', 'v1beta1'],
    ['4', 'v1'],
  ] as const) {
    scene(`Helm ${helm}: a credential plug-in signs in, and its error is shown as soon as it ends`, async (s) => {
      const apiVersion = `client.authentication.k8s.io/${word}`;
      const { token } = adminParts(s);
      const credential = { apiVersion, kind: 'ExecCredential', status: { token } };
      const ended = s.file('ended', '');
      const wrong = s.file('wrong', '');
      // Like kubelogin: it asks a person if there is a terminal.
      const script = [
        '#!/bin/sh',
        'test -t 0 && exec sleep 600',
        `test -s ${wrong} && { echo "AADSTS50079: sign in with a second factor" >&2; date +%s%3N > ${ended}; exit 1; }`,
        `echo '${JSON.stringify(credential)}'`,
      ];
      const exec = { apiVersion, command: s.file('kubelogin', script.join('\n')), interactiveMode: 'IfAvailable' };
      const connection = kubeconfigConnectionOf(kubeconfigText(adminParts(s, { exec })));
      const deploy = () => s.deploy({ helm: helms(s.cluster)[helm], connection, set: bare });
      assertOutcome(await deploy(), 'deployed');
      fs.writeFileSync(wrong, 'yes');
      const end = await deploy();
      assertOutcome(end, 'failed', 'CredentialsRejected');
      const [shown] = end.job.step('deploy').raw.filter(({ line }) => line.includes('AADSTS50079'));
      const afterMs = (shown?.at.getTime() ?? Infinity) - Number(fs.readFileSync(ended, 'utf8'));
      assert.ok(afterMs < 1_000, String(afterMs));
    });
  }

  scene('a certificate that is not trusted is reported', async (s) => {
    const connection = serviceAccountConnection(s, 'a-token-of-nobody', { auth: { serviceAccountCertificate: '' } });
    const end = await s.deploy({ connection, set: bare });
    assertOutcome(end, 'failed', 'CertificateRejected');
    await assertUntouched(s);
  });

  scene('a server that does not exist is reported', async (s) => {
    const connection = serviceAccountConnection(s, 'a-token-of-nobody', { url: closedPort });
    const end = await s.deploy({ connection, set: bare });
    assertOutcome(end, 'failed', 'ClusterUnreachable');
    assert.match(end.job.issues[0]?.message ?? '', /127\.0\.0\.1:1\b/);
  });

  scene('a kubeconfig without the context that the connection names is refused', async (s) => {
    const connection = kubeconfigConnectionOf(kubeconfigText(adminParts(s)), { clusterContext: 'production' });
    const end = await s.deploy({ connection, set: bare });
    assert.equal(end.result, 'Failed');
    assert.match(end.job.issues[0]?.message ?? '', /it has no context "\*\*\*" \(it has admin\)/);
    await assertUntouched(s);
  });
});

/** No machine has a server at this port. */
const closedPort = 'https://127.0.0.1:1';

const isMasking = (line: string): boolean => line.startsWith('##vso[task.setsecret');

async function assertUntouched(s: Scene): Promise<void> {
  assert.equal(await s.history(), '');
  assert.equal(await s.live('/api/v1/namespaces/$ns/configmaps/web'), undefined);
}

/** The last error. Without the right to use Leases, a warning comes before the error. */
function errorOf(end: DeployEnd): string {
  return end.job.issues.find(({ type }) => type === 'error')?.message ?? '';
}
