import assert from 'node:assert/strict';
import fc from 'fast-check';
import { endingOfRollout, endingThen, reportedObjects } from '../../tasks/common/core/report/ending';
import {
  gateInstructions,
  healthMarkdown,
  healthSummary,
  type HealthReport,
} from '../../tasks/common/core/report/healthReport';
import { closingOf, issueOf, summaryOf, type DeployReport } from '../../tasks/common/core/report/report';
import { timelineRow } from '../../tasks/common/core/rollout/timelineRow';
import type { Cause, RolloutVerdict, WorkloadVerdict } from '../../tasks/common/core/rollout/verdict';
import { objectStatus } from '../../tasks/common/core/status/objectStatus';
import { counted, partOf } from '../../tasks/common/core/text/counted';
import { sentences, withoutRepeats } from '../../tasks/common/core/text/sentence';
import { at, object } from '../support/rolloutObjects';

const said = ['The image was not found.', '0 of 1 pod ready.', 'Deployment/web is not ready.', 'Read the log.'];
const text = fc.array(fc.constantFrom(...said), { minLength: 1, maxLength: 4 }).map((all) => all.join(' '));
const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };

function causeOf(message: string): Cause {
  const words = { whoActs: 'application team', nextStep: 'Read the log.', since: at(0).toISOString() };
  return {
    code: 'CrashLoop',
    group: 'other',
    subject: ref,
    message,
    isCertain: true,
    evidence: [],
    logs: [],
    ...words,
  };
}

function verdictOf(message: string, status: string, counts: string): RolloutVerdict {
  const workload: WorkloadVerdict = {
    key: 'apps/Deployment/shop/web',
    ref,
    purpose: 'object',
    health: 'failed',
    status: { status: 'InProgress', reason: 'LessReady', message: status },
    counts,
    cause: causeOf(message),
    suspects: [causeOf(message)],
    timedOut: false,
    isPreexisting: false,
  };
  const memory = { findings: {}, workloads: {} };
  return {
    health: 'failed',
    workloads: [workload],
    decisive: workload,
    timedOut: true,
    unread: [],
    questions: [],
    memory,
  };
}

const start = { startedAt: at(0).toISOString(), finishedAt: at(10).toISOString() };

function deployReport(verdict: RolloutVerdict): DeployReport {
  const { outcome, ...ending } = endingOfRollout(verdict);
  return {
    schemaVersion: 1,
    task: 'HelmSafeDeploy',
    release: 'shop',
    namespace: 'shop',
    outcome,
    ...ending,
    revisionBefore: 1,
    revision: 2,
    verifiedRevision: 1,
    servingRevision: 1,
    servingHealth: 'unknown',
    chart: 'shop 1.0.0',
    appVersion: '',
    helmVersion: 'v4.1.4',
    ...start,
    objects: reportedObjects(verdict),
    evidence: [{ object: 'Pod/web-1', kind: 'event', title: 'Failed', lines: ['no'] }],
    leftovers: [],
  };
}

function healthReport(verdict: RolloutVerdict): HealthReport {
  const { outcome: _, ...ending } = endingOfRollout(verdict);
  return {
    schemaVersion: 1,
    task: 'RolloutHealthCheck',
    release: 'shop',
    namespace: 'shop',
    health: 'unhealthy',
    ...ending,
    revision: 2,
    rollbackRevision: 1,
    canRollBack: true,
    markedVerified: false,
    ...start,
    objects: reportedObjects(verdict),
    evidence: [],
  };
}

const verdicts = fc.tuple(text, text, text).map(([message, status, counts]) => verdictOf(message, status, counts));

/** The sentences of a line that stand in it twice. */
function repeatedIn(line: string): string[] {
  return said.filter((each) => line.split(each).length > 2);
}

