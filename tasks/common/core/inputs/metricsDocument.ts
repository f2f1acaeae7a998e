import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type YAMLMap } from 'yaml';
import { isNestedTooDeep } from '../kubernetes/yamlDepth';
import { isPointer } from '../metrics/answer';
import { conditionExpected, parseCondition, type Condition } from '../metrics/condition';
import { parseServer, serverExpected, type Metric, type MetricSource } from '../metrics/metric';
import { fillAddress, fillQuery, type Placeholders } from '../metrics/placeholders';
import { hasCredential } from './addressCredential';
import { durationExpected, parseDuration } from './duration';

/** `line` counts from 1, and is 0 if the mistake has no place. */
export interface MetricsMistake {
  line: number;
  holds?: string;
  problem: string;
}

export interface MetricsDocument {
  metrics: readonly Metric[];
  mistakes: readonly MetricsMistake[];
}

const mostMetrics = 20;
const mostSamples = 500;
const defaultInterval = 30;
const defaultCount = 5;

interface Timing {
  initialDelaySeconds: number;
  intervalSeconds: number;
  /** Undefined: as many as fit into the baking. */
  count: number | undefined;
  failureLimit: number;
  inconclusiveLimit: number;
}

const timingKeys = ['interval', 'count', 'initialDelay', 'failureLimit', 'inconclusiveLimit'] as const;
const metricKeys = ['name', 'query', 'url', 'jsonPointer', 'successCondition', ...timingKeys] as const;
const topKeys = ['metrics', ...timingKeys] as const;

/**
 * Reads the metrics of a baking: a list of metrics, or a mapping with the list and with values that all of them share.
 * `bakeSeconds`: a metric without a count then takes as many samples as fit. Returns every mistake.
 */
export function readMetricsDocument(text: string, bakeSeconds: number | undefined): MetricsDocument {
  if (isNestedTooDeep(text)) return { metrics: [], mistakes: [{ line: 0, problem: 'it is nested too deep' }] };
  const whole = parsed(text);
  // The agent trims an input, so that its first line has lost an indentation that the others have.
  const moved = whole.document.errors.length === 0 ? [] : movedTexts(text).map(parsed);
  const { document, lines } = moved.find((each) => each.document.errors.length === 0) ?? whole;
  const mistakes: MetricsMistake[] = document.errors.map(({ pos, message }) => ({
    line: lines.linePos(pos[0]).line,
    problem: `this is no YAML: ${message.split('\n')[0] ?? ''}`,
  }));
  if (mistakes.length > 0) return { metrics: [], mistakes };
  const reader = new MetricsReader(lines, mistakes, bakeSeconds);
  return { metrics: reader.document(document.contents), mistakes };
}

