import { isCollection, isMap, isScalar, parseAllDocuments, visit, type Document } from 'yaml';

/**
 * What Helm would refuse about the text of a values file, without any of the text: undefined when nothing is wrong.
 * Only what is surely wrong counts, Helm has the last word.
 */
export function valuesFileProblem(text: string): string | undefined {
  // Helm reads YAML 1.1 and lets a key come twice
  const documents = parseAllDocuments(text.replace(/^\ufeff/, ''), {
    version: '1.1',
    uniqueKeys: false,
    strict: false,
    logLevel: 'silent',
  });
  // Helm 3 reads the first document and no further
  const [document] = Array.isArray(documents) ? documents : [];
  if (document === undefined) return undefined;
  const [error] = document.errors;
  if (error !== undefined) {
    const [at] = error.linePos ?? [];
    return `is not YAML${at === undefined ? '' : ` at line ${at.line}, column ${at.col}`} (${error.code})`;
  }
  const unreadable = unreadableNode(document);
  if (unreadable !== undefined) return `is not YAML that Helm reads: ${unreadable}`;
  const top = document.contents;
  const isEmpty = top === null || (isScalar(top) && top.value === null);
  return isEmpty || isMap(top) ? undefined : 'is YAML, but no mapping of names to values at its top';
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

/** Whether Helm fetches it instead of opening a file: an address (a getter plugin's too). */
export function isAddress(reference: string): boolean {
  // one letter is a Windows drive
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(reference);
}

/** The argument of Helm's `--values` for one file: Helm splits it as a line of CSV. */
export function valuesFlagArgument(reference: string): string {
  return /[",\r\n]/.test(reference) ? `"${reference.replaceAll('"', '""')}"` : reference;
}
