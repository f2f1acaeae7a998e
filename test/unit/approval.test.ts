import assert from 'node:assert/strict';
import {
  approvalIds,
  decideApproval,
  describeApproval,
  shownApprovers,
  type ApprovalDecision,
  type ApprovalPolicy,
  type ApprovalQuestion,
  type RunEvidence,
} from '../../tasks/common/core/approval/judgeApproval';
import { compareIdentities, isServiceAccount, parseIdentity } from '../../tasks/common/core/approval/identity';
import { parseApprovals, parseBuild, parseTimeline } from '../../tasks/common/core/approval/runRecords';
import {
  approvalJson,
  clockTime,
  identityJson,
  serverIdentity,
  timelineRecords,
  type ApprovalJson,
  type ApprovalStepSpec,
  type GateSpec,
  type IdentityJson,
  type JobSpec,
  type Result,
  type StageSpec,
  type TimelineRecordJson,
} from '../support/azureDevOps';

const jobId = 'aaaaaaaa-0000-4000-8000-000000000001';
const approvalId = 'bbbbbbbb-0000-4000-8000-000000000001';
const jane = identityJson('Jane@fabrikam.example', { displayName: 'Jane Doe' });
const jamal = identityJson('jamal@fabrikam.example', { displayName: 'Jamal Hartnett' });
const group = identityJson('[Fabrikam]\\Release Managers', { kind: 'vssgp' });
const robot = identityJson('Build\\7d3c1e0b-0000-4000-8000-000000000001', {
  displayName: 'Fabrikam Build Service (fabrikam)',
  kind: 'svc',
});

interface Case {
  records: TimelineRecordJson[];
  approvals?: ApprovalJson[] | string;
  requestedFor?: IdentityJson;
  requestedBy?: IdentityJson;
  build?: string;
  planMadeAt?: string;
  policy?: Partial<ApprovalPolicy>;
  place?: ApprovalQuestion['place'];
  timelineProblem?: string;
}

function question({ policy, place, planMadeAt = '10:00' }: Omit<Case, 'records'>): ApprovalQuestion {
  return {
    policy: { approval: 'gate', requireGateProof: true, fourEyes: false, ...policy },
    place: place ?? { jobId, stage: 'Rollback', phase: 'Rollback' },
    planMadeAt: new Date(clockTime(planMadeAt)),
    now: new Date(clockTime('13:00')),
  };
}

function evidence(given: Case): RunEvidence {
  const { records, approvals = [], requestedFor = jamal, requestedBy = requestedFor, build, timelineProblem } = given;
  return {
    timeline:
      timelineProblem === undefined
        ? { isKnown: true, value: parseTimeline({ records }) ?? [] }
        : { isKnown: false, problem: timelineProblem },
    build:
      build === undefined
        ? { isKnown: true, value: parseBuild({ id: 42, requestedFor, requestedBy }) ?? {} }
        : { isKnown: false, problem: build },
    approvals:
      typeof approvals === 'string'
        ? { isKnown: false, problem: approvals }
        : { isKnown: true, value: parseApprovals({ count: approvals.length, value: approvals }) ?? [] },
  };
}

function decided(given: Case): ApprovalDecision {
  return decideApproval(question(given), evidence(given));
}

function assertApproved(given: Case): Extract<ApprovalDecision, { decision: 'approved' }> {
  const decision = decided(given);
  assert.ok(decision.decision === 'approved', JSON.stringify(decision));
  return decision;
}

function assertRefused(given: Case, code: string, reason: RegExp): void {
  const decision = decided(given);
  assert.ok(decision.decision === 'refused', JSON.stringify(decision));
  assert.equal(decision.code, code, decision.reason);
  assert.match(decision.reason, reason);
}

