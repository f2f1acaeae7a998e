import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  parseAllDocuments,
  type Document,
  type Node,
  type Scalar,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { readPlainYaml } from './goYamlEvents';
import { fieldName, mergedFields, scalarValue, Unreadable } from './goYamlValues';
import { isNestedTooDeep } from './yamlDepth';

/*
 * YAML as Helm, kubectl and client-go read it: sigs.k8s.io/yaml over go-yaml v2 (goyaml.v2/resolve.go and decode.go),
 * which is neither YAML 1.1 nor 1.2. `y` is a boolean and 0644 is octal, but times and base 60 numbers are texts. The
 * last of two equal keys counts. A merge key takes effect at its own position.
 */

/** `line` counts from 1 in the whole text, and is 0 if the problem has no place. */
type YamlDocument = { value: unknown } | { problem: string; line: number };

/** Never throws. A document of comments alone is null. The values are frozen, because many revisions share them. */
export function readGoYaml(text: string): YamlDocument[] {
  return [...goYamlDocuments(text)];
}

/** Yields one document at a time, so that a caller can do something else in between. */
export function* goYamlDocuments(text: string): Generator<YamlDocument, void> {
  let start = 0;
  let line = 0;
  // apimachinery's YAMLReader cuts here too.
  for (const { 0: separator, index } of text.matchAll(/^---[^\S\r\n]*(?:#[^\r\n]*)?(?:\r?\n|$)/gm)) {
    const part = text.slice(start, index);
    yield documentAt(part, line);
    line += lineBreaks(part) + lineBreaks(separator);
    start = index + separator.length;
  }
  yield documentAt(text.slice(start), line);
}

/** Documents that were read recently, by their text, oldest first. */
const known = new Map<string, YamlDocument>();
let knownLength = 0;
/** Enough for several revisions of the largest charts. Unit: characters. */
const knownLengthAtMost = 32_000_000;

function documentAt(text: string, linesBefore: number): YamlDocument {
  const document = known.get(text) ?? remembered(text, frozen(readDocument(text)));
  return 'value' in document || linesBefore === 0 ? document : { ...document, line: linesBefore + document.line };
}

function remembered(text: string, document: YamlDocument): YamlDocument {
  known.set(text, document);
  knownLength += text.length;
  for (const oldest of known.keys()) {
    if (knownLength <= knownLengthAtMost) break;
    known.delete(oldest);
    knownLength -= oldest.length;
  }
  return document;
}

function frozen<Value>(value: Value): Value {
  // An alias is the same object in several places.
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const field of Object.values(Object.freeze(value))) frozen(field);
  return value;
}

function lineBreaks(text: string): number {
  return text.split('\n').length - 1;
}

/** js-yaml is ten times as fast. The other parser also reads what js-yaml refuses, and says where a problem is. */
function readDocument(text: string): YamlDocument {
  return readPlainYaml(text) ?? readOddYaml(text);
}

export function readOddYaml(text: string): YamlDocument {
  if (isNestedTooDeep(text)) return { problem: 'it is nested deeper than any object may be', line: 1 };
  const [document] = parsed(text);
  if (document === undefined) return { value: null };
  const [error] = document.errors;
  if (error !== undefined) return { problem: error.code, line: 1 + lineBreaks(text.slice(0, error.pos[0])) };
  try {
    return { value: new Reader().read(document.contents) };
  } catch (thrown) {
    if (thrown instanceof Unreadable) return { problem: thrown.message, line: 1 };
    throw thrown;
  }
}

/** Each pass indents what the parser reports. It may report the next place in the next pass only. */
const passesAtMost = 20;

/**
 * go-yaml allows the lines of a flow collection or a quoted text to begin in any column, as in the output of
 * `toPrettyJson` without `indent`. This parser requires indentation, so such lines are indented where it reports the
 * error.
 */
function parsed(text: string): readonly Document.Parsed[] {
  let movedText = text;
  for (let pass = 1; ; pass += 1) {
    const documents = parseAllDocuments(movedText, {
      version: '1.1',
      schema: 'failsafe',
      uniqueKeys: false,
      strict: false,
      logLevel: 'silent',
      // Quoting the source for each of many errors would take long.
      prettyErrors: false,
    });
    const all = Array.isArray(documents) ? documents : [];
    const error = all[0]?.errors[0];
    if (error === undefined || pass === passesAtMost) return all;
    const moved = movedIn(movedText, error);
    if (moved === movedText) return all;
    movedText = moved;
  }
}

function movedIn(text: string, { code, message, pos }: YAMLError): string {
  if (code === 'BAD_INDENT' && message.startsWith('Flow')) return withFlowsMovedIn(text);
  const quote = code === 'MISSING_CHAR' ? /^Missing closing (["'])quote/.exec(message)?.[1] : undefined;
  return quote === undefined ? text : withQuoteMovedIn(text, quote, pos[0]);
}

const farIn = ' '.repeat(200);

/** Indents the lines of the quoted text that the parser gives up at `end`. Quoted texts lose such indentation. */
function withQuoteMovedIn(text: string, quote: string, end: number): string {
  const start = tokenStart(text, end);
  const whole = quote === '"' ? /"(?:[^"\\]|\\[^])*"/y : /'(?:[^']|'')*'/y;
  whole.lastIndex = start;
  const found = whole.exec(text)?.[0];
  if (found === undefined) return text;
  return text.slice(0, start) + found.replaceAll('\n', `\n${farIn}`) + text.slice(start + found.length);
}

/** The start of the lexer's token that ends at `end`. */
function tokenStart(text: string, end: number): number {
  let at = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === flowEnd || otherMarks.has(token)) continue;
    if (at + token.length >= end) return at;
    at += token.length;
  }
  return at;
}

