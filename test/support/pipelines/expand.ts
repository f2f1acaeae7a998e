import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import {
  evaluate,
  isMapping,
  isTrue,
  parseExpression,
  PipelineError,
  textOf,
  type Expression,
  type Value,
} from './expression';

/** An expanded pipeline, in which every scalar is a text, as the service sees it. */
export type Expanded = string | readonly Expanded[] | { readonly [key: string]: Expanded };

export interface ExpandOptions {
  /** Folders of the repository resources by name. Templates of `self` are beside the pipeline. */
  readonly repositories?: Readonly<Record<string, string>>;
  readonly parameters?: Readonly<Record<string, Value>>;
  /** Is told about each file that is read, with its size in bytes. */
  readonly onRead?: (file: string, bytes: number) => void;
}

type Node = string | readonly Node[] | { readonly [key: string]: Node };

interface Place {
  readonly names: Readonly<Record<string, Value>>;
  /** The file that holds the node. */
  readonly file: string;
  readonly root: string;
  readonly files: Files;
}

interface Files {
  read(file: string): Node;
  readonly repositories: Readonly<Record<string, string>>;
}

/** Of the predefined variables, the service gives templates only these and a few more that no template of ours uses. */
const templateVariables = {
  'System.CollectionUri': 'https://dev.azure.com/fabrikam/',
  'System.TeamProject': 'Fabrikam',
  'System.TeamProjectId': '6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c',
  'System.DefinitionId': '42',
};

const sections = ['stages', 'jobs', 'steps', 'variables'];

/** Expands a pipeline file with all of its templates. Throws on everything that it does not know. */
export function expandFile(file: string, options: ExpandOptions = {}): Expanded {
  return expandText(readFileSync(file, 'utf8'), file, options);
}

/** The same for a text. Templates are found relative to `file`. */
export function expandText(text: string, file: string, options: ExpandOptions = {}): Expanded {
  const root = path.dirname(file);
  options.onRead?.(file, Buffer.byteLength(text));
  const pipeline = parseNode(text, file);
  if (!isNodeMapping(pipeline)) throw new PipelineError(`${file}: a pipeline is a mapping`);
  const { parameters, ...body } = pipeline;
  const place: Place = {
    names: { variables: templateVariables, parameters: argumentsFor(parameters, options.parameters ?? {}, file) },
    file,
    root,
    files: filesOf(options),
  };
  return expandBody(body, place, text);
}

/** The root of a pipeline, or the template that it extends. */
function expandBody(body: Readonly<Record<string, Node>>, place: Place, text: string): Expanded {
  const { extends: extended, ...rest } = body;
  if (extended === undefined) return expandMapping(rest, place);
  if (!isNodeMapping(extended)) throw new PipelineError(`extends is a mapping in: ${text}`);
  const repositories = expandMapping(rest, place);
  const template = expandTemplate(extended, place, undefined);
  return { ...repositories, ...(template as Record<string, Expanded>) };
}

function filesOf({ repositories = {}, onRead }: ExpandOptions): Files {
  const read = new Map<string, Node>();
  return {
    repositories,
    read: (file) => {
      const known = read.get(file);
      if (known !== undefined) return known;
      const text = readFileSync(file, 'utf8');
      onRead?.(file, Buffer.byteLength(text));
      const node = parseNode(text, file);
      read.set(file, node);
      return node;
    },
  };
}

/** The failsafe schema leaves every scalar a text. Anchors and repeated keys are errors. */
function parseNode(text: string, file: string): Node {
  const document = parseDocument(text, { schema: 'failsafe', uniqueKeys: true });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw new PipelineError(`${file}: ${problem.message}`);
  if (/^[^#\n]*[:-] +[&*]\w/m.test(text)) throw new PipelineError(`${file}: the service knows no anchors`);
  return (document.toJS() as Node | null) ?? '';
}

function isNodeMapping(node: Node | undefined): node is { readonly [key: string]: Node } {
  return typeof node === 'object' && !Array.isArray(node);
}

// Parameters

function argumentsFor(
  declared: Node | undefined,
  given: Readonly<Record<string, Value>>,
  file: string,
): Record<string, Value> {
  const values: Record<string, Value> = {};
  const list = declared ?? [];
  if (!Array.isArray(list)) throw new PipelineError(`${file}: parameters are a list`);
  for (const one of list as readonly Node[]) {
    if (!isNodeMapping(one)) throw new PipelineError(`${file}: a parameter is a mapping`);
    const { name, type = 'string', default: fallback, values: allowed, displayName: _, ...rest } = one;
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new PipelineError(`${file}: ${unknown} of a parameter is not known`);
    const value = given[name as string] ?? (fallback === undefined ? undefined : plain(fallback));
    if (value === undefined) throw new PipelineError(`${file}: the parameter ${name as string} has no value`);
    values[name as string] = converted(value, { name: name as string, type: type as string, allowed, file });
  }
  const [unknown] = Object.keys(given).filter((name) => !(name in values));
  if (unknown !== undefined) throw new PipelineError(`${file}: there is no parameter ${unknown}`);
  return values;
}

function plain(node: Node): Value {
  return node;
}

function converted(
  value: Value,
  { name, type, allowed, file }: { name: string; type: string; allowed: Node | undefined; file: string },
): Value {
  const wrong = (): never => {
    throw new PipelineError(`${file}: ${name} is ${JSON.stringify(value)}, which is no ${type}`);
  };
  if (type === 'object' || /^(?:step|job|stage)List$/.test(type)) return value;
  if (typeof value === 'object' && value !== null) return wrong();
  const text = textOf(value);
  if (allowed !== undefined && !(allowed as readonly Node[]).includes(text)) {
    throw new PipelineError(`${file}: ${name} is "${text}", but it is one of ${(allowed as string[]).join(', ')}`);
  }
  switch (type) {
    case 'string':
      return text;
    case 'number':
      return text !== '' && !Number.isNaN(Number(text)) ? Number(text) : wrong();
    case 'boolean':
      return /^(?:true|false)$/i.test(text) ? text.toLowerCase() === 'true' : wrong();
    default:
      throw new PipelineError(`${file}: the type ${type} of ${name} is not known`);
  }
}

// Nodes

const wholeExpression = /^\$\{\{((?:(?!\}\})[^])*)\}\}$/;

