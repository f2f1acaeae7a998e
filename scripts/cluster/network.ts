import fs from 'node:fs';
import { command, succeed } from './command';
import { enterFlags } from './processes';

/** The addresses of a cluster with a real node. An `index` from 0 to 63 keeps the clusters of one machine apart. */
export interface NodeNetwork {
  /** The machine's end of the link. */
  readonly hostInterface: string;
  readonly hostAddress: string;
  /** The node's end of the link, where API server, kubelet, DNS and node ports listen. */
  readonly nodeAddress: string;
  readonly podRange: string;
  readonly serviceRange: string;
}

export const maximumClusters = 64;

export function nodeNetwork(index: number): NodeNetwork {
  return {
    hostInterface: `hsd${index}`,
    hostAddress: `10.244.255.${index * 4 + 2}`,
    nodeAddress: `10.244.255.${index * 4 + 1}`,
    podRange: `10.244.${index}.0/24`,
    serviceRange: `10.97.${index * 4}.0/22`,
  };
}

/**
 * Joins the network namespace of process `init` to the machine by a pair of virtual interfaces, and returns the free
 * index that it took. The namespace has no other route, so nothing in the cluster can reach a public registry.
 */
export async function joinNetwork(folder: string, init: number): Promise<number> {
  const index = await claimIndex(init);
  const { hostInterface, hostAddress, nodeAddress, podRange, serviceRange } = nodeNetwork(index);
  await succeed('ip', ['link', 'set', hostInterface, 'alias', folder]);
  await succeed('ip', ['address', 'add', `${hostAddress}/30`, 'dev', hostInterface]);
  await succeed('ip', ['link', 'set', hostInterface, 'up']);
  const inside = [
    'ip link set lo up',
    `ip address add ${nodeAddress}/30 dev eth0`,
    'ip link set eth0 up',
    'echo 1 >/proc/sys/net/ipv4/ip_forward',
  ].join(' && ');
  await succeed('nsenter', [...enterFlags(init), '--', 'sh', '-c', inside]);
  await succeed('ip', ['route', 'add', podRange, 'via', nodeAddress]);
  await succeed('ip', ['route', 'add', serviceRange, 'via', nodeAddress]);
  return index;
}

/** Creating the interface claims the index, because the kernel accepts each name only once. */
async function claimIndex(init: number): Promise<number> {
  const inUse = await succeed('ip', ['-4', '-o', 'route', 'show', 'table', 'all']);
  for (let index = 0; index < maximumClusters; index += 1) {
    const { hostInterface, podRange, serviceRange } = nodeNetwork(index);
    if (inUse.includes(podRange) || inUse.includes(serviceRange)) continue;
    const link = ['link', 'add', hostInterface, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(init)];
    const result = await command('ip', link);
    if (result.code === 0) return index;
    if (!result.stderr.includes('File exists')) throw new Error(`ip ${link.join(' ')}: ${result.stderr.trim()}`);
  }
  throw new Error(
    `There are ${maximumClusters} clusters with a real node on this machine, and more is not provided for.`,
  );
}

/** The interfaces of a cluster on this machine. Their alias is the state folder of the cluster. */
export function interfacesOf(folder: string): string[] {
  return fs.readdirSync('/sys/class/net').filter((name) => alias(name) === folder);
}

function alias(name: string): string {
  try {
    return fs.readFileSync(`/sys/class/net/${name}/ifalias`, 'utf8').trim();
  } catch {
    // The interface is already gone.
    return '';
  }
}

/**
 * An interface disappears after the last process of its namespace, but not at once. It stays while a process from
 * outside, such as a debugger's "nsenter", is in the namespace.
 */
export async function removeInterfaces(folder: string): Promise<void> {
  for (const name of interfacesOf(folder)) {
    const result = await command('ip', ['link', 'delete', name]);
    if (result.code !== 0 && interfacesOf(folder).includes(name)) {
      throw new Error(`The interface ${name} cannot be removed: ${result.stderr.trim()}`);
    }
  }
}
