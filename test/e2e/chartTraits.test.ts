import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { helmsRights, serviceAccount, serviceAccountConnection, withFolder } from './identities';
import { assertEnd, codes, plan, rollBack } from './rollbackScenes';
import { assertOutcome, bare, helms, scenes, type Scene } from './scenes';

type Files = Readonly<Record<string, string>>;

/** Writes a chart and returns its folder. `<<` and `>>` stand here for Helm's own braces. */
function write(folder: string, files: Files): string {
  for (const [name, text] of Object.entries({
    'Chart.yaml': 'apiVersion: v2\nname: traits\nversion: 1.0.0\n',
    ...files,
  })) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text.replaceAll('<<', '{{').replaceAll('>>', '}}'));
  }
  return folder;
}

/** Each scene has its own API group, because definitions belong to the whole cluster. */
function groupOf(s: Scene): string {
  return `${s.namespace}.traits.example.com`;
}

function definition(group: string, kind: string, versions: Readonly<Record<string, boolean>> = { v1: true }): string {
  const singular = kind.toLowerCase();
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${singular}s.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: `${singular}s`, singular, kind },
      versions: Object.entries(versions).map(([name, served]) => ({ name, served, storage: name === 'v1', schema })),
    },
  });
}

const custom = (group: string, kind: string, version = 'v1'): string =>
  `apiVersion: ${group}/${version}\nkind: ${kind}\nmetadata: {name: << .Release.Name >>}\nspec: {text: << .Values.text | default "a" >>}\n`;

async function withoutDefinitions(s: Scene, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } finally {
    const names = ['toys', 'houses'].map((plural) => `${plural}.${groupOf(s)}`);
    await s.cluster.runKubectl('delete', 'crd', ...names, '--ignore-not-found', '--wait=false');
  }
}

