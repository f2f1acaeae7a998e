import fs from 'node:fs';
import path from 'node:path';

/**
 * The layout of the cluster on this machine. Addresses and ports are chosen once and stay the same when parts restart.
 */
export type Layout =
  | { readonly kind: 'loopback'; readonly apiPort: number; readonly etcdPort: number; readonly etcdPeerPort: number }
  /** `index` numbers the clusters with a real node on this machine. Addresses and names follow from it (network.ts). */
  | { readonly kind: 'node'; readonly index: number };

export interface Tokens {
  readonly admin: string;
  readonly node: string;
  readonly controllerManager: string;
  readonly scheduler: string;
  readonly proxy: string;
  readonly kwok: string;
  readonly dns: string;
}

export interface ClusterState {
  readonly name: string;
  /**
   * The running programs by name, version and digest, and the layout version. A cluster with other programs is created
   * again. Programs that only call the cluster, such as Helm, are not listed.
   */
  readonly programs: readonly string[];
  /**
   * The phase is `starting` until the first `up` has finished. Without a running `up` it marks an incomplete cluster.
   */
  readonly phase: 'starting' | 'ready';
  readonly layout: Layout;
  readonly tokens: Tokens;
  readonly kwokNodes: number;
  readonly hasDns: boolean;
}

export function readState(folder: string): ClusterState | undefined {
  try {
    return JSON.parse(fs.readFileSync(stateFile(folder), 'utf8')) as ClusterState;
  } catch {
    // The state is missing or incomplete. In both cases there is no cluster to continue with.
    return undefined;
  }
}

export function writeState(folder: string, state: ClusterState): void {
  writeAtomically(stateFile(folder), JSON.stringify(state, undefined, 2));
}

/** Like `writeAtomically`, but does not touch a file that already has this content. */
export function writeIfChanged(file: string, content: string): void {
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === content) return;
  writeAtomically(file, content);
}

/**
 * Readers see either the old or the new content, never a part. The mode is 0600, because the content includes tokens.
 */
export function writeAtomically(file: string, content: string): void {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, content, { mode: 0o600 });
  fs.renameSync(draft, file);
}

function stateFile(folder: string): string {
  return path.join(folder, 'state.json');
}