/** Texts and numbers stay what they are; only the end result is made of texts. */
function expandValue(node: Node, place: Place): Value {
  if (typeof node === 'string') {
    const whole = wholeExpression.exec(node.trim());
    return whole === null ? expandString(node, place) : compute(whole[1] ?? '', place);
  }
  if (Array.isArray(node)) return expandList(node as readonly Node[], place);
  return expandEntries(node as Readonly<Record<string, Node>>, place);
}

function expandString(text: string, place: Place): string {
  const expanded = text.replace(/\$\{\{((?:(?!\}\})[^])*)\}\}/g, (_, inner: string) => textOf(compute(inner, place)));
  if (expanded.includes('${{')) throw new PipelineError(`${place.file}: an expression is not closed in: ${text}`);
  return expanded;
}

/** A template is expanded many times. */
const parsed = new Map<string, Expression>();

function compute(text: string, place: Place): Value {
  try {
    const expression = parsed.get(text) ?? parseExpression(text);
    parsed.set(text, expression);
    return evaluate(expression, { names: place.names });
  } catch (error) {
    throw error instanceof PipelineError ? new PipelineError(`${place.file}: ${error.message}`) : error;
  }
}

type Directive =
  | { word: 'if' | 'elseif' | 'else'; test: string }
  | { word: 'insert' }
  | { word: 'each'; variable: string; over: string };

