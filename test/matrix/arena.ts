import { cluster as openCluster } from '../support/cluster';
import { down, status } from '../../scripts/cluster/cluster';
import { openGround, type Ground } from './ground';
import { watchHelms, type HelmWatch } from './processTable';

/** The clusters of a matrix run: one for cases that can share it, and some for cases that cannot. */
export interface Arena {
  readonly helmWatch: HelmWatch;
  /** Passes each item to `act` with a suitable cluster, as many at once as there are lanes. Stops when aborted. */
  readonly each: <T>(
    items: readonly T[],
    needsOwnCluster: (item: T) => boolean,
    act: (item: T, ground: Ground) => Promise<void>,
  ) => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export interface ArenaOptions {
  /** If undefined, this is the cluster that all tests share. */
  readonly sharedCluster?: string;
  /** The number of lanes on the shared cluster. */
  readonly lanes: number;
  /** Names of the clusters whose API servers may be taken away. Each cluster is one lane. */
  readonly ownClusters: readonly string[];
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** `dispose` stops the clusters that the arena started, and leaves others running. */
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
