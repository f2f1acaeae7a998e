import { isRecord } from '../../kubernetes/json';
import type { KubeObject } from '../../kubernetes/object';
import { apiGroup } from '../../kubernetes/manifest';
import { at } from '../../kubernetes/read';
import { pathText, valueAt, type Change } from '../model/changes';
import type { ObjectStates } from './hiddenSecrets';
import type { ObjectFate } from '../model/types';

/**
 * What of an object the digest covers: what the target declares of it, what is written over and with what, and of a
 * workload all that its pods will be, by hand-made changes that survive, too; and of what is deleted all that is lost.
 * Not what nobody touches. `sealed`: the states with the values of Secrets, where the digest may cover them.
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
    changes: readonly Change[];
    fate: ObjectFate;
    mayRunAgain: boolean;
    uid: string;
    /** Of what goes with it. */
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
  const written = changes.map(({ path, ...values }) => ({ path: pathText(path), ...values }));
  return { target, written, workload: workloadOf(states) };
}

/**
 * What Helm itself changes. A field that no revision declares changes by the API server's own rules, as a consequence,
 * or by a controller that was at work between the reading and the rehearsal.
 */
export function lastingChanges(changes: readonly Change[], declarations: readonly KubeObject[]): Change[] {
  return changes.filter(
    ({ path }) =>
      !isInjected(path) &&
      (isSecretData(path) || declarations.some((declared) => valueAt(declared, path) !== undefined)),
  );
}

/** What a manifest gives as `stringData` is read as `data`. */
function isSecretData([first]: Change['path']): boolean {
  return first === 'data';
}

/** A certificate authority that a controller puts in, and renews. */
function isInjected(path: Change['path']): boolean {
  return path.at(-1) === 'caBundle';
}

export function workloadOf({ after, target }: ObjectStates): unknown {
  if (after === undefined || apiGroup(after.apiVersion) !== 'apps') return null;
  const { replicas, ...spec } = withoutRestart((after['spec'] ?? {}) as Record<string, unknown>);
  // What nobody declares somebody else may set, an autoscaler that is none of Kubernetes' for example.
  return at(target, 'spec', 'replicas') === undefined ? spec : { ...spec, replicas };
}

/** `kubectl rollout restart` leaves a time in the template: new pods of the same kind are no other rollback. */
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
