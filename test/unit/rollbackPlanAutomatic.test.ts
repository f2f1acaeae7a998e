import assert from 'node:assert/strict';
import {
  automaticLines,
  automaticRefusals,
  unforeseeable,
} from '../../tasks/common/core/rollbackPlan/judging/automatic';
import { finding, type FindingCode } from '../../tasks/common/core/rollbackPlan/model/findings';
import { automaticPolicy } from '../../tasks/common/core/rollbackPlan/model/types';
import { codes, live, object, plan, revision, verified, web, write } from '../support/rollbackScene';

describe('an automatic rollback', () => {
  const found = (code: FindingCode, of = ''): { refused: string[]; unforeseen: string[] } => {
    const findings = [finding(code, 'said', { object: of })];
    const codesOf = (some: readonly { code: string }[]): string[] => some.map((one) => one.code);
    return { refused: codesOf(automaticRefusals({ findings })), unforeseen: codesOf(unforeseeable({ findings })) };
  };

  for (const [code, of, verdict] of [
    ['DeletesTargetObject', 'Service/web', 'refused'],
    ['UnforeseenDeletion', 'Secret/other', 'refused'],
    ['UnforeseenWrite', 'Secret/other', 'unforeseen'],
    ['IrreversibleStep', '', 'refused'],
    ['DeletesPersistentVolumeClaim', 'PersistentVolumeClaim/data', 'refused'],
    // The StatefulSet's own retention policy deletes this claim.
    ['DeletesPersistentVolumeClaim', 'StatefulSet/db', 'done'],
    ['DeletesPersistentVolume', 'PersistentVolume/data', 'refused'],
    ['DeletesNamespace', 'Namespace/a', 'refused'],
    ['DeletesCustomResourceDefinition', 'CustomResourceDefinition/a', 'refused'],
    ['DeletesCustomResource', 'Rocket/a', 'refused'],
    ['RehearsalFailed', '', 'unforeseen'],
    ['RehearsalMissing', '', 'unforeseen'],
    ['RemovedApi', '', 'unforeseen'],
    ['UnverifiedTarget', '', 'done'],
    ['VerifiedNoLonger', '', 'done'],
    ['DriftUndone', 'Deployment/web', 'done'],
  ] as const) {
    it(`${code} ${of}: ${verdict}`, () => {
      const { refused, unforeseen } = found(code, of);
      assert.deepEqual(refused, verdict === 'refused' ? [code] : []);
      assert.deepEqual(unforeseen, verdict === 'unforeseen' ? [code] : []);
    });
  }

  it('removes all new objects of the failed revision and shows the fate of the others', () => {
    const many = Array.from({ length: 25 }, (_, index) => object('ConfigMap', `new-${index}`));
    const gone = Array.from({ length: 26 }, (_, index) => object('ConfigMap', `gone-${index}`));
    const history = [
      revision(1, 'superseded', [web('app:1'), ...gone], { labels: verified(1) }),
      revision(2, 'failed', [web('app:2'), ...many]),
    ];
    const made = plan({
      history,
      toRevision: 1,
      policy: automaticPolicy,
      live: [live(web('app:2')), ...many.map((one) => live(one))],
      writes: [
        write('changed', live(web('app:1'))),
        ...gone.map((one) => write('created', live(one))),
        ...many.map((one) => write('deleted', live(one))),
      ],
    });
    assert.deepEqual(codes(made, 'refusal'), []);
    const lines = automaticLines(made);
    assert.equal(lines.length, 21);
    assert.ok(lines.includes('Deployment/web is to be patched.'));
    assert.equal(lines.at(-1), 'And 7 more.');
  });
});
