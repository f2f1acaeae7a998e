import assert from 'node:assert/strict';
import { crdChange, renderedCrds } from '../../tasks/common/core/helm/crdChanges';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';

const crd = (name: string): string =>
  `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ${name}}\n`;
const source = (path: string, text: string): string => `---\n# Source: ${path}\n${text}`;

describe('the definitions that Helm renders', () => {
  it('are those of crds/ folders, also in subcharts and with several in a file, and none of templates', () => {
    const output = [
      source('shop/crds/a.yaml', crd('a')),
      source('shop/crds/deep/b.yaml', `${crd('b')}---\n${crd('c')}`),
      source('shop/charts/db/charts/core/crds/d.yaml', crd('d')),
      source('shop/templates/crds/e.yaml', crd('e')),
      source('shop/crds/other.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\n'),
    ].join('\n');
    assert.deepEqual(
      renderedCrds(output).map(({ metadata }) => metadata.name),
      ['a', 'b', 'c', 'd'],
    );
  });

  it('a conversion webhook keeps the certificate that its operator has added', () => {
    const spec = (clientConfig: object): object => ({
      versions: [],
      conversion: { strategy: 'Webhook', webhook: { clientConfig, conversionReviewVersions: ['v1'] } },
    });
    const object = (clientConfig: object): KubeObject => ({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'a' },
      spec: spec(clientConfig),
    });
    const service = { service: { name: 'hook', namespace: 'shop' } };
    const live = object({ service: { name: 'old', namespace: 'shop' }, caBundle: 'AAAA' });
    const change = crdChange(object(service), { live, hasObjects: true }, 'createReplace');
    assert.deepEqual(change.change === 'replace' && change.object['spec'], spec({ ...service, caBundle: 'AAAA' }));
    const own = crdChange(object({ ...service, caBundle: 'BBBB' }), { live, hasObjects: true }, 'createReplace');
    assert.deepEqual(own.change === 'replace' && own.object['spec'], spec({ ...service, caBundle: 'BBBB' }));
  });

  for (const [what, live, why] of [
    ['that is being deleted', { deletionTimestamp: '2026-01-01T00:00:00Z' }, /being deleted/],
    ['of another scope', {}, /scope/],
  ] as const) {
    it(`a definition ${what} is refused`, () => {
      const declared: KubeObject = { apiVersion: 'v1', kind: 'X', metadata: { name: 'a' }, spec: { scope: 'Cluster' } };
      const found = { ...declared, metadata: { name: 'a', ...live }, spec: { scope: 'Namespaced' } };
      const change = crdChange(declared, { live: found, hasObjects: false }, 'createReplace');
      assert.match(change.change === 'refused' ? change.why : '', why);
    });
  }
});
