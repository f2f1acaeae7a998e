import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { withFolder } from './identities';
import { app, assertOutcome, bare, fake, helms, scenes, type Scene } from './scenes';

const run = promisify(execFile);

describe('sources of charts', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a chart repository: exact version, range, newest, and a missing version`, async (s) => {
      const helm = helms(s.cluster)[major];
      await withRepository(helm, async (chartRepository) => {
        const deploy = (chartVersion: string) =>
          s.deploy({ helm, chart: 'app', set: bare, inputs: { chartRepository, chartVersion } });
        for (const [wish, got] of [
          ['1.0.0', 'app 1.0.0'],
          ['~1.0', 'app 1.0.1'],
          ['', 'app 1.1.0'],
        ] as const) {
          const end = await deploy(wish);
          assertOutcome(end, 'deployed');
          assert.equal(end.report?.chart, got);
        }
        const missing = await deploy('7.0.0');
        assertOutcome(missing, 'failed', 'ChartNotFound');
        assert.match(missing.job.issues[0]?.message ?? '', /7\.0\.0.*Revision 3 serves now/s);
        assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
      });
    });

    scene(`Helm ${major}: a repository that an earlier step added is found by its name`, async (s) => {
      const helm = helms(s.cluster)[major];
      await withRepository(helm, async (url, folder) => {
        const variables = {
          HELM_REPOSITORY_CONFIG: path.join(folder, 'repositories.yaml'),
          HELM_REPOSITORY_CACHE: path.join(folder, 'cache'),
        };
        await run(helm, ['repo', 'add', 'shop', url], { env: { ...process.env, ...variables } });
        const end = await s.deploy({
          helm,
          chart: 'shop/app',
          variables,
          set: bare,
          inputs: { chartVersion: '1.0.0' },
        });
        assertOutcome(end, 'deployed');
        const unknown = await s.deploy({ helm, chart: 'store/app', variables, set: bare });
        assertOutcome(unknown, 'failed', 'ChartNotFound');
        assert.match(unknown.job.issues[0]?.message ?? '', /store/);
      });
    });

    scene(`Helm ${major}: an archive, and a folder whose dependency is fetched if asked for`, async (s) => {
      const helm = helms(s.cluster)[major];
      await withFolder(async (folder) => {
        await pack(helm, folder, '1.0.0');
        assertOutcome(await s.deploy({ helm, chart: path.join(folder, 'app-1.0.0.tgz'), set: bare }), 'deployed');

        const parent = path.join(folder, 'parent');
        fs.mkdirSync(path.join(parent, 'templates'), { recursive: true });
        const dependency = { name: 'app', version: '1.0.0', repository: `file://${app}` };
        const chart = { apiVersion: 'v2', name: 'parent', version: '2.0.0', dependencies: [dependency] };
        fs.writeFileSync(path.join(parent, 'Chart.yaml'), JSON.stringify(chart));
        const deploy = (dependencyUpdate: string) =>
          s.deploy({ helm, chart: parent, set: ['app.web=false'], inputs: { dependencyUpdate } });
        const lacking = await deploy('false');
        assertOutcome(lacking, 'failed', 'ChartInvalid');
        assert.match(lacking.job.issues[0]?.message ?? '', /app.*Set the input dependencyUpdate to true/s);
        assertOutcome(await deploy('true'), 'deployed');
        assert.equal(await s.history(), '1 superseded, 2 deployed');
      });
    });

    scene(`Helm ${major}: an object whose API version changes exists when the step reports deployed`, async (s) => {
      await assertKeepsAutoscaler(s, helms(s.cluster)[major]);
    });
  }

  scene('values: later files win, set wins over files, setString and setFile as on the command line', async (s) => {
    const one = s.file('one.yaml', 'web: false\ntext: from one\nnotes: from one\nmarker: 1\n');
    const two = s.file('two.yaml', 'notes: from two\ntext: from two\n');
    const setFile = `notes=${s.file('notes.txt', 'from a file')}`;
    const inputs = { valueFiles: `${one}\n${two}`, set: 'marker=true', setString: 'count=017', setFile };
    assertOutcome(await s.deploy({ inputs }), 'deployed');
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'from two');
    const values: unknown = JSON.parse(await s.helm(s.cluster.helm4, 'get', 'values', 'web', '--output', 'json'));
    assert.deepEqual(values, { web: false, text: 'from two', notes: 'from a file', marker: true, count: '017' });
  });
});

/** Helm 4.1.0 deletes what it has just applied. The task must not report success for such a Helm. */
async function assertKeepsAutoscaler(s: Scene, helm: string): Promise<void> {
  const path = '/apis/autoscaling/v2/namespaces/$ns/horizontalpodautoscalers/web';
  await s.helm(helm, 'install', 'web', app, '--set', 'fake=true,autoscaler=v2');
  const end = await s.deploy({ helm, set: [...fake, 'autoscaler=v1'] });
  const isThere = (await s.live(path)) !== undefined;
  assert.equal(end.outputs['outcome'] === 'deployed', isThere, end.log);
  assertOutcome(end, 'deployed');
}

/** A chart repository on the loopback with three versions of the chart. Helm keeps its files for it in `folder`. */
async function withRepository(helm: string, body: (url: string, folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const site = path.join(folder, 'site');
    for (const version of ['1.0.0', '1.0.1', '1.1.0']) await pack(helm, site, version);
    await run(helm, ['repo', 'index', site]);
    const server = http.createServer((request, response) => {
      const file = path.join(site, path.basename(request.url ?? ''));
      if (!fs.existsSync(file)) response.writeHead(404).end();
      else fs.createReadStream(file).pipe(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, folder);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
}

async function pack(helm: string, destination: string, version: string): Promise<void> {
  await run(helm, ['package', app, '--version', version, '--destination', destination]);
}
