import { disturbances, helms, places, stories, taskOf, tasks, type Task } from '../../test/matrix/cases';
import type { PlainResult } from '../../test/matrix/plain';
import type { CaseResult } from '../../test/matrix/play';
import { row } from '../bench/markdown';

export interface Reliability {
  readonly date: string;
  readonly seed: number;
  readonly isAll: boolean;
  readonly minutes: number;
  readonly lanes: number;
  readonly productSize: number;
  readonly ours: readonly CaseResult[];
  readonly plain: readonly PlainResult[];
  readonly kubernetesVersion: string;
}

/** The text of docs/reliability.md. It shows the results, good or bad. */
export function reliabilityPage(found: Reliability): string {
  return [
    '# Reliability',
    '',
    `Measured on ${found.date} by \`${commandOf(found)}\`, which writes this page.`,
    '',
    headline(found),
    '',
    ...comparison(found),
    ...conditions(found),
    ...byDisturbance(found),
    ...exceptions(found),
  ].join('\n');
}

function commandOf({ isAll, seed }: Reliability): string {
  return `npm run test:matrix -- ${isAll ? '--all ' : ''}--seed ${seed} --write`;
}

const isStuck = ({ violations }: CaseResult): boolean => violations.some(({ invariant }) => invariant === 'not stuck');
const nextFails = ({ violations }: CaseResult): boolean =>
  violations.some(({ invariant }) => invariant === 'next run works');

function shown(results: readonly CaseResult[]): CaseResult[] {
  return results.filter(({ status }) => status === 'held' || status === 'violated');
}

