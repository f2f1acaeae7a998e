import { coveringPairs } from './pairs';
import { hashOf, randomFrom } from './random';

/*
 * The dimensions of the matrix. A case is one interruption: a disturbance at a place of a story, with one Helm.
 * Impossible combinations (a rollback's record without a rollback) are no cases.
 */

export const deployStories = [
  'first-install',
  'failed-install',
  'upgrade',
  'upgrade-with-hooks',
  'automatic-rollback',
  'repair-by-post-job',
  'recovery-by-next-run',
] as const;

/** ApproveAndRollback goes from a second revision that does not get ready back to the first. */
export const rollbackStories = ['rollback-plan', 'rollback', 'rollback-of-workloads'] as const;

export const stories = [...deployStories, ...rollbackStories] as const;
export type Story = (typeof stories)[number];

export const tasks = ['HelmSafeDeploy', 'ApproveAndRollback'] as const;
export type Task = (typeof tasks)[number];

/** The disturbed task. */
export function taskOf(story: string): Task {
  return rollbackStories.some((each) => each === story) ? 'ApproveAndRollback' : 'HelmSafeDeploy';
}

/** The place that the disturbance waits for, see places.ts. */
export const places = [
  'process-started',
  'lease-acquired',
  'release-looked-at',
  'helm-started',
  'record-pending',
  'first-object-changed',
  'pre-hook-running',
  'post-hook-running',
  'helm-ended',
  'following',
  'verdict-failed',
  'planning-again',
  'rehearsing',
  'plan-kept',
  'rollback-started',
  'rollback-pending',
  'rollback-applied',
  'workload-patched',
  'deleting',
  'uninstalling',
  'verified',
  'random-1',
  'random-2',
] as const;
export type Place = (typeof places)[number];

/** The disturbance itself, see disturbances.ts. */
export const disturbances = [
  'cancel',
  'sigterm',
  'container-cancel',
  'agent-shutdown',
  'kill-task',
  'kill-task-and-helm',
  'agent-lost',
  'machine-lost',
  'orphan-kill',
  'api-stopped',
  'api-restarted',
] as const;
export type Disturbance = (typeof disturbances)[number];

/** The Helm that deploys. After `-on-` comes the Helm that made the release. */
export const helms = ['3.17.3', '3.22.0', '4.1.4', '4.2.3', '4.3.2', '4.3.2-on-3.17.3'] as const;
export type HelmChoice = (typeof helms)[number];

const newestHelm: HelmChoice = '4.3.2';

export interface MatrixCase {
  readonly story: Story;
  readonly place: Place;
  readonly disturbance: Disturbance;
  readonly helm: HelmChoice;
}

const everywhere: readonly Place[] = [
  'process-started',
  'lease-acquired',
  'release-looked-at',
  'helm-started',
  'record-pending',
  'first-object-changed',
  'helm-ended',
  'following',
  'random-1',
  'random-2',
];
const ofRollback: readonly Place[] = ['rehearsing', 'rollback-started', 'rollback-pending', 'rollback-applied'];

/**
 * The places of the disturbed process: the post-job phase in stories of repair, the recovering run in stories of
 * recovery.
 */
const placesOf: Readonly<Record<Story, readonly Place[]>> = {
  'first-install': [...everywhere, 'verified'],
  'failed-install': [...everywhere, 'verdict-failed', 'uninstalling'],
  upgrade: [...everywhere, 'verified'],
  'upgrade-with-hooks': [...everywhere, 'pre-hook-running', 'post-hook-running', 'verified'],
  'automatic-rollback': [...everywhere, 'verdict-failed', ...ofRollback, 'verified'],
  'repair-by-post-job': ['process-started', 'lease-acquired', ...ofRollback, 'verified', 'random-1', 'random-2'],
  // This run recovers with the merge base of its own upgrade and does no rollback.
  'recovery-by-next-run': [...everywhere, 'verified'],
  'rollback-plan': ['process-started', 'rehearsing', 'plan-kept', 'random-1', 'random-2'],
  rollback: [
    'process-started',
    'lease-acquired',
    'planning-again',
    ...ofRollback,
    'following',
    'deleting',
    'verified',
    'random-1',
    'random-2',
  ],
  'rollback-of-workloads': [
    'process-started',
    'lease-acquired',
    'planning-again',
    'workload-patched',
    'following',
    'random-1',
    'random-2',
  ],
};