function directiveOf(key: string, place: Place): Directive | undefined {
  const inner = wholeExpression.exec(key.trim())?.[1]?.trim();
  if (inner === undefined) return undefined;
  const test = /^(if|elseif)\b(.*)$/s.exec(inner);
  if (test) return { word: test[1] as 'if' | 'elseif', test: test[2] ?? '' };
  const each = /^each\s+(\w+)\s+in\s+(.*)$/s.exec(inner);
  if (each) return { word: 'each', variable: each[1] ?? '', over: each[2] ?? '' };
  if (inner === 'else') return { word: inner, test: 'true' };
  if (inner === 'insert') return { word: inner };
  if (/^[\w]+\b(?!\s*[(.[])/.test(inner)) throw new PipelineError(`${place.file}: ${key} is not understood`);
  return undefined;
}

/** Follows if, elseif and else: undefined outside of such a chain, else whether a branch was taken. */
interface Chain {
  taken: boolean | undefined;
}

/** The places in which the body of the directive is expanded: none, one, or one for each item. */
function placesFor(directive: Exclude<Directive, { word: 'insert' }>, chain: Chain, place: Place): Place[] {
  if (directive.word === 'each') {
    chain.taken = undefined;
    const over = compute(directive.over, place);
    return itemsOf(over, place).map((item) => ({ ...place, names: { ...place.names, [directive.variable]: item } }));
  }
  if (directive.word !== 'if' && chain.taken === undefined) {
    throw new PipelineError(`${place.file}: ${directive.word} has no if before it`);
  }
  const isOpen = directive.word === 'if' || chain.taken === false;
  const holds = isOpen && isTrue(compute(directive.test, place));
  chain.taken = directive.word === 'if' ? holds : chain.taken === true || holds;
  if (directive.word === 'else') chain.taken = undefined;
  return holds ? [place] : [];
}

function itemsOf(over: Value, place: Place): Value[] {
  if (Array.isArray(over)) return [...(over as readonly Value[])];
  if (isMapping(over)) return Object.entries(over).map(([key, value]) => ({ key, value }));
  throw new PipelineError(`${place.file}: each needs a list or a mapping`);
}

function expandList(list: readonly Node[], place: Place): Value[] {
  const chain: Chain = { taken: undefined };
  return list.flatMap((item) => {
    const keys = isNodeMapping(item) ? Object.keys(item) : [];
    const directive = keys[0] === undefined ? undefined : directiveOf(keys[0], place);
    if (!isNodeMapping(item) || directive === undefined || directive.word === 'insert') {
      chain.taken = undefined;
      return spliced(item, place);
    }
    const body = item[keys[0] ?? ''];
    // A mapping as the body of a directive makes one item of a mapping.
    if (keys.length > 1 || !Array.isArray(body)) {
      chain.taken = undefined;
      return [expandValue(item, place)];
    }
    return placesFor(directive, chain, place).flatMap((inner) => expandList(body as readonly Node[], inner));
  });
}

/** An expression that gives a list puts its items into the list around it. */
function spliced(item: Node, place: Place): Value[] {
  const value = expandValue(item, place);
  return typeof item === 'string' && Array.isArray(value) ? [...(value as readonly Value[])] : [value];
}

function expandEntries(mapping: Readonly<Record<string, Node>>, place: Place): Record<string, Value> {
  const made: Record<string, Value> = {};
  const add = (entries: Readonly<Record<string, Value>>): void => {
    for (const [key, value] of Object.entries(entries)) {
      if (key in made) throw new PipelineError(`${place.file}: the key ${key} is given twice`);
      made[key] = value;
    }
  };
  const chain: Chain = { taken: undefined };
  for (const [key, node] of Object.entries(mapping)) {
    const directive = directiveOf(key, place);
    if (directive === undefined) {
      chain.taken = undefined;
      add({ [expandString(key, place)]: expandField(key, node, place) });
    } else if (directive.word === 'insert') {
      const value = expandValue(node, place);
      if (!isMapping(value)) throw new PipelineError(`${place.file}: insert needs a mapping`);
      add(value);
    } else {
      for (const inner of placesFor(directive, chain, place)) {
        if (!isNodeMapping(node)) throw new PipelineError(`${place.file}: ${key} in a mapping needs a mapping`);
        add(expandEntries(node, inner));
      }
    }
  }
  return made;
}

/** The lists of stages, jobs, steps and variables may name templates. */
function expandField(key: string, node: Node, place: Place): Value {
  const value = expandValue(node, place);
  if (!sections.includes(key) || !Array.isArray(value)) return value;
  return includeTemplates(value as readonly Value[], key, place);
}

// Templates

/** Marks a list item that came from a template with the place of its template names. */
function includeTemplates(list: readonly Value[], section: string, place: Place): Value[] {
  return list.flatMap((item) => {
    if (!isMapping(item) || !('template' in item)) return [item];
    const included = expandTemplate(item, place, section);
    return included;
  });
}

function expandTemplate(item: { readonly [key: string]: unknown }, place: Place, section: string | undefined): Value {
  const { template, parameters = {}, ...rest } = item as Record<string, Node>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new PipelineError(`${place.file}: ${unknown} beside template is not known`);
  const inner = templatePlace(expandString(template as string, place), place);
  const node = place.files.read(inner.file);
  if (!isNodeMapping(node)) throw new PipelineError(`${inner.file}: a template is a mapping`);
  const { parameters: declared, ...body } = node;
  const given = section === undefined ? expandValue(parameters, place) : (parameters as Value);
  const names = {
    variables: templateVariables,
    parameters: argumentsFor(declared, given as Record<string, Value>, inner.file),
  };
  const expanded = expandMapping(body, { ...inner, names });
  const keys = Object.keys(expanded);
  if (section === undefined) return expanded;
  if (keys.length !== 1 || keys[0] !== section) {
    throw new PipelineError(`${inner.file}: a template for ${section} has only ${section}, not ${keys.join(', ')}`);
  }
  return expanded[section] ?? [];
}

function templatePlace(name: string, place: Place): Place {
  const [file = '', repository] = name.split('@');
  if (repository === undefined) {
    return { ...place, file: path.join(file.startsWith('/') ? place.root : path.dirname(place.file), file) };
  }
  const root = place.files.repositories[repository];
  if (root === undefined) throw new PipelineError(`${place.file}: there is no repository ${repository}`);
  return { ...place, root, file: path.join(root, file) };
}

function expandMapping(mapping: Readonly<Record<string, Node>>, place: Place): Record<string, Expanded> {
  return texts(expandEntries(mapping, place)) as Record<string, Expanded>;
}

function texts(value: Value): Expanded {
  if (Array.isArray(value)) return (value as readonly Value[]).map(texts);
  if (isMapping(value)) return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, texts(each)]));
  return textOf(value);
}
