import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { adminApiServer } from '../../scripts/cluster/cluster';
import { realNodeTag } from '../../scripts/test/summary';
import type { Place } from '../matrix/cases';
import { reach } from '../matrix/places';
import { argumentsOf } from '../matrix/processTable';
import type { AgentOptions } from '../support/agent';
import { openWine, wineObstacle, type Wine } from '../support/windows/wine';
import { toWindowsPath } from '../support/windows/winePaths';
import { assertOutcome, fake, scenes, type Scene, type SceneDeploy } from './scenes';

const stuck = [...fake, 'nodeSelector.none=z'];
/** Wine starts slowly, and so do Node and Helm in Wine. */
const inputs = { timeout: '8m', rollbackTimeout: '8m' };

interface Moment {
  place: Place;
  /** Values besides those of the workload that never gets ready. */
  set?: readonly string[];
  /** Helm was at work, and the log says that it was interrupted. */
  tellsHelm?: true;
  needsNode?: true;
  /** Helm's history after the job. */
  history: RegExp;
}

const takenBack = /^1 superseded, 2 failed, 3 deployed$/;
/** The history depends on how far Helm came before it was interrupted. */
const asBefore = /^1 deployed(, 2 failed)?$|^1 superseded, 2 failed, 3 deployed$/;

const moments: readonly Moment[] = [
  { place: 'release-looked-at', history: asBefore },
  { place: 'record-pending', history: asBefore },
  { place: 'first-object-changed', history: asBefore },
  {
    place: 'pre-hook-running',
    set: ['hooks.pre-upgrade=sleep 600'],
    tellsHelm: true,
    needsNode: true,
    history: /^1 deployed, 2 failed$/,
  },
  { place: 'helm-ended', history: takenBack },
  { place: 'following', history: takenBack },
  { place: 'rollback-pending', set: ['progressDeadlineSeconds=1'], history: takenBack },
];

/**
 * Node for Windows runs the packaged task with a Helm for Windows. They start and are cancelled as the Windows agent
 * does it.
 */
