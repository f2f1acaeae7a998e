import fs from 'node:fs';
import path from 'node:path';
import { repository } from '../../../scripts/build';
import { approvalJson, identityJson, startAzureDevOps, timelineRecords, type StageSpec } from '../azureDevOps';
import type { JobResult } from '../agent';
import { shell, workloadOf } from '../brokenWorkloads';
import type { TestCluster } from '../cluster';
import { runCheck, runDeploy, runRollback } from '../product';
import { temporaryFolder } from './browser';
import { recordedSteps, type RecordedStep } from './recordedRun';

/** A run of a pipeline as the tab sees it. */
export interface RecordedRun {
  title: string;
  steps: readonly RecordedStep[];
}

const recordedFolder = path.join(repository, 'dist', 'recorded');

export function storeRuns(runs: readonly RecordedRun[]): void {
  fs.mkdirSync(recordedFolder, { recursive: true });
  for (const run of runs) fs.writeFileSync(path.join(recordedFolder, `${run.title}.json`), JSON.stringify(run));
}

/** The runs that were stored last. */
export function storedRuns(): RecordedRun[] {
  const files = fs.existsSync(recordedFolder) ? fs.readdirSync(recordedFolder) : [];
  return files
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(fs.readFileSync(path.join(recordedFolder, name), 'utf8')) as RecordedRun);
}

const chart = path.join(import.meta.dirname, '..', '..', 'e2e', 'charts', 'objects');
const serving = 'exec httpd -f -p 8080';
const probe = { readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 } };
const healthy = { containers: [shell(`touch index.html; echo listening on 8080; ${serving}`, probe)] };
const crashing = `echo "$(date -u +%H:%M:%S) INFO  cart 2.8.0 starts"
echo "$(date -u +%H:%M:%S) INFO  reading /etc/cart/cart.yaml"
echo "$(date -u +%H:%M:%S) FATAL DB_URL is not set: cart cannot keep its orders" >&2
exit 3`;

function settings(mode: string): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { mode, currency: 'EUR' } };
}

function service(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
  };
}

/** A shop whose cart crashes from its second version on. */
function shop(version: 1 | 2, more: readonly object[] = []): object[] {
  const cart = version === 1 ? healthy : { containers: [shell(crashing)] };
  return [
    settings(version === 1 ? 'steady' : 'sale'),
    workloadOf('Deployment', 'front', healthy, { replicas: 2 }),
    workloadOf('Deployment', 'cart', cart),
    workloadOf('StatefulSet', 'orders', healthy),
    service('front'),
    service('cart'),
    ...more,
  ];
}

const promotion = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'promotion' }, data: { percent: '20' } };

/**
 * Runs the packaged tasks on the cluster, as pipelines would: a good deploy, one that is rolled back, and one that is
 * kept, judged and rolled back after an approval.
 */
export async function recordRuns(cluster: TestCluster): Promise<RecordedRun[]> {
  const namespace = await cluster.namespace('tab');
  const folder = temporaryFolder('record');
  const azure = await startAzureDevOps();
  const { collectionUri, project, projectId, buildId, token } = azure;
  const identity = { collectionUri, project, projectId, buildId, accessToken: token };
  const deploy = async (objects: readonly object[], inputs: Record<string, string> = {}): Promise<JobResult> => {
    const valueFiles = path.join(folder, 'values.json');
    fs.writeFileSync(valueFiles, JSON.stringify({ objects }));
    const given = { valueFiles, timeout: '2m', stableFor: '0', graces: 'CrashLoop: 3s', ...inputs };
    return (await runDeploy({ cluster, namespace, chart, release: 'shop', inputs: given, job: { identity } })).job;
  };
  const production = { stage: 'Production', job: 'Deploy shop' };
  try {
    const good = recordedSteps(await deploy(shop(1)), production);
    const rolledBack = recordedSteps(await deploy(shop(2)), production);
    const kept = recordedSteps(await deploy(shop(2, [promotion]), { onFailure: 'keep' }), production);
    const check = await runCheck({ cluster, namespace, inputs: { releaseName: 'shop', timeout: '20s' } });
    const common = { cluster, namespace, release: 'shop' };
    const plan = await runRollback({ ...common, inputs: { action: 'plan', timeout: '60s' } });
    const planned = recordedSteps(plan.job, { stage: 'Rollback', job: 'Plan' });
    azure.run.records = approvedNow();
    azure.run.approvals = [approvedByAda()];
    const done = await runRollback({
      ...common,
      inputs: {
        action: 'rollback',
        planDigest: plan.outputs['planDigest'] ?? '',
        timeout: '60s',
        approval: 'environment',
      },
      job: { identity: { ...identity, jobId } },
    });
    const judged = recordedSteps(check.job, { stage: 'Production', job: 'Check shop' });
    const executed = recordedSteps(done.job, { stage: 'Rollback', job: 'Roll back' });
    return [
      { title: 'deployed', steps: good },
      { title: 'rolled-back', steps: rolledBack },
      { title: 'waiting-for-approval', steps: [...kept, ...judged, ...planned] },
      { title: 'rolled-back-after-approval', steps: [...kept, ...judged, ...planned, ...executed] },
    ];
  } finally {
    await azure.close();
    fs.rmSync(folder, { recursive: true, force: true });
    await cluster.cleanUp(namespace);
  }
}

const jobId = '0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4a5b';
const approvalId = 'aaaaaaaa-0000-4000-8000-000000000001';

/** The timeline of a run whose environment was approved just now. */
function approvedNow(): ReturnType<typeof timelineRecords> {
  const stage: StageSpec = {
    name: 'Deploy',
    from: '09:10',
    jobs: [{ name: 'Deploy', id: jobId, from: '09:10' }],
    checks: [{ id: approvalId, from: '09:01', to: '09:10' }],
  };
  const delta = Date.now() - Date.parse('2026-03-01T09:10:00Z');
  const moved = (time: string | null): string | null =>
    time === null ? null : new Date(Date.parse(time) + delta).toISOString();
  return timelineRecords(stage).map((record) => ({
    ...record,
    startTime: moved(record.startTime),
    finishTime: moved(record.finishTime),
  }));
}

function approvedByAda(): ReturnType<typeof approvalJson> {
  const by = identityJson('ada@fabrikam.example', { displayName: 'Ada Example' });
  const approval = approvalJson(approvalId, 'approved', [{ by, at: '09:10', comment: 'cart is down' }]);
  const now = new Date().toISOString();
  const times = { initiatedOn: now, lastModifiedOn: now };
  return {
    ...approval,
    createdOn: now,
    lastModifiedOn: now,
    steps: approval.steps.map((step) => ({ ...step, ...times })),
  };
}