const [flowEnd, otherMarks] = ['\u0018', new Set(['\ufeff', '\u0002', '\u001f'])];

/** Indents each flow collection that the lexer gives up at the beginning of a line, from that line to its end. */
function withFlowsMovedIn(text: string): string {
  const parts: string[] = [];
  let at = 0;
  let taken = 0;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === flowEnd) {
      if (at >= taken && depth > 0) {
        const end = endOfFlow(text, at, depth);
        const start = text.lastIndexOf('\n', at - 1) + 1;
        parts.push(text.slice(taken, start), text.slice(start, end).replace(/^(?! {200})/gm, farIn));
        taken = end;
      }
      depth = 0;
    } else if (!otherMarks.has(token)) {
      if (at >= taken && (token === '{' || token === '[')) depth += 1;
      if (at >= taken && (token === '}' || token === ']')) depth -= 1;
      at += token.length;
    }
    if (at < taken) depth = 0;
  }
  return parts.join('') + text.slice(taken);
}

/** At `from`, `depth` levels of the flow collection are open. */
function endOfFlow(text: string, from: number, depth: number): number {
  // Inside a plain scalar, a quote is an ordinary character.
  const token = /(?<=[\s,:[{])"(?:[^"\\]|\\[^])*"|(?<=[\s,:[{])'(?:[^']|'')*'|[[{}\]]/g;
  token.lastIndex = from;
  let open = depth;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    if (found[0] === '{' || found[0] === '[') open += 1;
    if (found[0] === '}' || found[0] === ']') open -= 1;
    if (open === 0) return token.lastIndex;
  }
  return text.length;
}

/** Reads every node once, however many aliases point to it. */
class Reader {
  private readonly known = new Map<Node, unknown>();
  private readonly open = new Set<Node>();
  /** An alias refers to the last definition of its anchor before it. Nodes are read in the order of the text. */
  private readonly anchors = new Map<string, Scalar | YAMLMap | YAMLSeq>();

  read(node: unknown): unknown {
    if (isAlias(node)) {
      const target = this.anchors.get(node.source);
      if (target === undefined) throw new Unreadable('UNKNOWN_ANCHOR');
      return isScalar(target) ? valueOf(target) : this.collection(target);
    }
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return null;
    if (node.anchor !== undefined) this.anchors.set(node.anchor, node);
    return isScalar(node) ? valueOf(node) : this.collection(node);
  }

  private collection(node: YAMLMap | YAMLSeq): unknown {
    const known = this.known.get(node);
    if (known !== undefined) return known;
    if (this.open.has(node)) throw new Unreadable('ANCHOR_CONTAINS_ITSELF');
    this.open.add(node);
    const value = isMap(node) ? Object.fromEntries(this.fieldsOf(node)) : node.items.map((item) => this.read(item));
    this.open.delete(node);
    this.known.set(node, value);
    return value;
  }

  private fieldsOf(map: YAMLMap): Map<string, unknown> {
    const fields = new Map<string, unknown>();
    for (const { key, value } of map.items) {
      if (isMergeKey(key)) for (const [name, field] of mergedFields(this.read(value))) fields.set(name, field);
      else fields.set(fieldName(this.read(key)), this.read(value));
    }
    return fields;
  }
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<';
}

function valueOf({ value, type, tag }: Scalar): unknown {
  return scalarValue(typeof value === 'string' ? value : '', type === 'PLAIN' || type === undefined, tag);
}
