import { scaleTarget } from '../../release/keptFields';
import { isDeclared } from '../../helm/chartCrds';
import type { Path } from '../../kubernetes/fieldPath';
import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { objectKey } from '../../kubernetes/manifest';
import { helmDeletions, type HelmDeletion } from '../../helm/provenance';
import { lastWrites, passingDeletions, type RehearsedWrite } from '../../helm/rehearsal';
import type { Revision } from '../../release/release';
import { otherOwner } from '../../release/mergeBase';
import { isDefinition, type Instances } from '../model/definitions';
import { placedObjects, type ManifestReader, type Placed } from '../model/places';
import type { ReleasePlanInputs } from '../model/types';

/** An object that the rollback may touch. The manifests are unchanged. */
export interface Candidate {
  key: string;
  /** The reference has the target's API version if the target declares the object. */
  ref: ObjectRef;
  target?: KubeObject;
  /** The object in the manifest from which Helm merges. */
  base?: KubeObject;
  last?: KubeObject;
  /** The object in the newest passed revision before the last one that declares it. */
  earlier?: KubeObject;
  live?: KubeObject;
  /** The last write of the rehearsal to the object. */
  write?: RehearsedWrite;
  /** True if the rehearsal deleted the object and created it again. */
  isRecreated: boolean;
  /** Why Helm deletes the object by its rules. */
  predicted?: HelmDeletion<ObjectRef>['why'];
  /** Absent if the object belongs to this release by Helm's criteria. */
  owner?: string;
  isAutoscaled: boolean;
  /** Of an object with data that a deploy drops: why it stays, or '' if the task deletes it. */
  dropped?: string;
  /** The fields that the chart makes up at each deploy. */
  generated: readonly Path[];
  /** Why nobody knows what becomes of the object, as a clause; absent if a rehearsal shows it. */
  unforeseen?: string;
  /** Only for a definition; absent if nobody has looked. */
  instances?: Instances;
}

const ownerAnnotation = 'meta.helm.sh/release-name';

/** Objects of the target, then of the last revision, of older revisions, and of the rehearsal alone. */
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
  // The newest revision comes last, so that it wins.
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
        ...present({ ...found, ...deployed(key, ref, inputs), owner, instances }),
        generated: inputs.deploy?.generated.objects.get(key) ?? [],
        key,
        ref,
        isRecreated: recreated.has(key),
        isAutoscaled: autoscaled.has(key),
      },
    ];
  });
}

/** Facts about an object that only the plan of a deploy has. */
function deployed(
  key: string,
  ref: ObjectRef,
  { deploy }: ReleasePlanInputs,
): { dropped?: string | undefined; unforeseen?: string | undefined } {
  if (deploy === undefined) return {};
  const isNewKind = isDeclared(deploy.definitions, ref);
  const unforeseen = isNewKind ? 'Helm installs the definition of its kind first' : deploy.unforeseen || undefined;
  return { dropped: deploy.dropped.get(key), unforeseen };
}

function refsOf(objects: ReadonlyMap<string, Placed>): (ObjectRef & { key: string })[] {
  return [...objects.values()].map(({ ref, key }) => ({ ...ref, key }));
}

function present<T extends object>(value: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [Name in keyof T]?: Exclude<T[Name], undefined>;
  };
}

/** If Helm merges from an object without its marks, somebody has replaced the object; it has no other owner. */
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

function autoscaledKeys({ autoscalers, live }: Pick<ReleasePlanInputs, 'autoscalers' | 'live'>): Set<string> {
  const all = [...autoscalers, ...[...live.values()].filter(({ kind }) => kind === 'HorizontalPodAutoscaler')];
  return new Set(all.flatMap((autoscaler) => scaleTarget(autoscaler) ?? []));
}
