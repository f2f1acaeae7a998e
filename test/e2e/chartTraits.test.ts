import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { helmsRights, serviceAccount, serviceAccountConnection, withFolder } from './identities';
import { assertEnd, codes, plan, rollBack } from './rollbackScenes';
import { assertOutcome, bare, helms, scenes, type Scene } from './scenes';

type Files = Readonly<Record<string, string>>;

/** Writes a chart and answers its folder. Helm's own braces are written as `<<` and `>>` here. */
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

/** A group of its own for each scene: definitions belong to the whole cluster. */
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

describe('traits of charts that plain Helm installs', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: kinds of the chart's own crds/, and a test with a random name`, async (s) => {
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

    scene(`Helm ${major}: createNamespace with rights in nothing but a namespace that is there`, async (s) => {
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

    scene(`Helm ${major}: a version of the last revision that the cluster no longer serves`, async (s) => {
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
          assert.match(upgraded.log, /record of revision 1 names Toy of \S+\/v1alpha1, .*written as \S+\/v1 there/);
          assert.deepEqual([await s.field(place, 'metadata.uid'), await s.field(place, 'spec.text')], [uid, 'b']);

          await s.helm(helm, 'rollback', 'web', '1');
          assert.deepEqual([await s.field(place, 'metadata.uid'), await s.field(place, 'spec.text')], [uid, 'a']);
        }),
      );
    });

    scene(`Helm ${major}: a rollback between revisions whose version the cluster no longer serves`, async (s) => {
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
          assert.match(rolledBack.log, /record of revision 1 names Toy of \S+\/v1alpha1, .*written as \S+\/v1 there/);
          assert.deepEqual([await s.field(place, 'metadata.uid'), await s.field(place, 'spec.text')], [uid, 'a']);
        }),
      );
    });
  }
});