const planStage: StageSpec = {
  name: 'Plan',
  from: '09:50',
  to: '10:01',
  jobs: [{ name: 'Plan', from: '09:50', to: '10:01' }],
};
const ownJob: JobSpec = { name: 'Rollback', id: jobId, from: '12:00' };
const ownStage: StageSpec = { name: 'Rollback', from: '12:00', jobs: [ownJob] };
const approvedGate: GateSpec = { name: 'Approve', from: '10:02', to: '11:00' };

function gateStage(gate: GateSpec, stage: Partial<StageSpec> = {}): StageSpec {
  const span = {
    from: gate.from ?? '10:02',
    ...(gate.to && { to: gate.to }),
    ...(gate.result && { result: gate.result }),
  };
  return { name: 'Gate', ...span, jobs: [{ name: 'Wait', ...span, gates: [gate] }], ...stage };
}

/** Plan, gate and rollback as jobs of one stage. */
function oneStage(gate: GateSpec, own: JobSpec = ownJob): TimelineRecordJson[] {
  const jobs: JobSpec[] = [
    { name: 'Plan', from: '09:50', to: '10:01' },
    { name: 'Wait', from: gate.from ?? '10:02', ...(gate.to && { to: gate.to }), gates: [gate] },
    own,
  ];
  return timelineRecords({ name: 'Rollback', from: '09:50', jobs });
}

