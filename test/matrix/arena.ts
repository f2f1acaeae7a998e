import { cluster as openCluster } from '../support/cluster';
import { down, status } from '../../scripts/cluster/cluster';
import { openGround, type Ground } from './ground';
import { watchHelms, type HelmWatch } from './processTable';

/** The clusters of a run of the matrix: one for the cases that can share it, some for those that cannot. */
export interface Arena {
  readonly helmWatch: HelmWatch;
  /** Gives each item to `act` with a cluster that suits it, as many at once as there are lanes; stops when aborted. */
  readonly each: <T>(
    items: readonly T[],
    needsOwnCluster: (item: T) => boolean,
    act: (item: T, ground: Ground) => Promise<void>,
  ) => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export interface ArenaOptions {
  /** Undefined: the one that all tests share. */
  readonly sharedCluster?: string;
  /** Lanes on the shared cluster. */
  readonly lanes: number;
  /** Names of the clusters whose API servers may be taken away; each is a lane of its own. */
  readonly ownClusters: readonly string[];
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Clusters that it has to start are taken down by `dispose`, others are left running. */
export async function openArena(options: ArenaOptions): Promise<Arena> {
  const { signal, log, lanes } = options;
  const names = [...(options.sharedCluster === undefined ? [] : [options.sharedCluster]), ...options.ownClusters];
  const started = names.filter((name) => status(name).kind === 'absent');
  const open = async (name: string | undefined): Promise<Ground> =>
    openGround(await openCluster({ signal, ...(name === undefined ? {} : { name }) }));
  const shared = await open(options.sharedCluster);
  const own: Ground[] = [];
  for (const name of options.ownClusters) own.push(await open(name));
  const helmWatch = watchHelms();
  return {
    helmWatch,
    each: async (items, needsOwnCluster, act) => {
      const alone = items.filter(needsOwnCluster);
      const together = items.filter((item) => !needsOwnCluster(item));
      const lane = async (queue: typeof alone, ground: Ground): Promise<void> => {
        for (let item = queue.shift(); item !== undefined && !signal.aborted; item = queue.shift()) {
          await act(item, ground);
        }
      };
      await Promise.all([
        ...Array.from({ length: lanes }, () => lane(together, shared)),
        ...own.map((ground) => lane(alone, ground)),
      ]);
    },
    dispose: async () => {
      helmWatch.stop();
      await Promise.allSettled([shared, ...own].map((ground) => ground.dispose()));
      for (const name of started) await down(name, log, new AbortController().signal);
    },
  };
}
