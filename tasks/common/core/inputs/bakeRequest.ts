import { comparesWithBefore } from '../metrics/condition';
import { parseServer, serverExpected, watchSeconds, type Metric, type MetricsServer } from '../metrics/metric';
import { isOfRollback } from '../release/history';
import type { Revision } from '../release/release';
import { hasCredential } from './addressCredential';
import { durationExpected, parseDuration } from './duration';
import type { InputContext, InputFiles, InputReader } from './inputs';
import { readMetricsDocument } from './metricsDocument';
import { mustPassTests, type SmokeTestRequest } from './smokeTestRequest';

export interface MetricsRequest {
  metrics: readonly Metric[];
  /** Needed if a metric asks Prometheus. Absent: the address of `connection`. */
  server?: MetricsServer;
  /** The id of a generic service connection with the credentials. */
  connection?: string;
  /** Absolute. Certificate authorities beside those of the agent. */
  caFile?: string;
}

/** The checks of a healthy revision before it is verified. */
export interface BakeRequest {
  seconds: number;
  metrics?: MetricsRequest;
  onInconclusive: 'fail' | 'rollback' | 'pass';
}

export const bakeInputDefaults = {
  bakeFor: '0s',
  metrics: '',
  metricsServer: '',
  metricsConnection: '',
  metricsCaFile: '',
  onInconclusive: 'fail',
} as const;

/** Names the checks that a healthy revision needs before it is verified, in words for «before …»; undefined if it is nothing. */
export function missingProof(
  { smokeTest, bakes }: { smokeTest?: SmokeTestRequest; bakes?: true },
  revision: Revision,
): string | undefined {
  if (mustPassTests(smokeTest, revision)) return 'its tests had passed';
  return bakes === true && !isOfRollback(revision) ? 'its baking was over' : undefined;
}

/** True if the step bakes. Reads no file, because the post-job phase may have none. */
export function readBakes(read: InputReader): boolean {
  return read.text('metrics') !== '' || !/^0?s?$/.test(read.text('bakeFor'));
}

function bakeSeconds(read: InputReader): number | undefined {
  const parse = (text: string): number | undefined => (/^0s?$/.test(text) ? 0 : parseDuration(text));
  return read.parsed('bakeFor', `${durationExpected}, or 0s`, parse, 0) || undefined;
}

/**
 * Undefined if the step does not bake. The other inputs are checked all the same. `isCheck`: the step changes nothing, so
 * that there is no value from before a change, and nothing to roll back.
 */
export function readBakeRequest(
  read: InputReader,
  { files }: InputContext,
  { isCheck = false } = {},
): BakeRequest | undefined {
  const given = bakeSeconds(read);
  const onInconclusive = read.choice('onInconclusive', isCheck ? ['fail', 'pass'] : ['fail', 'rollback', 'pass']);
  const metrics = readMetrics(read, files, given);
  const watched = (metrics?.metrics ?? []).map(watchSeconds);
  for (const { name, condition } of isCheck ? (metrics?.metrics ?? []) : []) {
    if (!comparesWithBefore(condition)) continue;
    const problem = `metric ${name} compares with the value before the deploy, which a check does not know`;
    read.mistake({ input: 'metrics', problem });
  }
  const seconds = given ?? Math.max(0, ...watched);
  return seconds === 0 ? undefined : { seconds, ...(metrics === undefined ? {} : { metrics }), onInconclusive };
}

function readMetrics(read: InputReader, files: InputFiles, seconds: number | undefined): MetricsRequest | undefined {
  const server = readServer(read);
  const connection = read.optionalText('metricsConnection');
  const caFile = readCaFile(read, files);
  const source = metricsText(read, files);
  if (source === undefined) return undefined;
  const { metrics, mistakes } = readMetricsDocument(source.text, seconds);
  for (const { line, ...mistake } of mistakes) {
    read.mistake({ input: line === 0 ? source.input : `${source.input}, line ${line}`, ...mistake });
  }
  if (
    metrics.some((metric) => metric.source.kind === 'prometheus') &&
    server === undefined &&
    connection === undefined
  ) {
    read.mistake({ input: 'metricsServer', problem: `a metric has a query, so a server is needed: ${serverExpected}` });
  }
  if (connection !== undefined && server?.kind === 'service') {
    const problem = 'a Service is asked with the identity of the connection to the cluster, so leave this one empty';
    read.mistake({ input: 'metricsConnection', problem });
  }
  return {
    metrics,
    ...(server === undefined ? {} : { server }),
    ...(connection === undefined ? {} : { connection }),
    ...(caFile === undefined ? {} : { caFile }),
  };
}

function readServer(read: InputReader): MetricsServer | undefined {
  const given = read.optionalText('metricsServer');
  if (given === undefined) return undefined;
  if (hasCredential(given)) {
    const problem = 'a password in an address would be shown; give the login in metricsConnection';
    read.mistake({ input: 'metricsServer', problem });
    return undefined;
  }
  return read.parsed<MetricsServer | undefined>('metricsServer', serverExpected, parseServer, undefined);
}

function readCaFile(read: InputReader, files: InputFiles): string | undefined {
  const given = read.optionalText('metricsCaFile');
  if (given === undefined) return undefined;
  if (files.kind(given) !== 'file') {
    const problem = 'there is no such file; expected a file with certificate authorities (PEM)';
    read.mistake({ input: 'metricsCaFile', holds: given, problem });
  }
  return files.absolute(given);
}

/** A text of one line without a colon or a bracket is the path of a file. */
function metricsText(read: InputReader, files: InputFiles): { text: string; input: string } | undefined {
  const given = read.optionalText('metrics');
  if (given === undefined) return undefined;
  const isPath = !/[\r\n]/.test(given) && (files.kind(given) === 'file' || !/:\s|^[-[{]/.test(given));
  if (!isPath) return { text: given, input: 'metrics' };
  if (files.kind(given) !== 'file') {
    const problem = 'there is no such file; relative paths start at System.DefaultWorkingDirectory';
    read.mistake({ input: 'metrics', holds: given, problem });
    return undefined;
  }
  return { text: files.readText(given), input: `metrics (${given})` };
}