describe('approval by a gate (ManualValidation)', () => {
  it('a gate in a stage between the plan and the rollback counts', () => {
    const decision = assertApproved({ records: timelineRecords(planStage, gateStage(approvedGate), ownStage) });
    assert.equal(decision.through, 'the gate "Approve" (job Wait of stage Gate)');
    assert.equal(decision.at.toISOString(), '2026-03-01T11:00:00.533Z');
    assert.equal(shownApprovers(decision), 'unknown');
    assert.match(decision.notes.join(), /reports neither who approved .* onTimeout: resume/);
    assert.equal(
      describeApproval(decision),
      'Approved by unknown at 2026-03-01 11:00:00 UTC through the gate "Approve" (job Wait of stage Gate).',
    );
  });

  it('a gate in the stage of plan and rollback counts', () => {
    assertApproved({ records: oneStage(approvedGate) });
  });

  it('a gate counts in a pipeline without stages, whose only stage has no name of its own', () => {
    const jobs: JobSpec[] = [{ name: 'Wait', from: '10:02', to: '11:00', gates: [approvedGate] }, ownJob];
    const decision = assertApproved({
      records: timelineRecords({ name: '__default', from: '09:50', jobs }),
      place: { stage: '__default' },
    });
    assert.equal(decision.through, 'the gate "Approve" (job Wait)');
  });

  it('a renamed gate of the old major version is recognised by the id of its task alone', () => {
    const gate = {
      ...approvedGate,
      name: 'Ask Jane',
      taskName: 'manualvalidation@0',
      taskId: '2003AD3A-104A-451A-9238-60474AB294E6',
    };
    assertApproved({ records: timelineRecords(planStage, gateStage(gate), ownStage) });
  });

  it('a gate counts for a job of a matrix, which the timeline has by its id', () => {
    const legs: JobSpec[] = ['west', 'east'].map((leg) => ({
      ...ownJob,
      leg,
      id: leg === 'east' ? jobId : `${jobId.slice(0, -1)}2`,
    }));
    const records = timelineRecords(planStage, gateStage(approvedGate), { ...ownStage, name: 'Roll_back', jobs: legs });
    assertApproved({ records, place: { jobId: jobId.toUpperCase(), stage: 'some other name', phase: 'x' } });
  });

  it('the stage is found by name when the job is not in the timeline yet', () => {
    const records = timelineRecords(planStage, gateStage(approvedGate), {
      ...ownStage,
      displayName: 'Roll back production',
    });
    assertApproved({ records, place: { jobId: '00000000-0000-4000-8000-00000000000f', stage: 'rollback' } });
  });

  it('a gate approved before the plan was made is refused, because it approved another plan', () => {
    const gate = { ...approvedGate, from: '09:30', to: '09:45' };
    assertRefused(
      { records: timelineRecords(gateStage(gate), planStage, ownStage) },
      'ApprovedBeforePlan',
      /"Approve" \(job Wait of stage Gate\) was decided at 2026-03-01 09:45:00 UTC, before the plan was made at 2026-03-01 10:00:00 UTC/,
    );
  });

  it('a gate approved at the very moment of the plan is not after it', () => {
    const gate = { ...approvedGate, from: '09:30', to: '10:00' };
    assertRefused({ records: timelineRecords(gateStage(gate), planStage, ownStage) }, 'ApprovedBeforePlan', /10:00:00/);
  });

  it('a gate opened before the plan and approved after it counts, and the result reports this', () => {
    const decision = assertApproved({ records: oneStage({ ...approvedGate, from: '09:40' }) });
    assert.match(decision.notes.join(), /opened before the plan was made/);
  });

  const rejections: [Result, string][] = [
    ['failed', 'rejected, or out of time'],
    ['canceled', 'cancelled'],
    ['abandoned', 'abandoned'],
    ['succeededWithIssues', 'rejected under continueOnError'],
  ];
  for (const [result, what] of rejections) {
    it(`${what} (${result}): refused, even when the rollback runs under always()`, () => {
      const gate = { ...approvedGate, result, issues: ['Rejected by Jane: not ##vso[task.complete]tonight'] };
      const records = timelineRecords(planStage, gateStage(gate), ownStage);
      assertRefused(
        { records },
        'Rejected',
        new RegExp(`ended ${result} at 2026-03-01 11:00:00 UTC.*Rejected by Jane: not # #vso`),
      );
    });
  }

  it('a skipped gate is refused, because nobody was asked', () => {
    const records = timelineRecords(planStage, gateStage({ name: 'Approve', result: 'skipped' }), ownStage);
    assertRefused({ records: records.map((each) => each) }, 'Skipped', /"Approve".* was skipped/);
  });

  it('an open gate is refused, because nobody has decided and the job did not wait', () => {
    assertRefused({ records: oneStage({ name: 'Approve', from: '10:02' }) }, 'Undecided', /still open.*dependsOn/);
  });

  it('without a gate the rollback is refused, even when another task succeeded', () => {
    const task = { ...approvedGate, taskName: 'Delay', taskId: '28782b92-5e8e-4458-9751-a71cd1492bae' };
    assertRefused(
      { records: timelineRecords(planStage, gateStage(task), ownStage) },
      'NoApproval',
      /no ManualValidation/,
    );
  });

  it('a gate in a parallel stage that was not waited for does not count', () => {
    const beside = gateStage({ ...approvedGate, to: '12:30' }, { name: 'Other' });
    assertRefused(
      { records: timelineRecords(planStage, beside, ownStage) },
      'NoApproval',
      /stage Other\) had not ended when/,
    );
  });

  it('a gate that ended early in a parallel stage that had not ended does not count', () => {
    const beside = gateStage(approvedGate, { name: 'Other', to: '12:30' });
    assertRefused({ records: timelineRecords(planStage, beside, ownStage) }, 'NoApproval', /had not ended when/);
    const running = timelineRecords(planStage, gateStage(approvedGate, { name: 'Other' }), ownStage).map((each) =>
      each.identifier === 'Other' ? { ...each, state: 'inProgress' as const, result: null, finishTime: null } : each,
    );
    assertRefused({ records: running }, 'NoApproval', /had not ended when/);
  });

  it('a gate in the same stage, beside this job, does not count', () => {
    assertRefused(
      { records: oneStage({ ...approvedGate, to: '12:30' }) },
      'NoApproval',
      /had not ended when this job began/,
    );
  });

  it('the rejection of one gate counts more than the approval of a parallel one', () => {
    const rejected = { name: 'Operations', from: '10:02', to: '10:30', result: 'failed' as const };
    const records = timelineRecords(
      planStage,
      gateStage(approvedGate),
      gateStage(rejected, { name: 'Second' }),
      ownStage,
    );
    assertRefused({ records }, 'Rejected', /"Operations"/);
  });

  it('a rejection in this stage counts, even when it came while this job was running', () => {
    const late: JobSpec = {
      name: 'Late',
      from: '10:02',
      gates: [{ name: 'Late', from: '10:02', to: '12:30', result: 'failed' }],
    };
    const records = timelineRecords(planStage, gateStage(approvedGate), { ...ownStage, jobs: [late, ownJob] });
    assertRefused({ records }, 'Rejected', /"Late"/);
  });

  it('a rejection in an unrelated stage does not count', () => {
    const rejected = gateStage({ from: '10:02', to: '12:30', result: 'failed' }, { name: 'Docs' });
    assertApproved({ records: timelineRecords(planStage, gateStage(approvedGate), rejected, ownStage) });
  });

  it('a gate that was opened after the rejection of the first one decides', () => {
    const first = { name: 'First', from: '10:02', to: '10:30', result: 'failed' as const };
    const second = { name: 'Second', from: '10:31', to: '11:00' };
    const records = timelineRecords(
      planStage,
      gateStage(first, { name: 'One' }),
      gateStage(second, { name: 'Two' }),
      ownStage,
    );
    assertApproved({ records });
  });

  it('several gates are all named', () => {
    const second = { name: 'Operations', from: '11:01', to: '11:30' };
    const records = timelineRecords(planStage, gateStage(approvedGate), gateStage(second, { name: 'Ops' }), ownStage);
    const decision = assertApproved({ records });
    assert.match(decision.through, /"Approve".* and the gate "Operations"/);
    assert.equal(decision.at.toISOString(), '2026-03-01T11:30:00.533Z');
  });

  it('a stage that was run again needs a new answer, the first one no longer counts', () => {
    const again = (gate: GateSpec) =>
      timelineRecords(
        planStage,
        gateStage(approvedGate),
        { ...gateStage(gate), attempt: 2, jobs: [{ name: 'Wait', from: '11:30', attempt: 2, gates: [gate] }] },
        ownStage,
      );
    assertRefused(
      { records: again({ from: '11:30', to: '11:40', result: 'failed', attempt: 2 }) },
      'Rejected',
      /failed/,
    );
    assertRefused({ records: again({ result: 'skipped', attempt: 2 }) }, 'Skipped', /was skipped/);
    assertApproved({ records: again({ from: '11:30', to: '11:40', attempt: 2 }) });
  });

  it('when only the failed job runs again, the gate of the first attempt still counts', () => {
    const records = oneStage(approvedGate, { ...ownJob, attempt: 2 });
    assertApproved({ records });
  });

  it('a plan made again in the second attempt is not the approved plan', () => {
    const records = oneStage(approvedGate, { ...ownJob, attempt: 2 });
    assertRefused(
      { records, planMadeAt: '11:30' },
      'ApprovedBeforePlan',
      /11:00:00 UTC, before the plan was made at 2026-03-01 11:30/,
    );
  });

  it('a gate without a time proves nothing', () => {
    const records = timelineRecords(planStage, gateStage(approvedGate), ownStage).map((each) =>
      each.type === 'Task' ? { ...each, finishTime: null } : each,
    );
    assertRefused({ records }, 'NoApproval', /does not report when/);
  });

  it('a gate that resumed at its timeout is no approval, if the approvals API shows that', () => {
    const records = timelineRecords(planStage, gateStage(approvedGate), ownStage);
    const [gate] = approvalIds(question({}), parseTimeline({ records }) ?? []);
    assert.ok(gate !== undefined);
    const approvals = [approvalJson(gate, 'timedOut', [{ at: '11:00', asked: group }])];
    assertRefused({ records, approvals }, 'NobodyApproved', /Nobody has approved: the gate "Approve".* timed out/);
  });

  it('the approver is reported, if the approvals API names one', () => {
    const records = timelineRecords(planStage, gateStage(approvedGate), ownStage);
    const [gate = ''] = approvalIds(question({}), parseTimeline({ records }) ?? []);
    const approvals = [approvalJson(gate, 'approved', [{ at: '11:00', by: jane, comment: 'go' }])];
    const decision = assertApproved({ records, approvals, policy: { fourEyes: true } });
    assert.equal(shownApprovers(decision), 'Jane Doe (Jane@fabrikam.example)');
    assert.deepEqual(decision.notes, []);
  });

  it('a timeline without this job is no proof', () => {
    const records = timelineRecords(planStage, gateStage(approvedGate));
    assertRefused({ records }, 'Unproven', /no stage "Rollback" \(it has: Plan, Gate\)/);
  });

  it('a gate whose stage is unknown does not count as waited for', () => {
    const records = timelineRecords(planStage, gateStage(approvedGate), ownStage).map((each) =>
      each.type === 'Task' ? { ...each, parentId: null } : each,
    );
    assertRefused({ records }, 'NoApproval', /not in a server job/);
  });

  const forgeries: readonly [string, (record: TimelineRecordJson) => TimelineRecordJson, RegExp][] = [
    [
      'another task of that name',
      (each) => (each.task === null ? each : { ...each, task: { ...each.task, id: `f${each.task.id.slice(1)}` } }),
      /no ManualValidation/,
    ],
    [
      'a record in a job that runs on an agent',
      (each) => (each.type === 'Job' ? { ...each, workerName: 'agent 7' } : each),
      /not in a server job/,
    ],
    [
      'a record that names the agent that runs it',
      (each) => (each.type === 'Task' ? { ...each, workerName: 'agent 7' } : each),
      /not in a server job/,
    ],
  ];
  for (const [what, forge, words] of forgeries) {
    it(`${what} is no gate`, () => {
      const records = timelineRecords(planStage, gateStage(approvedGate), ownStage).map(forge);
      assertRefused({ records }, 'NoApproval', words);
    });
  }

  it('a loop among the parents does not hang', () => {
    const records = timelineRecords(planStage, gateStage(approvedGate), ownStage);
    const looped = records.map((each) =>
      each.type === 'Stage' ? { ...each, type: 'Phase', parentId: each.id } : each,
    );
    assert.equal(decided({ records: looped }).decision, 'approved');
  });
});

