import assert from 'node:assert/strict';
import path from 'node:path';
import { repository } from '../../scripts/build';
import { rolesFolder } from '../../scripts/docs/rightsPage';
import { runCheck } from '../support/product';
import { serviceAccountConnection, serviceAccountToken } from './identities';
import { assertEnd, kubectl, plan, release, rollBack } from './rollbackScenes';
import { assertOutcome, fake, helms, scenes, type Scene } from './scenes';

const stuck = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1'];
const withLock = { inputs: { lock: 'required' } };

/** Applies the documented manifest of a role, and returns a connection with its service account. */
async function connectionOf(s: Scene, role: string): Promise<ReturnType<typeof serviceAccountConnection>> {
  await kubectl(s, 'apply', '--filename', path.join(rolesFolder(repository), `${role}.yaml`));
  return serviceAccountConnection(s, await serviceAccountToken(s, role));
}

async function rollBackWith(s: Scene, role: string): Promise<void> {
  const connection = await connectionOf(s, role);
  for (const text of ['one', 'two'])
    assertOutcome(await s.deploy({ connection, set: [...fake, `text=${text}`], ...withLock }), 'deployed');
  const planned = await plan(s, { connection, ...withLock });
  assertEnd(planned, 'planned');
  assertEnd(await rollBack(s, planned, { connection, ...withLock }), 'rolledBack');
}

async function eventsOfRollback(s: Scene): Promise<number> {
  const events = await s.list('/api/v1/namespaces/$ns/events?fieldSelector=involvedObject.kind%3DDeployment');
  return events.filter((event) => JSON.stringify(event).includes('helm-safe-deploy')).length;
}

describe('a service account with exactly the documented role', () => {
  const { scene } = scenes();

  scene('minimal: deploys, and rolls a failed deploy back; it has no lock', async (s) => {
    const connection = await connectionOf(s, 'minimal');
    assertOutcome(await s.deploy({ connection, set: fake }), 'deployed');
    assertOutcome(await s.deploy({ connection, set: stuck }), 'rolledBack');
    assertOutcome(await s.deploy({ connection, set: fake, ...withLock }), 'failed', 'PermissionDenied');
  });

  scene('with-lock: deploys with a lock, and rolls back by a plan without an Event', async (s) => {
    await rollBackWith(s, 'with-lock');
    assert.equal(await eventsOfRollback(s), 0);
  });

  scene('with-rollback: rolls back by a plan, and says so in an Event', async (s) => {
    await rollBackWith(s, 'with-rollback');
    assert.ok((await eventsOfRollback(s)) > 0);
  });

  scene('read-only: checks the health of a release, and can deploy nothing', async (s) => {
    await release(s, helms(s.cluster)['4']);
    const connection = await connectionOf(s, 'read-only');
    const { cluster, namespace } = s;
    const inputs = { releaseName: 'web', timeout: '60s', stableFor: '0' };
    const { outputs, log } = await runCheck({ cluster, namespace, inputs, connection });
    assert.equal(outputs['health'], 'healthy', log);
    assertOutcome(await s.deploy({ connection, set: [...fake, 'text=two'] }), 'failed', 'PermissionDenied');
    assert.equal(await s.history(), '1 deployed');
  });
});
