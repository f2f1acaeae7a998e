import { parseArgs } from 'node:util';

/** What is measured: step time, start-up, API requests, size of the package. */
export const parts = ['a', 'b', 'c', 'd'] as const;
export type Part = (typeof parts)[number];

export const usage = `Usage: npm run bench [-- OPTIONS]

Compares HelmSafeDeploy with plain Helm on a cluster of its own and writes docs/benchmarks.md.

  --only a,b        only these parts, and only to the terminal: (a) step time, (b) start to first API request,
                    (c) API requests, (d) size of the package
  --runs N          pairs of runs of each case [9]
  --cluster NAME    the cluster to use or to start; one that was started is taken down again ["bench"]
  --help`;

export class UsageError extends Error {}

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly runs: number;
  readonly cluster: string;
  /** As typed after \`npm run bench\`. */
  readonly commandLine: string;
}

/** Throws UsageError for what it does not understand; undefined when only help is wanted. */
export function benchOptions(args: readonly string[]): BenchOptions | undefined {
  const values = parsed(args);
  if (values.help === true) return undefined;
  const runs = Number(values.runs ?? '9');
  if (!Number.isInteger(runs) || runs < 1) {
    throw new UsageError(`--runs is "${values.runs ?? ''}"; a whole number from 1 on is expected.`);
  }
  const wanted = values.only?.split(',').map((part) => part.trim());
  const unknown = (wanted ?? []).filter((part) => !isPart(part));
  if (unknown.length > 0) throw new UsageError(`--only: "${unknown.join(', ')}" is none of ${parts.join(', ')}.`);
  return {
    parts: wanted?.filter(isPart) ?? parts,
    runs,
    cluster: values.cluster ?? 'bench',
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
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
