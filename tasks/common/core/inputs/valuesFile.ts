import { isCollection, isMap, isScalar, parseAllDocuments, visit, type Document } from 'yaml';
import { isNestedTooDeep } from '../kubernetes/yamlDepth';

/** Quotes nothing of the text. */
export interface ValuesFileCheck {
  /** A certain error. Helm decides the rest. */
  problem?: string;
  /** Something that Helm may read differently than intended. */
  warning?: string;
}

export function checkValuesFile(text: string): ValuesFileCheck {
  if (isNestedTooDeep(text)) return { problem: 'is nested deeper than any values may be' };
  const withoutMark = text.replace(/^\ufeff/, '');
  // Helm reads YAML 1.1 and accepts duplicate keys.
  const documents = parseAllDocuments(withoutMark, {
    version: '1.1',
    uniqueKeys: false,
    strict: false,
    logLevel: 'silent',
    // Excerpts for many errors would take a long time.
    prettyErrors: false,
  });
  const [first, ...more] = Array.isArray(documents) ? documents : [];
  const problem = first && documentProblem(first, withoutMark);
  const filled = more.filter((document) => !isEmpty(document)).length;
  return {
    ...(problem === undefined ? {} : { problem }),
    ...(filled === 0 ? {} : { warning: `holds ${filled + 1} YAML documents: ${severalDocuments}` }),
  };
}

// Measured with 3.17, 4.1 and 4.2.
const severalDocuments = 'Helm 3 reads only the first, Helm 4 merges them all; put each into its own file';

function documentProblem(document: Document.Parsed, text: string): string | undefined {
  const [error] = document.errors;
  if (error !== undefined) {
    const before = text.slice(0, error.pos[0]).split('\n');
    return `is not YAML at line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} (${error.code})`;
  }
  const unreadable = unreadableNode(document);
  if (unreadable !== undefined) return `is not YAML that Helm reads: ${unreadable}`;
  return isEmpty(document) || isMap(document.contents) ? undefined : 'is YAML, but not a mapping of names to values';
}

function isEmpty({ contents }: Document.Parsed): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

function unreadableNode(document: Document.Parsed): string | undefined {
  let problem: string | undefined;
  const anchors = new Set<string>();
  visit(document, {
    Value: (_, { anchor }) => {
      if (anchor !== undefined) anchors.add(anchor);
    },
    Pair: (_, { key }) => {
      if (!isCollection(key)) return undefined;
      problem = 'it holds a key that is a mapping or a list itself, as an unquoted {{ }} is';
      return visit.BREAK;
    },
    Alias: (_, alias) => {
      if (anchors.has(alias.source)) return undefined;
      problem = 'it refers to an anchor that it does not have';
      return visit.BREAK;
    },
  });
  return problem;
}

/** Returns true for an address that Helm fetches, also one for a getter plug-in. */
export function isAddress(reference: string): boolean {
  // A single letter before the colon is a Windows drive.
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(reference);
}

/** Returns true for an address that a plug-in of Helm reads, such as `secrets://`. */
export function isPluginAddress(reference: string): boolean {
  return isAddress(reference) && !/^https?:/i.test(reference);
}

/** Helm splits the argument of `--values` as a line of CSV. */
export function valuesFlagArgument(reference: string): string {
  return /[",\r\n]/.test(reference) ? `"${reference.replaceAll('"', '""')}"` : reference;
}
