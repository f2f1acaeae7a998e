import { parseArgs } from 'node:util';

/**
 * The measurements: step time, start-up, API requests, package size, time to the verdict, time to healthy, following,
 * planning, a large chart, expanding the fleet template.
 */
export const parts = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'] as const;
export type Part = (typeof parts)[number];

export const usage = `Usage: npm run bench [-- OPTIONS]

Compares HelmSafeDeploy with plain Helm on a cluster of its own and writes docs/benchmarks.md.

  --only a,b        only these parts, and only to the terminal: (a) step time, (b) start to first API request,
                    (c) API requests, (d) size of the package, (e) time to the verdict on broken workloads,
                    (f) time to healthy, (g) what following up to 5,000 pods costs,
                    (h) planning a rollback of up to 500 objects,
                    (i) a chart with 3 MB of CustomResourceDefinitions,
                    (j) expanding the fleet template for 1,000 clusters
  --update          with --only: puts its sections into docs/benchmarks.md and leaves the others as they are
  --runs N          pairs of runs of each case [9]; a third of it for 50 workloads, (e), (h) and (i); one of (g)
  --helm 3.17.3,…   only these Helms, by version; then only to the terminal, too
  --workloads 1     only this number of workloads, 1 or 50; then only to the terminal, too
  --cluster NAME    the cluster to use or to start; one that was started is taken down again ["bench"]
  --help`;

export class UsageError extends Error {}

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly runs: number;
  readonly cluster: string;
  /** True if only a part of the page is renewed. */
  readonly update: boolean;
  /** Undefined means all Helm versions. */
  readonly helms: readonly string[] | undefined;
  readonly workloads: number | undefined;
  /** The command as the user typed it. */
  readonly commandLine: string;
}

/** Throws UsageError for invalid arguments. Returns undefined if only help is requested. */
export function benchOptions(args: readonly string[]): BenchOptions | undefined {
  const values = parsed(args);
  if (values.help === true) return undefined;
  const runs = Number(values.runs ?? '9');
  if (!Number.isInteger(runs) || runs < 1) {
    throw new UsageError(`--runs is "${values.runs ?? ''}"; a whole number from 1 on is expected.`);
  }
  if (values.workloads !== undefined && !['1', '50'].includes(values.workloads)) {
    throw new UsageError(`--workloads is "${values.workloads}"; 1 or 50 is expected.`);
  }
  const wanted = values.only?.split(',').map((part) => part.trim());
  const unknown = (wanted ?? []).filter((part) => !isPart(part));
  if (unknown.length > 0) throw new UsageError(`--only: "${unknown.join(', ')}" is none of ${parts.join(', ')}.`);
  return {
    parts: wanted?.filter(isPart) ?? parts,
    runs,
    cluster: values.cluster ?? 'bench',
    update: values.update ?? false,
    helms: values.helm?.split(',').map((version) => version.trim()),
    workloads: values.workloads === undefined ? undefined : Number(values.workloads),
    commandLine: ['npm run bench', ...(args.length === 0 ? [] : ['--', ...args])].join(' '),
  };
}

function isPart(text: string): text is Part {
  return (parts as readonly string[]).includes(text);
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        runs: { type: 'string' },
        cluster: { type: 'string' },
        update: { type: 'boolean' },
        helm: { type: 'string' },
        workloads: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
