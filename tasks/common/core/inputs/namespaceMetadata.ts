import type { InputReader } from './inputs';

/** Labels and annotations of the release's namespace. */
export interface NamespaceMetadata {
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** A namespace that exists gets them too. */
  update: boolean;
}

export const namespaceMetadataDefaults = {
  namespaceLabels: '',
  namespaceAnnotations: '',
  updateNamespace: 'false',
} as const;

type MetadataInput = 'namespaceLabels' | 'namespaceAnnotations';

/** Returns undefined if the inputs name none. */
export function readNamespaceMetadata(read: InputReader, createNamespace: boolean): NamespaceMetadata | undefined {
  const labels = readPairs(read, 'namespaceLabels', labelValue);
  const annotations = readPairs(read, 'namespaceAnnotations', /^/);
  const update = read.boolean('updateNamespace');
  const isEmpty = Object.keys(labels).length + Object.keys(annotations).length === 0;
  if (isEmpty) return undefined;
  if (!createNamespace && !update) {
    const input = Object.keys(labels).length > 0 ? 'namespaceLabels' : 'namespaceAnnotations';
    read.mistake({ input, problem: 'it has an effect only with createNamespace: true or updateNamespace: true' });
  }
  return { labels, annotations, update };
}

const prefix = String.raw`(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?`;
const key = new RegExp(`^${prefix}[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`);
const labelValue = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;

/** The API server sets it to the name of the namespace. */
const fixedLabel = 'kubernetes.io/metadata.name';

function readPairs(read: InputReader, input: MetadataInput, value: RegExp): Record<string, string> {
  const pairs = read.lines(input).flatMap(({ text, number }): [string, string][] => {
    const at = text.indexOf('=');
    const [name, content] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
    if (at > 0 && key.test(name) && value.test(content) && name !== fixedLabel) return [[name, content]];
    const what = input === 'namespaceLabels' ? 'a label' : 'an annotation';
    read.mistake({ input, holds: text, problem: `line ${number}: expected ${what} as key=value` });
    return [];
  });
  return Object.fromEntries(pairs);
}
