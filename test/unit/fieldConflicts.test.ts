import assert from 'node:assert/strict';
import {
  conflictWords,
  fieldConflicts,
  upgradeMethod,
  wasWrittenSince,
} from '../../tasks/common/core/release/fieldConflicts';
import type { ReleaseState } from '../../tasks/common/core/release/history';
import type { Revision } from '../../tasks/common/core/release/release';

describe('the field conflicts that the API server reports', () => {
  for (const [what, text, expected] of [
    [
      'one field, set by an update',
      'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1 at 2026-11-30T02:40:00Z: .data.text',
      [{ field: 'data.text', manager: 'kubectl-edit', subresource: '' }],
    ],
    [
      'one field, set through a subresource',
      'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
      [{ field: 'spec.replicas', manager: 'kubectl', subresource: 'scale' }],
    ],
    [
      'one field, set by another apply',
      'Apply failed with 1 conflict: conflict with "argocd-controller": .spec.template.spec.containers[name="web"].image',
      [
        {
          field: 'spec.template.spec.containers[name=web].image',
          manager: 'argocd-controller',
          subresource: '',
        },
      ],
    ],
    [
      'several fields of several managers',
      'Apply failed with 3 conflicts: conflicts with "a \\"quoted\\" one" using v1:\n- .data.a\n- .data.b\nconflicts with "other" with subresource "scale" using apps/v1 at 2026-11-30T02:40:00Z:\n- .spec.replicas',
      [
        { field: 'data.a', manager: 'a \\"quoted\\" one', subresource: '' },
        { field: 'data.b', manager: 'a \\"quoted\\" one', subresource: '' },
        { field: 'spec.replicas', manager: 'other', subresource: 'scale' },
      ],
    ],
    [
      'two objects in the words of Helm 4',
      'conflict occurred while applying object shop/web apps/v1, Kind=Deployment: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas && conflict occurred while applying object shop/web /v1, Kind=ConfigMap: Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.text',
      [
        { field: 'spec.replicas', manager: 'kubectl', subresource: 'scale' },
        { field: 'data.text', manager: 'kubectl-edit', subresource: '' },
      ],
    ],
    [
      'two objects with several fields each',
      'x: Apply failed with 2 conflicts: conflicts with "a" using v1:\n- .data.a\n- .data.b && conflict occurred while applying object x: Apply failed with 2 conflicts: conflicts with "c" using v1:\n- .data.c\n- .data.d',
      ['a', 'b', 'c', 'd'].map((key) => ({
        field: `data.${key}`,
        manager: key < 'c' ? 'a' : 'c',
        subresource: '',
      })),
    ],
    ['another refusal', 'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1\n- .data.a', []],
    ['an object that was changed meanwhile', 'Operation cannot be fulfilled on configmaps "a": modified', []],
  ] as const) {
    it(`are read: ${what}`, () => {
      assert.deepEqual(fieldConflicts(text), expected);
    });
  }

  it('are named in one phrase, a few of many', () => {
    const some = Array.from({ length: 7 }, (_, at) => ({
      field: `data.k${at}`,
      manager: at === 0 ? 'kubectl' : 'x'.repeat(300),
      subresource: at === 0 ? 'scale' : '',
    }));
    const said = conflictWords(some);
    assert.match(said, /^data\.k0 \(set by kubectl through scale\), data\.k1 \(set by x+ \.\.\.\), /);
    assert.match(said, / and 2 more fields$/);
    assert.ok(said.length < 1000);
  });
});

describe('the way in which a Helm will write', () => {
  const last = (applyMethod?: string): ReleaseState => ({
    state: 'deployed',
    last: { ...(applyMethod === undefined ? {} : { applyMethod }) } as Revision,
  });
  const absent: ReleaseState = { state: 'absent' };

  for (const [what, major, words, state, meetsConflicts] of [
    ['Helm 3', 3, [], last(), false],
    ['Helm 3 on a release of Helm 4', 3, [], last('ssa'), false],
    ['Helm 4 on a release of Helm 3', 4, [], last(), false],
    ['Helm 4 on a client-side release of its own', 4, [], last('csa'), false],
    ['Helm 4 on a server-side release', 4, [], last('ssa'), true],
    ['Helm 4, an install', 4, [], absent, true],
    ['Helm 4, an install on the client side', 4, ['--server-side=false'], absent, false],
    ['Helm 4, auto at an install', 4, ['--server-side', 'auto'], absent, true],
    ['Helm 4, auto', 4, ['--server-side=auto'], last('csa'), false],
    ['Helm 4 made to write on the server side', 4, ['--server-side', 'true'], last('csa'), true],
    ['Helm 4 made to write on the client side', 4, ['--server-side=false'], last('ssa'), false],
    ['the last of two flags counts', 4, ['--server-side=false', '--server-side=true'], last('csa'), true],
    ['force', 4, ['--devel', '--force-conflicts'], last('ssa'), false],
    ['force, spelled out', 4, ['--force-conflicts=true'], last('ssa'), false],
    ['no force, spelled out', 4, ['--force-conflicts=false'], last('ssa'), true],
  ] as const) {
    it(`${what}: ${meetsConflicts ? 'fields of other managers are conflicts' : 'fields of other managers are overwritten'}`, () => {
      assert.equal(upgradeMethod({ major }, words, state).meetsConflicts, meetsConflicts);
    });
  }

  for (const [what, state, expected] of [
    ['a server-side release', last('ssa'), false],
    ['a client-side release', last('csa'), true],
    ['an install', absent, true],
  ] as const) {
    it(`its own earlier writes are ${expected ? 'taken over first' : 'treated like those of others'}: ${what}`, () => {
      assert.equal(upgradeMethod({ major: 4 }, ['--server-side=true'], state).ownsItsEarlierWrites, expected);
    });
  }
});

describe('checking if Helm has written an object since a time', () => {
  const since = new Date('2026-11-30T02:54:00Z');
  const helm = (time: string, operation = 'Apply'): object => ({ manager: 'helm', operation, time });
  const other = { manager: 'kubectl-edit', operation: 'Update', time: '2026-11-30T02:59:00Z' };

  for (const [what, managedFields, expected, applyMethod = 'ssa'] of [
    ['an apply from before, and a person after it', [helm('2026-11-30T02:53:43Z'), other], false],
    ['a client-side write from before', [helm('2026-11-30T02:53:43Z', 'Update'), other], false, 'csa'],
    ['a client-side write after it', [helm('2026-11-30T02:54:07Z', 'Update'), other], true, 'csa'],
    ['an apply in the same second', [helm('2026-11-30T02:54:00Z'), other], true],
    ['an apply after it', [helm('2026-11-30T02:54:07Z')], true],
    ['nothing of Helm', [other], true],
    ['nothing at all', undefined, true],
    [
      'only a client-side write, of a release that is applied on the server',
      [helm('2026-11-30T02:53:43Z', 'Update')],
      true,
    ],
    ['an apply without a time that can be read', [helm('soon')], true],
  ] as const) {
    it(`${expected ? 'yes, or unknown' : 'no'}: ${what}`, () => {
      const metadata = { name: 'a', ...(managedFields === undefined ? {} : { managedFields }) };
      assert.equal(wasWrittenSince({ apiVersion: 'v1', kind: 'ConfigMap', metadata }, since, applyMethod), expected);
    });
  }
});
