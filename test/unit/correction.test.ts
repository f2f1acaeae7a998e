import assert from 'node:assert/strict';
import { isDrift, needsBase } from '../../tasks/common/core/release/correction';
import type { Drift } from '../../tasks/common/core/release/drift';

const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'prod', name: 'web' };

function drift(path: string, more: Partial<Drift> = {}): Drift {
  return {
    ref,
    drift: 'changed',
    fields: [{ path, message: '', live: 1, declared: 2, owners: [] }],
    message: '',
    ...more,
  };
}

describe('conflicts that are drift', () => {
  for (const [path, field, expected] of [
    ['spec.replicas', 'spec.replicas', true],
    ['spec.replicas', 'spec.replicasets', false],
    ['spec.paused', 'spec.replicas', false],
    ['spec.template', 'spec.template.spec.containers[name=web].image', true],
    ['spec.template.spec.containers[name=web].image', 'spec.template.spec.containers', true],
    ['spec.rules[0].host', 'spec.rules', true],
    ['metadata.annotations["example.org/owner"]', 'metadata.annotations.example.org/owner', true],
    ['metadata.annotations["example.org/owner"]', 'metadata.annotations.example.org/other', false],
  ] as const) {
    it(`drift of ${path} ${expected ? 'covers' : 'does not cover'} a conflict about ${field}`, () => {
      assert.equal(isDrift([drift(path)], ref, { field, manager: 'kubectl', subresource: '' }), expected);
    });
  }

  it('a field of another object is another field', () => {
    const conflict = { field: 'spec.replicas', manager: 'kubectl', subresource: '' };
    assert.equal(isDrift([drift('spec.replicas')], { ...ref, name: 'api' }, conflict), false);
    // The same object in another version.
    assert.equal(isDrift([drift('spec.replicas')], { ...ref, apiVersion: 'apps/v2' }, conflict), true);
  });
});

describe('drift that Helm would not see', () => {
  const toy = { apiVersion: 'example.org/v1', kind: 'Toy', namespace: 'prod', name: 'web' };
  const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', name: 'toys' };
  for (const [what, one, isServerSide, expected] of [
    ['a custom resource', drift('spec', { ref: toy }), false, true],
    ['a definition', drift('spec', { ref: definition }), false, true],
    ['a custom resource with server-side apply', drift('spec', { ref: toy }), true, false],
    ['a custom resource that is gone', drift('spec', { ref: toy, drift: 'missing' }), false, false],
    ['a Deployment', drift('spec'), false, false],
  ] as const) {
    it(`${what} ${expected ? 'needs' : 'needs no'} merge base`, () => {
      assert.equal(needsBase({ drifts: [one], forcesConflicts: false }, isServerSide), expected);
    });
  }
});