function canHappen({ story, place, disturbance, helm }: MatrixCase): boolean {
  if (!placesOf[story].includes(place)) return false;
  // This disturbance is the post-job phase beside a live main phase, so there is no third process.
  if (story === 'repair-by-post-job' && disturbance === 'container-cancel') return false;
  // No Helm runs there.
  if (story === 'rollback-of-workloads') return helm === newestHelm && disturbance !== 'kill-task-and-helm';
  const isInstall = story === 'first-install' || story === 'failed-install';
  return !(isInstall && helm.includes('-on-'));
}

/** All possible combinations, in a fixed order. */
export function allCases(): MatrixCase[] {
  return stories
    .flatMap((story) =>
      places.flatMap((place) =>
        disturbances.flatMap((disturbance) => helms.map((helm) => ({ story, place, disturbance, helm }))),
      ),
    )
    .filter(canHappen);
}

export function caseId({ story, place, disturbance, helm }: MatrixCase): string {
  return `${story}/${place}/${disturbance}/${helm}`;
}

/** Throws an Error for an impossible combination. */
export function caseOf(id: string): MatrixCase {
  const found = allCases().find((one) => caseId(one) === id);
  if (found !== undefined) return found;
  throw new Error(`"${id}" is no case of the matrix; one is upgrade/record-pending/kill-task/4.1.4.`);
}

/** Returns true if the case needs its own cluster. */
export function disturbsApiServer({ disturbance }: MatrixCase): boolean {
  return disturbance === 'api-stopped' || disturbance === 'api-restarted';
}

/** The node of the pods. Half of the cases need no real containers and are faster without. Hooks need a shell. */
export function nodeOf(one: MatrixCase): 'real' | 'kwok' {
  if (one.story === 'rollback-of-workloads') return 'kwok';
  if (one.story === 'upgrade-with-hooks') return 'real';
  return hashOf(caseId(one)) % 2 === 0 ? 'real' : 'kwok';
}

export function levelsOf(one: MatrixCase): string[] {
  return [one.story, one.place, one.disturbance, one.helm, nodeOf(one)];
}

/** Cases that together contain every possible pair of levels. */
export function allPairs(seed: number, cases: readonly MatrixCase[] = allCases()): MatrixCase[] {
  return coveringPairs(cases, levelsOf, randomFrom(seed));
}

/** This number of cases that cover much of a task. At most `apiServer` of them need their own cluster. */
export function sampleOf(task: Task, seed: number, count: number, apiServer: number): MatrixCase[] {
  const ranked = allPairs(
    seed,
    allCases().filter(({ story }) => taskOf(story) === task),
  );
  const sharing = ranked.filter((one) => !disturbsApiServer(one));
  const alone = ranked.filter(disturbsApiServer).slice(0, apiServer);
  return [...alone, ...sharing.slice(0, count - alone.length)];
}

/** The time after the start of the disturbed process, in milliseconds, for a random place. */
export function randomDelay(one: MatrixCase, seed: number): number {
  return Math.round(randomFrom(`${seed} ${caseId(one)}`)() * typicalMs[one.story]);
}

/** The approximate time of a story's disturbed process when nothing disturbs it. */
const typicalMs: Readonly<Record<Story, number>> = {
  'first-install': 5_000,
  'failed-install': 6_000,
  upgrade: 5_000,
  'upgrade-with-hooks': 9_000,
  'automatic-rollback': 8_000,
  'repair-by-post-job': 3_000,
  'recovery-by-next-run': 6_000,
  'rollback-plan': 3_000,
  rollback: 6_000,
  'rollback-of-workloads': 4_000,
};
