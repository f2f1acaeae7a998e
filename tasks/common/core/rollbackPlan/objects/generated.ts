import { changesOf } from '../../kubernetes/fieldDifferences';
import { pathText, withValueAt, type Path } from '../../kubernetes/fieldPath';
import { hookObject, isSecret } from '../../kubernetes/manifest';
import type { KubeObject } from '../../kubernetes/object';
import { comparable } from '../model/comparable';
import { placed, placedObjects, type ManifestReader, type Placed } from '../model/places';
import type { Generated, ServedKinds } from '../model/types';

/*
 * Some charts make passwords, certificates and names up at each rendering. Two renderings of the same chart and values
 * show which ones. A plan names their places, and its digest leaves their values out.
 */

export interface RenderedChart {
  manifest: string;
  hooks: readonly { manifest?: string }[];
}

interface Reading {
  read: ManifestReader;
  namespace: string;
  served: ServedKinds;
}

/** Compares the rendering that a plan shows with another one of the same chart and values. */
export function generatedFields(shown: RenderedChart, other: RenderedChart, reading: Reading): Generated {
  const { read, namespace, served } = reading;
  const objectsOf = ({ manifest }: RenderedChart): Map<string, Placed> =>
    placedObjects(read(manifest), namespace, served);
  const hooksOf = ({ hooks }: RenderedChart): Map<string, Placed> =>
    new Map(
      hooks
        .flatMap(({ manifest }) => hookObject(manifest) ?? [])
        .map((object) => placed(object, namespace, served))
        .map((place) => [place.key, place]),
    );
  return {
    objects: differing(objectsOf(shown), objectsOf(other)),
    hooks: differing(hooksOf(shown), hooksOf(other)),
  };
}

type Places = ReadonlyMap<string, Placed>;

function differing(shown: Places, other: Places): Map<string, readonly Path[]> {
  const unpaired = [...other.values()].filter(({ key }) => !shown.has(key));
  const found = [...shown.values()].map((place): [string, readonly Path[]] => {
    const same = other.get(place.key);
    if (same !== undefined) return [place.key, differences(place.object, same.object)];
    // An object whose name is made up has its counterpart under another name, at the same place in the chart.
    const index = unpaired.findIndex(({ ref }) => isSameKind(ref, place.ref));
    const [counterpart] = index < 0 ? [] : unpaired.splice(index, 1);
    const others = counterpart === undefined ? [] : differences(place.object, counterpart.object);
    return [place.key, [['metadata', 'name'], ...others.filter((path) => pathText(path) !== nameField)]];
  });
  return new Map(found.filter(([, paths]) => paths.length > 0));
}

const nameField = 'metadata.name';

function isSameKind(one: Placed['ref'], other: Placed['ref']): boolean {
  return one.apiVersion === other.apiVersion && one.kind === other.kind && one.namespace === other.namespace;
}

function differences(one: KubeObject, other: KubeObject): Path[] {
  return changesOf(comparable(one, false), comparable(other, false)).map(({ path }) => path);
}

/** Stands for a value that is another one at each deploy. */
export const generatedValue = '(new at each deploy)';

/** The API server moves the `stringData` of a Secret into its data. */
export function withoutGenerated(object: KubeObject, paths: readonly Path[]): KubeObject {
  const all = isSecret(object)
    ? paths.flatMap((path) => (path[0] === 'stringData' ? [path, ['data', ...path.slice(1)]] : [path]))
    : paths;
  return all.reduce<unknown>((rest, path) => withValueAt(rest, path, generatedValue), object) as KubeObject;
}
