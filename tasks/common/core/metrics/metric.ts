import type { Condition } from './condition';
import { fillAddress, fillQuery, type Placeholders } from './placeholders';

/** `address`: https, http or `service:namespace/name:port/path`. `pointer`: a JSON pointer (RFC 6901). */
export type MetricSource = { kind: 'prometheus'; query: string } | { kind: 'json'; address: string; pointer: string };

export interface Metric {
  name: string;
  source: MetricSource;
  condition: Condition;
  initialDelaySeconds: number;
  intervalSeconds: number;
  /** How many samples are taken, each at the end of an interval. */
  count: number;
  /** How many samples may fail. */
  failureLimit: number;
  /** How many samples may be inconclusive. */
  inconclusiveLimit: number;
}

/** How long a metric is watched. */
export function watchSeconds({ initialDelaySeconds, intervalSeconds, count }: Metric): number {
  return initialDelaySeconds + intervalSeconds * count;
}

/** A server: by its address, or by a Service behind the service proxy of the API server. */
export type MetricsServer =
  | { kind: 'address'; url: string }
  /** `port` is a number or a name; `isSecure`: the Service speaks TLS. `path` is empty or begins with a slash. */
  | { kind: 'service'; namespace: string; name: string; port: string; isSecure: boolean; path: string };

export const serverExpected =
  'an address (https://prometheus.example.com) or service:namespace/name:port, for example service:monitoring/prometheus:9090';

const servicePattern =
  /^service:([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/(https:)?([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?):([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(\/[^\s#]*)?$/;

/** Undefined if the text is neither form. An address with a user or a password is none. */
export function parseServer(text: string): MetricsServer | undefined {
  const match = servicePattern.exec(text);
  if (match !== null) {
    const [, namespace = '', secure, name = '', port = '', path = ''] = match;
    return { kind: 'service', namespace, name, port, isSecure: secure !== undefined, path };
  }
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const { username, password, hash } = new URL(text);
  return username !== '' || password !== '' || hash !== '' ? undefined : { kind: 'address', url: text };
}

export function filledSource(source: MetricSource, values: Placeholders): MetricSource {
  return source.kind === 'prometheus'
    ? { ...source, query: fillQuery(source.query, values).text }
    : { ...source, address: fillAddress(source.address, values).text };
}

/** For people. */
export function sourceText(source: MetricSource): string {
  return source.kind === 'prometheus'
    ? source.query
    : `${source.address}${source.pointer === '' ? '' : ` ${source.pointer}`}`;
}
