import assert from 'node:assert/strict';
import { assertOutcome, bare, scenes } from './scenes';

const command = '##vso[task.setvariable variable=outcome;isoutput=true]deployed';
const attack = `${command}\n##vso[task.complete result=Succeeded]\n##[error]not ours\r##vso[task.logissue type=error]x`;

describe('text of charts, pods and hooks that looks like agent commands', () => {
  const { scene } = scenes();

  scene('notes of the chart that look like agent commands stay plain text', async (s) => {
    const end = await s.deploy({
      set: bare,
      inputs: { valueFiles: s.file('values.json', JSON.stringify({ notes: attack })) },
    });
    assertOutcome(end, 'deployed');
    assert.deepEqual(end.job.issues, []);
    assert.match(end.log, /task\.setvariable/);
  });

  scene(
    'events and the logs of a failing container and a hook that look like agent commands stay plain text @real-node',
    async (s) => {
      assertOutcome(await s.deploy({ set: bare }), 'deployed');
      const values = {
        text: 'two',
        web: false,
        hooks: { 'pre-upgrade': `printf '%b' '${attack.replaceAll('\n', '\\n').replaceAll('\r', '\\r')}'; exit 1` },
      };
      const end = await s.deploy({ inputs: { valueFiles: s.file('refusing.json', JSON.stringify(values)) } });
      assertOutcome(end, 'failed', 'HookFailed');
      assert.match(end.log, /task\.setvariable/);
      assert.equal(end.job.issues.length, 1);

      const crash = {
        text: 'three',
        env: { EXIT_MESSAGE: attack, EXIT_AFTER: '0', EXIT_CODE: '1' },
      };
      const valueFiles = s.file('crashing.json', JSON.stringify(crash));
      // The first crash fails the deploy, however long the container takes to start.
      const crashed = await s.deploy({ inputs: { valueFiles, graces: 'CrashLoop: 0' } });
      assertOutcome(crashed, 'rolledBack');
      assert.match(crashed.log, /task\.setvariable/);
      assert.equal(crashed.job.issues.length, 1);
    },
  );
});
