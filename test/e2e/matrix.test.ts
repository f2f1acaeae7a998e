import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from '../../scripts/cluster/wait';
import { cluster as openCluster } from '../support/cluster';
import { createAgent } from '../support/agent';
import { read, write, type LiveObject } from '../matrix/api';
import { openArena, type Arena } from '../matrix/arena';
import { askContinually } from '../matrix/availability';
import { caseId, disturbsApiServer, sampleOf, type MatrixCase } from '../matrix/cases';
import { clusterFlags, openGround, type Ground, type Plot } from '../matrix/ground';
import {
  availabilityViolations,
  fileViolations,
  helmViolations,
  orphanViolations,
  survivalViolations,
  writerViolations,
  type Violation,
} from '../matrix/invariants';
import { readState } from '../matrix/liveState';
import { releaseViolations, type ReleaseLook } from '../matrix/look';
import { scriptExtension } from '../matrix/plain';
import { playCase, textOf, type CaseResult } from '../matrix/play';
import { watchHelms } from '../matrix/processTable';
import { recordsPath } from '../matrix/records';
import { remainsOf, type Remains } from '../matrix/runs';
import { chartFolder, flagsOf, password, type Values } from '../matrix/values';

const run = promisify(execFile);

/**
 * The default seed is fixed, so that only a change of the product makes this test fail. The environment and test:matrix
 * choose others.
 */
const seed = Number(process.env['HELM_SAFE_DEPLOY_MATRIX_SEED'] ?? 2026);
const deploys = 24;
const rollbacks = 8;
/** Each of these cases needs a cluster of its own for one or two minutes. */
const apiServerCases = 2;
const lanes = 5;

describe('a run that is interrupted at every step', () => {
  const sample = [
    ...sampleOf('HelmSafeDeploy', seed, deploys, apiServerCases),
    ...sampleOf('ApproveAndRollback', seed, rollbacks, 0),
  ];
  const results = new Map<string, Promise<CaseResult>>();
  const interruption = new AbortController();
  let arena: Arena | undefined;
  let details: string | undefined;

  before(async function () {
    this.timeout(1_800_000);
    console.log(`    seed ${seed}; again with: npm run test:matrix -- --seed ${seed} --case ID`);
    arena = await openArena({
      lanes,
      ownClusters: ['matrix-test'],
      signal: interruption.signal,
      log: (line) => {
        console.error(line);
      },
    });
    start(arena);
  });

  after(async function () {
    this.timeout(600_000);
    interruption.abort();
    await Promise.allSettled(results.values());
    await arena?.dispose();
  });

  function start({ each, helmWatch }: Arena): void {
    const settle = new Map<string, (result: CaseResult) => void>();
    for (const one of sample) {
      results.set(caseId(one), new Promise((resolve) => settle.set(caseId(one), resolve)));
    }
    void each(sample, disturbsApiServer, async (one: MatrixCase, ground: Ground) => {
      const onDetails = (id: string, text: string): void => {
        details = `${details ?? ''}\n\n##### ${id}\n${text}`;
      };
      settle.get(caseId(one))?.(await playCase(one, ground, { seed, helmWatch, onDetails }));
    });
  }

  for (const one of sample) {
    it(caseId(one), async function () {
      const result = await results.get(caseId(one));
      // A rollout that is healthy at once is not followed, and a random moment may come after the end.
      const mayBeOver = one.place.startsWith('random-') || one.place === 'following';
      if (result?.status === 'missed' && mayBeOver) this.skip();
      const found = [...(result?.violations ?? []).map(textOf), result?.error ?? 'It was not played.'];
      assert.equal(
        result?.status,
        'held',
        `${found.join('\n')}\nHelm's record: ${String(result?.history)}\n${details}`,
      );
    });
  }
});

