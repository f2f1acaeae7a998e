import { followingCapSeconds, type FollowingCost, type FollowingCosts } from './followingCost';
import type { HealthyTime } from './healthyTime';
import { row, shown, verdict, type Target } from './markdown';
import { median, spread } from './statistics';
import { capSeconds, nameOf, type PeerEnd, type VerdictTime } from './verdictTime';

/** The limit for causes without grace: seconds after the object was sent. */
const atOnceLimit = 3;
/** Seconds after the cluster has shown the cause and the grace is over. */
const noticeLimit = 2;

export function verdictSection(times: readonly VerdictTime[]): string[] {
  return [
    '## Time to the verdict',
    '',
    `Seconds from the moment when a broken workload is sent to the API server of the real node's cluster. «Shown»: raw watches of its pods, events, ReplicaSets and itself give the first object that holds the cause. «Judged»: the packaged RolloutHealthCheck, started when the API server has answered, says in its log that it collects evidence. «Ended»: its process has ended, with the right cause in its outputs. The hook is found by HelmSafeDeploy with Helm 4, counted from the hook's Job; the Helms beside it wait for the Job's own condition. Beside it, one run each: \`helm upgrade --install --wait --wait-for-jobs\`, and \`kubectl rollout status\` (\`kubectl wait\` for the Job), both with a timeout of ${capSeconds} s; «silent» says nothing until then, «good» calls it deployed.`,
    '',
    '| what is wrong | cause | grace, s | shown, s | judged, s | ended, s |',
    '|---|---|---|---|---|---|',
    ...times.map(({ scenario, runs }) => {
      const judged = runs.flatMap((run) => run.judged ?? []);
      return row(
        nameOf(scenario),
        scenario.code,
        String(scenario.graceSeconds),
        shown(spread(runs.map((run) => run.shown))),
        judged.length === 0 ? '' : shown(spread(judged)),
        shown(spread(runs.map((run) => run.ended))),
      );
    }),
    '',
    '| what is wrong | Helm 3 | Helm 4 | kubectl |',
    '|---|---|---|---|',
    ...times.map(({ scenario, helm3, helm4, kubectl }) =>
      row(nameOf(scenario), peerWord(helm3), peerWord(helm4), kubectl === undefined ? '' : peerWord(kubectl)),
    ),
    '',
    ...verdictTargets(times).map(verdict),
    '',
  ];
}

function peerWord({ end, seconds }: PeerEnd): string {
  if (end === 'silent') return 'silent';
  return end === 'content' ? `good, ${seconds.toFixed(1)} s` : `${seconds.toFixed(1)} s`;
}

export function verdictTargets(times: readonly VerdictTime[]): Target[] {
  const atOnce = times.filter(({ scenario }) => scenario.graceSeconds === 0);
  const waiting = times.filter(({ scenario }) => scenario.graceSeconds > 0);
  const ended = ({ runs }: VerdictTime): number => median(runs.map((run) => run.ended));
  const late = ({ runs, scenario }: VerdictTime): number =>
    median(runs.map((run) => run.ended - run.shown - scenario.graceSeconds));
  return [
    limited('without grace: ended at most 3 s after apply (on an idle cluster)', atOnce, ended, atOnceLimit),
    limited('without grace: ended at most 2 s after the cluster first shows it', atOnce, late, noticeLimit),
    limited('with grace: ended at most 2 s after the grace is over', waiting, late, noticeLimit),
  ].flat();
}

/** The target is met if all times are within the limit. Otherwise the missed ones are named. */
function limited(
  wanted: string,
  times: readonly VerdictTime[],
  figure: (time: VerdictTime) => number,
  limit: number,
): Target[] {
  if (times.length === 0) return [];
  const sorted = times.toSorted((a, b) => figure(b) - figure(a));
  const missed = sorted.filter((time) => figure(time) > limit);
  const told = (missed.length > 0 ? missed : sorted.slice(0, 1)).map(
    (time) => `${nameOf(time.scenario)} ${figure(time).toFixed(2)} s`,
  );
  const got = missed.length > 0 ? told.join('; ') : `slowest: ${told.join('')}`;
  return [{ wanted, got, isMet: missed.length === 0 }];
}

