import assert from 'node:assert/strict';
import { verifiedLabel } from '../../../tasks/common/core/release/history';
import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import { chart, configMap, deployment, inNamespace, liveObject, revision } from './scene';

export const password: KubeObject = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'password', labels: { team: 'a' } },
  data: { password: 'b25jZQ==', user: 'aGFuZA==' },
};
export const settings = configMap('settings', { text: 'by hand', mine: '1' });
/** Objects made by hand that the chart adopts. */
export const byHand = [password, settings];
export const adopting = [
  { ...password, metadata: { name: 'password' }, data: { user: 'Y2hhcnQ=' } },
  configMap('settings', { text: 'chart' }),
];
export const good = chart('1.0.0', [configMap('own'), deployment('web', 'good')]);
export const broken = chart('2.0.0', [configMap('own'), ...adopting, configMap('extra'), deployment('web', 'broken')]);
export const works = chart('2.0.0', [configMap('own'), ...adopting, deployment('web', 'better')]);
export const served = {
  history: [revision(1, 'deployed', good, { labels: { [verifiedLabel]: '1' } })],
  live: good.objects,
};
export const helm = { takesOwnership: true };

type On = Parameters<typeof liveObject>[0];

/** The fields of an object that a chart or a person can have written. */
function written(object: KubeObject | undefined): unknown {
  return (
    object && {
      data: object['data'],
      labels: object.metadata.labels ?? {},
      annotations: object.metadata.annotations ?? {},
    }
  );
}

export function assertAsBefore(cluster: On, objects: readonly KubeObject[] = byHand): void {
  for (const object of objects) assert.deepEqual(written(liveObject(cluster, object)), written(inNamespace(object)));
}
