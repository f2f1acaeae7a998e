import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { objectKey } from '../../kubernetes/manifest';
import { helmDeletions, type HelmDeletion } from '../../helm/provenance';
import { lastWrites, passingDeletions, type RehearsedWrite } from '../../helm/rehearsal';
import type { Revision } from '../../release/release';
import { otherOwner } from '../../release/mergeBase';
import { isDefinition, type Instances } from '../model/definitions';
import { placedObjects, type ManifestReader, type Placed } from '../model/places';
import type { ReleasePlanInputs } from '../model/types';

/** An object that the rollback may touch, with all that is known of it. Manifests as they stand there. */
export interface Candidate {
  key: string;
  /** In the version of the target, where that declares it. */
  ref: ObjectRef;
  target?: KubeObject;
  /** As Helm merges from it. */
  base?: KubeObject;
  last?: KubeObject;
  /** As the newest revision had it that the rollback passes and that is not the last. */
  earlier?: KubeObject;
  live?: KubeObject;
  /** What the rehearsal did to it in the end. */
  write?: RehearsedWrite;
  /** The rehearsal deleted it and made it anew. */
  isRecreated: boolean;
  /** Why Helm deletes it by its rules; absent where it does not. */
  predicted?: HelmDeletion<ObjectRef>['why'];
  /** Whose it is; absent where it is this release's, as far as Helm would say. */
  owner?: string;
  isAutoscaled: boolean;
  /** Of a CustomResourceDefinition; absent where nobody has looked. */
  instances?: Instances;
}

/** What Helm writes on everything that it makes. */
const ownerAnnotation = 'meta.helm.sh/release-name';

/** In the order: the target's, the last revision's, those of older ones, and what only the rehearsal touched. */
export function candidates(
  inputs: ReleasePlanInputs,
  read: ManifestReader,
  target: Revision,
  passed: readonly Revision[],
): Candidate[] {
  const { namespace, served, baseManifest, rehearsal, live, helm } = inputs;
  const place = (manifest: string): Map<string, Placed> => placedObjects(read(manifest), namespace, served);
  const wanted = place(target.manifest);
  const last = place(passed[0]?.manifest ?? '');
  const base = baseManifest === undefined ? last : place(baseManifest);
  // The newest counts, so it is put in last.
  const earlier = new Map(
    passed
      .slice(1)
      .toReversed()
      .flatMap(({ manifest }) => [...place(manifest)]),
  );
  const writes = rehearsal === undefined ? new Map<string, RehearsedWrite>() : lastWrites(rehearsal);
  const recreated = new Set(
    (rehearsal === undefined ? [] : passingDeletions(rehearsal)).map(({ ref }) => objectKey(ref)),
  );
  const predicted = new Map(
    helmDeletions(helm.rules, refsOf(base), refsOf(wanted)).map(({ object, why }) => [object.key, why] as const),
  );
  const autoscaled = autoscaledKeys(inputs);
  const keys = new Set([...wanted.keys(), ...last.keys(), ...base.keys(), ...earlier.keys(), ...writes.keys()]);
  return [...keys].flatMap((key) => {
    const write = writes.get(key);
    const ref = [wanted, last, base, earlier].map((objects) => objects.get(key)).find(Boolean)?.ref ?? write?.ref;
    if (ref === undefined) return [];
    const found = {
      key,
      ref,
      target: wanted.get(key)?.object,
      base: base.get(key)?.object,
      last: last.get(key)?.object,
      earlier: earlier.get(key)?.object,
      live: live.get(key),
      write,
      predicted: predicted.get(key),
    };
    const owner = ownerOf(found, inputs);
    const instances = isDefinition(ref) ? inputs.instances?.get(ref.name) : undefined;
    return [
      {
        ...present({ ...found, owner, instances }),
        key,
        ref,
        isRecreated: recreated.has(key),
        isAutoscaled: autoscaled.has(key),
      },
    ];
  });
}

function refsOf(objects: ReadonlyMap<string, Placed>): (ObjectRef & { key: string })[] {
  return [...objects.values()].map(({ ref, key }) => ({ ...ref, key }));
}

/** Without the fields that are undefined. */
function present<T extends object>(value: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [Name in keyof T]?: Exclude<T[Name], undefined>;
  };
}

/** Of an object that Helm merges from, missing marks say nothing: somebody replaced it whole. */
function ownerOf(
  { live, base }: { live: KubeObject | undefined; base: KubeObject | undefined },
  { release, namespace }: ReleasePlanInputs,
): string | undefined {
  if (live === undefined) return undefined;
  const isMarked = live.metadata.annotations?.[ownerAnnotation] !== undefined;
  return isMarked || base === undefined ? otherOwner(live, { name: release, namespace }) : undefined;
}

export function isOwnedByRelease(live: KubeObject | undefined): boolean {
  return live?.metadata.annotations?.[ownerAnnotation] !== undefined;
}

/** What a HorizontalPodAutoscaler scales, by `objectKey`: its replicas change by themselves. */
export function autoscaledKeys({ autoscalers, live }: Pick<ReleasePlanInputs, 'autoscalers' | 'live'>): Set<string> {
  const all = [...autoscalers, ...[...live.values()].filter(({ kind }) => kind === 'HorizontalPodAutoscaler')];
  return new Set(all.flatMap((autoscaler) => scaleTarget(autoscaler) ?? []));
}

export function scaleTarget(autoscaler: KubeObject): string | undefined {
  const spec = autoscaler['spec'] as { scaleTargetRef?: Partial<ObjectRef> } | undefined;
  const { apiVersion, kind, name } = spec?.scaleTargetRef ?? {};
  const { namespace } = autoscaler.metadata;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof name !== 'string') return undefined;
  return objectKey({ apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) });
}