describe('the task on Windows, as far as Wine behaves like Windows', function () {
  const { scene } = scenes();
  let folder: string | undefined;
  let wine: Wine | undefined;

  before(async function () {
    this.timeout(1_800_000);
    const why = wineObstacle() ?? (await open().catch((error: unknown) => String(error)));
    if (why === undefined) return;
    console.log(`    There is no Wine here, so nothing is shown of Windows: ${why}`);
    this.skip();
  });

  after(async () => {
    await wine?.close();
    if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  });

  async function open(): Promise<undefined> {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wine-'));
    wine = await openWine(folder, (line) => {
      console.error(line);
    });
  }

  function opened(): Wine {
    assert.ok(wine !== undefined);
    return wine;
  }

  function onWindows(): Partial<AgentOptions> {
    return { nodes: { '20': opened().node } };
  }

  function withHelm(deploy: SceneDeploy): SceneDeploy {
    return { helm: opened().helm, ...deploy, inputs: { ...inputs, ...deploy.inputs } };
  }

  scene('wrong inputs are reported all at once, and a batch file is refused as Helm with its path', async (s) => {
    const batch = toWindowsPath(s.file('helm.cmd', '@echo off\r\n'));
    const bad = { timeout: '5', valueFiles: 'C:\\none\\values.yaml' };
    const end = await s.deploy({ helm: batch, chart: 'C:\\none\\chart', inputs: bad }, onWindows());
    assert.equal(end.result, 'Failed', end.log);
    const said = end.job.issues.map(({ message }) => message).join('\n');
    assert.ok(said.includes(`helmPath holds "${batch}"; a file which is not an .exe`), said);
    assert.match(said, /give the path of the helm\.exe/);
    assert.match(said, /timeout holds "5"/);
    assert.match(said, /chart holds "C:\\none\\chart"; there is no such chart/);
    assert.match(said, /valueFiles, line 1 holds "C:\\none\\values\.yaml"/);
    assert.equal(await s.history(), '');
  });

  scene('a healthy deploy passes a secret on unchanged, and the same deploy again makes no change', async (s) => {
    const secrets = { password: 'C:\\new,dir' };
    const deploy = withHelm({ set: fake, secrets, inputs: { setString: 'text=$(password)' } });
    const end = await s.deploy(deploy, onWindows());
    assertOutcome(end, 'deployed');
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), secrets.password);
    assert.ok(end.report !== undefined);
    assert.ok(!end.log.includes(secrets.password));
    assertNothingPrivate(end.job.step('deploy').taskVariablesSet);
    assertOutcome(await s.deploy(deploy, onWindows()), 'unchanged');
    assert.equal(await s.history(), '1 deployed');
  });

  for (const { place, set = [], tellsHelm, needsNode, history } of moments) {
    const title = `cancelled at ${place}: the job puts it in order, and the next run works`;
    scene(needsNode === true ? `${title} ${realNodeTag}` : title, async (s) => {
      assertOutcome(await s.deploy({ set: fake }), 'deployed');
      const running = s.start(withHelm({ set: [...stuck, 'text=two', ...set] }), onWindows());
      await reach(place, sceneOf(s, running.job));
      running.job.cancel();
      const end = await running.end;
      assert.equal(end.outputs['outcome'], 'cancelled', end.log);
      assert.equal(end.result, 'Canceled', end.log);
      assert.match(end.log, /SIGINT received: the step is cancelled/);
      assert.doesNotMatch(end.log, /its tree is killed/);
      if (tellsHelm === true) assert.match(end.log, /Release web has been cancelled/);
      assert.match(await s.history(), history, end.log);
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
      assertNothingPrivate(end.job.step('deploy').taskVariablesSet);
      assertOutcome(await s.deploy({ set: [...fake, 'text=three'] }), 'deployed');
    });
  }

  scene(`killed in a hook, no post-job: Helm ends too, and the next run repairs ${realNodeTag}`, async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const deploy = withHelm({ set: [...fake, 'text=two', 'hooks.pre-upgrade=sleep 600'] });
    const running = s.start(deploy, onWindows());
    await reach('pre-hook-running', sceneOf(s, running.job));
    assert.equal(helmsIn(s.namespace), 1);
    running.job.kill('SIGUSR2');
    running.job.loseAgent();
    await running.end.catch(() => undefined);
    await s.until('Helm has ended with the task', () => helmsIn(s.namespace) === 0);
    assert.equal(await s.history(), '1 deployed, 2 pending-upgrade');
    const next = await s.deploy(withHelm({ set: [...fake, 'text=three'] }), onWindows());
    assertOutcome(next, 'recovered');
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed', next.log);
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'three');
    assert.deepEqual(await s.list('/apis/batch/v1/namespaces/$ns/jobs'), []);
  });

  function sceneOf(s: Scene, job: ReturnType<Scene['start']>['job']): Parameters<typeof reach>[1] {
    const server = adminApiServer(s.cluster.name);
    const { namespace } = s;
    return { job, server, namespace, subject: 'web', pid: () => job.pid(), lastRevision: 1, text: 'two', delayMs: 0 };
  }
});

/** Checks that the private folder that the step announced no longer exists. */
function assertNothingPrivate(variables: readonly { name: string; value: string }[]): void {
  const announced = variables.find(({ name }) => name === 'helmSafeDeployPrivateFolder')?.value;
  assert.match(announced ?? '', /^Z:\\/);
  assert.ok(!fs.existsSync((announced ?? '').slice(2).replaceAll('\\', '/')), announced);
}

/** The number of Helms for Windows at work in a namespace. */
function helmsIn(namespace: string): number {
  return fs
    .readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => argumentsOf(Number(entry)))
    .filter(
      (words) => /helm[^\\/]*\.exe$/i.test(words[0] ?? '') && words.includes('upgrade') && words.includes(namespace),
    ).length;
}
