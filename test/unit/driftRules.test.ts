import assert from 'node:assert/strict';
import { compare } from '../../tasks/common/core/release/drift';
import { leavesOut, parseDriftRule, type DriftRule } from '../../tasks/common/core/release/driftRules';
import type { KubeObject, ObjectRef } from '../../tasks/common/core/kubernetes/object';

const ref: ObjectRef = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'prod', name: 'web-front' };
const release = { name: 'shop', namespace: 'prod' };

function deployment(replicas: number, ...env: [name: string, value: string][]): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'web-front',
      namespace: 'prod',
      annotations: {
        'meta.helm.sh/release-name': 'shop',
        'meta.helm.sh/release-namespace': 'prod',
        'example.org/owner': String(replicas),
      },
    },
    spec: {
      replicas,
      template: {
        spec: { containers: [{ name: 'side' }, { name: 'main', env: env.map(([name, value]) => ({ name, value })) }] },
      },
    },
  };
}

const declared = deployment(2, ['A', '1'], ['B', '1']);
const live = deployment(5, ['B', '2'], ['A', '2']);
const replicas = 'spec.replicas';
const owner = 'metadata.annotations["example.org/owner"]';
const env = (name: string): string => `spec.template.spec.containers[name=main].env[name=${name}].value`;
const all = [replicas, env('A'), env('B'), owner];

/** The paths that a rule leaves. */
function left(...lines: string[]): string[] {
  const rules = lines.map((line) => parseDriftRule(line) ?? assert.fail(`no rule: ${line}`));
  const { drift } = compare({ ref, declared }, live, declared, { release, rules });
  return (drift?.fields ?? []).map(({ path }) => path);
}

describe('rules for what is no drift', () => {
  const rows: readonly [rule: string, leavesOut: readonly string[]][] = [
    ['/spec/replicas', [replicas]],
    ['/spec', [replicas, env('A'), env('B')]],
    ['/spec/repl', []],
    ['/metadata/annotations/example.org~1owner', [owner]],
    ['/spec/template/spec/containers/1/env', [env('A'), env('B')]],
    ['/spec/template/spec/containers/0/env', []],
    ['/spec/template/spec/containers/main/env/A/value', [env('A')]],
    ['/spec/template/spec/containers/*/env/B', [env('B')]],
    // The first variable is A as declared, and B as it is live.
    ['/spec/template/spec/containers/1/env/0', [env('A'), env('B')]],
    ['Deployment /spec/replicas', [replicas]],
    ['deployment.apps /spec/replicas', [replicas]],
    ['Deployment.core /spec/replicas', []],
    ['Deployment/web-front /spec/replicas', [replicas]],
    ['Deployment/web-* /spec/replicas', [replicas]],
    ['Deployment/*-front /spec/replicas', [replicas]],
    ['Deployment/w*b*t /spec/replicas', [replicas]],
    ['Deployment/web-front* /spec/replicas', [replicas]],
    ['Deployment/web-*-front /spec/replicas', []],
    ['Deployment/web /spec/replicas', []],
    ['StatefulSet /spec/replicas', []],
    ['* /spec/replicas', [replicas]],
    ['*.apps/web-front namespace=prod /spec/replicas', [replicas]],
    ['namespace=prod /spec/replicas', [replicas]],
    ['namespace=test /spec/replicas', []],
  ];
  for (const [rule, gone] of rows) {
    it(`${rule} leaves out ${gone.join(', ') || 'nothing'}`, () => {
      assert.deepEqual(
        left(rule),
        all.filter((path) => !gone.includes(path)),
      );
    });
  }

  it('an object without a further difference has no drift', () => {
    assert.deepEqual(left('/spec', '/metadata/annotations'), []);
  });

  for (const [line, isLeft] of [
    ['Deployment/web-front', true],
    ['Deployment', true],
    ['*.apps namespace=prod', true],
    ['Deployment/other', false],
    ['Deployment /spec', false],
  ] as const) {
    it(`${line} ${isLeft ? 'leaves out' : 'does not leave out'} the whole object`, () => {
      assert.equal(leavesOut([parseDriftRule(line) as DriftRule], ref), isLeft);
    });
  }

  for (const line of [
    'Deployment/web spec.replicas',
    'Deployment web /spec/replicas',
    '/spec/bad~2escape',
    'Deployment/ /spec',
    'Deployment/we$b /spec',
    'namespace= /spec',
    'name=web /spec',
    '/spec /status',
  ]) {
    it(`«${line}» is no rule`, () => {
      assert.equal(parseDriftRule(line), undefined);
    });
  }
});
