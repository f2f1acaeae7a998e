import assert from 'node:assert/strict';
import { sha256 } from '../../tasks/common/adapters/helm/planStore';
import { azureRun, type AzureRunReader } from '../../tasks/common/adapters/azureDevOps/runRecords';
import { takeTaskEnvironment } from '../../tasks/common/adapters/agent/taskEnvironment';
import { TaskError } from '../../tasks/common/core/failure';
import type { RollbackTaskRequest } from '../../tasks/common/core/inputs/rollbackRequest';
import { attachmentName, type AttachmentName } from '../../tasks/common/core/report/attachmentName';
import { fleetAttachmentType, fleetDigest, fleetList, type FleetPlan } from '../../tasks/common/core/report/fleet';
import { reportAttachmentType } from '../../tasks/common/core/report/report';
import { fromFleet } from '../../tasks/common/flows/rollback/approved/fleetPlan';
import { checkFleet, collectPlans } from '../../tasks/common/flows/rollout/checkFleet';
import { startAzureDevOps, timelineRecords, type AzureDevOps } from '../support/azureDevOps';
import { reportProblems } from '../support/reportSchema';

const timing = { connectMs: 2_000, responseMs: 2_000, totalMs: 4_000, retryUnknownMs: 200, retryKnownMs: 400 };
const silent = { log: () => undefined } as never;

function name(parts: Partial<AttachmentName>): string {
  const base = {
    kind: 'deploy',
    outcome: 'deployed',
    ring: 'early',
    namespace: 'shop',
    release: 'web',
    attempt: 1,
  } as const;
  return attachmentName({ ...base, cluster: 'a', ...parts });
}

function planOf(cluster: string, of = cluster): FleetPlan {
  const planDigest = `sha256:${sha256(of)}`;
  return { ring: 'early', cluster, namespace: 'shop', release: 'web', planDigest, targetRevision: 1, risk: 'low' };
}

