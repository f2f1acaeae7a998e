import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { DeployEnd } from '../support/product';
import { withFolder } from './identities';
import { app, assertOutcome, bare, scenes, type Scene, type SceneDeploy } from './scenes';

interface Mistake {
  title: string;
  deploy: SceneDeploy;
  says: readonly RegExp[];
}

const long = 'a'.repeat(54);

/** Mistakes that are found before the cluster receives any request. */
const mistakes: readonly Mistake[] = [
  { title: 'no release name', deploy: { release: '' }, says: [/releaseName/] },
  { title: 'a release name of 54 characters', deploy: { release: long }, says: [/releaseName.*a{54}.*53/s] },
  { title: 'a release name with capitals', deploy: { release: 'Web' }, says: [/releaseName.*Web/s] },
  { title: 'a timeout without a unit', deploy: { inputs: { timeout: '5' } }, says: [/timeout.*"?5"?.*5m/s] },
  { title: 'a negative timeout', deploy: { inputs: { timeout: '-1s' } }, says: [/timeout.*-1s/s] },
  {
    title: 'a variable that nobody set',
    deploy: { inputs: { namespace: '$(target)' } },
    says: [/namespace.*\$\(target\)/s],
  },
  {
    title: 'a values file that is not there',
    deploy: { inputs: { valueFiles: 'none.yaml' } },
    says: [/valueFiles, line 1.*none\.yaml/s],
  },
  { title: 'a chart folder that is not there', deploy: { chart: './charts/none' }, says: [/chart.*charts\/none/s] },
  {
    title: "a flag that is the task's own",
    deploy: { inputs: { arguments: '--atomic' } },
    says: [/arguments.*--atomic.*onFailure/s],
  },
  { title: 'a Helm that is not there', deploy: { helm: '/none/helm' }, says: [/helmPath.*\/none\/helm/s] },
  {
    title: 'several mistakes, all told at once',
    deploy: { release: 'Web', inputs: { timeout: '5', valueFiles: 'none.yaml', onFailure: 'shrug' } },
    says: [/releaseName/, /timeout/, /valueFiles/, /onFailure.*shrug/s],
  },
];

describe('bad input', () => {
  const { scene } = scenes();

  scene('mistakes in the inputs alone are each reported with the value found and the value expected', async (s) => {
    for (const { title, deploy, says } of mistakes) {
      const end = await s.deploy({ set: bare, ...deploy });
      assert.equal(end.result, 'Failed', title);
      const said = issueText(end);
      for (const pattern of says) assert.match(said, pattern, title);
      assert.equal(end.job.step('deploy').errorCount, 1, title);
    }
    await assertUntouched(s);
  });

  scene('a values file that is not YAML is refused', async (s) => {
    await withFolder(async (folder) => {
      const file = path.join(folder, 'values.yaml');
      fs.writeFileSync(file, 'a: [1\nb: }');
      const end = await s.deploy({ set: bare, inputs: { valueFiles: file } });
      assert.equal(end.result, 'Failed');
      assert.match(issueText(end), /valueFiles, line 1.*values\.yaml/s);
      await assertUntouched(s);
    });
  });

  scene('a missing namespace is refused, and created where createNamespace is set', async (s) => {
    const namespace = `${s.namespace}-extra`;
    const end = await s.deploy({ set: bare, inputs: { namespace } });
    assertOutcome(end, 'failed', 'NamespaceMissing');
    assert.match(issueText(end), new RegExp(`${namespace} does not exist.*createNamespace`));
    assert.equal(await s.live(`/api/v1/namespaces/${namespace}`), undefined);
    try {
      assertOutcome(await s.deploy({ set: bare, inputs: { namespace, createNamespace: 'true' } }), 'deployed');
    } finally {
      await s.cluster.cleanUp(namespace);
    }
  });

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: a chart that cannot be rendered changes nothing, and the message names the serving revision`,
      async (s) => {
        const helm = major === '3' ? s.cluster.helm3 : s.cluster.helm4;
        assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
        const end = await s.deploy({ helm, set: [...bare, 'refuse=set a password first'] });
        assertOutcome(end, 'failed', 'ChartInvalid');
        assert.match(issueText(end), /set a password first.*Revision 1 serves now/s);
        assert.equal(await s.history(), '1 deployed');
      },
    );

    scene(`Helm ${major}: values that the chart's schema refuses are reported`, async (s) => {
      await withFolder(async (folder) => {
        const chart = path.join(folder, 'app');
        fs.cpSync(app, chart, { recursive: true });
        const schema = { properties: { replicas: { type: 'integer', minimum: 1 } } };
        fs.writeFileSync(path.join(chart, 'values.schema.json'), JSON.stringify(schema));
        const helm = major === '3' ? s.cluster.helm3 : s.cluster.helm4;
        const end = await s.deploy({ helm, chart, set: [...bare, 'replicas=0'] });
        assertOutcome(end, 'failed', 'ValuesInvalid');
        assert.match(issueText(end), /replicas/);
        await assertUntouched(s);
      });
    });
  }

  scene('a PATH without Helm, and a Helm that is too old, are refused', async (s) => {
    await withFolder(async (folder) => {
      const none = await s.deploy({ set: bare, inputs: { helmPath: '' } }, { environment: { PATH: folder } });
      assertOutcome(none, 'failed', 'HelmMissing');
      assert.match(issueText(none), /helmPath/);

      const old = path.join(folder, 'helm');
      fs.writeFileSync(old, '#!/bin/sh\nif [ "$1" = version ]; then echo v3.10.0; else echo "      --install"; fi\n', {
        mode: 0o755,
      });
      const end = await s.deploy({ helm: old, set: bare });
      assertOutcome(end, 'failed', 'HelmUnsupported');
      assert.match(issueText(end), /v3\.10\.0; 3\.14 or later/);
      await assertUntouched(s);
    });
  });
});

function issueText(end: DeployEnd): string {
  return end.job.issues.map(({ message }) => message).join('\n');
}

async function assertUntouched(s: Scene): Promise<void> {
  assert.equal(await s.history(), '');
  assert.equal(await s.live('/api/v1/namespaces/$ns/configmaps/web'), undefined);
}
