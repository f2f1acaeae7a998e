import assert from 'node:assert/strict';
import { assertEnd, configMap, deployment, plan, release, rollBack } from './rollbackScenes';
import { helms, scenes, type Scene } from './scenes';

const inputs = { toRevision: '2', allowUnverifiedTarget: 'true' };
const hostNetwork = `kubectl patch deployment/web --type merge --patch '{"spec":{"template":{"spec":{"hostNetwork":true}}}}'`;

/** The calls in which a tampered Helm does something else. */
const calls = {
  'rehearsal and execution': '*rollback*',
  rehearsal: '*rollback*--no-hooks*',
  execution: '*rollback*--no-hooks*) helm "$@";; *rollback*',
} as const;

interface Tampering {
  when: keyof typeof calls;
  /** The changes go to the cluster with a kubeconfig of its own, around the gateway. */
  isAround?: boolean;
  does: readonly string[];
}

let count = 0;

function tampered(s: Scene, helm: string, { when, isAround = false, does }: Tampering): string {
  const own = isAround ? `--kubeconfig "${s.cluster.kubeconfig}"` : '';
  const kubectl = `"${s.cluster.kubectl}" ${own} --namespace "${s.namespace}" "$@" >&2`;
  const head = `#!/bin/sh\nhelm() { "${helm}" "$@"; }\nkubectl() { ${kubectl}; }\n`;
  const script = `${head}case "$*" in ${calls[when]}) ${does.join('\n')};; *) helm "$@";; esac\n`;
  return s.file(`tampered-${++count}`, script);
}

async function threeRevisions(s: Scene, helm: string): Promise<void> {
  for (const text of ['one', 'two', 'three']) await release(s, helm, `text=${text}`);
}

describe('a tampered Helm', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: it changes the same in rehearsal and rollback: the plan is refused`, async (s) => {
      const helm = helms(s.cluster)[major];
      await threeRevisions(s, helm);
      const attacks: readonly [string, RegExp][] = [
        [`helm "$@"\n${hostNetwork}`, /the result of Deployment\/web differed from the target: .*hostNetwork/],
        [
          'helm "$@"\nkubectl set env deployment/web EXTRA=yes',
          /the result of Deployment\/web differed from the target: .*env/,
        ],
        [
          'helm "$@"\nkubectl scale deployment/web --replicas 0',
          /tried to (patch|update) the scale of Deployment\/web/,
        ],
        ['helm "$@"\nkubectl create token default', /tried to create the token of ServiceAccount\/default/],
        [
          `helm rollback web 1 --no-hooks --namespace "${s.namespace}"`,
          /the result of ConfigMap\/web differed from the target: data\.text/,
        ],
      ];
      for (const [does, message] of attacks) {
        const wrapper = tampered(s, helm, { when: 'rehearsal and execution', does: [does] });
        const planned = await plan(s, { helm: wrapper, inputs });
        assertEnd(planned, 'refused', 'PlanRefused');
        assert.match(planned.report?.message ?? '', message);
      }
      assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
      assert.equal(await s.field(deployment, 'spec.template.spec.hostNetwork'), undefined);
      assertEnd(await plan(s, { helm, inputs }), 'planned');
    });

    scene(`Helm ${major}: it writes around the rehearsal: the plan fails and names what was changed`, async (s) => {
      const helm = helms(s.cluster)[major];
      await threeRevisions(s, helm);
      const attacks: readonly [string, RegExp][] = [
        [hostNetwork, /Deployment\/web was changed: spec\.template\.spec\.hostNetwork \(by kubectl-patch\)/],
        ['kubectl scale deployment/web --replicas 0', /Deployment\/web was changed: spec\.replicas/],
        ['kubectl delete service/web --wait=false', /Service\/web was deleted/],
      ];
      for (const [does, message] of attacks) {
        const wrapper = tampered(s, helm, { when: 'rehearsal', isAround: true, does: ['helm "$@"', does] });
        const planned = await plan(s, { helm: wrapper, inputs });
        assertEnd(planned, 'failed', 'ProofFailed');
        const said = planned.report?.message ?? '';
        assert.match(said, message);
        assert.match(said, /To restore what revision 3 declares: helm rollback web 3 --namespace/);
        assert.doesNotMatch(said, /Nothing was changed/);
      }
    });

    scene(`Helm ${major}: it writes around the fence: the proof finds the undeclared changes`, async (s) => {
      const helm = helms(s.cluster)[major];
      await threeRevisions(s, helm);
      const planned = await plan(s, { helm, inputs });
      const does = ['helm "$@"', 'kubectl set env deployment/web EXTRA=yes'];
      const wrapper = tampered(s, helm, { when: 'execution', isAround: true, does });
      const done = await rollBack(s, planned, { helm: wrapper, inputs });
      assertEnd(done, 'failed', 'ProofFailed');
      assert.match(done.report?.message ?? '', /Deployment\/web was changed: .*env.*EXTRA.* \(by kubectl-set\)/);
      assert.equal(done.report?.failedWorkload, 'Deployment/web');
      assert.match(await s.history(), /4 failed$/);
      const again = await rollBack(s, planned, { helm, inputs });
      assert.notEqual(again.outputs['outcome'], 'rolledBack', again.log);
      assert.notEqual(again.outputs['outcome'], 'alreadyThere', again.log);
    });
  }

  scene('it removes the record of its new revision: reported, and the same step resumes', async (s) => {
    const helm = helms(s.cluster)['4'];
    await threeRevisions(s, helm);
    const planned = await plan(s, { helm, inputs });
    const does = ['helm "$@"', 'kubectl delete secret sh.helm.release.v1.web.v4'];
    const wrapper = tampered(s, helm, { when: 'execution', isAround: true, does });
    const failed = await rollBack(s, planned, { helm: wrapper, inputs });
    assertEnd(failed, 'failed', 'ProofFailed');
    assert.match(
      failed.report?.message ?? '',
      /No revision of the release is deployed any more: revision 3 is superseded/,
    );
    assertEnd(await rollBack(s, planned, { helm, inputs }), 'rolledBack');
    assert.equal(await s.field(configMap('web'), 'data.text'), 'two');
    assert.match(await s.history(), /4 deployed$/);
  });
});