function parsed(text: string) {
  const lines = new LineCounter();
  return { lines, document: parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' }) };
}

/** The text with less indentation from its second line on. A first line that begins a list is followed by deeper ones. */
function movedTexts(text: string): string[] {
  const indents = [...text.matchAll(/(?<=\n) *(?=[^ \r\n])/g)].map(([indent]) => indent.length);
  const least = Math.min(...indents);
  if (!Number.isFinite(least)) return [];
  return [least, least - 2].filter((by) => by > 0).map((by) => text.replaceAll(`\n${' '.repeat(by)}`, '\n'));
}

/** The fields of one mapping, by key, each with the line of its value. */
type Fields = ReadonlyMap<string, { value: unknown; line: number }>;

const example: Placeholders = { release: 'release', namespace: 'namespace', revision: '1', interval: '30s' };

class MetricsReader {
  constructor(
    private readonly lines: LineCounter,
    private readonly mistakes: MetricsMistake[],
    private readonly bakeSeconds: number | undefined,
  ) {}

  document(node: unknown): Metric[] {
    const fallback: Timing = {
      initialDelaySeconds: 0,
      intervalSeconds: defaultInterval,
      count: this.bakeSeconds === undefined ? defaultCount : undefined,
      failureLimit: 0,
      inconclusiveLimit: 0,
    };
    if (isSeq(node)) return this.list(node.items, fallback);
    if (!isMap(node)) {
      this.mistakes.push({ line: this.lineOf(node), problem: 'expected a list of metrics, or a mapping with metrics' });
      return [];
    }
    const fields = this.fields(node, topKeys);
    const timing = this.timing(fields, fallback);
    const list = fields.get('metrics')?.value;
    if (isSeq(list)) return this.list(list.items, timing);
    this.mistakes.push({ line: this.lineOf(list), problem: 'metrics is missing, or is no list' });
    return [];
  }

  private list(items: readonly unknown[], timing: Timing): Metric[] {
    if (items.length === 0 || items.length > mostMetrics) {
      this.mistakes.push({ line: 0, problem: `expected 1 to ${mostMetrics} metrics, found ${items.length}` });
      return [];
    }
    const names = new Set<string>();
    return items.flatMap((item) => {
      if (!isMap(item)) {
        this.mistakes.push({ line: this.lineOf(item), problem: 'expected a metric, which is a mapping with a name' });
        return [];
      }
      const metric = this.metric(item, timing);
      if (metric === undefined) return [];
      if (names.has(metric.name)) {
        this.mistakes.push({ line: this.lineOf(item), problem: `there are two metrics ${metric.name}` });
      }
      names.add(metric.name);
      return [metric];
    });
  }

  private metric(node: YAMLMap, shared: Timing): Metric | undefined {
    const line = this.lineOf(node);
    const fields = this.fields(node, metricKeys);
    const name = this.text(fields, 'name', (text) => (/^[\w][\w .:/-]{0,62}$/.test(text) ? text : undefined), {
      expected: 'a name of letters, digits, blanks and .:/_-, at most 63',
      line,
    });
    const source = this.source(fields, line);
    const condition = this.text<Condition>(fields, 'successCondition', parseCondition, {
      expected: conditionExpected,
      line,
    });
    const timing = this.timing(fields, shared);
    const { initialDelaySeconds, intervalSeconds } = timing;
    const fitting = Math.floor(((this.bakeSeconds ?? 0) - initialDelaySeconds) / intervalSeconds + 1e-9);
    const count = timing.count ?? fitting;
    if (count < 1 || count > mostSamples) {
      const problem = `a metric takes 1 to ${mostSamples} samples, and these times make it ${count}`;
      this.mistakes.push({ line, problem });
      return undefined;
    }
    for (const limit of ['failureLimit', 'inconclusiveLimit'] as const) {
      if (timing[limit] < count) continue;
      const problem = `${limit} is ${timing[limit]}, which allows all of the ${count} samples`;
      this.mistakes.push({ line: fields.get(limit)?.line ?? line, problem });
    }
    if (this.bakeSeconds !== undefined && initialDelaySeconds + intervalSeconds * count > this.bakeSeconds + 1e-6) {
      const problem = `initialDelay + interval x count is longer than bakeFor`;
      this.mistakes.push({ line, problem });
    }
    if (name === undefined || source === undefined || condition === undefined) return undefined;
    return { name, source, condition, ...timing, count };
  }

  private source(fields: Fields, line: number): MetricSource | undefined {
    const isJson = fields.has('url');
    if (isJson === fields.has('query')) {
      this.mistakes.push({ line, problem: 'a metric has either query (for Prometheus) or url (for JSON)' });
      return undefined;
    }
    if (!isJson) {
      const pointer = fields.get('jsonPointer');
      if (pointer !== undefined) this.mistakes.push({ line: pointer.line, problem: 'jsonPointer belongs to url' });
      const query = this.text(fields, 'query', (text) => text.trim() || undefined, { expected: 'a query', line });
      if (query !== undefined) this.placeholders(fields, 'query', fillQuery(query, example).problems);
      return query === undefined ? undefined : { kind: 'prometheus', query };
    }
    if (hasCredential(heldText(fields.get('url')?.value) ?? '')) {
      const problem = 'url: a password in an address would be shown; give the login in metricsConnection';
      this.mistakes.push({ line: fields.get('url')?.line ?? line, problem });
      return undefined;
    }
    const isAddress = (text: string): string | undefined =>
      parseServer(fillAddress(text, example).text) === undefined ? undefined : text;
    const address = this.text(fields, 'url', isAddress, { expected: `${serverExpected}/path`, line });
    if (address !== undefined) this.placeholders(fields, 'url', fillAddress(address, example).problems);
    const pointer = fields.has('jsonPointer')
      ? this.text(fields, 'jsonPointer', (text) => (isPointer(text) ? text : undefined), {
          expected: 'a JSON pointer, for example /status or /queues/0/length',
        })
      : '';
    return address === undefined || pointer === undefined ? undefined : { kind: 'json', address, pointer };
  }

  private placeholders(fields: Fields, key: string, problems: readonly string[]): void {
    for (const problem of new Set(problems)) this.mistakes.push({ line: fields.get(key)?.line ?? 0, problem });
  }

  private timing(fields: Fields, shared: Timing): Timing {
    const seconds = (key: string, fallback: number): number => {
      const parse = (text: string): number | undefined => (/^0s?$/.test(text) ? 0 : parseDuration(text));
      return fields.has(key) ? (this.text(fields, key, parse, { expected: durationExpected }) ?? fallback) : fallback;
    };
    const whole = <T extends number | undefined>(key: string, fallback: T): number | T => {
      const parse = (text: string): number | undefined => (/^\d{1,6}$/.test(text) ? Number(text) : undefined);
      return fields.has(key) ? (this.text(fields, key, parse, { expected: 'a whole number' }) ?? fallback) : fallback;
    };
    const intervalSeconds = seconds('interval', shared.intervalSeconds);
    if (intervalSeconds < 1) {
      this.mistakes.push({ line: fields.get('interval')?.line ?? 0, problem: 'interval is shorter than 1s' });
    }
    return {
      initialDelaySeconds: seconds('initialDelay', shared.initialDelaySeconds),
      intervalSeconds: Math.max(1, intervalSeconds),
      count: whole('count', shared.count),
      failureLimit: whole('failureLimit', shared.failureLimit),
      inconclusiveLimit: whole('inconclusiveLimit', shared.inconclusiveLimit),
    };
  }

  private fields(node: YAMLMap, known: readonly string[]): Fields {
    const fields = new Map<string, { value: unknown; line: number }>();
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const line = this.lineOf(key);
      if (known.includes(name)) fields.set(name, { value, line: this.lineOf(value) || line });
      else this.mistakes.push({ line, holds: name, problem: `this key is not known; known are ${known.join(', ')}` });
    }
    return fields;
  }

  /** Undefined, with a mistake, if the key is missing or if `parse` does not take its text. */
  private text<T>(
    fields: Fields,
    key: string,
    parse: (text: string) => T | undefined,
    { expected, line = 0 }: { expected: string; line?: number },
  ): T | undefined {
    const field = fields.get(key);
    if (field === undefined) {
      this.mistakes.push({ line, problem: `${key} is missing; expected ${expected}` });
      return undefined;
    }
    if (isAlias(field.value)) {
      this.mistakes.push({ line: field.line, problem: `${key} is an alias; write the value itself` });
      return undefined;
    }
    const held = heldText(field.value);
    const value = held === undefined ? undefined : parse(held.trim());
    if (value === undefined) {
      this.mistakes.push({
        line: field.line,
        ...(held === undefined ? {} : { holds: held }),
        problem: `${key}: expected ${expected}`,
      });
    }
    return value;
  }

  private lineOf(node: unknown): number {
    const range = (node as Partial<Node> | null | undefined)?.range;
    return range === undefined || range === null ? 0 : this.lines.linePos(range[0]).line;
  }
}

/** Undefined for a list, a mapping and null. */
function heldText(node: unknown): string | undefined {
  const value = isScalar(node) ? node.value : undefined;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}
