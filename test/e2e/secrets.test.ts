import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { shell, workloadOf } from '../support/brokenWorkloads';
import type { DeployEnd } from '../support/product';
import { assertOutcome, bare, charts, helms, scenes, type Scene } from './scenes';

/** A secret with characters that shells, YAML, JSON and the agent's commands each treat specially. */
const password = `p=4;ss'w"ord$x&1%25 #`;
const inFile = 'correct-horse-battery';

/** A secret with characters that Markdown and addresses treat specially. */
const marked = 'postgres://app:p*ss_w|rd<x>[y]&~#q@db:5432/app';

/** A long secret, like a token or a key. It is longer than any limit at which text is cut. */
const long = Array.from({ length: 900 }, (_, index) => index.toString(36).padStart(4, 'x')).join('');

/** Neither a secret nor a piece of the long one may be visible. Markdown is checked as its reader sees it. */
function assertHidden(shown: string): void {
  const seen = [shown, shown.replace(/\\([!-/:-@[-`{-~])/g, '$1')].join('\n');
  assert.ok(!seen.includes(marked), 'The secret with mark-up is shown.');
  for (let at = 0; at + 40 <= long.length; at += 20) {
    assert.ok(!seen.includes(long.slice(at, at + 40)), `Characters ${at} to ${at + 40} of the long secret are shown.`);
  }
}

function deployObjects(s: Scene, helm: string, objects: readonly object[]): Promise<DeployEnd> {
  const valueFiles = s.file('values.json', JSON.stringify({ objects }));
  return s.deploy({
    helm,
    chart: path.join(charts, 'objects'),
    inputs: { valueFiles, onFailure: 'keep' },
    secrets: { marked, long },
    variables: { 'system.debug': 'true' },
  });
}

describe('the secrets of a job', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    for (const debug of ['false', 'true']) {
      const mode = debug === 'true' ? ', with system.debug' : '';
      scene(`Helm ${major}: secret values reach only the release${mode}`, async (s) => {
        const spy = spyingHelm(s, helms(s.cluster)[major]);
        const values = s.file('values.yaml', `notes: the word is ${inFile}\nmarker: a-marker-in-the-values\n`);
        const end = await s.deploy({
          helm: spy.binary,
          set: [...bare, 'text=$(password)', 'marker=a-marker-in-set'],
          inputs: { setString: 'alsoSecret=$(password)', valueFiles: values },
          secrets: { password, word: inFile },
          variables: { 'system.debug': debug },
        });
        assertOutcome(end, 'deployed');
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), password);
        const shown = everythingShown(end);
        for (const secret of [password, inFile]) assert.ok(!end.job.holdsSecret(shown) && !shown.includes(secret));
        assert.ok(!shown.includes('a-marker'), 'A value that the pipeline gave is shown.');
        for (const line of spy.runs()) assert.ok(!line.includes('p=4;'), line);
        assert.equal(/\[debug\]|level=DEBUG|msg=/.test(end.log), debug === 'true', end.log);
        assertNothingLeft(end);
      });
    }
  }

  scene('a secret in the arguments is refused, and the message names what to use instead', async (s) => {
    const end = await s.deploy({
      set: bare,
      inputs: { arguments: '--post-renderer-args=$(password)' },
      secrets: { password: inFile },
    });
    assert.equal(end.result, 'Failed');
    assert.match(end.job.issues[0]?.message ?? '', /arguments/);
    assert.ok(!everythingShown(end).includes(inFile));
    assert.equal(await s.history(), '');
  });

  scene('a failing chart with a secret in its notes: masked in log, report and summary', async (s) => {
    const end = await s.deploy({
      set: [...bare, 'refuse=no $(password) today'],
      secrets: { password: inFile },
    });
    assertOutcome(end, 'failed', 'ChartInvalid');
    assert.ok(!everythingShown(end).includes(inFile));
    assert.match(end.log, /no \*\*\* today/);
    assertNothingLeft(end);
  });

  for (const major of ['3', '4'] as const) {
    const helm = `Helm ${major}`;
    scene(
      `${helm}: a secret with mark-up, or a very long one, in the output of a pod is shown nowhere @real-node`,
      async (s) => {
        const container = {
          ...shell('printf "%s\\n" "$LONG" "$MARKED" "token $LONG"; exit 3'),
          env: [
            { name: 'MARKED', value: marked },
            { name: 'LONG', value: long },
          ],
          // The kubelet returns the end of the log as the message, cut from the front at 2048 bytes.
          terminationMessagePolicy: 'FallbackToLogsOnError',
        };
        const end = await deployObjects(s, helms(s.cluster)[major], [
          workloadOf('Deployment', 'web', { containers: [container] }),
        ]);
        assertOutcome(end, 'failed', 'CrashLoop');
        assertHidden(everythingShown(end));
      },
    );

    scene(`${helm}: a secret in a refusal of the API server is shown nowhere, not even in Helm's record`, async (s) => {
      const host = { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'web' } };
      const backend = { service: { name: 'web', port: { number: 80 } } };
      const rules = [marked, long].map((each) => ({
        host: each,
        http: { paths: [{ path: '/', pathType: 'Prefix', backend }] },
      }));
      const end = await deployObjects(s, helms(s.cluster)[major], [{ ...host, spec: { rules } }]);
      assertOutcome(end, 'failed', 'ApplyRejected');
      assertHidden(everythingShown(end));
      const record = await s.field('/api/v1/namespaces/$ns/secrets/sh.helm.release.v1.web.v1', 'data.release');
      const json = gunzipSync(Buffer.from(Buffer.from(String(record), 'base64').toString(), 'base64')).toString();
      const { description } = (JSON.parse(json) as { info: { description: string } }).info;
      assert.match(description, /\*\*\*/);
      assertHidden(description);
    });
  }

  scene(
    'the kubeconfig is deleted after success, after failure, and by the post-job phase when the step was killed',
    async (s) => {
      const good = await s.deploy({ set: bare });
      assertNothingLeft(good);
      const bad = await s.deploy({ set: [...bare, 'invalid=true'] });
      assertOutcome(bad, 'rolledBack');
      assertNothingLeft(bad);

      const running = s.start({ set: bare, inputs: { timeout: '60s' } });
      await s.until('the kubeconfig is written', () => privateFolders(running.agent.folders.temp).length === 1);
      const [folder = ''] = privateFolders(running.agent.folders.temp);
      const mode = fs.statSync(path.join(folder, 'kubeconfig')).mode & 0o777;
      assert.equal(mode, 0o600);
      running.job.kill('SIGKILL');
      const killed = await running.end;
      assert.equal(killed.result, 'Failed');
      assert.ok(!fs.existsSync(folder));
      assert.equal(killed.job.step('deploy', 'post-job').result, 'Succeeded');
    },
  );
});