/** Each fault that the matrix looks for is made on a real release, and the matrix must find it. */
describe('the matrix finds', () => {
  const values: Values = { text: 'one', fakePods: true, fakeHooks: true, drain: 3 };
  let ground: Ground | undefined;
  let plot: Plot | undefined;
  let look: ReleaseLook | undefined;

  before(async function () {
    this.timeout(1_800_000);
    ground = openGround(await openCluster());
    plot = await ground.plot('sabotage');
    const { cluster } = ground;
    const flags = [...flagsOf(values), ...clusterFlags(cluster.kubeconfig, plot.namespace)];
    await run(cluster.helm4, ['install', 'web', chartFolder, ...flags]);
    const opened = ground;
    look = {
      ground,
      namespace: plot.namespace,
      subject: 'web',
      golden: (text) => (text === 'one' ? opened.golden(cluster.helm4, values) : undefined),
      told: () => '',
    };
    await waitFor('the release to be as a fresh install', async () => (await seen()).length === 0);
  });

  after(async () => {
    await ground?.dispose();
  });

  function given(): { ground: Ground; plot: Plot; look: ReleaseLook } {
    if (ground === undefined || plot === undefined || look === undefined) throw new Error('The cluster is not up.');
    return { ground, plot, look };
  }

  function seen(): Promise<Violation[]> {
    return releaseViolations(given().look, 'after next run');
  }

  async function assertSeen(invariant: Violation['invariant'], message: RegExp): Promise<void> {
    const found = await seen();
    const text = found.map(textOf).join('\n');
    assert.ok(
      found.some((each) => each.invariant === invariant && message.test(each.message)),
      `${invariant} ${String(message)} is not in:\n${text}`,
    );
  }

  const at = (apiPath: string): string => apiPath.replaceAll('$ns', given().plot.namespace);

  /** Changes an object while `act` runs. */
  async function changed(
    apiPath: string,
    change: (object: Record<string, unknown>) => void,
    act: () => Promise<void>,
  ): Promise<void> {
    const { server } = given().ground;
    const current = async (): Promise<LiveObject> => {
      const object = await read(server, at(apiPath));
      if (object === undefined) throw new Error(`${apiPath} is not there.`);
      return object;
    };
    const before = await current();
    const altered = structuredClone(before) as Record<string, unknown>;
    change(altered);
    await write(server, 'PUT', at(apiPath), altered);
    try {
      await act();
    } finally {
      const { metadata } = await current();
      const { resourceVersion } = metadata;
      await write(server, 'PUT', at(apiPath), { ...before, metadata: { ...before.metadata, resourceVersion } });
    }
  }

  async function created(listPath: string, object: Record<string, unknown>, act: () => Promise<void>): Promise<void> {
    const { server } = given().ground;
    await write(server, 'POST', at(listPath), object);
    try {
      await act();
    } finally {
      const { name } = object['metadata'] as { name: string };
      await write(server, 'DELETE', `${at(listPath)}/${name}`, undefined);
    }
  }

  const record = '/api/v1/namespaces/$ns/secrets/sh.helm.release.v1.web.v1';

  function labelsOf(object: Record<string, unknown>): Record<string, string> {
    return (object['metadata'] as { labels: Record<string, string> }).labels;
  }

  it('a pending record', async () => {
    const pend = (object: Record<string, unknown>): void => {
      labelsOf(object)['status'] = 'pending-upgrade';
    };
    await changed(record, pend, async () => {
      await assertSeen('not stuck', /1 pending-upgrade/);
      await assertSeen('one deployed revision', /1 pending-upgrade/);
      await assertSeen('records as deployed', /deployed inside/);
    });
    assert.deepEqual(await seen(), []);
  });

  it('a record whose manifest is not what was deployed', async () => {
    const { golden } = given().look;
    const real = await golden('one');
    assert.ok(real !== undefined && real.manifest.includes('kind: Deployment') && real.objects.length >= 7);
    const edited: ReleaseLook = {
      ...given().look,
      golden: () => Promise.resolve({ ...real, manifest: `${real.manifest}\n` }),
    };
    const found = await releaseViolations(edited, 'after next run');
    assert.deepEqual(
      found.map(({ invariant }) => invariant),
      ['records as deployed'],
    );
  });

  it('a missing field, and a leftover field', async () => {
    const field = (object: Record<string, unknown>): void => {
      object['data'] = { text: 'another', 'only-two': 'yes' };
    };
    await changed('/api/v1/namespaces/$ns/configmaps/web', field, async () => {
      await assertSeen('declared is live', /ConfigMap\/web data\.text: "another" instead of "one"/);
      await assertSeen('nothing of a dead revision', /ConfigMap\/web data\.only-two/);
    });
    const selector = (object: Record<string, unknown>): void => {
      const { template } = object['spec'] as { template: { spec: { nodeSelector: Record<string, string> } } };
      template.spec.nodeSelector['none'] = 'z';
    };
    await changed('/apis/apps/v1/namespaces/$ns/deployments/web', selector, async () => {
      await assertSeen('nothing of a dead revision', /Deployment\/web spec\.template\.spec\.nodeSelector\.none/);
    });
  });

  it('a leftover object, a claim that no report names, and a missing object', async () => {
    const configMaps = '/api/v1/namespaces/$ns/configmaps';
    await created(configMaps, { metadata: { name: 'only-two' } }, async () => {
      await assertSeen('nothing of a dead revision', /ConfigMap\/only-two is still there/);
    });
    const resources = { requests: { storage: '1Mi' } };
    const claim = { metadata: { name: 'only-two' }, spec: { accessModes: ['ReadWriteOnce'], resources } };
    await created('/api/v1/namespaces/$ns/persistentvolumeclaims', claim, async () => {
      await assertSeen('nothing of a dead revision', /PersistentVolumeClaim\/only-two was kept, but no run/);
    });
    const { server } = given().ground;
    const gone = await read(server, at(`${configMaps}/only-one`));
    await write(server, 'DELETE', at(`${configMaps}/only-one`), undefined);
    await assertSeen('declared is live', /ConfigMap\/only-one is not there/);
    const { name, labels, annotations } = gone?.metadata ?? { name: 'only-one' };
    await write(server, 'POST', at(configMaps), { metadata: { name, labels, annotations } });
  });

  it('a lease that is still held', async () => {
    const metadata = {
      name: 'helm-safe-deploy.web',
      annotations: { 'helm-safe-deploy/work': 'upgrade 2' },
    };
    const leases = '/apis/coordination.k8s.io/v1/namespaces/$ns/leases';
    await created(leases, { metadata, spec: { holderIdentity: 'run 7' } }, async () => {
      await assertSeen('lease released', /run 7/);
      await assertSeen('lease released', /upgrade 2/);
    });
  });

  it('a serving object that was recreated', async () => {
    const { ground: on, plot: here } = given();
    const before = await readState(on.server, here.namespace);
    await write(on.server, 'DELETE', at('/api/v1/namespaces/$ns/services/web'), undefined);
    const flags = [...flagsOf(values), ...clusterFlags(on.cluster.kubeconfig, here.namespace)];
    const gone = survivalViolations(before, await readState(on.server, here.namespace), ['Service/web']);
    assert.match(gone.map(textOf).join(), /Service\/web was removed/);
    await run(on.cluster.helm3, ['upgrade', 'web', chartFolder, ...flags]);
    const anew = survivalViolations(before, await readState(on.server, here.namespace), ['Service/web', 'Secret/web']);
    assert.deepEqual(anew.map(textOf), ['what served was never removed: Service/web was removed and created again']);
  });

  it('a run that changes something after a later run has done so', async () => {
    const { ground: on, plot: here } = given();
    const [one, two] = [await here.identity(1), await here.identity(2)];
    const annotate = async ({ kubeconfig }: { kubeconfig: string }, value: string): Promise<void> => {
      const who = clusterFlags(kubeconfig, here.namespace);
      await run(on.cluster.kubectl, ['annotate', 'configmap', 'only-one', '--overwrite', `by=${value}`, ...who]);
    };
    await annotate(one, '1');
    await annotate(two, '2');
    assert.deepEqual(writerViolations(await here.writes()), []);
    await annotate(one, '3');
    const found = writerViolations(await here.writes());
    assert.match(
      found.map(textOf).join(),
      /run 1: patch configmaps\/only-one .*after run 2: patch configmaps\/only-one/,
    );
  });

  it('two Helms at work at once', async () => {
    const { ground: on } = given();
    const here = await on.plot('sabotage');
    const watch = watchHelms();
    const stuck = flagsOf({ ...values, second: true, unschedulable: true });
    const flags = [...stuck, ...clusterFlags(on.cluster.kubeconfig, here.namespace)];
    const wait = ['--wait', '--timeout', '2s'];
    const helm = (name: string): Promise<unknown> =>
      run(on.cluster.helm3, ['upgrade', '--install', name, chartFolder, ...wait, ...flags]).catch(() => undefined);
    await helm('web');
    assert.deepEqual(helmViolations(watch.seenIn(here.namespace)), []);
    await Promise.all([helm('web'), helm('web')]);
    watch.stop();
    assert.match(helmViolations(watch.seenIn(here.namespace)).map(textOf).join(), /helm upgrade .* ran at once/);
    await here.remove();
  });

  it('a file with a secret and a process that a job left behind', async () => {
    const extension = scriptExtension();
    const leave = `echo "token: token-of-7" >"$AGENT_TEMPDIRECTORY/kubeconfig"; echo '${password}' >"$HOME/values.yaml"; sleep 600 >/dev/null 2>&1 &`;
    let remains: Remains | undefined;
    const agent = createAgent({
      extension: extension.folder,
      onLine: ({ text }) => {
        if (text === '##[section]Starting: Finalize Job') remains = remainsOf(agent, job, 'token-of-7');
      },
    });
    const job = agent.startJob({
      steps: [{ task: 'Script@1', inputs: { command: JSON.stringify(['sh', '-c', leave]) } }],
    });
    try {
      const { orphans } = await job.done;
      const files = fileViolations(remains?.files ?? []).map(({ message }) => message);
      assert.match(files.join('\n'), /kubeconfig holds the token of the kubeconfig/);
      assert.match(files.join('\n'), /values\.yaml holds a secret value/);
      assert.match(orphanViolations(orphans, 'when the job ended').map(textOf).join(), /sleep \(\d+\) still runs/);
      assert.match(
        orphanViolations(remains?.processes ?? [], 'in the end')
          .map(textOf)
          .join(),
        /sleep/,
      );
    } finally {
      agent.dispose();
      extension.remove();
      assert.ok(!fs.existsSync(path.join(agent.folders.temp, 'kubeconfig')));
    }
  });

  it('a request that nobody answers @real-node', async function () {
    const { ground: on } = given();
    if (!on.cluster.hasRealNode) this.skip();
    const here = await on.plot('sabotage');
    const who = clusterFlags(on.cluster.kubeconfig, here.namespace);
    const real = flagsOf({ ...values, fakePods: false });
    await run(on.cluster.helm4, ['install', 'web', chartFolder, '--wait', '--timeout', '120s', ...real, ...who]);
    const service = await read(on.server, `/api/v1/namespaces/${here.namespace}/services/web`);
    const asking = await askContinually(`http://${(service?.['spec'] as { clusterIP: string }).clusterIP}/`);
    await run(on.cluster.kubectl, ['rollout', 'restart', 'deployment/web', ...who]);
    await run(on.cluster.kubectl, ['rollout', 'status', 'deployment/web', ...who]);
    const beforehand = asking.failures().length;
    assert.equal(beforehand, 0, JSON.stringify(asking.failures()));
    await run(on.cluster.kubectl, ['scale', 'deployment/web', '--replicas=0', ...who]);
    await waitFor('a request to fail', () => asking.failures().length > 0);
    const { sent, failures } = await asking.stop();
    assert.match(availabilityViolations(sent, failures).map(textOf).join(), /requests failed/);
    await here.remove();
  });

  it('the place where Helm keeps its records', async () => {
    const { ground: on, plot: here } = given();
    const found = await read(on.server, recordsPath(here.namespace));
    assert.ok(((found as { items?: unknown[] } | undefined)?.items ?? []).length > 0);
  });
});