describe('features of charts that plain Helm installs', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a chart with kinds in crds/ and a test with a random name is deployed`, async (s) => {
      const helm = helms(s.cluster)[major];
      const group = groupOf(s);
      await withoutDefinitions(s, () =>
        withFolder(async (folder) => {
          const files = {
            'Chart.yaml': 'apiVersion: v2\nname: traits\nversion: 1.0.0\ndependencies: [{name: sub, version: 0.1.0}]\n',
            'charts/sub/Chart.yaml': 'apiVersion: v2\nname: sub\nversion: 0.1.0\n',
            'charts/sub/crds/toys.yaml': definition(group, 'Toy'),
            'templates/toy.yaml': `<< $found := lookup "${group}/v1" "Toy" .Release.Namespace "" >>\n${custom(group, 'Toy')}`,
            'templates/hooks.yaml':
              'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: after, annotations: {helm.sh/hook: post-install}}\n---\n' +
              'apiVersion: v1\nkind: Pod\nmetadata: {name: test-<< randAlphaNum 5 | lower >>, annotations: {helm.sh/hook: test}}\n' +
              'spec: {containers: [{name: a, image: none}]}\n',
          };
          const chart = write(folder, files);
          assertOutcome(await s.deploy({ helm, chart, inputs: { arguments: '--skip-crds' } }), 'failed');
          const installed = await s.deploy({ helm, chart });
          assertOutcome(installed, 'deployed');
          assert.doesNotMatch(installed.log, /Error:/);
          assert.doesNotMatch(installed.log, /no controller has written .* no controller has written/);
          assert.ok(installed.report?.objects.some(({ kind, status }) => kind === 'Toy' && status === 'Current'));
          assertOutcome(await s.deploy({ helm, chart }), 'unchanged');

          write(folder, {
            'crds/houses.yaml': definition(group, 'House'),
            'templates/house.yaml': custom(group, 'House'),
          });
          const upgraded = await s.deploy({ helm, chart });
          assertOutcome(upgraded, 'failed', 'KindNotServed');
          assert.match(upgraded.job.issues[0]?.message ?? '', /declares House in its crds\/ .* first install .* only/);
          assert.equal(await s.history(), '1 deployed');
        }),
      );
    });

    scene(`Helm ${major}: createNamespace needs no rights outside a namespace that already exists`, async (s) => {
      const helm = helms(s.cluster)[major];
      const mayLook = { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: ['get'] };
      const connection = serviceAccountConnection(s, await serviceAccount(s, [...helmsRights, mayLook]));
      const inputs = { createNamespace: 'true' };
      assertOutcome(await s.deploy({ helm, connection, set: bare, inputs }), 'deployed');
      const lacking = await s.deploy({ helm, connection, set: [...bare, 'claim=true'], inputs });
      assertOutcome(lacking, 'failed', 'PermissionDenied');
      assert.match(lacking.report?.message ?? '', /create persistentvolumeclaims/);
      assert.equal(await s.history(), '1 deployed');
    });

    scene(`Helm ${major}: the last revision uses an API version that the cluster no longer serves`, async (s) => {
      const helm = helms(s.cluster)[major];
      const group = groupOf(s);
      const place = `/apis/${group}/v1/namespaces/$ns/toys/web`;
      const crd = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/toys.${group}`;
      await withoutDefinitions(s, () =>
        withFolder(async (folder) => {
          await s.cluster.apply(s.namespace, definition(group, 'Toy', { v1: true, v1alpha1: true }));
          await s.until('the kind is served', async () => (await s.live(place.replace('/web', ''))) !== undefined);
          const chart = write(folder, { 'templates/toy.yaml': custom(group, 'Toy', 'v1alpha1') });
          assertOutcome(await s.deploy({ helm, chart }), 'deployed');
          const uid = await s.field(place, 'metadata.uid');

          await s.cluster.apply(s.namespace, definition(group, 'Toy', { v1: true, v1alpha1: false }));
          const gone = `/apis/${group}/v1alpha1`;
          await s.until('the old version is gone', async () => (await s.live(gone)) === undefined);
          assert.ok((await s.live(crd)) !== undefined);
          write(folder, { 'templates/toy.yaml': custom(group, 'Toy') });
          const upgraded = await s.deploy({ helm, chart, set: ['text=b'] });
          assertOutcome(upgraded, 'deployed');
          assert.match(
            upgraded.log,
            /record of revision 1 names Toy of \S+\/v1alpha1, .*the task writes \S+\/v1 there/,
          );
          assert.deepEqual([await s.field(place, 'metadata.uid'), await s.field(place, 'spec.text')], [uid, 'b']);

          await s.helm(helm, 'rollback', 'web', '1');
          assert.deepEqual([await s.field(place, 'metadata.uid'), await s.field(place, 'spec.text')], [uid, 'a']);
        }),
      );
    });

    scene(`Helm ${major}: a rollback between revisions whose API version the cluster no longer serves`, async (s) => {
      const helm = helms(s.cluster)[major];
      const group = groupOf(s);
      const place = `/apis/${group}/v1/namespaces/$ns/toys/web`;
      await withoutDefinitions(s, () =>
        withFolder(async (folder) => {
          await s.cluster.apply(s.namespace, definition(group, 'Toy', { v1: true, v1alpha1: true }));
          await s.until('the kind is served', async () => (await s.live(place.replace('/web', ''))) !== undefined);
          const chart = write(folder, { 'templates/toy.yaml': custom(group, 'Toy', 'v1alpha1') });
          for (const text of ['a', 'b']) {
            await s.helm(helm, 'upgrade', '--install', 'web', chart, '--set', `text=${text}`);
          }
          const uid = await s.field(place, 'metadata.uid');
          await s.cluster.apply(s.namespace, definition(group, 'Toy', { v1: true, v1alpha1: false }));
          const gone = `/apis/${group}/v1alpha1`;
          await s.until('the old version is gone', async () => (await s.live(gone)) === undefined);

          const inputs = { toRevision: '1', allowUnverifiedTarget: 'true', allowUnknownHelm: 'true' };
          const planned = await plan(s, { helm, inputs });
          assertEnd(planned, 'planned');
          assert.ok(codes(planned).includes('RenewedApi'), planned.log);
          assert.equal(await s.field(place, 'spec.text'), 'b');
          const rolledBack = await rollBack(s, planned, { helm, inputs });
          assertEnd(rolledBack, 'rolledBack');
          assert.match(
            rolledBack.log,
            /record of revision 1 names Toy of \S+\/v1alpha1, .*the task writes \S+\/v1 there/,
          );
          assert.deepEqual([await s.field(place, 'metadata.uid'), await s.field(place, 'spec.text')], [uid, 'a']);
        }),
      );
    });

    scene(`Helm ${major}: a chart that declares the namespace of its own release is deployed`, async (s) => {
      const helm = helms(s.cluster)[major];
      const namespace = `${s.namespace}-own`;
      const place = `/api/v1/namespaces/${namespace}`;
      const others = `${place}/configmaps/other`;
      const own = { inputs: { namespace, createNamespace: 'true' }, helm };
      try {
        await withFolder(async (folder) => {
          const chart = write(folder, {
            'templates/namespace.yaml':
              '<< if .Values.own >>\napiVersion: v1\nkind: Namespace\nmetadata: {name: << .Release.Namespace >>}\n<< end >>\n',
            'templates/config.yaml':
              'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {text: << .Values.text | default "a" >>}\n',
            'templates/hook.yaml':
              '<< if .Values.broken >>\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: NOT_VALID, annotations: {helm.sh/hook: "post-install,post-upgrade"}}\n<< end >>\n',
          });
          const broken = await s.deploy({ ...own, chart, set: ['own=true', 'broken=true'] });
          assertOutcome(broken, 'failed');
          assert.ok((await s.live(place)) !== undefined);
          assertOutcome(await s.deploy({ ...own, chart, set: ['own=true'] }), 'deployed');
          assertOutcome(await s.deploy({ ...own, chart, set: ['own=true'] }), 'unchanged');
          await s.create(others.replace('/other', ''), { metadata: { name: 'other' } });
          assertOutcome(await s.deploy({ ...own, chart, set: ['own=true', 'broken=true'] }), 'rolledBack');

          const inputs = { ...own.inputs, deleteData: 'true' };
          const dropped = await s.deploy({ ...own, inputs, chart, set: ['text=b'] });
          assertOutcome(dropped, 'deployed');
          assert.match(dropped.log, /Namespace\/\S+ was kept: it contains the release itself\./);
          assert.equal(await s.field(place, 'status.phase'), 'Active');
          assert.ok((await s.live(others)) !== undefined);

          const there = await s.deploy({ chart, helm, set: ['own=true'] });
          assertOutcome(there, 'failed', 'ApplyRejected');
          assert.match(there.log, /Remove the Namespace from the chart .* Do not delete it/);
        });
      } finally {
        await s.cluster.runKubectl('delete', 'namespace', namespace, '--ignore-not-found', '--wait=false');
      }
    });

    scene(`Helm ${major}: a chart with an object declared twice, a List and empty values is deployed`, async (s) => {
      const helm = helms(s.cluster)[major];
      await withFolder(async (folder) => {
        const map = (name: string, data: string): string =>
          `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: , annotations: {}}\ndata: ${data}\n`;
        const once = { 'templates/a.yaml': map('a', '{of: first, only: first}') };
        const chart = write(folder, {
          ...once,
          'templates/list.yaml':
            'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list}, data: }\n' +
            '- {apiVersion: v1, kind: Service, metadata: {name: in-list}, spec: {selector: , ports: [{port: 80, name: , nodePort: , targetPort: }]}}\n',
          'templates/web.yaml':
            'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  strategy: \n  selector: {matchLabels: {a: web}}\n' +
            '  template:\n    metadata: {labels: {a: web}, annotations: }\n    spec:\n      nodeSelector: \n      tolerations: []\n      affinity: {}\n' +
            '      containers: [{name: a, image: "none:1", env: , args: , resources: {}, livenessProbe: , volumeMounts: []}]\n      volumes: \n',
        });
        assertOutcome(await s.deploy({ helm, chart }), 'deployed');
        assertOutcome(await s.deploy({ helm, chart }), 'unchanged');
        write(folder, { 'templates/b.yaml': map('a', '{of: second}') });
        const twice = await s.deploy({ helm, chart });
        assertOutcome(twice, 'deployed');
        assertOutcome(await s.deploy({ helm, chart }), 'unchanged');
        assert.equal(await s.history(), '1 superseded, 2 deployed');
      });
    });
  }

  scene('Helm 3: fields that the API server does not know are logged once, outside the groups', async (s) => {
    await withFolder(async (folder) => {
      const chart = write(folder, {
        'templates/service.yaml':
          'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {spare: 1, ports: [{port: 80, portt: 1}]}\n',
      });
      const end = await s.deploy({ chart, helm: s.cluster.helm3 });
      assertOutcome(end, 'deployed');
      assert.deepEqual(
        end.job.issues.map(({ type }) => type),
        ['warning'],
      );
      assert.match(
        end.job.issues[0]?.message ?? '',
        /unknown field "spec\.ports\[0\]\.portt" \(Service\/web\), unknown field "spec\.spare" \(Service\/web\)\./,
      );
      assert.equal(end.log.match(/unknown field "spec\.spare"/g)?.length, 1);
    });
  });
});
