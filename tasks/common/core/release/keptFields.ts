import type { NamedObject } from '../helm/fence';
import type { WriteVerb } from '../helm/rehearsal';
import { isHand, ownersOf } from '../kubernetes/fieldOwners';
import { isRecord } from '../kubernetes/json';
import { apiGroup, objectKey, objectName, refOf } from '../kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { quantity } from '../kubernetes/quantity';
import { at, textAt } from '../kubernetes/read';
import { counted } from '../text/counted';
import type { DriftRule } from './driftRules';

/*
 * Fields that Helm must not set as its manifest declares them. Helm 3 sets the replicas of an autoscaler to the number
 * of the manifest, Helm 4 does so with force and fails without it (measured with 3.17.3 and 4.1.4).
 */

/** A field of a live object that keeps its value, although a manifest declares another one. */
export interface KeptField extends NamedObject {
  ref: ObjectRef;
  path: readonly string[];
  /** The live value. */
  value: unknown;
  /** A sentence. */
  words: string;
}

export function isClaim({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>): boolean {
  return kind === 'PersistentVolumeClaim' && apiGroup(apiVersion) === '';
}

/** The key of the object that an autoscaler scales; undefined if it does not say so. */
export function scaleTarget(autoscaler: KubeObject): string | undefined {
  const target = targetOf(autoscaler);
  return target && objectKey(target);
}

function targetOf(autoscaler: KubeObject): ObjectRef | undefined {
  const spec = autoscaler['spec'] as { scaleTargetRef?: Partial<ObjectRef> } | undefined;
  const { apiVersion, kind, name } = spec?.scaleTargetRef ?? {};
  const { namespace } = autoscaler.metadata;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof name !== 'string') return undefined;
  return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) };
}

/** Rules that leave out the replicas of whatever these autoscalers scale, whoever has set them last. */
export function autoscaledReplicas(autoscalers: readonly KubeObject[]): DriftRule[] {
  return autoscalers.flatMap((autoscaler) => {
    const target = targetOf(autoscaler);
    if (target === undefined) return [];
    const { apiVersion, kind, name, namespace = '' } = target;
    return [{ kind: kind.toLowerCase(), group: apiGroup(apiVersion), name, namespace, pointer: replicasPath }];
  });
}

export function declaresReplicas(declared: KubeObject): boolean {
  return typeof at(declared, 'spec', 'replicas') === 'number';
}

const sizePath = ['spec', 'resources', 'requests', 'storage'];
const replicasPath = ['spec', 'replicas'];

/** The field of a live object that stays, or undefined. `isAutoscaled`: an autoscaler that stays scales it. */
export function keptField(
  declared: KubeObject,
  live: KubeObject,
  isAutoscaled: boolean,
): Pick<KeptField, 'path' | 'value' | 'words'> | undefined {
  return isClaim(live) ? grownSize(declared, live) : isAutoscaled ? heldReplicas(declared, live) : undefined;
}

/** A claim cannot shrink (pkg/apis/core/validation, ValidatePersistentVolumeClaimUpdate). */
function grownSize(declared: KubeObject, live: KubeObject): ReturnType<typeof keptField> {
  const [small, large] = [declared, live].map((claim) => textAt(claim, ...sizePath));
  const [wanted, found] = [quantity(small), quantity(large)];
  if (wanted === undefined || found === undefined || found <= wanted) return undefined;
  const words = `PersistentVolumeClaim/${live.metadata.name} keeps its size of ${large ?? ''}, because a claim cannot shrink to ${small ?? ''}.`;
  return { path: sizePath, value: large, words };
}

/** A declared zero switches the autoscaler off. */
function heldReplicas(declared: KubeObject, live: KubeObject): ReturnType<typeof keptField> {
  const [wanted, now] = cut(declared, live) ?? [0, 0];
  const isScaled = ownersOf(live, replicasPath).some((one) => one.subresource === 'scale' && !isHand(one.manager));
  if (wanted === 0 || !isScaled) return undefined;
  const words = `${objectName(refOf(live))} keeps the ${counted(now, 'replica', 'replicas')} that its autoscaler has set; the manifest declares ${wanted}. Leave replicas out of the chart where an autoscaler is enabled.`;
  return { path: replicasPath, value: now, words };
}

/** A sentence on the replicas that Helm takes from an autoscaler, without a field that is kept. */
export function cutReplicasWords(declared: KubeObject, live: KubeObject): string | undefined {
  const [wanted, now] = cut(declared, live) ?? [];
  if (wanted === undefined || now === undefined || heldReplicas(declared, live) !== undefined) return undefined;
  return `${objectName(refOf(live))} has an autoscaler and ${counted(now, 'replica', 'replicas')}, and the manifest declares ${wanted}: that number applies until the autoscaler raises it again. Leave replicas out of the chart where an autoscaler is enabled.`;
}

/** The declared replicas and the live ones, if those are more. */
function cut(declared: KubeObject, live: KubeObject): [number, number] | undefined {
  const [wanted, now] = [declared, live].map((object) => at(object, ...replicasPath));
  return typeof wanted === 'number' && typeof now === 'number' && now > wanted ? [wanted, now] : undefined;
}

/** The declaration of a claim with the size that it keeps. */
export function withGrownSize(declared: KubeObject, live: KubeObject): { declared: KubeObject; words?: string } {
  const kept = isClaim(live) ? grownSize(declared, live) : undefined;
  if (kept === undefined) return { declared };
  return { declared: setAt(declared, kept.path, kept.value) as KubeObject, words: kept.words };
}

/**
 * Returns what Helm sends without a change of these fields. In a patch and in a server-side apply, a field that is left out
 * stays as another manager has set it. Helm may have applied the size of a claim itself, and would then take it away.
 */
export function withKept(sent: unknown, verb: WriteVerb, kept: readonly Pick<KeptField, 'path' | 'value'>[]): unknown {
  return kept.reduce((body, { path, value }) => {
    if (!has(body, path)) return body;
    const isLeftOut = verb === 'patch' || (verb === 'apply' && path === replicasPath);
    return setAt(body, path, isLeftOut ? undefined : value);
  }, sent);
}

function has(body: unknown, [name, ...below]: readonly string[]): boolean {
  if (name === undefined) return true;
  return isRecord(body) && Object.hasOwn(body, name) && has(body[name], below);
}

/** The path exists. An undefined value removes the field. */
function setAt(body: unknown, [name, ...below]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  if (!isRecord(body)) return body;
  const { [name]: found, ...others } = body;
  const set = setAt(found, below, value);
  return set === undefined ? others : { ...others, [name]: set };
}
