import assert from 'node:assert/strict';
import { parse } from 'yaml';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectStatus } from '../../tasks/common/core/status/objectStatus';
import { isJudged } from '../../tasks/common/core/status/result';

const now = new Date('2026-03-01T12:00:00Z');

const yes = (type: string, more = ''): string => `{type: ${type}, status: "True"${more}}`;
const no = (type: string, more = ''): string => `{type: ${type}, status: "False"${more}}`;
const conditions = (...all: readonly string[]): string => `status: {conditions: [${all.join(', ')}]}`;

/** [what the operator wrote, status of the object, the counter-case, its status] */
type Pair = readonly [string, string, string, string, string];

/** Each rule for kinds that nobody has described, with a case like it that the rule must leave alone. */
const pairs: readonly Pair[] = [
  ['Healthy', conditions(yes('Healthy')), 'Current', conditions(no('Healthy')), 'InProgress'],
  ['all replicas', conditions(no('AllReplicasReady')), 'InProgress', conditions(yes('AllReplicasReady')), 'Current'],
  [
    'Synced beside Ready',
    conditions(yes('Ready'), no('Synced')),
    'InProgress',
    conditions(yes('Ready'), yes('Synced')),
    'Current',
  ],
  [
    'ReconcileSuccess',
    conditions(no('ReconcileSuccess')),
    'InProgress',
    conditions(yes('ReconcileSuccess')),
    'Current',
  ],
  [
    'work in hand',
    conditions(yes('Ready'), yes('Rebalancing')),
    'InProgress',
    conditions(yes('Ready'), yes('Serving')),
    'Current',
  ],
  [
    'a part that works on',
    conditions(yes('Initialized'), yes('CoreProgressing')),
    'InProgress',
    conditions(yes('Ready'), yes('CoreProgressing')),
    'Current',
  ],
  ['well-formed', conditions(no('WellFormed')), 'InProgress', conditions(yes('WellFormed')), 'Current'],
  [
    'dependencies',
    conditions(yes('Deployed'), no('DependenciesFulfilled')),
    'InProgress',
    conditions(yes('Deployed'), yes('DependenciesFulfilled')),
    'Current',
  ],
  [
    'a reason that names an error',
    conditions(no('Bucket', ', reason: SyncError')),
    'InProgress',
    conditions(yes('Synced'), no('Bucket', ', reason: NoError')),
    'Current',
  ],
  [
    'a place that is missing',
    conditions(yes('Unschedulable')),
    'InProgress',
    conditions(no('Unschedulable'), yes('Scheduled')),
    'Current',
  ],
  [
    'a reason that names what is missing',
    conditions(no('Active', ', reason: FlavorNotFound')),
    'InProgress',
    conditions(no('Active', ', reason: Idle'), yes('Synced')),
    'Current',
  ],
  [
    'a word for no error',
    'status: {phase: Ready, error: gone}',
    'InProgress',
    'status: {phase: Ready, error: None}',
    'Current',
  ],
  [
    'a job that has ended badly',
    conditions(yes('Completed', ', reason: Failed')),
    'Failed',
    conditions(yes('Completed', ', reason: Succeeded')),
    'Current',
  ],
  [
    'a job that runs',
    `kind: TrainJob, ${conditions(yes('Created'), yes('Running'))}`,
    'InProgress',
    `kind: TrainJob, ${conditions(yes('Running'), yes('Succeeded'))}`,
    'Current',
  ],
  ['a flag', 'status: {valid: false}', 'InProgress', 'status: {valid: true}', 'Current'],
  [
    'problems',
    'status: {phase: Active, problems: [dangling]}',
    'InProgress',
    'status: {phase: Active, problems: [""]}',
    'Current',
  ],
  [
    'an error without a text',
    'status: {state: complete, error: {message: broken pipe}}',
    'InProgress',
    'status: {state: complete, error: {message: ""}}',
    'Current',
  ],
  [
    'a ratio',
    'status: {scale: {statusReplicas: 0/1}}',
    'InProgress',
    'status: {scale: {statusReplicas: 1/1}}',
    'Current',
  ],
  [
    'the counts of a part',
    'status: {instances: [{replicas: 2, readyReplicas: 1}]}',
    'InProgress',
    'status: {instances: [{replicas: 2, readyReplicas: 2}]}',
    'Current',
  ],
  [
    'the counts of a part that was before',
    'status: {agent: {desired: 3, ready: 1}}',
    'InProgress',
    'status: {phase: Ready, previousAgent: {desired: 3, ready: 1}}',
    'Current',
  ],
  ['Failure', conditions(yes('Failure')), 'Failed', conditions(no('Failure'), yes('Ready')), 'Current'],
  ['Terminal', conditions(yes('Terminal')), 'Failed', conditions(no('Terminal'), yes('Ready')), 'Current'],
  [
    'ResolutionFailed',
    conditions(yes('ResolutionFailed')),
    'InProgress',
    conditions(no('ResolutionFailed'), yes('Ready')),
    'Current',
  ],
  ['Stalled', conditions(yes('Stalled'), yes('Ready')), 'Failed', conditions(no('Stalled'), yes('Ready')), 'Current'],
  [
    'Degraded beside Available',
    conditions(yes('Available'), yes('Degraded')),
    'InProgress',
    conditions(yes('Available'), no('Degraded')),
    'Current',
  ],
  [
    'a component of which the summary says nothing',
    conditions(yes('Ready'), no('PodsHealthy')),
    'InProgress',
    conditions(yes('Ready'), no('Unhealthy')),
    'Current',
  ],
  [
    'a condition about an older generation',
    `metadata: {generation: 3}, ${conditions(yes('Accepted', ', observedGeneration: 2'))}`,
    'InProgress',
    `metadata: {generation: 3}, ${conditions(yes('Accepted', ', observedGeneration: 3'))}`,
    'Current',
  ],
  [
    'a condition about a later generation',
    `metadata: {generation: 3}, ${conditions(no('Accepted', ', observedGeneration: 2'), yes('Ready'))}`,
    'InProgress',
    `metadata: {generation: 3}, ${conditions(yes('Accepted', ', observedGeneration: 4'), yes('Ready'))}`,
    'Current',
  ],
  [
    'a route that one of its parents refuses',
    `status: {parents: [{conditions: [${yes('Accepted')}]}, {conditions: [${no('Accepted')}]}]}`,
    'InProgress',
    `status: {parents: [{conditions: [${yes('Accepted')}]}, {conditions: [${yes('Accepted')}]}]}`,
    'Current',
  ],
  [
    'a parent that has not seen the last change',
    `metadata: {generation: 2}, status: {parents: [{conditions: [${yes('Accepted', ', observedGeneration: 1')}]}]}`,
    'InProgress',
    // The first parent does not exist any more.
    `metadata: {generation: 2}, status: {parents: [{conditions: [${yes('Accepted', ', observedGeneration: 1')}]}, {conditions: [${yes('Accepted', ', observedGeneration: 2')}]}]}`,
    'Current',
  ],
  [
    'a listener of a Gateway',
    `status: {conditions: [${yes('Programmed')}], listeners: [{name: a, conditions: [${no('ResolvedRefs')}]}]}`,
    'InProgress',
    `status: {conditions: [${yes('Programmed')}], listeners: [{name: a, conditions: [${no('Conflicted')}]}]}`,
    'Current',
  ],
  ['a final word', 'status: {phase: Failed}', 'Failed', 'status: {phase: Running}', 'Current'],
  ['a bad word that may pass', 'status: {state: Error}', 'InProgress', 'status: {state: active}', 'Current'],
  [
    'work in hand',
    'status: {health: Warming, ready: true}',
    'InProgress',
    'status: {health: Passing, ready: true}',
    'Current',
  ],
  ['a word of two words', 'status: {phase: DEPLOYED_NOT_READY}', 'InProgress', 'status: {phase: DEPLOYED}', 'Current'],
  ['work in hand', 'status: {currentState: MigratingData}', 'InProgress', 'status: {currentState: Serving}', 'Current'],
  [
    'a word in an object',
    'status: {health: {status: Failing}}',
    'InProgress',
    'status: {health: {status: Up}}',
    'Current',
  ],
  [
    'a colour',
    'status: {health: yellow, phase: Ready}',
    'InProgress',
    'status: {health: green, phase: Ready}',
    'Current',
  ],
  [
    'a word that is only wished',
    'status: {state: Creating, desiredState: Running}',
    'InProgress',
    'status: {state: Running, lastState: Failed}',
    'Current',
  ],
  [
    'an error in a word',
    'status: {phase: Ready, syncState: SyncError}',
    'InProgress',
    'status: {phase: Ready, syncState: NoError}',
    'Current',
  ],
  [
    'a word with not',
    'status: {phase: NotAvailable}',
    'InProgress',
    'status: {phase: Ready, backupState: NotConfigured}',
    'Current',
  ],
  ['an error', 'status: {error: no such bucket}', 'InProgress', 'status: {error: "", ready: true}', 'Current'],
  [
    'ready replicas below the spec',
    'spec: {replicas: 3}, status: {readyReplicas: 2}',
    'InProgress',
    'spec: {replicas: 3}, status: {readyReplicas: 3}',
    'Current',
  ],
  [
    'ready replicas below those that exist',
    'status: {phase: Running, replicas: 3, readyReplicas: 2}',
    'InProgress',
    'status: {phase: Running, replicas: 3, readyReplicas: 3}',
    'Current',
  ],
  ['healthy: false', 'status: {healthy: false}', 'InProgress', 'status: {healthy: true}', 'Current'],
  [
    'an observedGeneration that is a hash',
    `metadata: {generation: 3}, status: {observedGeneration: 7b8f75b98, conditions: [${no('Ready')}]}`,
    'InProgress',
    `metadata: {generation: 3}, status: {observedGeneration: 7b8f75b98, conditions: [${yes('Ready')}]}`,
    'Current',
  ],
  [
    'an observedGeneration of -1',
    `metadata: {generation: 3}, status: {observedGeneration: -1, conditions: [${no('Ready')}]}`,
    'InProgress',
    `metadata: {generation: 3}, status: {observedGeneration: -1, conditions: [${yes('Ready')}]}`,
    'Current',
  ],
  [
    'an observedGeneration that is behind',
    `metadata: {generation: 3}, status: {observedGeneration: 2, conditions: [${yes('Ready')}]}`,
    'InProgress',
    `metadata: {generation: 3}, status: {observedGeneration: 4, conditions: [${yes('Ready')}]}`,
    'Current',
  ],
  [
    'a condition without a type beside others',
    `status: {conditions: [{status: "True", reason: Ok}, ${no('Ready')}]}`,
    'InProgress',
    `status: {conditions: [{status: "False", reason: Ok}, ${yes('Ready')}]}`,
    'Current',
  ],
  [
    'a run of an Ansible operator',
    conditions(yes('Running', ', reason: Running')),
    'InProgress',
    conditions(yes('Running', ', reason: Successful'), yes('Ready')),
    'Current',
  ],
  [
    'paused on purpose',
    conditions(no('Synced', ', reason: ReconcilePaused')),
    'Current',
    conditions(no('Synced', ', reason: ReconcileError')),
    'InProgress',
  ],
  [
    'suspended by its spec',
    `spec: {suspend: true}, ${conditions(no('Ready'))}`,
    'Current',
    `spec: {suspend: true}, ${conditions(yes('Failed'))}`,
    'Failed',
  ],
  [
    'scaled to zero',
    `spec: {replicas: 0}, ${conditions(no('Available'))}`,
    'Current',
    `spec: {replicas: 1}, ${conditions(no('Available'))}`,
    'InProgress',
  ],
];