describe('no answer from Azure DevOps', () => {
  const unanswered = {
    records: [],
    timelineProblem: 'Azure DevOps could not be asked for the timeline of run 42: it failed (503).',
  };

  it('the approval is refused with the answer that came back', () => {
    assertRefused(
      unanswered,
      'Unproven',
      /it failed \(503\)\. Without proof of an approval nothing is rolled back \(requireGateProof\)/,
    );
  });

  it('without requireGateProof the approval is unknown, and nothing fails', () => {
    const decision = decided({ ...unanswered, policy: { requireGateProof: false } });
    assert.equal(decision.decision, 'unknown');
    assert.match(describeApproval(decision), /could not be proven.*503/);
    assert.equal(shownApprovers(decision), 'unknown');
  });

  it('without requireGateProof a rejected gate is still refused', () => {
    const records = timelineRecords(planStage, gateStage({ ...approvedGate, result: 'failed' }), ownStage);
    assertRefused({ records, policy: { requireGateProof: false } }, 'Rejected', /failed/);
  });

  it('without requireGateProof fourEyes still requires a name', () => {
    assertRefused(
      { ...unanswered, policy: { requireGateProof: false, fourEyes: true } },
      'FourEyes',
      /503.*not known who approved/,
    );
  });
});

describe('approval by the environment', () => {
  const policy = { approval: 'environment' } as const;
  const withCheck = (check: object = { from: '10:02', to: '11:00', id: approvalId }, own: Partial<StageSpec> = {}) =>
    timelineRecords(planStage, { ...ownStage, checks: [check], ...own });
  const given = (status: string, ...steps: ApprovalStepSpec[]) => [approvalJson(approvalId, status, steps)];

  it('reports approver, time and comment', () => {
    const approvals = given('approved', {
      at: '11:00',
      asked: group,
      by: jane,
      comment: 'agreed\nwith ##vso[task.complete]ops',
    });
    const decision = assertApproved({ records: withCheck(), approvals, policy });
    assert.equal(shownApprovers(decision), 'Jane Doe (Jane@fabrikam.example)');
    assert.deepEqual(decision.notes, []);
    assert.equal(
      describeApproval(decision),
      'Approved by Jane Doe (Jane@fabrikam.example) at 2026-03-01 11:00:00 UTC through the approval of stage "Rollback": «agreed with # #vso[task.complete]ops».',
    );
  });

  it('requests only the ids of its own stage', () => {
    const other: StageSpec = { name: 'Docs', from: '10:00', checks: [{ from: '10:02', to: '11:00' }] };
    const records = [...timelineRecords(other), ...withCheck()];
    assert.deepEqual(approvalIds(question({ policy }), parseTimeline({ records }) ?? []), [approvalId]);
  });

  it('does not count an approval of another stage', () => {
    const other: StageSpec = { name: 'Docs', from: '10:00', checks: [{ from: '10:02', to: '11:00', id: approvalId }] };
    const approvals = given('approved', { at: '11:00', by: jane });
    const records = timelineRecords(planStage, other, ownStage);
    assertRefused({ records, approvals, policy }, 'NoApproval', /stage "Rollback" has no approval/);
  });

  it('refuses an approval from before the plan, and advises to plan in an earlier stage', () => {
    const records = withCheck({ from: '09:30', to: '09:40', id: approvalId });
    const approvals = given('approved', { at: '09:40', by: jane });
    assertRefused(
      { records, approvals, policy },
      'ApprovedBeforePlan',
      /approved at 2026-03-01 09:40:00 UTC.*in a stage before/,
    );
  });

  it('an approver who approved before the plan does not count', () => {
    const approvals = given('approved', { at: '09:40', by: jane }, { at: '11:00', by: jamal });
    const decision = assertApproved({ records: withCheck(), approvals, policy });
    assert.equal(shownApprovers(decision), 'Jamal Hartnett (jamal@fabrikam.example)');
  });

  for (const status of ['rejected', 'timedOut', 'canceled', 'failed']) {
    it(`${status}: refused with the comment`, () => {
      const approvals = given(status, { at: '11:00', by: jane, status: 'rejected', comment: 'not tonight' });
      assertRefused(
        { records: withCheck(), approvals, policy },
        'Rejected',
        new RegExp(`is ${status} at .*«not tonight»`),
      );
    });
  }

  it('a bypass by an administrator is no approval', () => {
    assertRefused(
      { records: withCheck(), approvals: given('skipped', { at: '11:00' }), policy },
      'Skipped',
      /bypassed/,
    );
  });

  it('a pending approval is refused, although the job runs', () => {
    assertRefused(
      { records: withCheck(), approvals: given('pending', { at: '11:00' }), policy },
      'Undecided',
      /is pending/,
    );
  });

  it('a deferred approval counts from the time for which it was given', () => {
    const early = given('deferred', { at: '11:00', by: jane, deferredTo: clockTime('12:00') });
    assertApproved({ records: withCheck(), approvals: early, policy });
    const late = given('deferred', { at: '11:00', by: jane, deferredTo: clockTime('14:00') });
    assertRefused({ records: withCheck(), approvals: late, policy }, 'Undecided', /is deferred/);
  });

  it('one rejection of two answers refuses', () => {
    const checks = [
      { from: '10:02', to: '11:00', id: approvalId },
      { from: '10:02', to: '11:00', result: 'failed' as const },
    ];
    const approvals = given('approved', { at: '11:00', by: jane });
    assertRefused({ records: withCheck({}, { checks }), approvals, policy }, 'Rejected', /failed/);
  });

  it('without an answer of the approvals API the timeline proves the approval, and the approver is unknown', () => {
    const decision = assertApproved({ records: withCheck(), approvals: 'It answered 403.', policy });
    assert.equal(shownApprovers(decision), 'unknown');
    assert.match(decision.notes.join(), /could not be looked up: It answered 403/);
    assertRefused(
      { records: withCheck(), approvals: 'It answered 403.', policy: { ...policy, fourEyes: true } },
      'FourEyes',
      /not known/,
    );
  });

  it('an approval unknown to the approvals API is proven by the timeline too', () => {
    const decision = assertApproved({ records: withCheck(), approvals: [], policy });
    assert.match(decision.notes.join(), /does not know who approved/);
  });

  it('a stage that was rejected, run again and then approved counts', () => {
    const checks = [
      { from: '10:02', to: '10:30', result: 'failed' as const, attempt: 1 },
      { from: '10:40', to: '11:00', attempt: 2, id: approvalId },
    ];
    const approvals = given('approved', { at: '11:00', by: jane });
    assertApproved({ records: withCheck({}, { checks }), approvals, policy });
  });

  it('a stage that was run again and approved again counts', () => {
    const again = timelineRecords(
      planStage,
      { ...ownStage, checks: [{ from: '10:02', to: '11:00', id: approvalId }], jobs: [] },
      { ...ownStage, attempt: 2, checks: [{ from: '11:30', attempt: 2 }], jobs: [{ ...ownJob, attempt: 2 }] },
    );
    const approvals = given('approved', { at: '11:00', by: jane });
    assertRefused({ records: again, approvals, policy }, 'Undecided', /inProgress/);
  });
});