describe('a fleet whose reports are attachments of the run', () => {
  let azure: AzureDevOps;
  const open: AzureRunReader[] = [];
  const slept: number[] = [];
  const clock = {
    now: () => new Date('2026-03-01T10:00:00Z'),
    monotonicMs: () => 0,
    sleep: (milliseconds: number) => {
      slept.push(milliseconds);
      return Promise.resolve();
    },
  };

  beforeEach(async () => {
    azure = await startAzureDevOps();
    slept.length = 0;
  });

  afterEach(async () => {
    for (const reader of open.splice(0)) reader.close();
    await azure.close();
  });

  function reader(): AzureRunReader {
    const made = azureRun(
      takeTaskEnvironment({
        ENDPOINT_URL_SYSTEMVSSCONNECTION: azure.collectionUri,
        ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: azure.token,
        SYSTEM_HOSTTYPE: 'build',
        SYSTEM_TEAMPROJECTID: azure.projectId,
        BUILD_BUILDID: azure.buildId,
      }),
      { timing },
    );
    open.push(made);
    return made;
  }

  function attach(type: string, attachment: string, content: unknown = {}): void {
    azure.run.attachments.push({ type, name: attachment, content: JSON.stringify(content) });
  }

  const question = { ring: 'early', clusters: ['a', 'b'], tolerated: 0, failedBefore: 0 };
  const check = () => checkFleet({ agent: silent, azure: reader(), clock }, question, 'Ring_early');

  it('is judged by two requests, however many clusters there are', async () => {
    attach(reportAttachmentType, name({}));
    attach(reportAttachmentType, name({ cluster: 'b', outcome: 'failed' }));
    const report = await check();
    assert.equal(report.health, 'unhealthy');
    assert.equal(report.reason, 'ClustersFailed');
    assert.equal(report.failedWorkload, 'Cluster/b');
    assert.equal(report.failedClusters, 1);
    assert.deepEqual(reportProblems(report), []);
    assert.equal(azure.requests.length, 2);
  });

  it('counts a cluster without a report as failed, unless its job succeeded', async () => {
    attach(reportAttachmentType, name({}));
    assert.equal((await check()).health, 'unhealthy');
    azure.run.records = timelineRecords({
      name: 'Ring_early',
      from: '09:00',
      jobs: [{ name: 'Cluster_b', from: '09:00', to: '09:10' }],
    });
    const report = await check();
    assert.equal(report.health, 'healthy');
    assert.match(report.objects[1]?.message ?? '', /restricts the commands/);
  });

  it('without any attachment, which some servers answer with 404, every cluster has failed', async () => {
    const report = await check();
    assert.equal(report.health, 'unhealthy');
    assert.match(report.message, /2 of 2 clusters failed/);
  });

  it('is unknown, never healthy, when Azure DevOps refuses to answer', async () => {
    azure.handlers.push((_request, response) => {
      response.writeHead(403, { 'Content-Type': 'application/json' }).end('{}');
      return true;
    });
    const report = await check();
    assert.equal(report.health, 'unknown');
    assert.match(report.message, /View builds/);
  });

  it('lists the newest plan of each cluster', async () => {
    const planned = { kind: 'plan', outcome: 'planned' } as const;
    attach(reportAttachmentType, name({ cluster: 'b', ...planned }), planOf('b'));
    attach(reportAttachmentType, name({ cluster: 'a', ...planned }), planOf('a', 'earlier'));
    attach(reportAttachmentType, name({ cluster: 'a', ...planned, attempt: 2 }), planOf('a'));
    attach(reportAttachmentType, name({ cluster: 'c', ...planned }), planOf('c'));
    attach(reportAttachmentType, name({ cluster: 'c', kind: 'plan', outcome: 'refused', attempt: 2 }), planOf('c'));
    const list = await collectPlans({ agent: silent, azure: reader(), clock });
    assert.deepEqual(list.plans, [planOf('a'), planOf('b')]);
  });

  const request = { cluster: 'a', startWithinSeconds: 25 } as RollbackTaskRequest;

  function fromList(planDigest: string, random = 0.5, cluster = 'a'): Promise<RollbackTaskRequest> {
    const { signal } = new AbortController();
    const asked = { ...request, cluster, planDigest: planDigest.replace('sha256:', '') };
    return fromFleet({ azure: reader(), clock, sha256, signal, random: () => random }, asked);
  }

  it('a rollback takes its plan from the approved list, and no approval before that list counts', async () => {
    const list = fleetList([planOf('a'), planOf('b')], clock.now());
    attach(fleetAttachmentType, 'fleet,planned,,,,,1.json', list);
    const found = await fromList(fleetDigest(list, sha256));
    assert.equal(found.planDigest, sha256('a'));
    assert.deepEqual(found.approvedSince, clock.now());
    assert.deepEqual(slept, [12_500]);
  });

  it('a changed list, another list and a cluster that is not in it are refused', async () => {
    const list = fleetList([planOf('a'), planOf('b')], clock.now());
    const digest = fleetDigest(list, sha256);
    attach(fleetAttachmentType, 'fleet,planned,,,,,1.json', { ...list, plans: [planOf('a', 'forged'), planOf('b')] });
    const reason = (wanted: string) => (error: unknown) => error instanceof TaskError && error.reason === wanted;
    await assert.rejects(fromList(digest), reason('PlanChanged'));
    azure.run.attachments = [];
    await assert.rejects(fromList(digest), reason('PlanChanged'));
    attach(fleetAttachmentType, 'fleet,planned,,,,,1.json', list);
    await assert.rejects(fromList(digest, 0, 'c'), reason('PlanMissing'));
  });

  it('250 rollbacks read the list with two requests each, spread over the time that grows with `parallel`', async () => {
    const clusters = Array.from({ length: 250 }, (_, index) => `c${index}`);
    const list = fleetList(
      clusters.map((cluster) => planOf(cluster)),
      clock.now(),
    );
    attach(fleetAttachmentType, 'fleet,planned,,,,,1.json', list);
    const digest = fleetDigest(list, sha256);
    for (const [index, cluster] of clusters.entries()) await fromList(digest, index / 250, cluster);
    assert.equal(azure.requests.length, 500);
    assert.ok(slept.length === 250 && Math.max(...slept) < 25_000 && new Set(slept).size === 250);
  });
});
