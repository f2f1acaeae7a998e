import assert from 'node:assert/strict';
import {
  groupsOf,
  isRenewable,
  manifestKinds,
  renewalWords,
  renewedManifest,
} from '../../tasks/common/core/release/servedVersions';

const web = '---\n# Source: shop/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n';
const scaler = (version: string): string =>
  `---\n# Source: shop/templates/hpa.yaml\napiVersion: ${version} # as ever\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: web\n` +
  'data: |\n  apiVersion: autoscaling/v2beta2\n';
const lostScaler = {
  apiVersion: 'autoscaling/v2beta2',
  kind: 'HorizontalPodAutoscaler',
  servedAs: 'autoscaling/v2',
};
const policy = '---\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: web}\n';
const lostPolicy = { apiVersion: 'policy/v1beta1', kind: 'PodSecurityPolicy', servedAs: undefined };
const toy = '---\napiVersion: example.org/v1\nkind: Toy\nmetadata: {name: bear}\n';
const lostToy = { apiVersion: 'example.org/v1', kind: 'Toy', servedAs: undefined };

describe('a record with API versions that are no longer served', () => {
  const cases = [
    ['nothing is lost: nothing changes', web + policy, [], web + policy],
    [
      'another version: one word of the text',
      web + scaler('autoscaling/v2beta2'),
      [lostScaler],
      web + scaler('autoscaling/v2'),
    ],
    ['a version in quotes', scaler('"autoscaling/v2beta2"'), [lostScaler], scaler('"autoscaling/v2"')],
    ['the same version of another kind stays', policy, [{ ...lostPolicy, kind: 'PodDisruptionBudget' }], policy],
    ['a kind of Kubernetes that is gone for good: left out', web + policy + toy, [lostPolicy], web + toy],
    ['a custom resource without definition stays: it may come back', web + toy, [lostToy], web + toy],
    [
      'in JSON',
      `${web}---\n{"kind":"Toy","apiVersion":"example.org/v1","metadata":{"name":"bear"}}\n`,
      [{ ...lostToy, servedAs: 'example.org/v2' }],
      `${web}---\n{"kind":"Toy","apiVersion":"example.org/v2","metadata":{"name":"bear"}}\n`,
    ],
    [
      'in a List, in which nothing else changes',
      '---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: example.org/v1, kind: Toy, metadata: {name: a}}\n- {apiVersion: v1, kind: Service, metadata: {name: b}}\n',
      [{ ...lostToy, servedAs: 'example.org/v2' }],
      '---\n{"apiVersion":"example.org/v2","kind":"Toy","metadata":{"name":"a"}}\n---\n{"apiVersion":"v1","kind":"Service","metadata":{"name":"b"}}\n',
    ],
  ] as const;
  for (const [what, manifest, lost, expected] of cases) {
    it(what, () => {
      assert.equal(renewedManifest(manifest, lost), expected);
    });
  }

  it('a line of dashes inside a text does not separate documents', () => {
    const text = `---\napiVersion: example.org/v1\nkind: Toy\nmetadata: {name: a}\nkey: |\n  -----BEGIN KEY-----\n  ---\n`;
    const lost = [{ ...lostToy, servedAs: 'example.org/v2' }];
    assert.equal(renewedManifest(text, lost), text.replace('example.org/v1', 'example.org/v2'));
  });

  it('the kinds of a manifest are listed once', () => {
    assert.deepEqual(manifestKinds(web + web + toy), [
      { apiVersion: 'apps/v1', kind: 'Deployment' },
      { apiVersion: 'example.org/v1', kind: 'Toy' },
    ]);
  });

  it('a kind that moved to another group is searched for there too', () => {
    assert.deepEqual(groupsOf({ apiVersion: 'extensions/v1beta1', kind: 'Ingress' }), [
      'extensions',
      'networking.k8s.io',
    ]);
    assert.deepEqual(groupsOf({ apiVersion: 'extensions/v1beta1', kind: 'constructor' }), ['extensions']);
    assert.deepEqual(groupsOf({ apiVersion: 'example.org/v1', kind: 'Ingress' }), ['example.org']);
    assert.deepEqual(groupsOf({ apiVersion: 'v1', kind: 'Service' }), ['']);
  });

  it('the message names what can be done', () => {
    assert.deepEqual([lostScaler, lostPolicy, lostToy].map(isRenewable), [true, true, false]);
    assert.match(
      renewalWords(lostScaler, 3),
      /record of revision 3 names .* autoscaling\/v2beta2, .*the task writes autoscaling\/v2 /,
    );
    assert.match(renewalWords(lostPolicy, 3), /in any version: the task removes it/);
  });
});