describe('fourEyes', () => {
  const policy = { approval: 'environment', fourEyes: true } as const;
  const records = timelineRecords(planStage, { ...ownStage, checks: [{ from: '10:02', to: '11:00', id: approvalId }] });
  const by = (...persons: (IdentityJson | undefined)[]) => [
    approvalJson(
      approvalId,
      'approved',
      persons.map((person) => ({ at: '11:00', asked: group, ...(person && { by: person }) })),
    ),
  ];

  it('accepts an approval by another person', () => {
    assertApproved({ records, approvals: by(jane), policy });
  });

  it('refuses an approval by the person who queued the run', () => {
    assertRefused(
      { records, approvals: by(jamal), policy },
      'FourEyes',
      /Jamal Hartnett .* approved and also queued this run/,
    );
  });

  it('recognises the person who queued the run by name in other letters, under another id', () => {
    const same = {
      ...jamal,
      id: 'cccccccc-0000-4000-8000-000000000001',
      descriptor: 'aad.x',
      uniqueName: 'JAMAL@fabrikam.example',
    };
    assertRefused({ records, approvals: by(same), policy }, 'FourEyes', /approved and also queued this run/);
  });

  it('recognises the person who queued the run by id, under another name', () => {
    const same = { ...jamal, id: jamal.id.toUpperCase(), descriptor: 'aad.x', uniqueName: 'jh@fabrikam.example' };
    assertRefused({ records, approvals: by(same), policy }, 'FourEyes', /approved and also queued this run/);
  });

  it('refuses the person who requested the run on behalf of another', () => {
    assertRefused(
      { records, approvals: by(jane), requestedFor: jamal, requestedBy: jane, policy },
      'FourEyes',
      /Jane Doe/,
    );
  });

  it('refuses the author of the push that queued the run', () => {
    assertRefused(
      { records, approvals: by(jamal), requestedFor: jamal, requestedBy: serverIdentity, policy },
      'FourEyes',
      /Jamal/,
    );
  });

  it('accepts any person when a schedule queued the run', () => {
    assertApproved({ records, approvals: by(jane), requestedFor: serverIdentity, policy });
  });

  it('accepts two approvers when one of them is another person', () => {
    assertApproved({ records, approvals: by(jamal, jane), policy });
    assertRefused({ records, approvals: by(jamal, jamal), policy }, 'FourEyes', /Jamal/);
  });

  it('refuses an approval by a service', () => {
    assertRefused(
      { records, approvals: by(robot), policy },
      'FourEyes',
      /Build Service.* is a service and not a person/,
    );
  });

  it('refuses an approval that names only a group, or nobody', () => {
    assertRefused(
      { records, approvals: by(group), policy },
      'FourEyes',
      /only the group \[Fabrikam\]\\Release Managers/,
    );
    assertRefused({ records, approvals: by(undefined), policy }, 'FourEyes', /the approver is not known/);
  });

  it('refuses a name without an id, because it cannot be compared', () => {
    const nameless = { displayName: 'Jane Doe' } as IdentityJson;
    assertRefused({ records, approvals: by(nameless), policy }, 'FourEyes', /not known whether/);
  });

  it('refuses when the person who queued the run cannot be read', () => {
    assertRefused(
      { records, approvals: by(jane), build: 'It answered 500.', policy },
      'FourEyes',
      /not known who queued the run\. It answered 500/,
    );
  });

  it('refuses a gate, which does not name its approver', () => {
    const gates = timelineRecords(planStage, gateStage(approvedGate), ownStage);
    assertRefused(
      { records: gates, policy: { fourEyes: true } },
      'FourEyes',
      /the approver is not known.*approval: environment/,
    );
  });

  it('does nothing with approval: none', () => {
    assertRefused({ records, policy: { approval: 'none', fourEyes: true } }, 'FourEyes', /asks nobody/);
    assert.deepEqual(decided({ records: [], policy: { approval: 'none' } }), { decision: 'notAsked' });
  });
});

