import { row, shown, verdict, type Target } from './markdown';
import type { PlanRequests, PlanTime } from './planTime';
import { median, spread } from './statistics';

/** The limit in seconds. */
const limit = 10;

export function planSection(times: readonly PlanTime[]): string[] {
  return [
    '## Time to the plan',
    '',
    "`action: plan` of the packaged ApproveAndRollback for a release of which every object differs between its two revisions (a fifth of them Deployments without pods, the rest ConfigMaps): seconds from the start of the process to its end, the rehearsal in it. Requests of one such plan by the API server's audit log: the task's own lists, gets and changes (the plan that is kept), the reads of the Helm that is rehearsed, the dry runs that its writes become, and what it changed.",
    '',
    "| Helm | objects | plan, s | lists | gets | changes | Helm's reads | dry runs | changed by Helm |",
    '|---|---|---|---|---|---|---|---|---|',
    ...times.map(({ helmVersion, objects, seconds, requests }) => {
      const { lists, gets, changes, helmReads, dryRuns, helmChanges } = requests;
      const counts = [lists, gets, changes, helmReads, dryRuns, helmChanges].map(String);
      return row(helmVersion, String(objects), shown(spread(seconds)), ...counts);
    }),
    '',
    ...planTargets(times).map(verdict),
    '',
  ];
}

export function planTargets(times: readonly PlanTime[]): Target[] {
  const largest = Math.max(...times.map(({ objects }) => objects));
  const large = times.filter(({ objects }) => objects === largest);
  const slowest = Math.max(...large.map(({ seconds }) => median(seconds)));
  const reads = [...new Set(times.map(({ requests }) => readsOf(requests)))];
  const changed = times.reduce((sum, { requests }) => sum + requests.helmChanges, 0);
  return [
    { wanted: `${largest} objects: at most ${limit} s`, got: `${slowest.toFixed(2)} s`, isMet: slowest <= limit },
    { wanted: 'as many reads of its own for 500 objects as for 50', got: reads.join('; '), isMet: reads.length === 1 },
    { wanted: 'nothing changed by the rehearsed Helm', got: `${changed} changes`, isMet: changed === 0 },
  ];
}

function readsOf({ lists, gets }: PlanRequests): string {
  return `${lists} lists, ${gets} gets`;
}
