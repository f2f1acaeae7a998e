import type { KubeObject } from '../../kubernetes/object';
import { at } from '../../kubernetes/read';
import type { Candidate } from './candidates';

export function declarationsOf({ target, base, last, earlier }: Candidate): KubeObject[] {
  return [target, base, last, earlier].flatMap((object) => object ?? []);
}

type MarkKind = 'annotations' | 'labels';
type IsForeignMark = (kind: MarkKind, name: string) => boolean;

/** Finds annotations and labels that a controller wrote between the reading of the object and the rehearsal. */
export function foreignMarks(
  live: KubeObject | undefined,
  after: KubeObject | undefined,
  declarations: readonly KubeObject[],
): IsForeignMark {
  if (live === undefined || after === undefined) return () => false;
  const valueOf = (object: KubeObject, kind: MarkKind, name: string): unknown => at(object, 'metadata', kind, name);
  return (kind, name) =>
    valueOf(live, kind, name) !== valueOf(after, kind, name) &&
    !helmMarks.has(name) &&
    declarations.every((declared) => valueOf(declared, kind, name) === undefined);
}

const helmMarks = new Set([
  'meta.helm.sh/release-name',
  'meta.helm.sh/release-namespace',
  'app.kubernetes.io/managed-by',
]);

export function withoutMarks(object: KubeObject, isForeign: IsForeignMark): KubeObject {
  const { annotations, labels, ...metadata } = object.metadata;
  const own = (kind: MarkKind, marks: Readonly<Record<string, string>> = {}): object => {
    const kept = Object.entries(marks).filter(([name]) => !isForeign(kind, name));
    return kept.length === 0 ? {} : { [kind]: Object.fromEntries(kept) };
  };
  return { ...object, metadata: { ...metadata, ...own('annotations', annotations), ...own('labels', labels) } };
}
