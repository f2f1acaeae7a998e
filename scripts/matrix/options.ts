import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export const usage = `Usage: npm run test:matrix [-- OPTIONS]

Interrupts HelmSafeDeploy and ApproveAndRollback in every way at every step, and looks at what is left: after the job,
and after the next run.
Without options: cases that together have every pair of story, place, disturbance and Helm that can meet.
The package is built from this checkout, unless HELM_SAFE_DEPLOY_VSIX names one.

  --all             every case there is; what an earlier run of the same package has done is not done again
  --seed N          decides the choice of cases and the random times [a random one, printed]
  --only TEXT       only cases whose id holds the text, such as cancel or upgrade/; several divided by commas
  --case ID         one case, such as upgrade/record-pending/kill-task/4.1.4; several divided by commas
  --plain           plain Helm in its place: how many releases stay stuck, how many next deploys fail; what an
                    earlier run with the same seed has shown is not done again
  --both            the task and plain Helm
  --write           puts the figures into docs/reliability.md (implies --both)
  --list            names the cases and does nothing
  --lanes N         cases at once on the shared cluster [6]
  --cluster NAME    the shared cluster; default is that of npm test [matrix]
  --clusters N      clusters beside it for the cases that take the API server away [3]
  --help`;

export class UsageError extends Error {}

export interface MatrixOptions {
  readonly selection: 'pairs' | 'all' | 'named';
  readonly caseIds: readonly string[];
  readonly seed: number;
  readonly only: readonly string[];
  readonly runs: { readonly ours: boolean; readonly plain: boolean };
  readonly write: boolean;
  readonly list: boolean;
  readonly lanes: number;
  readonly cluster: string;
  readonly clusters: number;
}

/** Throws UsageError for invalid arguments. Returns undefined if only help is requested. */
export function matrixOptions(args: readonly string[]): MatrixOptions | undefined {
  const values = parsed(args);
  if (values.help === true) return undefined;
  const isBoth = values.both === true || values.write === true;
  if (values.write === true && (values.only !== undefined || values.case !== undefined)) {
    throw new UsageError('--write is for whole runs: not together with --only or --case.');
  }
  return {
    selection: values.case === undefined ? (values.all === true ? 'all' : 'pairs') : 'named',
    caseIds: listed(values.case),
    seed: values.seed === undefined ? randomInt(1, 1_000_000) : whole('--seed', values.seed, 0),
    only: listed(values.only),
    runs: { ours: isBoth || values.plain !== true, plain: isBoth || values.plain === true },
    write: values.write === true,
    list: values.list === true,
    lanes: whole('--lanes', values.lanes ?? '6', 1),
    cluster: values.cluster ?? 'matrix',
    clusters: whole('--clusters', values.clusters ?? '3', 1),
  };
}

function listed(text = ''): string[] {
  return text.split(',').filter((each) => each !== '');
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value < 2 ** 32) return value;
  throw new UsageError(`${name} is "${text}"; a whole number from ${least} on is expected.`);
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        all: { type: 'boolean' },
        seed: { type: 'string' },
        only: { type: 'string' },
        case: { type: 'string' },
        plain: { type: 'boolean' },
        both: { type: 'boolean' },
        write: { type: 'boolean' },
        list: { type: 'boolean' },
        lanes: { type: 'string' },
        cluster: { type: 'string' },
        clusters: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
