import { duration } from '../../tasks/common/core/text/durationText';
import type { ReportedPhase } from '../../tasks/common/core/report/report';
import { timeOf } from './reading';
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
  /** Empty for a report of an earlier version. */
  phases: readonly ReportedPhase[];
  now: number;
}

const laneLimit = 400;

/** Undefined if the step's own times are not known. */
export function chartOf({ startedAt, finishedAt, rows, tree, phases: parts, now }: ChartInput): Chart | undefined {
  if (startedAt === undefined) return undefined;
  const end = Math.max(finishedAt ?? now, startedAt + 1000);
  const share: Share = (time) => Math.min(1, Math.max(0, (time - startedAt) / (end - startedAt)));
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
      ...partGroups(parts, share),
      ...phases.map((phase) => ({
        title: phase,
        lanes: lanes.filter((each) => each.phase === phase).map(({ lane }) => lane),
      })),
      ...(unseen.length === 0 ? [] : [{ title: phases.length === 0 ? '' : 'other objects', lanes: unseen }]),
    ],
  };
}

type Share = (time: number) => number;

function partGroups(parts: readonly ReportedPhase[], share: Share): Chart['groups'] {
  const lanesOf = (kind: ReportedPhase['kind']): Lane[] =>
    parts.filter((part) => part.kind === kind).flatMap((part) => partLane(part, share));
  return [
    { title: 'parts of the step', lanes: lanesOf('phase') },
    { title: 'hooks and tests', lanes: lanesOf('hook') },
  ].filter(({ lanes }) => lanes.length > 0);
}

const hookEnds: Readonly<Record<string, { tone: Tone; verb: string }>> = {
  Succeeded: { tone: 'good', verb: 'succeeded after' },
  Failed: { tone: 'bad', verb: 'failed after' },
  Running: { tone: 'unknown', verb: 'had not ended after' },
};

function partLane({ kind, name, result, startedAt, finishedAt }: ReportedPhase, share: Share): Lane[] {
  const [from, to] = [timeOf(startedAt), timeOf(finishedAt)];
  if (from === undefined || to === undefined) return [];
  const { tone, verb } = kind === 'phase' ? { tone: 'neutral' as const, verb: 'took' } : hookEnd(result);
  return [
    { label: name, tone, words: `${verb} ${lengthWords(to - from)}`, from: share(from), to: share(to), marks: [] },
  ];
}

function hookEnd(result: string): { tone: Tone; verb: string } {
  return hookEnds[result] ?? { tone: 'unknown', verb: 'ended after' };
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

/** When a failure was first seen, and when its last event happened, by `Kind/name`. */
function marksOf({ workloads, others }: Tree, share: Share): Map<string, Mark[]> {
  return new Map(
    [...workloads, ...others].flatMap(({ name, since, text, tone, evidence }: TreeNode) => {
      const seen = markAt(since, { tone, text: `first seen: ${text}` }, share);
      const events = evidence
        .filter(({ kind }) => kind === 'event')
        .flatMap(({ at = '', lines }) => markAt(at, { tone: 'neutral', text: `event: ${lines[0] ?? ''}` }, share));
      const marks = [...seen, ...events];
      return marks.length === 0 ? [] : [[name, marks] as const];
    }),
  );
}

function markAt(time: string, mark: Omit<Mark, 'at'>, share: Share): Mark[] {
  const at = timeOf(time);
  return at === undefined ? [] : [{ ...mark, at: share(at) }];
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
