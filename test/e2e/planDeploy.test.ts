import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createCluster } from '../../tasks/common/adapters/kubernetes/cluster';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
import type { DeployEnd } from '../support/product';
import { assertPlan } from '../support/planSchema';
import { withFolder } from './identities';
import { assertOutcome, helms, scenes, toyDefinition, type Scene, type SceneDeploy } from './scenes';

const chartFiles = {
  'Chart.yaml': 'apiVersion: v2\nname: shop\nversion: 1.0.0\nappVersion: "2"\n',
  'templates/all.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {text: << .Values.text >>}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: << .Values.other >>}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: << randAlphaNum 20 >>, user: web}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: << .Values.replicas >>
  selector: {matchLabels: {app: << .Values.app | default "web" >>}}
  template:
    metadata: {labels: {app: << .Values.app | default "web" >>}, annotations: {salt: << randAlphaNum 9 | quote >>}}
    spec:
      nodeSelector: {type: kwok}
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "example/web:<< .Values.text >>", resources: {requests: {cpu: 100m}}}]
`,
  'templates/hooks.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: after, annotations: {helm.sh/hook: "post-upgrade,post-install"}}
`,
};

/** Writes a chart and returns its folder. `<<` and `>>` stand here for Helm's own braces. */
function write(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text.replaceAll('<<', '{{').replaceAll('>>', '}}'));
  }
  return folder;
}

interface PlanEnd extends DeployEnd {
  plan: ChangePlan;
}

async function plan(s: Scene, { inputs, ...spec }: SceneDeploy): Promise<PlanEnd> {
  const end = await s.deploy({ ...spec, inputs: { action: 'plan', ...inputs } });
  const attached = end.job.step('deploy').attachments.find(({ type }) => type === 'helm-safe-deploy.plan');
  assert.ok(attached !== undefined, end.log);
  const made = JSON.parse(String(attached.content)) as ChangePlan;
  assertPlan(made);
  return { ...end, plan: made };
}

function fateOf({ plan: made }: PlanEnd, name: string): string | undefined {
  return made.objects.find((object) => `${object.kind}/${object.name}` === name)?.fate;
}

function codes({ plan: made }: PlanEnd): string[] {
  return made.findings.map(({ code }) => code);
}

/** What a plan must not change: everything in the namespace but the plans that are kept. */
async function versions(s: Scene): Promise<string[]> {
  const lists = [
    'api/v1/namespaces/$ns/secrets',
    'api/v1/namespaces/$ns/configmaps',
    'apis/apps/v1/namespaces/$ns/deployments',
    'apis/coordination.k8s.io/v1/namespaces/$ns/leases',
  ];
  const found = await Promise.all(lists.map((list) => s.list(`/${list}`)));
  return found
    .flat()
    .filter(({ metadata }) => !metadata.name.startsWith('helm-safe-deploy.plan.'))
    .map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
}

/** Leaves a revision as a killed run of Helm does. */
async function leavePending(s: Scene, revision: number): Promise<void> {
  const connection = await createCluster(s.cluster.kubeconfig);
  try {
    const storage = createReleaseStorage(connection, { release: 'web', namespace: s.namespace, driver: undefined });
    await storage.update(revision, { status: 'pending-upgrade' });
  } finally {
    connection.close();
  }
}

const values = (text: string, other: string): string[] => [`text=${text}`, `other=${other}`, 'replicas=1'];