function judged(fields: string): ReturnType<typeof objectStatus> {
  const object = parse(
    `{apiVersion: example.com/v1, ${fields.startsWith('kind:') ? '' : 'kind: Thing, '}${fields}}`,
  ) as KubeObject;
  return objectStatus({ ...object, metadata: { name: 'a', ...(object.metadata as object | undefined) } }, now);
}

describe('a custom resource that no rule knows', () => {
  for (const [name, fields, status, counterCase, itsStatus] of pairs) {
    it(`${name}: ${status}, and the counter-case is ${itsStatus}`, () => {
      const answers = [judged(fields), judged(counterCase)];
      assert.deepEqual(
        answers.map((answer) => answer.status),
        [status, itsStatus],
        JSON.stringify(answers),
      );
      assert.ok(answers.every(isJudged), JSON.stringify(answers));
    });
  }

  const blind: readonly (readonly [string, string])[] = [
    ['no status', 'spec: {size: 1}'],
    ['an empty status', 'status: {}'],
    ['conditions of unknown names', conditions(yes('Magic'), no('Wonder'))],
    ['conditions without types', 'status: {conditions: [{status: "False"}]}'],
    ['conditions that are words', 'status: {conditions: [Ready]}'],
    ['conditions that are a map', 'status: {conditions: {Ready: true}}'],
    ['words that we do not know', 'status: {phase: Melted}'],
    ['an observedGeneration that is a hash, and nothing else', 'status: {observedGeneration: 7b8f75b98}'],
    ['a wish to ignore it', 'metadata: {annotations: {helm-safe-deploy/wait: ignore}}, status: {phase: Failed}'],
  ];
  for (const [name, fields] of blind) {
    it(`${name}: in place, not judged`, () => {
      const answer = judged(fields);
      assert.equal(answer.status, 'Current', JSON.stringify(answer));
      assert.ok(!isJudged(answer), JSON.stringify(answer));
    });
  }

  it('the wish to wait for an object, in other words, is no wish to ignore it', () => {
    assert.equal(
      judged('metadata: {annotations: {helm-safe-deploy/wait: "no"}}, status: {phase: Failed}').status,
      'Failed',
    );
  });
});
