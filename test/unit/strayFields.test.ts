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

/** The stray fields of a write to the Deployment. `reference` is the dry run of the target. */
function strays(
  written: KubeObject,
  more: { [Name in keyof Candidate]?: Candidate[Name] | undefined } = {},
  reference: KubeObject = live(declared),
  isAssumed = false,
): (string | undefined)[] {
  const ref = refOf(live(declared));
  const known = { target: declared, last: present, live: live(present), ...more };
  const given = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
  const candidate: Candidate = {
    key: objectKey(ref),
    ref,
    isRecreated: false,
    isAutoscaled: false,
    generated: [],
    ...given,
  };
  const effect = candidate.live === undefined ? 'created' : 'changed';
  const writes = [write(effect, written, isAssumed ? { isAssumed } : {})];
  return suspectsOf([candidate], rehearsal(writes)).map((suspect) => strayFields(suspect, reference));
}

describe('fields that a rehearsed write sets without a declaration', () => {
  it('a write that sets declared fields and removes earlier ones has none', () => {
    assert.deepEqual(strays(live(web('app:1', { replicas: 1 }))), [], 'replicas are the default again');
  });

  it('a field of the pod template is one', () => {
    assert.deepEqual(strays(podSpec(live(declared), { hostNetwork: true })), ['spec.template.spec.hostNetwork']);
  });

  it('a declared field with another value is one', () => {
    assert.deepEqual(strays(live(web('app:9'))), ['spec.template.spec.containers[name=web].image']);
  });

  it('fields that the dry run of the target has too are none: defaults and fields of admission', () => {
    const admitted = podSpec(live(declared), { priority: 7 });
    assert.deepEqual(strays(admitted, {}, admitted), [undefined]);
  });

  it('a port that the target drops is none, although manifests leave out its protocol', () => {
    const service = (ports: object[]): KubeObject => ({ ...live(declared), spec: { ports } });
    const [http, admin] = [
      { name: 'http', port: 80 },
      { name: 'admin', port: 81 },
    ];
    const stored = (...ports: object[]): KubeObject => service(ports.map((port) => ({ ...port, protocol: 'TCP' })));
    const states = { target: service([http]), last: service([http, admin]), live: stored(http, admin) };
    assert.deepEqual(strays(stored(http), states, stored(http, admin)), []);
  });

  it('fields of an autoscaler are none', () => {
    const scaled = { last: web('app:2'), live: live(web('app:2', { replicas: 5 })) };
    assert.deepEqual(strays(live(web('app:1', { replicas: 2 })), { ...scaled, isAutoscaled: true }), []);
    assert.deepEqual(strays(live(web('app:1', { replicas: 0 })), scaled, live(web('app:1', { replicas: 5 }))), [
      'spec.replicas',
    ]);
  });

  it("Helm's own labels and annotations are none", () => {
    const unowned = live(present, { owner: null });
    assert.deepEqual(strays(live(web('app:1', { replicas: 1 })), { live: unowned }), []);
  });

  it('in a new object they are all fields beyond the dry run, except those chosen at each creation', () => {
    const made = { last: undefined, live: undefined };
    assert.deepEqual(strays(live(declared), made), [undefined]);
    assert.deepEqual(strays(podSpec(live(declared), { hostPID: true }), made), ['spec.template.spec.hostPID']);
    assert.deepEqual(strays(live(declared), made, live(declared), true), [], 'what it would be was not known');
  });

  it('they are searched for in each write, and a second write hides none of the first', () => {
    const ref = refOf(live(declared));
    const candidate: Candidate = {
      key: objectKey(ref),
      ref,
      target: declared,
      last: present,
      live: live(present),
      isRecreated: false,
      isAutoscaled: false,
      generated: [],
    };
    const second = write('changed', podSpec(live(present), { hostNetwork: true }), { isAssumed: true });
    const found = suspectsOf([candidate], rehearsal([write('changed', live(web('app:1', { replicas: 1 }))), second]));
    assert.deepEqual(
      found.map((suspect) => strayFields(suspect, live(declared))),
      ['spec.template.spec.hostNetwork'],
    );
  });

  it('undeclared objects and deletions are not searched', () => {
    assert.deepEqual(strays(podSpec(live(declared), { hostNetwork: true }), { target: undefined }), []);
    const gone = suspectsOf([], rehearsal([write('deleted', live(object('ConfigMap', 'a')))]));
    assert.deepEqual(gone, []);
  });
});
