import assert from 'node:assert/strict';
import {
  accessSentence,
  accessTo,
  missingAccess,
  type NeededAccess,
  type AccessRule,
  type ApiResource,
} from '../../tasks/common/core/kubernetes/access';

const deployments: ApiResource = { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments', namespaced: true };
const secrets: ApiResource = { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true };
const roles: ApiResource = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
};

function rule(verbs: string, groups: string, resources: string, names = ''): AccessRule {
  const words = (text: string): string[] => (text === '-' ? [''] : text.split(' ').filter((word) => word !== ''));
  return { verbs: words(verbs), apiGroups: words(groups), resources: words(resources), resourceNames: words(names) };
}

describe('the rights that an identity lacks', () => {
  const patchWeb = accessTo('patch', deployments, 'prod', 'web');
  const createWeb = accessTo('create', deployments, 'prod', 'web');
  const updateSecret = accessTo('update', secrets, 'prod');
  const cases: [string, NeededAccess, AccessRule[], 'allowed' | 'missing'][] = [
    ['no rule at all', patchWeb, [], 'missing'],
    ['everything', patchWeb, [rule('*', '*', '*')], 'allowed'],
    ['exactly this', patchWeb, [rule('get patch', 'apps', 'deployments')], 'allowed'],
    ['another verb', patchWeb, [rule('get update', 'apps', 'deployments')], 'missing'],
    ['another group of the same plural', patchWeb, [rule('patch', 'extensions', 'deployments')], 'missing'],
    ['another resource', patchWeb, [rule('patch', 'apps', 'statefulsets')], 'missing'],
    ['a subresource alone', patchWeb, [rule('patch', 'apps', 'deployments/scale')], 'missing'],
    [
      'verb and resource in two rules',
      patchWeb,
      [rule('patch', 'apps', 'pods'), rule('get', 'apps', 'deployments')],
      'missing',
    ],
    ['the object by its name', patchWeb, [rule('patch', 'apps', 'deployments', 'api web')], 'allowed'],
    ['another object by its name', patchWeb, [rule('patch', 'apps', 'deployments', 'api')], 'missing'],
    [
      'a creation by its name: the authorizer does not know it',
      createWeb,
      [rule('create', 'apps', 'deployments', 'web')],
      'missing',
    ],
    ['a name where any object is needed', updateSecret, [rule('update', '-', 'secrets', 'one')], 'missing'],
    ['the core group', updateSecret, [rule('update', '-', 'secrets')], 'allowed'],
    ['no group at all', updateSecret, [rule('update', '', 'secrets')], 'missing'],
  ];
  for (const [name, need, rules, expected] of cases) {
    it(`${name}: ${expected}`, () => {
      assert.deepEqual(missingAccess(rules, [need]), expected === 'allowed' ? [] : [need]);
    });
  }

  it('one missing right for ten objects of one kind is reported once', () => {
    const needs = ['a', 'b', 'c'].map((name) => accessTo('create', deployments, 'prod', name));
    assert.equal(missingAccess([], needs).length, 1);
  });

  it('an object that is allowed by name does not hide another that is not', () => {
    const needs = ['web', 'api'].map((name) => accessTo('patch', deployments, 'prod', name));
    assert.deepEqual(missingAccess([rule('patch', 'apps', 'deployments', 'web')], needs), [needs[1]]);
  });

  it('the sentence names the grant: verb, resource with its group, namespace', () => {
    const missing = [
      accessTo('create', deployments, 'prod', 'web'),
      accessTo('patch', deployments, 'prod', 'web'),
      updateSecret,
      accessTo('create', roles, 'prod', 'viewer'),
    ];
    assert.equal(
      accessSentence(missing),
      'create, patch deployments.apps in namespace prod; update secrets in namespace prod; ' +
        'create clusterroles.rbac.authorization.k8s.io in the whole cluster',
    );
    assert.equal(accessSentence([]), '');
  });
});
