import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { containerRuns } from '../../tasks/common/core/rollout/containerRuns';

const ended = { terminated: { exitCode: 1 } };
const waiting = { waiting: { reason: 'CrashLoopBackOff' } };

function pod(status: object | undefined, nodeName = 'node'): KubeObject {
  const containers = [{ name: 'main' }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web' },
    spec: { nodeName, containers, initContainers: [{ name: 'init' }] },
    status: status === undefined ? {} : { containerStatuses: [{ name: 'main', ...status }] },
  };
}

describe('the runs of a container', () => {
  for (const [what, status, number, hasEnded] of [
    ['not started', undefined, 0, false],
    ['being created', { restartCount: 0, state: { waiting: { reason: 'ContainerCreating' } } }, 0, false],
    ['in its first run', { restartCount: 0, state: { running: {} } }, 1, false],
    ['after its only run', { restartCount: 0, state: ended }, 1, true],
    ['waiting after its second run', { restartCount: 1, state: waiting, lastState: ended }, 2, true],
    ['in its third run', { restartCount: 2, state: { running: {} }, lastState: ended }, 3, false],
  ] as const) {
    it(`${what}: ${String(number)}`, () => {
      const [init, main] = containerRuns(pod(status));
      assert.deepEqual(main, { container: 'main', number, hasEnded, isPlaced: true });
      assert.deepEqual(init, { container: 'init', number: 0, hasEnded: false, isPlaced: true });
    });
  }

  it('a pod without a node cannot start a container', () => {
    assert.equal(containerRuns(pod(undefined, ''))[1]?.isPlaced, false);
  });
});
