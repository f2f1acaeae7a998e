import assert from 'node:assert/strict';
import { runRollback, startRollback, type RollbackEnd, type RollbackSpec } from '../support/product';
import { reportProblems } from '../support/reportSchema';
import path from 'node:path';
import { app, charts, fake, type Scene } from './scenes';

/** Makes a revision with Helm itself, as a person would by hand. */
export async function release(s: Scene, helm: string, ...set: string[]): Promise<void> {
  const values = [...fake, ...set].flatMap((value) => ['--set', value]);
  await s.helm(helm, 'upgrade', '--install', 'web', app, ...values);
}

/** Makes a revision from a chart that has only these objects. */
export async function releaseOf(s: Scene, helm: string, ...objects: object[]): Promise<void> {
  const values = `objects=${JSON.stringify(objects)}`;
  await s.helm(helm, 'upgrade', '--install', 'web', path.join(charts, 'objects'), '--set-json', values);
}

export async function kubectl(s: Scene, ...args: string[]): Promise<void> {
  await s.cluster.runKubectl('--namespace', s.namespace, ...args);
}

/** A workload on the fake nodes, whose pods get ready at once. */
export function fakeWorkload(
  kind: 'Deployment' | 'StatefulSet' | 'DaemonSet',
  name: string,
  version: string,
  more: object = {},
): object {
  const labels = { app: name };
  const pod = {
    nodeSelector: { type: 'kwok' },
    tolerations: [{ operator: 'Exists' }],
    terminationGracePeriodSeconds: 0,
    containers: [
      { name: 'main', image: `example/${name}:${version}`, readinessProbe: { exec: { command: ['true'] } } },
    ],
  };
  const template = { metadata: { labels }, spec: pod };
  const service = kind === 'StatefulSet' ? { serviceName: name } : {};
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name },
    spec: { selector: { matchLabels: labels }, template, ...service, ...more },
  };
}

export type Step = Partial<Omit<RollbackSpec, 'cluster' | 'namespace'>>;

export function plan(s: Scene, { inputs, ...spec }: Step = {}): Promise<RollbackEnd> {
  const { cluster, namespace } = s;
  return runRollback({ cluster, namespace, ...spec, inputs: { action: 'plan', timeout: '60s', ...inputs } });
}

function executing(s: Scene, planned: RollbackEnd | undefined, { inputs, ...spec }: Step): RollbackSpec {
  const { cluster, namespace } = s;
  const planDigest = planned?.outputs['planDigest'] ?? '';
  const given = { action: 'rollback', planDigest, timeout: '60s', approval: 'none', ...inputs };
  return { cluster, namespace, ...spec, inputs: given };
}

/** Executes the plan, without an approval unless the inputs ask for one. */
export function rollBack(s: Scene, planned: RollbackEnd | undefined, step: Step = {}): Promise<RollbackEnd> {
  return runRollback(executing(s, planned, step));
}

export function startRollBack(s: Scene, planned: RollbackEnd, step: Step = {}): ReturnType<typeof startRollback> {
  return startRollback(executing(s, planned, step));
}

export function assertEnd(end: RollbackEnd, outcome: string, reason = ''): void {
  const is = `${end.outputs['outcome'] ?? '(none)'} ${end.outputs['reason'] ?? ''}`;
  assert.equal(is, `${outcome} ${reason}`, end.log);
  const succeeds = ['planned', 'rolledBack', 'alreadyThere'].includes(outcome);
  assert.equal(end.result, succeeds ? 'Succeeded' : 'Failed');
  assert.deepEqual(reportProblems(end.report), []);
}

export function codes({ plan: made }: RollbackEnd): string[] {
  return (made?.findings ?? []).map(({ code }) => code);
}

export const configMap = (name: string): string => `/api/v1/namespaces/$ns/configmaps/${name}`;
export const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';