describe('the plan of a deploy', function () {
  this.timeout(120_000);
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: shows an upgrade, changes nothing, and is held to by the deploy`, async (s) => {
      await withFolder(async (folder) => {
        const helm = helms(s.cluster)[major];
        const chart = write(folder, chartFiles);
        assertOutcome(await s.deploy({ helm, chart, set: values('one', 'first') }), 'deployed');
        await s.create('/api/v1/namespaces/$ns/resourcequotas', {
          metadata: { name: 'small' },
          spec: { hard: { pods: '4', 'requests.cpu': '1' } },
        });
        const before = await versions(s);
        const set = values('two', 'second');
        const planned = await plan(s, { helm, chart, set });
        assertOutcome(planned, 'planned');
        assert.deepEqual(await versions(s), before, 'a plan changes nothing');
        assert.equal(await s.history(), '1 deployed');
        assert.equal(fateOf(planned, 'ConfigMap/settings'), 'patched');
        assert.equal(fateOf(planned, 'ConfigMap/second'), 'created');
        assert.equal(fateOf(planned, 'ConfigMap/first'), 'deleted');
        const web = planned.plan.objects.find(({ kind }) => kind === 'Deployment');
        assert.deepEqual(web?.images, [{ container: 'main', from: 'example/web:one', becomes: 'example/web:two' }]);
        assert.equal(web.restartsPods, true);
        assert.deepEqual(web.generated, ['spec.template.metadata.annotations.salt']);
        const login = planned.plan.objects.find(({ kind }) => kind === 'Secret');
        assert.deepEqual(login?.generated, ['stringData.password']);
        assert.ok(codes(planned).includes('NewAtEachDeploy'), planned.log);
        assert.match(planned.log, /QuotaUse: ResourceQuota\/small .* allows 4 of pods/);
        assert.match(planned.outputs['planSummary'] ?? '', /ConfigMap\/first/);

        const planDigest = planned.outputs['planDigest'] ?? '';
        const other = await s.deploy({ helm, chart, set: values('three', 'second'), inputs: { planDigest } });
        assertOutcome(other, 'refused', 'PlanChanged');
        assert.match(other.log, /The chart or its values are other ones than in the plan/);
        assert.equal(await s.history(), '1 deployed');
        const deployed = await s.deploy({ helm, chart, set, inputs: { planDigest } });
        assertOutcome(deployed, 'deployed');
        assert.equal(deployed.report?.planDigest, planDigest);
        assertOutcome(await s.deploy({ helm, chart, set, inputs: { planDigest } }), 'refused', 'PlanChanged');

        const fixed = await plan(s, { helm, chart, set: [...set, 'app=shop'] });
        assertOutcome(fixed, 'refused', 'PlanRefused');
        assert.match(fixed.log, /Deployment.*immutable.*cannot be changed in place/s);

        await leavePending(s, 2);
        const dead = await plan(s, { helm, chart, set: values('three', 'second') });
        assertOutcome(dead, 'planned');
        assert.equal(dead.plan.helm?.rehearsal, 'completed', dead.log);
        assert.equal(fateOf(dead, 'ConfigMap/settings'), 'patched');
        assert.ok(
          ['ReleasePending', 'AfterFailure'].every((code) => codes(dead).includes(code)),
          dead.log,
        );
        assert.equal(await s.history(), '1 superseded, 2 pending-upgrade');
      });
    });

    scene(
      `Helm ${major}: foresees an install into a namespace that does not exist, with kinds of its own`,
      async (s) => {
        const group = `${s.namespace}.plans.example.com`;
        const fresh = `${s.namespace}-fresh`;
        try {
          await withFolder(async (folder) => {
            const helm = helms(s.cluster)[major];
            const chart = write(folder, {
              ...chartFiles,
              'crds/toys.yaml': JSON.stringify(toyDefinition(group)),
              'templates/toy.yaml': `apiVersion: ${group}/v1\nkind: Toy\nmetadata: {name: bear}\n`,
            });
            const set = values('one', 'first');
            const inside = await plan(s, { helm, chart, set });
            assertOutcome(inside, 'planned');
            assert.equal(fateOf(inside, 'Toy/bear'), 'created');
            assert.equal(inside.plan.helm?.rehearsal, 'completed', inside.log);
            assert.ok(codes(inside).includes('NotForeseen'), inside.log);
            assert.ok(codes(inside).includes('FirstInstall'), inside.log);
            assert.equal(await s.live(`/apis/${group}/v1`), undefined, 'no definition is installed');

            const inputs = { namespace: fresh, createNamespace: 'true' };
            const planned = await plan(s, { helm, chart, set, inputs });
            assertOutcome(planned, 'planned');
            assert.equal(planned.plan.helm?.rehearsal, 'none');
            assert.equal(fateOf(planned, 'ConfigMap/settings'), 'created');
            assert.equal(await s.live(`/api/v1/namespaces/${fresh}`), undefined, 'the namespace is not made');
            const planDigest = planned.outputs['planDigest'] ?? '';
            const other = await s.deploy({
              helm,
              chart,
              set: values('two', 'first'),
              inputs: { ...inputs, planDigest },
            });
            assertOutcome(other, 'refused', 'PlanChanged');
            assert.equal(await s.live(`/api/v1/namespaces/${fresh}`), undefined, 'the namespace is not made');
            assertOutcome(await s.deploy({ helm, chart, set, inputs: { ...inputs, planDigest } }), 'deployed');
          });
        } finally {
          await s.cluster.runKubectl('delete', 'namespace', fresh, '--ignore-not-found', '--wait=false');
          await s.cluster.runKubectl('delete', 'crd', `toys.${group}`, '--ignore-not-found', '--wait=false');
        }
      },
    );
  }
});
