import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import { tracesOf } from '../../tasks/common/core/rollbackPlan/objects/rehearsalTraces';
import { live, object, web } from '../support/rollbackScene';

interface Written {
  manager: string;
  operation?: 'Apply' | 'Update';
  subresource?: string;
  fields: object;
  time?: string;
}

function entry({ manager, operation = 'Update', subresource = '', fields, time = '2026-11-30T10:00:00Z' }: Written) {
  return { manager, operation, apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: fields, subresource, time };
}

const byHelm = entry({ manager: 'helm', operation: 'Apply', fields: { 'f:spec': { 'f:replicas': {} } } });

function there(more: object, written: readonly object[] = [byHelm]): KubeObject {
  const made = live(web('app:1', more));
  return { ...made, metadata: { ...made.metadata, managedFields: written } };
}

function withMetadata(given: KubeObject, metadata: object): KubeObject {
  return { ...given, metadata: { ...given.metadata, ...metadata } };
}

function traces(before: KubeObject | undefined, after: KubeObject | undefined): readonly string[] {
  const mapOf = (one: KubeObject | undefined): Map<string, KubeObject> =>
    new Map(one === undefined ? [] : [[objectKey(refOf(one)), one]]);
  return tracesOf(mapOf(before), mapOf(after));
}

const replicas = (manager: string, more: Partial<Written> = {}) =>
  entry({ manager, fields: { 'f:spec': { 'f:replicas': {} } }, time: '2026-11-30T10:00:09Z', ...more });
const annotation = (manager: string, time: string) =>
  entry({ manager, fields: { 'f:metadata': { 'f:annotations': { 'f:seen': {} } } }, time });
const annotated = (seen: string): object => ({ annotations: { seen } });
const template = (image: string): object => ({ template: { spec: { containers: [{ name: 'web', image }] } } });

const job = live(object('Job', 'web', { spec: { ttlSecondsAfterFinished: 60 } }, 'batch/v1'));
const terminating = withMetadata(there({}), { deletionTimestamp: '2026-11-30T09:59:59Z' });

describe('a change that a rehearsal has made in the cluster', () => {
  const cases: readonly [string, KubeObject | undefined, KubeObject | undefined, readonly string[]][] = [
    ['nothing', there({}), there({}), []],
    ['a deletion', there({}), undefined, ['Deployment/web was deleted']],
    ['a deletion that waits', there({}), terminating, ['Deployment/web is being deleted']],
    [
      'another object',
      there({}),
      withMetadata(there({}), { uid: 'other' }),
      ['Deployment/web was deleted and created again'],
    ],
    ['a creation', undefined, there({}), ['Deployment/web was created']],
    [
      'replicas by hand',
      there({ replicas: 2 }),
      there({ replicas: 0 }, [replicas('kubectl', { subresource: 'scale' })]),
      ['Deployment/web was changed: spec.replicas (by kubectl through scale)'],
    ],
    [
      'a field that is gone: by whoever has written since',
      there({ replicas: 2, paused: true }),
      there({ replicas: 2 }, [byHelm, entry({ manager: 'kubectl-edit', fields: {} })]),
      ['Deployment/web was changed: spec.paused (by kubectl-edit)'],
    ],
    [
      'a change by an unknown writer',
      there({ paused: true }, []),
      there({}, []),
      ['Deployment/web was changed: spec.paused'],
    ],
    [
      'a pod template, under whatever name',
      there(template('app:1')),
      there(template('evil:1'), [
        entry({ manager: 'kube-controller-manager', fields: { 'f:spec': { 'f:template': {} } } }),
      ]),
      ['Deployment/web was changed: spec.template.spec.containers[name=web].image (by kube-controller-manager)'],
    ],
    [
      'an annotation by a name that is new there',
      withMetadata(there({}), annotated('1')),
      withMetadata(there({}, [byHelm, annotation('stranger', '2026-11-30T10:00:09Z')]), annotated('2')),
      ['Deployment/web was changed: metadata.annotations.seen (by stranger)'],
    ],
  ];
  for (const [what, before, after, wanted] of cases) {
    it(what, () => {
      assert.deepEqual(traces(before, after), wanted);
    });
  }

  const works: readonly [string, KubeObject | undefined, KubeObject | undefined][] = [
    ['what was being deleted before', terminating, undefined],
    ['a Job whose time has come', job, undefined],
    ['a status', there({}), { ...there({}), status: { replicas: 3 } }],
    [
      'a resource version and a generation',
      there({}),
      withMetadata(there({}), { resourceVersion: '9', generation: 4 }),
    ],
    [
      'an autoscaler',
      there({ replicas: 2 }),
      there({ replicas: 5 }, [replicas('kube-controller-manager', { subresource: 'scale' })]),
    ],
    ['an autoscaler of others', there({ replicas: 2 }), there({ replicas: 5 }, [replicas('keda')])],
    [
      'an operator that has written there before',
      withMetadata(there({}, [byHelm, annotation('operator', '2026-11-30T09:00:00Z')]), annotated('1')),
      withMetadata(there({}, [byHelm, annotation('operator', '2026-11-30T10:00:09Z')]), annotated('2')),
    ],
    [
      'an object that a controller makes',
      undefined,
      there({}, [entry({ manager: 'kube-controller-manager', fields: { 'f:spec': {} } })]),
    ],
  ];
  for (const [what, before, after] of works) {
    it(`is not ${what}`, () => {
      assert.deepEqual(traces(before, after), []);
    });
  }
});