/** The first part of a case's id is its story. In ids of plain Helm the story is the second part. */
function isOf(task: Task, { id }: { id: string }): boolean {
  return taskOf(id.replace(/^plain\//, '').split('/')[0] ?? '') === task;
}

function interrupted(results: readonly PlainResult[]): PlainResult[] {
  return results.filter(({ status }) => status === 'interrupted');
}

function headline({ ours }: Reliability): string {
  const cases = shown(ours);
  const held = cases.filter(({ status }) => status === 'held').length;
  const counts = tasks.map((task) => `${cases.filter((result) => isOf(task, result)).length} of ${task}@1`);
  return `**${cases.length} interruptions (${counts.join(', ')}), ${cases.filter(isStuck).length} stuck.** In ${held} of them every condition listed below held.`;
}

function comparison({ ours, plain }: Reliability): string[] {
  return [
    '| changed by | interruptions | stuck | next run failed | succeeded, but left dead parts |',
    '|---|---|---|---|---|',
    ...tasks.flatMap((task) => [
      rowOfTask(
        task,
        shown(ours).filter((result) => isOf(task, result)),
      ),
      ...['3', '4'].map((major) => {
        const results = interrupted(plain).filter((result) => isOf(task, result) && result.id.includes(`/${major}.`));
        return rowOfPlain(plainName(task, major), results);
      }),
    ]),
    '',
    'Plain Helm is interrupted at the counterparts of the same places, each once, by a task that passes the signals of the agent on to Helm at once, which few tasks do. Its next run is `helm upgrade --install` with a good chart, tried once, when no Helm runs any more. After ApproveAndRollback@1 the next run is the same step once more with the same plan, or a good deploy by HelmSafeDeploy@1. Plain Helm has no counterpart of a plan, nor of workloads that are no release.',
    '',
  ];
}

function rowOfTask(task: Task, cases: readonly CaseResult[]): string {
  const dirty = cases.filter(({ violations }) =>
    violations.some(({ invariant }) => invariant === 'nothing of a dead revision' || invariant === 'declared is live'),
  );
  const counts = [cases, cases.filter(isStuck), cases.filter(nextFails), dirty].map(({ length }) => String(length));
  return row(`${task}@1`, ...counts);
}

function rowOfPlain(name: string, results: readonly PlainResult[]): string {
  const dirty = results.filter(({ leftovers }) => leftovers.length > 0);
  const stuck = results.filter((result) => result.isStuck);
  const failed = results.filter(({ nextFailed }) => nextFailed);
  return row(name, ...[results, stuck, failed, dirty].map(({ length }) => String(length)));
}

function plainName(task: Task, major: string): string {
  const versions = helms.filter((helm) => /^[\d.]+$/.test(helm) && helm.startsWith(major)).join(', ');
  if (task === 'ApproveAndRollback') return `\`helm rollback --wait\` (${versions})`;
  return `\`helm upgrade --install ${major === '3' ? '--atomic' : '--rollback-on-failure'}\` (${versions})`;
}

function conditions(found: Reliability): string[] {
  const { kubernetesVersion, minutes, lanes, productSize, isAll } = found;
  const cases = shown(found.ours);
  const checked = cases.filter(({ isCheckedAfterJob }) => isCheckedAfterJob).length;
  const requests = cases.reduce((sum, result) => sum + (result.requests ?? 0), 0);
  const choice = isAll
    ? 'These are all cases that can happen.'
    : `These have every pair of story, place, disturbance and Helm that can meet; the full product (\`--all\`) has ${productSize} cases.`;
  return [
    '## The cases',
    '',
    ...tasks.map((task) => `- Stories of ${task}@1: ${stories.filter((story) => taskOf(story) === task).join(', ')}.`),
    `- Places, each recognised by what is seen in the cluster, in the process table or in the log: ${places.join(', ')}; the random ones at times that the seed decides.`,
    `- Disturbances: ${disturbances.join(', ')}.`,
    `- Helm: ${helms.join(', ')}.`,
    `- ${choice} It took ${minutes.toFixed(0)} minutes with ${lanes} at once.`,
    `- The packaged task, run as the agent runs it, on Kubernetes ${kubernetesVersion}: a real API server, real containers on a real node in about half of the cases.`,
    '',
    `After the next run in every case, and after the job too where post-job ran and the API server answered (${checked} cases):`,
    '',
    '- no revision is pending or uninstalling; at most one is `deployed`, after the next run exactly one, and the record of each revision holds what was deployed;',
    '- every object is as a fresh install of the deployed revision makes it: nothing is missing, nothing of a dead revision is left but PersistentVolumeClaims, and these are named in the log;',
    '- no object that served before was removed and created again;',
    '- a step that only plans a rollback has changed nothing, by the audit log and by the live objects;',
    "- by the API server's audit log no run changed anything after a later run had begun to, and no two Helms that change the release were ever seen in the process table at once;",
    `- on the real node the application answered every request where an old version served (${requests} requests);`,
    '- no kubeconfig and no secret value is left on disk, no process is left, the lease is released, a cancelled step needs no second signal.',
    '',
  ];
}

function byDisturbance({ ours, plain }: Reliability): string[] {
  const of = <T extends { id: string }>(results: readonly T[], name: string): T[] =>
    results.filter(({ id }) => id.includes(`/${name}/`));
  return [
    '## By disturbance',
    '',
    `| disturbance | ${tasks.map((task) => `${task}@1 | stuck | next run failed`).join(' | ')} | plain Helm | stuck | next run failed |`,
    `|---|${'---|'.repeat(3 * (tasks.length + 1))}`,
    ...disturbances.map((name) => {
      const own = of(shown(ours), name);
      const other = of(interrupted(plain), name);
      const counts = [
        ...tasks.flatMap((task) => {
          const cases = own.filter((result) => isOf(task, result));
          return [cases, cases.filter(isStuck), cases.filter(nextFails)];
        }),
        ...[other, other.filter((result) => result.isStuck), other.filter(({ nextFailed }) => nextFailed)],
      ];
      return row(name, ...counts.map(({ length }) => String(length)));
    }),
    '',
  ];
}

function exceptions({ ours, seed }: Reliability): string[] {
  const violated = ours.filter(({ status }) => status === 'violated');
  const missed = ours.filter(({ status }) => status === 'missed' || status === 'error');
  return [
    ...(missed.length === 0
      ? []
      : [
          `In ${missed.length} further cases the job was over before the place was seen, or the case could not be played; they are not counted.`,
          '',
        ]),
    ...(violated.length === 0
      ? []
      : [
          '## Violations',
          '',
          ...violated.flatMap(({ id, violations }) => [
            `- \`npm run test:matrix -- --seed ${seed} --case ${id}\``,
            ...violations.map(({ invariant, message }) => `  - ${invariant}: ${message}`),
          ]),
          '',
        ]),
  ];
}
