import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { servicePods, servicePodsWords, serviceSelectors } from '../../tasks/common/core/release/servicePods';
import { manifestOf } from '../support/fakes/fakeHelm';

const service = (name: string, selector?: object, namespace?: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  spec: { ...(selector === undefined ? {} : { selector }) },
});
const ingress: KubeObject = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name: 'front' },
  spec: {
    defaultBackend: { service: { name: 'fallback' } },
    rules: [{ http: { paths: [{ backend: { service: { name: 'web' } } }] } }],
  },
};

describe('the Services of a manifest that select pods', () => {
  it('are those of the namespace with a selector, with the Ingresses that lead to them', () => {
    const objects = [
      service('web', { app: 'web' }),
      service('fallback', { app: 'fallback' }),
      service('inner', { app: 'inner' }),
      service('external'),
      service('all', {}),
      service('elsewhere', { app: 'web' }, 'other'),
      ingress,
    ];
    assert.deepEqual(
      serviceSelectors(manifestOf(objects), 'prod').map(({ name, ingresses }) => [name, ...ingresses]),
      [['web', 'front'], ['fallback', 'front'], ['inner']],
    );
  });
});

describe('the pods behind a Service', () => {
  const since = new Date('2026-01-02T00:00:00Z');
  const pod = (ready: boolean, day: number, more: object = {}, phase = 'Running'): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', labels: { app: 'web' }, creationTimestamp: `2026-01-0${day}T00:00:00Z`, ...more },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  });
  const rows: readonly [string, KubeObject[], Date | undefined, string][] = [
    ['none', [], since, 'No pod stands behind Service/web: its selector matches none.'],
    [
      'of another label',
      [pod(true, 1, { labels: { app: 'x' } })],
      since,
      'No pod stands behind Service/web: its selector matches none.',
    ],
    [
      'that end',
      [pod(true, 1, { deletionTimestamp: 'x' }), pod(true, 1, {}, 'Failed')],
      since,
      'No pod stands behind Service/web: its selector matches none.',
    ],
    ['not ready', [pod(false, 3)], since, 'No ready pod stands behind Service/web (1 is not ready).'],
    [
      'of before',
      [pod(true, 1), pod(true, 1), pod(false, 3)],
      since,
      '2 ready pods stand behind Service/web from before this deploy: the old version still serves.',
    ],
    ['of this deploy', [pod(true, 3)], since, '1 ready pod stands behind Service/web, and this deploy started it.'],
    [
      'of both',
      [pod(true, 1), pod(true, 3)],
      since,
      '2 ready pods stand behind Service/web, 1 of them from before this deploy.',
    ],
    ['where no revision was created', [pod(true, 1)], undefined, '1 ready pod stands behind Service/web.'],
  ];
  for (const [title, pods, from, expected] of rows) {
    it(`pods ${title}`, () => {
      const counted = servicePods({ name: 'web', ingresses: [], selector: { app: 'web' } }, pods, from);
      assert.deepEqual(servicePodsWords([counted]), [expected]);
    });
  }

  it('are named with the Ingress that leads to them', () => {
    const counted = servicePods(
      { name: 'web', ingresses: ['front'], selector: { app: 'web' } },
      [pod(true, 1)],
      undefined,
    );
    assert.deepEqual(servicePodsWords([counted]), ['1 ready pod stands behind Service/web and Ingress/front.']);
  });
});
