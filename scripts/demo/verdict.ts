import type { ClientFigures } from './client';
import type { ReplicaFigures } from './watch';

/** The result of a pipeline step, as later steps see it. */
export interface StepEnd {
  readonly result: string;
  readonly outputs: Readonly<Record<string, string>>;
}

/** One line of `helm history --output json`. */
export interface HistoryLine {
  readonly revision: number;
  readonly status: string;
  readonly chart: string;
}

export interface DemoOutcome {
  readonly good: StepEnd;
  readonly bad: StepEnd;
  readonly history: readonly HistoryLine[];
  readonly replicas: ReplicaFigures;
  /** Undefined for simulated pods, which answer no requests. */
  readonly client: ClientFigures | undefined;
}

export interface Check {
  readonly isTrue: boolean;
  readonly text: string;
}

export const leastPerSecond = 20;

/** Checks each promise of the demo. The demo has succeeded if all are true. */
export function checks(outcome: DemoOutcome): Check[] {
  return [...deployChecks(outcome), ...clientChecks(outcome.client), replicaCheck(outcome.replicas)];
}

function deployChecks({ good, bad, history }: DemoOutcome): Check[] {
  const last = history.at(-1);
  const { outcome = 'unknown', reason = '', failedWorkload = '', verifiedRevision = '' } = bad.outputs;
  const isBack = last?.status === 'deployed' && last.chart === history[0]?.chart;
  return [
    {
      isTrue: good.result === 'Succeeded' && good.outputs['outcome'] === 'deployed',
      text: `version 1: step ${good.result}, outcome ${good.outputs['outcome'] ?? 'unknown'}`,
    },
    {
      isTrue: bad.result === 'Failed' && outcome === 'rolledBack',
      text: `version 2: step ${bad.result}, outcome ${outcome}`,
    },
    {
      isTrue: reason !== '' && failedWorkload !== '',
      text: `explained: ${failedWorkload || 'no workload'}, ${reason || 'no reason'}`,
    },
    {
      isTrue: isBack && verifiedRevision === String(last.revision),
      text: `serving now: revision ${last?.revision ?? 'none'} (${last?.chart ?? 'no chart'}), verified healthy: revision ${verifiedRevision || 'none'}`,
    },
  ];
}

function clientChecks(client: ClientFigures | undefined): Check[] {
  if (client === undefined) return [];
  const { failed, requests, perSecond, failures } = client;
  const why = Object.entries(failures).map(([failure, count]) => `${failure}: ${count}`);
  return [
    {
      isTrue: failed === 0 && requests > 0,
      text: `failed requests: ${failed} of ${requests}${why.length === 0 ? '' : ` (${why.slice(0, 5).join('; ')})`}`,
    },
    { isTrue: perSecond >= leastPerSecond, text: `requests a second: ${perSecond.toFixed(1)}` },
  ];
}

function replicaCheck({ lowestReady, allowed, wanted }: ReplicaFigures): Check {
  return {
    isTrue: wanted > 0 && lowestReady >= allowed,
    text: `ready replicas: never below ${lowestReady} of ${wanted}; the strategy allows ${allowed}`,
  };
}
