import assert from 'node:assert/strict';
import {
  approvalJson,
  identityJson,
  startAzureDevOps,
  timelineRecords,
  type AzureDevOps,
  type StageSpec,
  type TimelineRecordJson,
} from '../support/azureDevOps';
import type { RollbackEnd } from '../support/product';
import { assertEnd, plan, release, rollBack, type Step } from './rollbackScenes';
import { helms, scenes, type Scene } from './scenes';

const jobId = '0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4a5b';
const own: StageSpec = { name: 'Deploy', from: '09:10', jobs: [{ name: 'Deploy', id: jobId, from: '09:10' }] };
const approver = identityJson('ada@fabrikam.com', { displayName: 'Ada' });

/** Moves the times of the stand-in so that its 09:10 is now. */
function now<T extends TimelineRecordJson>(records: readonly T[]): T[] {
  const delta = Date.now() - Date.parse('2026-03-01T09:10:00Z');
  const moved = (time: string | null): string | null =>
    time === null ? null : new Date(Date.parse(time) + delta).toISOString();
  return records.map((record) => ({
    ...record,
    startTime: moved(record.startTime),
    finishTime: moved(record.finishTime),
  }));
}

function gateStage(from: string, to: string | undefined, result?: 'failed'): StageSpec {
  const span = { from, ...(to === undefined ? {} : { to }), ...(result === undefined ? {} : { result }) };
  return { name: 'Approval', ...span, jobs: [{ name: 'Gate', ...span, gates: [{ name: 'Approve', ...span }] }] };
}

function gated(azure: AzureDevOps, inputs: Readonly<Record<string, string>> = {}): Step {
  const { collectionUri, projectId, buildId, token, project } = azure;
  const identity = { collectionUri, project, projectId, buildId, accessToken: token, jobId };
  return { inputs: { approval: 'gate', ...inputs }, job: { identity } };
}

async function planned(s: Scene): Promise<RollbackEnd> {
  for (const text of ['one', 'two']) await release(s, helms(s.cluster)['4'], `text=${text}`);
  const made = await plan(s);
  assertEnd(made, 'planned');
  return made;
}

describe('the approval of a rollback', () => {
  const { scene } = scenes();
  const servers: AzureDevOps[] = [];

  async function azureDevOps(): Promise<AzureDevOps> {
    const azure = await startAzureDevOps();
    servers.push(azure);
    return azure;
  }

  after(async () => {
    await Promise.all(servers.map((server) => server.close()));
  });

  scene(
    'a gate that succeeded after the plan counts; an earlier, rejected, open or missing one does not',
    async (s) => {
      const azure = await azureDevOps();
      const made = await planned(s);
      const refuse = async (...stages: StageSpec[]): Promise<RollbackEnd> => {
        azure.run.records = now(timelineRecords(...stages));
        const end = await rollBack(s, made, gated(azure));
        assertEnd(end, 'refused', 'ApprovalMissing');
        return end;
      };
      assert.match((await refuse(own)).log, /no gate|ManualValidation/i);
      assert.match((await refuse(gateStage('08:00', '08:05'), own)).log, /before the plan/i);
      await refuse(gateStage('09:00', undefined), own);
      await refuse(gateStage('09:00', '09:10', 'failed'), own);
      assert.equal(await s.history(), '1 superseded, 2 deployed');

      azure.run.records = now(timelineRecords(gateStage('09:00', '09:10'), own));
      const four = await rollBack(s, made, gated(azure, { fourEyes: 'true' }));
      assertEnd(four, 'refused', 'ApprovalMissing');
      const done = await rollBack(s, made, gated(azure));
      assertEnd(done, 'rolledBack');
      assert.equal(done.outputs['approvedBy'], 'unknown');
      assert.match(done.report?.approval ?? '', /^Approved by unknown at .* through the gate .*Approve/);
      assert.match(await s.helm(s.cluster.helm4, 'history', 'web'), /Rollback to 1\. Approved by unknown/);
      assert.ok(
        azure.requests.every(({ method }) => method === 'GET'),
        'Nothing is ever approved by us.',
      );
    },
  );

  scene('approver and reason of the environment are in the log, the record and on the workload', async (s) => {
    const azure = await azureDevOps();
    const made = await planned(s);
    const id = 'aaaaaaaa-0000-4000-8000-000000000001';
    const span = { from: '09:01', to: '09:10' };
    azure.run.records = now(timelineRecords({ ...own, checks: [{ id, ...span }] }));
    azure.run.approvals = [approvalJson(id, 'approved', [{ by: approver, at: '09:10', comment: 'the shop is down' }])];
    const times = { initiatedOn: new Date().toISOString(), lastModifiedOn: new Date().toISOString() };
    azure.run.approvals = azure.run.approvals.map((approval) => ({
      ...approval,
      createdOn: times.initiatedOn,
      lastModifiedOn: times.lastModifiedOn,
      steps: approval.steps.map((step) => ({ ...step, ...times })),
    }));
    const done = await rollBack(s, made, gated(azure, { approval: 'environment' }));
    assertEnd(done, 'rolledBack');
    assert.match(done.outputs['approvedBy'] ?? '', /Ada/);
    const [event] = await s.list('/api/v1/namespaces/$ns/events?fieldSelector=reason%3DRolledBack');
    assert.match(String(event?.['message']), /Ada.*the shop is down/);
  });

  scene('when Azure DevOps does not answer, the rollback is refused, unless requireGateProof is off', async (s) => {
    const azure = await azureDevOps();
    const made = await planned(s);
    azure.handlers.push((_request, response) => {
      response.writeHead(404, { 'Content-Type': 'application/json' }).end('{}');
      return true;
    });
    assertEnd(await rollBack(s, made, gated(azure)), 'refused', 'ApprovalMissing');
    assert.equal(await s.history(), '1 superseded, 2 deployed');
    const done = await rollBack(s, made, gated(azure, { requireGateProof: 'false' }));
    assertEnd(done, 'rolledBack');
    assert.equal(done.outputs['approvedBy'], 'unknown');
    assert.ok(done.job.step('rollback').issues.some(({ type }) => type === 'warning'));
  });
});
