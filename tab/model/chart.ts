import { duration } from '../../tasks/common/core/text/durationText';
import type { RunRecord } from './run';
import type { Tone, Tree, TreeNode } from './tree';

export interface Mark {
  at: number;
  tone: Tone;
  text: string;
}

export interface Lane {
  label: string;
  tone: Tone;
  /** `failed after 1 min 5 s`. */
  words: string;
  from: number;
  to: number;
  marks: readonly Mark[];
}

/** Times are shares of the whole, from 0 to 1. */
export interface Chart {
  ticks: readonly { at: number; text: string }[];
  groups: readonly { title: string; lanes: readonly Lane[] }[];
}

export interface ChartInput {
  startedAt: number | undefined;
  finishedAt: number | undefined;
  rows: readonly RunRecord[];
  tree: Tree;
  now: number;
}

const laneLimit = 400;

/** Undefined if the step's own times are not known. */
export function chartOf({ startedAt, finishedAt, rows, tree, now }: ChartInput): Chart | undefined {
  if (startedAt === undefined) return undefined;
  const end = Math.max(finishedAt ?? now, startedAt + 1000);
  const share = (time: number): number => Math.min(1, Math.max(0, (time - startedAt) / (end - startedAt)));
  const marks = marksOf(tree, share);
  const shown = new Set<string>();
  const lanes = rows.slice(0, laneLimit).map((row) => {
    const { name, phase } = partsOf(row.name);
    const from = row.startedAt ?? startedAt;
    const to = row.finishedAt ?? end;
    const { tone, verb } = endOf(row);
    const lane: Lane = {
      label: name,
      tone,
      words: `${verb} ${lengthWords(to - from)}`,
      from: share(from),
      to: share(to),
      marks: shown.has(name) ? [] : (marks.get(name) ?? []),
    };
    shown.add(name);
    return { lane, phase };
  });
  // A failure whose object has no row still has its mark.
  const unseen = [...marks].filter(([name]) => !shown.has(name)).map(([name, own]) => markLane(name, own));
  const phases = [...new Set(lanes.map(({ phase }) => phase))];
  return {
    ticks: ticksOf(end - startedAt),
    groups: [
      ...phases.map((phase) => ({
        title: phase,
        lanes: lanes.filter((each) => each.phase === phase).map(({ lane }) => lane),
      })),
      ...(unseen.length === 0 ? [] : [{ title: phases.length === 0 ? '' : 'other objects', lanes: unseen }]),
    ],
  };
}

/** A moment is shorter than the clock can tell. */
function lengthWords(milliseconds: number): string {
  return milliseconds < 500 ? 'a moment' : duration(milliseconds / 1000);
}

function markLane(name: string, marks: readonly Mark[]): Lane {
  const from = Math.min(...marks.map(({ at }) => at));
  return { label: name, tone: 'bad', words: 'failing until the end', from, to: 1, marks };
}

/** A row of a rollback is named `Deployment/web (rollback)`. */
function partsOf(name: string): { name: string; phase: string } {
  const match = /^(.*) \(([^()]*)\)$/.exec(name);
  return match === null ? { name, phase: '' } : { name: match[1] ?? '', phase: match[2] ?? '' };
}

const ends: Readonly<Record<string, { tone: Tone; verb: string }>> = {
  succeeded: { tone: 'good', verb: 'ready after' },
  succeededwithissues: { tone: 'warning', verb: 'as before, after' },
  failed: { tone: 'bad', verb: 'failed after' },
  canceled: { tone: 'warning', verb: 'not awaited any more after' },
  skipped: { tone: 'neutral', verb: 'skipped after' },
};

function endOf({ state, result }: RunRecord): { tone: Tone; verb: string } {
  if (state !== 'done') return { tone: 'busy', verb: 'in progress for' };
  return ends[result.toLowerCase()] ?? { tone: 'unknown', verb: 'ended after' };
}

/** When a failure was first seen, by `Kind/name`. */
function marksOf({ workloads, others }: Tree, share: (time: number) => number): Map<string, Mark[]> {
  const failing = [...workloads, ...others].filter(({ since }) => since !== '');
  return new Map(
    failing.flatMap(({ name, since, text, tone }: TreeNode) => {
      const at = Date.parse(since);
      return Number.isNaN(at) ? [] : [[name, [{ at: share(at), tone, text: `first seen: ${text}` }]] as const];
    }),
  );
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];
const mostTicks = 6;

function ticksOf(lengthMs: number): Chart['ticks'] {
  const seconds = lengthMs / 1000;
  const step = steps.find((each) => seconds / each <= mostTicks) ?? seconds / mostTicks;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => ({
    at: (index * step) / seconds,
    text: index === 0 ? '0' : duration(index * step),
  }));
}
