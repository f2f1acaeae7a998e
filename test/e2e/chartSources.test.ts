import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { ServiceConnection } from '../support/agent';
import { loginConnection, openChartRepository, openOciRegistry, signChart } from '../support/chartSources';
import { deployEnd, deployJob, productAgent, type DeployEnd } from '../support/product';
import { ageKey, encryptedFile, sops } from '../support/sops';
import { app, assertOutcome, bare, helms, scenes, type Scene, type SceneDeploy } from './scenes';

/** Runs a deploy with more service connections. */
async function deployWith(
  s: Scene,
  connections: readonly ServiceConnection[],
  { helm, inputs, set = bare }: SceneDeploy,
  environment: Record<string, string>,
): Promise<DeployEnd> {
  const chart = inputs?.['chart'] ?? app;
  const values = { timeout: '60s', set: set.join('\n'), ...inputs };
  const job = deployJob({ cluster: s.cluster, namespace: s.namespace, chart, ...(helm && { helm }), inputs: values });
  const agent = productAgent({ environment });
  try {
    return deployEnd(await agent.runJob({ ...job, endpoints: [...(job.endpoints ?? []), ...connections] }));
  } finally {
    agent.dispose();
  }
}

describe('the chart and its values come from', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a repository with a login, and files that sops has encrypted`, async (s) => {
      const helm = helms(s.cluster)[major];
      const repository = await openChartRepository(helm, [app]);
      try {
        const charts = loginConnection('charts', 'Generic', repository.address);
        const inputs = {
          chart: 'app',
          chartRepositoryConnection: 'charts',
          sopsPath: await sops(),
          valueFiles: s.file('plain.yaml', 'text: plain\nmarker: plain\n'),
          secretValueFiles: await encryptedFile(s.file('first.yaml', ''), 'text: the word is hunter22\n'),
        };
        const environment = { SSL_CERT_FILE: repository.authority, SOPS_AGE_KEY: ageKey.identity };
        const end = await deployWith(s, [charts], { helm, inputs }, environment);
        assertOutcome(end, 'deployed');
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'the word is hunter22');

        const second = await encryptedFile(s.file('second.yaml', ''), 'text: the word is hunter23\n');
        const both = { ...inputs, secretValueFiles: `${inputs.secretValueFiles}\n${second}` };
        const upgraded = await deployWith(s, [charts], { helm, inputs: both }, environment);
        assertOutcome(upgraded, 'deployed');
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'the word is hunter23');
        assert.equal(
          (await deployWith(s, [charts], { helm, inputs: both }, environment)).outputs['outcome'],
          'unchanged',
        );
        assert.ok(upgraded.job.holdsSecret('the word is hunter23'), 'The agent does not know the decrypted text.');
      } finally {
        repository.close();
      }
    });

    scene(`Helm ${major}: an address of a plug-in like helm-secrets`, async (s) => {
      const plugins = path.dirname(s.file('here', ''));
      installPlugins(path.join(plugins, 'plugins'), major);
      const values = s.file('values.enc.yaml', 'text: decrypted by the plug-in\n');
      const inputs = { valueFiles: `secrets://${values}` };
      const environment = { HELM_PLUGINS: path.join(plugins, 'plugins') };
      const end = await s.deploy({ helm: helms(s.cluster)[major], set: bare, inputs }, { environment });
      assertOutcome(end, 'deployed');
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'decrypted by the plug-in');
    });
  }

  scene('a registry with a login, and without it the step names the way out', async (s) => {
    const registry = await openOciRegistry(s.cluster.helm4, [app]);
    try {
      const chart = `oci://${registry.host}/charts/app`;
      const environment = { SSL_CERT_FILE: registry.authority };
      const refused = await deployWith(s, [], { inputs: { chart } }, environment);
      assertOutcome(refused, 'failed', 'ChartAccessDenied');
      assert.match(refused.log, /containerRegistry or chartRepositoryConnection/);
      assert.equal(await s.history(), '');
      const registryLogin = loginConnection('registry', 'dockerregistry', `https://${registry.host}/`, {
        registry: `https://${registry.host}/`,
      });
      const inputs = { chart, containerRegistry: 'registry' };
      assertOutcome(await deployWith(s, [registryLogin], { inputs }, environment), 'deployed');
    } finally {
      await registry.close();
    }
  });

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: verify takes the chart that the right key has signed, and no other`, async (s) => {
      const helm = helms(s.cluster)[major];
      const { archive, keyring, otherKeyring } = await signChart(helm, app, path.dirname(s.file('here', '')));
      const deploy = (inputs: Record<string, string>) =>
        s.deploy({ helm, set: bare, chart: archive, inputs: { verify: 'true', keyring, ...inputs } });
      assertOutcome(await deploy({ keyring: otherKeyring }), 'failed', 'ChartNotVerified');
      const copy = path.join(path.dirname(archive), 'unsigned.tgz');
      fs.copyFileSync(archive, copy);
      assertOutcome(await deploy({ chart: copy }), 'failed', 'ChartNotVerified');
      assert.equal(await s.history(), '');
      assertOutcome(await deploy({}), 'deployed');
      fs.appendFileSync(archive, 'more');
      const changed = await deploy({});
      assertOutcome(changed, 'failed', 'ChartNotVerified');
      assert.match(changed.log, /sha256 sum does not match/);
      assert.equal(await s.history(), '1 deployed');
    });
  }
});

/** The shapes of helm-secrets: one plug-in for Helm 3, and three for Helm 4. The file is read as it is. */
function installPlugins(folder: string, major: '3' | '4'): void {
  const install = (name: string, manifest: object): void => {
    fs.mkdirSync(path.join(folder, name), { recursive: true });
    fs.writeFileSync(path.join(folder, name, 'plugin.yaml'), JSON.stringify(manifest));
    // Helm gives a downloader the address as its fourth argument.
    fs.writeFileSync(path.join(folder, name, 'run.sh'), '#!/bin/sh\nshift\nexec cat "${4#secrets://}"\n', {
      mode: 0o755,
    });
  };
  if (major === '3') {
    const downloaders = [{ command: 'run.sh downloader', protocols: ['secrets'] }];
    install('secrets', {
      name: 'secrets',
      version: '4.6.0',
      usage: 'secrets',
      command: '$HELM_PLUGIN_DIR/run.sh',
      downloaders,
    });
    return;
  }
  const common = { apiVersion: 'v1', version: '4.7.0', runtime: 'subprocess' };
  const platformCommand = [{ command: '$HELM_PLUGIN_DIR/run.sh' }];
  const config = { usage: 'secrets', shortHelp: 'secrets', longHelp: 'secrets' };
  install('secrets', { ...common, type: 'cli/v1', name: 'secrets', config, runtimeConfig: { platformCommand } });
  const protocols = ['secrets'];
  const protocolCommands = [{ protocols, platformCommand: [{ command: 'run.sh', args: ['downloader'] }] }];
  const getter = {
    type: 'getter/v1',
    name: 'secrets-getter',
    config: { protocols },
    runtimeConfig: { protocolCommands },
  };
  install('secrets-getter', { ...common, ...getter });
  const renderer = { type: 'postrenderer/v1', name: 'secrets-post-renderer', runtimeConfig: { platformCommand } };
  install('secrets-post-renderer', { ...common, ...renderer });
}
