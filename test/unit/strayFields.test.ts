import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import { strayFields, suspectsOf } from '../../tasks/common/core/rollbackPlan/objects/strayFields';
import type { Candidate } from '../../tasks/common/core/rollbackPlan/objects/candidates';
import { live, object, rehearsal, web, write } from '../support/rollbackScene';

const declared = web('app:1');
const present = web('app:2', { replicas: 3 });

function podSpec(given: KubeObject, more: object): KubeObject {
  const { spec } = given as unknown as { spec: { template: { spec: object } } };
  const template = { ...spec.template, spec: { ...spec.template.spec, ...more } };
  return { ...given, spec: { ...spec, template } };
}

/** What is found of a write of the Deployment; `reference`: the dry run of the target. */
function strays(
  written: KubeObject,
  more: { [Name in keyof Candidate]?: Candidate[Name] | undefined } = {},
  reference: KubeObject = live(declared),
  isAssumed = false,
): (string | undefined)[] {
  const ref = refOf(live(declared));
  const known = { target: declared, last: present, live: live(present), ...more };
  const given = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
  const candidate: Candidate = { key: objectKey(ref), ref, isRecreated: false, isAutoscaled: false, ...given };
  const effect = candidate.live === undefined ? 'created' : 'changed';
  const writes = [write(effect, written, isAssumed ? { isAssumed } : {})];
  return suspectsOf([candidate], rehearsal(writes)).map((suspect) => strayFields(suspect, reference));
}

describe('what a rehearsed write sets and nobody declares', () => {
  it('is nothing where Helm sets what the target declares, and takes back what it had declared before', () => {
    assert.deepEqual(strays(live(web('app:1', { replicas: 1 }))), [], 'replicas are the default again');
  });

  it('is a field of the pod template', () => {
    assert.deepEqual(strays(podSpec(live(declared), { hostNetwork: true })), ['spec.template.spec.hostNetwork']);
  });

  it('is a declared field with another value', () => {
    assert.deepEqual(strays(live(web('app:9'))), ['spec.template.spec.containers[web].image']);
  });

  it('is nothing that the dry run of the target has as well: a default, or what admission sets', () => {
    const admitted = podSpec(live(declared), { priority: 7 });
    assert.deepEqual(strays(admitted, {}, admitted), [undefined]);
  });

  it('is nothing of an autoscaler', () => {
    const scaled = { last: web('app:2'), live: live(web('app:2', { replicas: 5 })) };
    assert.deepEqual(strays(live(web('app:1', { replicas: 2 })), { ...scaled, isAutoscaled: true }), []);
    assert.deepEqual(strays(live(web('app:1', { replicas: 0 })), scaled, live(web('app:1', { replicas: 5 }))), [
      'spec.replicas',
    ]);
  });

  it("is none of Helm's own marks", () => {
    const unowned = live(present, { owner: null });
    assert.deepEqual(strays(live(web('app:1', { replicas: 1 })), { live: unowned }), []);
  });

  it('of a new object is all that the dry run has not, but for what is chosen at each creation', () => {
    const made = { last: undefined, live: undefined };
    assert.deepEqual(strays(live(declared), made), [undefined]);
    assert.deepEqual(strays(podSpec(live(declared), { hostPID: true }), made), ['spec.template.spec.hostPID']);
    assert.deepEqual(strays(live(declared), made, live(declared), true), [], 'what it would be was not known');
  });

  it('is looked for in each write: a second one hides nothing of the first', () => {
    const ref = refOf(live(declared));
    const candidate: Candidate = {
      key: objectKey(ref),
      ref,
      target: declared,
      last: present,
      live: live(present),
      isRecreated: false,
      isAutoscaled: false,
    };
    const second = write('changed', podSpec(live(present), { hostNetwork: true }), { isAssumed: true });
    const found = suspectsOf([candidate], rehearsal([write('changed', live(web('app:1', { replicas: 1 }))), second]));
    assert.deepEqual(
      found.map((suspect) => strayFields(suspect, live(declared))),
      ['spec.template.spec.hostNetwork'],
    );
  });

  it('is not looked for in what the target does not declare, nor in a deletion', () => {
    assert.deepEqual(strays(podSpec(live(declared), { hostNetwork: true }), { target: undefined }), []);
    const gone = suspectsOf([], rehearsal([write('deleted', live(object('ConfigMap', 'a')))]));
    assert.deepEqual(gone, []);
  });
});
