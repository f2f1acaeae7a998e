import { asTaskError, TaskError } from '../../core/failure';
import { jsonReading, prometheusReading, type HttpAnswer, type Reading } from '../../core/metrics/answer';
import { parseServer, type MetricSource, type MetricsServer } from '../../core/metrics/metric';
import type { MetricsPort } from '../../core/ports';
import type { Redact } from '../../core/text/secrets';
import { refusal, statusOf, type Attempt } from '../kubernetes/errors';
import { abortableDelay, type Transport } from '../kubernetes/transport';
import { clause } from '../../core/text/sentence';

export interface MetricsOptions {
  /** The server of the queries. */
  server: MetricsServer | undefined;
  /** Sends to an origin, with the credentials for it. */
  transportTo(origin: string): Transport;
  /** The API server. */
  cluster: Transport;
  redact: Redact;
  limits?: Partial<MetricsLimits>;
}

interface MetricsLimits {
  /** An answer may have so many bytes. */
  bytes: number;
  /** One try may take this time, from its start to its last byte. */
  tryMs: number;
  /** A server that gives no answer at all is asked once more after this time. */
  pauseMs: number;
}

const defaultLimits: MetricsLimits = { bytes: 1024 * 1024, tryMs: 10_000, pauseMs: 500 };

interface Place {
  transport: Transport;
  path: string;
  attempt: Attempt;
}

/** Follows no redirect. Throws nothing but faults of this extension. */
export function createMetrics(options: MetricsOptions): MetricsPort {
  const { redact } = options;
  return {
    async read(source, signal) {
      const place = placeOf(source, options);
      const answer = await askTwice(place, signal, { ...defaultLimits, ...options.limits });
      if ('problem' in answer) return answer;
      return source.kind === 'prometheus'
        ? prometheusReading(answer, redact)
        : jsonReading(answer, source.pointer, redact);
    },
  };
}

function placeOf(source: MetricSource, options: MetricsOptions): Place {
  const server = source.kind === 'prometheus' ? options.server : parseServer(source.address);
  if (server === undefined) throw new TaskError('Internal', 'A metric has no server.');
  const query = source.kind === 'prometheus' ? `/api/v1/query?query=${encodeURIComponent(source.query)}` : '';
  if (server.kind === 'service') {
    const { namespace, name, port, isSecure, path } = server;
    return {
      transport: options.cluster,
      path: `/api/v1/namespaces/${namespace}/services/${isSecure ? 'https:' : ''}${name}:${port}/proxy${joined(path, query)}`,
      attempt: {
        verb: 'get',
        target: `the metrics of Service/${name} in namespace ${namespace}`,
        resource: { group: '', plural: 'services/proxy', namespace },
      },
    };
  }
  const { origin, pathname, search } = new URL(server.url);
  return {
    transport: options.transportTo(origin),
    path: joined(`${pathname}${search}`, query),
    attempt: { verb: 'get', target: 'the metrics', service: 'the metrics server' },
  };
}

function joined(path: string, query: string): string {
  return query === '' ? path : `${path.replace(/\/$/, '')}${query}`;
}

type Asked = HttpAnswer | Extract<Reading, { problem: string }>;

async function askTwice(place: Place, signal: AbortSignal, limits: MetricsLimits): Promise<Asked> {
  const first = await ask(place, signal, limits);
  if (!('isSilent' in first) || signal.aborted) return first;
  await abortableDelay(limits.pauseMs, [signal]);
  return ask(place, signal, limits);
}

async function ask(
  { transport, path, attempt }: Place,
  signal: AbortSignal,
  { bytes, tryMs }: MetricsLimits,
): Promise<Asked & { isSilent?: true }> {
  const late = AbortSignal.timeout(tryMs);
  try {
    const answer = await transport.send({
      method: 'GET',
      path,
      attempt,
      maxBytes: bytes,
      retry: 'never',
      signal: AbortSignal.any([signal, late]),
    });
    // The API server answers for a Service that it cannot reach, and for rights that are missing.
    if (attempt.resource !== undefined && answer.status >= 400 && statusOf(answer) !== undefined) {
      return { kind: 'unusable', problem: clause(refusal(answer, attempt, transport.server).message) };
    }
    return { status: answer.status, body: answer.body.toString('utf8') };
  } catch (thrown) {
    const problem = late.aborted
      ? `the metrics server did not answer within ${tryMs / 1000} s`
      : clause(asTaskError(thrown).message);
    return { kind: 'unusable', problem: transport.redact(problem), isSilent: true };
  }
}