describe('identities of Azure DevOps', () => {
  it('a missing identity is nobody', () => {
    assert.equal(parseIdentity({ id: '00000000-0000-0000-0000-000000000000', uniqueName: '' }), undefined);
    assert.equal(parseIdentity(null), undefined);
  });

  it('identities without a common field are unknown, not different', () => {
    const one = { id: 'a', isGroup: false };
    assert.equal(compareIdentities(one, { uniqueName: 'x', isGroup: false }), 'unknown');
    assert.equal(compareIdentities(one, { id: 'b', isGroup: false }), 'other');
    assert.equal(compareIdentities(one, { id: 'A', uniqueName: 'x', isGroup: false }), 'same');
  });

  it('services are recognised by descriptor, domain, a GUID as name, or name', () => {
    const is = (identity: object) => isServiceAccount({ isGroup: false, ...identity });
    assert.ok(is({ descriptor: 'svc.abc' }));
    assert.ok(is({ descriptor: 'aadsp.abc' }));
    assert.ok(is({ uniqueName: 'Build\\7d3c1e0b' }));
    assert.ok(is({ uniqueName: '7d3c1e0b-0000-4000-8000-000000000001' }));
    assert.ok(is({ displayName: 'Project Collection Build Service (fabrikam)' }));
    assert.ok(!is({ displayName: 'Jane Builder', uniqueName: 'jane@x', descriptor: 'aad.abc' }));
  });
});

describe('invalid timelines, builds and lists of approvals', () => {
  for (const value of [undefined, null, 'x', 1, [], {}, { records: 'x' }, { value: 'x' }]) {
    it(JSON.stringify({ value }), () => {
      assert.equal(parseTimeline(value), undefined);
      assert.equal(parseBuild(value), undefined);
      if (!Array.isArray(value)) assert.equal(parseApprovals(value), undefined);
    });
  }

  it('single invalid records are left out', () => {
    const parsed = parseTimeline({
      records: [null, 1, {}, { id: 'a' }, { id: 'A', type: 'Task', startTime: '0001-01-01T00:00:00' }],
    });
    assert.deepEqual(parsed, [{ id: 'a', type: 'Task', name: '', state: '', attempt: 1, issues: [] }]);
  });
});
