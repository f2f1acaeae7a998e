import { isRecord } from '../../kubernetes/json';
import type { KubeObject } from '../../kubernetes/object';
import { apiGroup } from '../../kubernetes/manifest';
import { at } from '../../kubernetes/read';
import type { Difference } from '../../kubernetes/fieldDifferences';
import { pathText, valueAt, withoutKeyNames } from '../../kubernetes/fieldPath';
import type { ObjectStates } from './hiddenSecrets';
import type { ObjectFate } from '../model/types';

/**
 * The digest covers what the target declares, what is overwritten, all that a workload's pods will be, and all that a
 * deletion loses. `sealed` has the values of Secrets.
 */
export function contentOf(
  states: ObjectStates,
  {
    changes,
    fate,
    mayRunAgain,
    uid,
    instances,
    sealed,
  }: {
    changes: readonly Difference[];
    fate: ObjectFate;
    mayRunAgain: boolean;
    uid: string;
    /** The uids of the custom resources that are deleted with the object. */
    instances: readonly string[];
    sealed: ObjectStates | undefined;
  },
): unknown {
  const target = sealed?.target ?? states.target ?? null;
  if (fate === 'deleted') {
    const lost = {
      ...(sealed?.live && { live: withoutInjected(sealed.live) }),
      ...(instances.length > 0 && { instances }),
    };
    return { target, uid, ...lost };
  }
  if (mayRunAgain || states.live === undefined) return { target };
  // A digest spells a path as the plans of earlier versions do, so that their approvals stay valid.
  const written = changes.map(({ path, before, after }) => ({ path: withoutKeyNames(pathText(path)), before, after }));
  return { target, written, workload: workloadOf(states) };
}

/**
 * Leaves out changes of fields that no revision declares, and injected authorities: the API server or a controller
 * makes them. The API server turns the `stringData` of a Secret into `data`.
 */
export function lastingChanges(changes: readonly Difference[], declarations: readonly KubeObject[]): Difference[] {
  return changes.filter(
    ({ path }) =>
      path.at(-1) !== 'caBundle' &&
      (path[0] === 'data' || declarations.some((declared) => valueAt(declared, path) !== undefined)),
  );
}

export function workloadOf({ after, target }: ObjectStates): unknown {
  if (after === undefined || apiGroup(after.apiVersion) !== 'apps') return null;
  const { replicas, ...spec } = withoutRestart((after['spec'] ?? {}) as Record<string, unknown>);
  // Replicas that no revision declares may belong to another controller, for example a third-party autoscaler.
  return at(target, 'spec', 'replicas') === undefined ? spec : { ...spec, replicas };
}

/** After `kubectl rollout restart`, the rollback is still the same. */
function withoutRestart(spec: Record<string, unknown>): Record<string, unknown> {
  const annotations = at(spec, 'template', 'metadata', 'annotations');
  if (!isRecord(annotations) || annotations[restartedAt] === undefined) return spec;
  const { [restartedAt]: _, ...others } = annotations;
  const template = spec['template'] as { metadata: Record<string, unknown> };
  const { annotations: __, ...metadata } = template.metadata;
  const kept = Object.keys(others).length === 0 ? {} : { annotations: others };
  return { ...spec, template: { ...template, metadata: { ...metadata, ...kept } } };
}

const restartedAt = 'kubectl.kubernetes.io/restartedAt';

export function withoutInjected(object: KubeObject): unknown {
  return JSON.parse(JSON.stringify(object, (name, value: unknown) => (name === 'caBundle' ? undefined : value)));
}