/** A Helm that writes down its arguments. */
function spyingHelm(s: Scene, helm: string): { binary: string; runs: () => string[] } {
  const journal = s.file('runs', '');
  const script = ['#!/bin/sh', `printf '%s ' "$@" >> '${journal}'`, `env >> '${journal}'`, `exec '${helm}' "$@"`];
  return { binary: s.file('helm', script.join('\n')), runs: () => fs.readFileSync(journal, 'utf8').split('\n') };
}

/** All output of the task: raw lines except the agent's masking commands, log, report, summary, issues and outputs. */
function everythingShown(end: DeployEnd): string {
  const raw = end.job.steps.flatMap((step) => step.raw.map(({ line }) => line));
  const files = end.job.steps.flatMap((step) => [
    ...step.attachments.map(({ content }) => content.toString('utf8')),
    ...step.summaries,
  ]);
  return [...raw.filter((line) => !line.startsWith('##vso[task.setsecret')), end.log, ...files].join('\n');
}

function privateFolders(temp: string): string[] {
  if (!fs.existsSync(temp)) return [];
  return fs
    .readdirSync(temp)
    .filter((name) => name.startsWith('helm-safe-deploy-'))
    .map((name) => path.join(temp, name))
    .filter((folder) => fs.existsSync(path.join(folder, 'kubeconfig')));
}

/** The step announced the place of its kubeconfig. The file was gone when the step ended, and it is still gone. */
function assertNothingLeft(end: DeployEnd): void {
  const announced = end.job
    .step('deploy')
    .taskVariablesSet.filter(({ name }) => name === 'helmSafeDeployPrivateFolder');
  assert.equal(announced.length, 1);
  for (const { value } of announced) assert.ok(!fs.existsSync(value), value);
}