export function healthySection(times: readonly HealthyTime[]): string[] {
  const whole = (values: readonly number[]): string => {
    const { median: middle, lowest, highest } = spread(values);
    return `${Math.round(middle)} (${Math.round(lowest)} to ${Math.round(highest)})`;
  };
  return [
    '## Time to healthy',
    '',
    'Milliseconds to the end of the process, from the moment when a raw watch tells that the last of three pods on the real node is ready, and from that when the last Deployment says so, which a controller of the cluster writes.',
    '',
    '| | after the last pod, ms | after the last Deployment, ms |',
    '|---|---|---|',
    ...times.map(({ who, runs }) =>
      row(who, whole(runs.map(({ afterPod }) => afterPod)), whole(runs.map(({ afterStatus }) => afterStatus))),
    ),
    '',
    ...times.slice(0, 1).map(({ who, runs }) => {
      const middle = median(runs.map(({ afterPod }) => afterPod));
      return verdict({
        wanted: `${who}: at most 200 ms after the last pod`,
        got: `${Math.round(middle)} ms`,
        isMet: middle <= 200,
      });
    }),
    '',
  ];
}

/** The limit is 200 MB, here in MiB. */
const memoryLimitMiB = 200_000_000 / 2 ** 20;

export function followingSection({ costs, bareNodeMiB }: FollowingCosts): string[] {
  return [
    '## What following costs',
    '',
    `Pods that start from nothing on a simulated node, followed from the moment when their Deployments exist: the packaged RolloutHealthCheck of the release, and \`kubectl rollout status\` of all its Deployments. Helm 4 applies and waits in one, so \`helm upgrade\` without \`--wait\` stands beside it. Requests by the audit log (further pages of a list in brackets), bytes in both directions on the wire, TLS included, peak memory (VmHWM) and processor time of the process. Ended after ${followingCapSeconds} s at the latest. \`scripts/bench/follow5000.ts\` does the same with pods that fail here and there.`,
    '',
    '| workloads x pods | | s | lists | watches | gets | MiB on the wire | peak, MiB | processor, s |',
    '|---|---|---|---|---|---|---|---|---|',
    ...costs.map((cost) =>
      row(
        `${cost.size.workloads} x ${cost.size.podsEach}`,
        cost.who,
        `${cost.seconds.toFixed(1)}${cost.isCapped ? ', not done' : ''}`,
        cost.pages === 0 ? String(cost.lists) : `${cost.lists} (+ ${cost.pages})`,
        String(cost.watches),
        String(cost.gets),
        (cost.bytes / 2 ** 20).toFixed(2),
        cost.usage?.peakMiB.toFixed(0) ?? '',
        cost.usage?.cpuSeconds.toFixed(1) ?? '',
      ),
    ),
    '',
    ...followingTargets({ costs, bareNodeMiB }).map(verdict),
    '',
  ];
}

function followingTargets({ costs, bareNodeMiB }: FollowingCosts): Target[] {
  const [first] = costs;
  const ours = costs.filter(({ who }) => who === first?.who);
  const largest = ours.at(-1);
  // A single workload is ready before its events are watched.
  const counts = ours.filter(({ size }) => size.workloads > 1).map(requestsOf);
  const peak = largest?.usage?.peakMiB;
  return [
    ...(counts.length < 2
      ? []
      : [
          {
            wanted: 'as many requests for 500 workloads as for 50, and for 10 pods of each as for one',
            got: counts.join('; '),
            isMet: new Set(counts).size === 1,
          },
        ]),
    ...(peak === undefined || bareNodeMiB === undefined || largest === undefined
      ? []
      : [
          {
            wanted: `${largest.size.workloads * largest.size.podsEach} pods: at most 200 MB above a bare Node (${bareNodeMiB.toFixed(0)} MiB)`,
            got: `${(((peak - bareNodeMiB) * 2 ** 20) / 1e6).toFixed(0)} MB`,
            isMet: peak - bareNodeMiB <= memoryLimitMiB,
          },
        ]),
  ];
}

function requestsOf({ lists, watches, gets }: FollowingCost): string {
  return `${lists} lists, ${watches} watches, ${gets} gets`;
}
