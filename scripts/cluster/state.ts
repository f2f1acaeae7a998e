import fs from 'node:fs';
import path from 'node:path';

/** How the cluster is laid out on this machine. Addresses and ports are chosen once and survive restarts of the parts. */
export type Layout =
  | { readonly kind: 'loopback'; readonly apiPort: number; readonly etcdPort: number; readonly etcdPeerPort: number }
  /** `index` numbers the clusters with a real node on this machine; addresses and names follow from it (network.ts). */
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
   * What it runs, by name, version and digest, and the version of its layout. A cluster that runs something else is made
   * anew. Programs that only talk to it, such as Helm, are not among them.
   */
  readonly programs: readonly string[];
  /** `starting` until the first `up` has finished: what is found so without a living `up` is a remainder. */
  readonly phase: 'starting' | 'ready';
  readonly layout: Layout;
  readonly tokens: Tokens;
  readonly kwokNodes: number;
}

export function readState(folder: string): ClusterState | undefined {
  try {
    return JSON.parse(fs.readFileSync(stateFile(folder), 'utf8')) as ClusterState;
  } catch {
    // No state, or one that was cut in two: both mean that there is nothing to go on with.
    return undefined;
  }
}

export function writeState(folder: string, state: ClusterState): void {
  writeAtomically(stateFile(folder), JSON.stringify(state, undefined, 2));
}

/** As `writeAtomically`; a file that has this content already is not touched. */
export function writeIfChanged(file: string, content: string): void {
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === content) return;
  writeAtomically(file, content);
}

/** Readers see the old or the new content, never a part. Mode 0600: tokens are in it. */
export function writeAtomically(file: string, content: string): void {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, content, { mode: 0o600 });
  fs.renameSync(draft, file);
}

function stateFile(folder: string): string {
  return path.join(folder, 'state.json');
}
