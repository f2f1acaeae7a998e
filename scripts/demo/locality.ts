import { existsSync, readFileSync, realpathSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';

/** One address of this machine, and its network. */
export interface LocalAddress {
  readonly address: string;
  /** For example `10.0.0.1/24`. */
  readonly cidr: string;
  /**
   * True if only this machine uses the network: a bridge or a pair of virtual interfaces, for containers and virtual
   * machines.
   */
  readonly isInside: boolean;
}

/**
 * Returns true if the address of an API server leads to this machine. A private address alone is no proof, because
 * production clusters have such addresses too. A host name is local only if it cannot mean anything else; names are not
 * looked up.
 */
export function isLocalServer(server: string, addresses: readonly LocalAddress[]): boolean {
  const host = new URL(server).hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const family = net.isIP(host);
  if (family === 0) return host === 'localhost' || host.endsWith('.localhost') || dockerDesktop.has(host);
  if (loopback.check(host, family === 4 ? 'ipv4' : 'ipv6')) return true;
  return addresses.some(({ address, cidr, isInside }) => address === host || (isInside && contains(cidr, host)));
}

const dockerDesktop: ReadonlySet<string> = new Set(['kubernetes.docker.internal', 'host.docker.internal']);

const loopback = new net.BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function contains(cidr: string, host: string): boolean {
  const [network = '', prefix = ''] = cidr.split('/');
  if (net.isIP(network) !== net.isIP(host)) return false;
  const family = net.isIP(host) === 4 ? 'ipv4' : 'ipv6';
  const block = new net.BlockList();
  block.addSubnet(network, Number(prefix), family);
  return block.check(host, family);
}

export function localAddresses(): LocalAddress[] {
  return Object.entries(os.networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.map(({ address, cidr }) => ({ address, cidr: cidr ?? '', isInside: cidr !== null && isInside(name) })),
  );
}

/**
 * Works on Linux only; on other systems such clusters use loopback addresses. A tunnel (VPN) is virtual too, but leads
 * to other machines. So does the interface of the default route, which is also virtual inside a container.
 */
function isInside(name: string): boolean {
  const folder = `/sys/class/net/${name}`;
  if (!existsSync(folder) || !realpathSync(folder).startsWith('/sys/devices/virtual/')) return false;
  const ethernet = '1';
  if (readFileSync(`${folder}/type`, 'utf8').trim() !== ethernet || existsSync(`${folder}/tun_flags`)) return false;
  return !defaultRouteInterfaces().includes(name);
}

function defaultRouteInterfaces(): string[] {
  const [, ...routes] = readFileSync('/proc/net/route', 'utf8').trim().split('\n');
  return routes.flatMap((route) => {
    const [name = '', destination] = route.split('\t');
    return destination === '00000000' ? [name] : [];
  });
}