describe('the language of what people read', () => {
  it('no sentence stands twice in one line', () => {
    fc.assert(
      fc.property(verdicts, text, (verdict, later) => {
        const deploy = deployReport(verdict);
        const health = healthReport(verdict);
        const [workload] = verdict.workloads;
        const texts = [
          issueOf(deploy),
          closingOf(deploy),
          summaryOf(deploy),
          healthSummary(health),
          gateInstructions(health),
          healthMarkdown(health),
          endingOfRollout(verdict).message,
          endingThen(endingOfRollout(verdict), new Error(later)).message,
          ...(workload === undefined ? [] : [timelineRow(workload, undefined, { isOver: true, phase: '' }).text]),
        ];
        const lines = texts.flatMap((each) => each.split('\n'));
        assert.deepEqual(
          lines.filter((line) => repeatedIn(line).length > 0),
          [],
        );
      }),
    );
  });

  for (const [given, expected] of [
    ['', ''],
    ['It fails. It fails.', 'It fails.'],
    ['It fails. It waits. It fails', 'It fails. It waits.'],
    ['It fails.\nIt fails.', 'It fails.\nIt fails.'],
    ['Version 1.2. is Version 1.2.', 'Version 1.2. is Version 1.2.'],
  ] as const) {
    it(`without repeats: ${JSON.stringify(given)}`, () => {
      assert.equal(withoutRepeats(given), expected);
    });
  }

  it('texts are joined as sentences', () => {
    assert.equal(sentences('it fails', '', 'it fails.', 'It waits'), 'it fails. It waits.');
  });

  it('one thing is told in the singular', () => {
    assert.deepEqual([counted(1, 'pod', 'pods'), counted(0, 'pod', 'pods')], ['1 pod', '0 pods']);
    assert.deepEqual([partOf(0, 1, 'pod'), partOf(1, 4, 'pod')], ['0 of 1 pod is', '1 of 4 pods are']);
    const number = fc.nat(2);
    const counts = fc.record({
      replicas: number,
      readyReplicas: number,
      availableReplicas: number,
      updatedReplicas: number,
      desiredNumberScheduled: number,
      currentNumberScheduled: number,
      updatedNumberScheduled: number,
      numberAvailable: number,
      numberReady: number,
    });
    const kind = fc.constantFrom('Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet');
    fc.assert(
      fc.property(kind, number, counts, fc.boolean(), (name, replicas, status, paused) => {
        const made = object('apps/v1', name, 'web', {
          spec: { replicas, paused },
          status: { observedGeneration: 1, ...status },
        });
        assert.doesNotMatch(objectStatus(made, at(0)).message, /(?<![\d.])1 (?:old )?\w+s\b(?! ready)/);
      }),
      { numRuns: 1000 },
    );
  });

  it('a blank stands after each bold name', () => {
    fc.assert(
      fc.property(verdicts, (verdict) => {
        for (const page of [summaryOf(deployReport(verdict)), healthMarkdown(healthReport(verdict))]) {
          assert.doesNotMatch(page, /\*\*[^*\n]+\*\*\w/);
        }
      }),
    );
  });

  it('the counts stand beside the cause', () => {
    const [row] = reportedObjects(
      verdictOf('The image was not found.', 'x', '2 of 4 pods ready; the old version serves with 4.'),
    );
    assert.equal(row?.message, 'The image was not found. 2 of 4 pods ready; the old version serves with 4.');
  });

  it('a gate names the revisions, and keeps the end of a long message of the cluster', () => {
    const health = healthReport(verdictOf('no', 'x', ''));
    const lines = [`failed to pull and unpack image ${'x'.repeat(300)}: 401 Unauthorized`];
    const shown = gateInstructions({
      ...health,
      revisionText: '2, shop 1.1.0, deployed at 2026-01-02T00:00:00Z by run 7',
      rollbackRevisionText: '1, shop 1.0.0, deployed at 2026-01-01T00:00:00Z by run 3',
      evidence: [{ object: 'Pod/web-1', kind: 'event', title: 'ImagePullDenied', lines }],
    });
    assert.match(shown, /Revision now: 2, shop 1\.1\.0, deployed at \S+ by run 7\./);
    assert.match(shown, /would go to revision 1, shop 1\.0\.0, deployed at \S+ by run 3\./);
    assert.match(shown, /^\.\.\. x+: 401 Unauthorized$/m);
  });
});
