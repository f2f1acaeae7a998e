import net from 'node:net';
import { TaskError } from '../../core/failure';

interface ProxyOptions {
  environment: NodeJS.ProcessEnv;
  /** The proxy of the kubeconfig wins over the environment. */
  proxyUrl: string | undefined;
}

/** Follows Go's httpproxy, which Helm and kubectl use. Undefined if no proxy is needed. */
export function proxyFor(server: URL, { environment, proxyUrl }: ProxyOptions): URL | undefined {
  if (proxyUrl !== undefined) return namedProxy(server, proxyUrl);
  const name = server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const address = environment[name] || environment[name.toLowerCase()];
  if (!address) return undefined;
  const exceptions = environment['NO_PROXY'] || environment['no_proxy'] || '';
  return isExempt(server, exceptions) ? undefined : proxyAddress(address);
}

/** Throws `ConnectionInvalid` for an invalid address, because a configured proxy must not be bypassed. */
function namedProxy(server: URL, proxyUrl: string): URL {
  const address = proxyAddress(proxyUrl);
  if (address !== undefined) return address;
  throw new TaskError('ConnectionInvalid', `The proxy-url for ${server.origin} in the kubeconfig is not an address.`);
}

/** Go reads `proxy:3128` as `http://proxy:3128`. */
function proxyAddress(address: string): URL | undefined {
  const complete = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`;
  return URL.canParse(complete) ? new URL(complete) : undefined;
}

function isExempt(server: URL, exceptions: string): boolean {
  const host = server.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || host === '::1' || (net.isIPv4(host) && host.startsWith('127.'))) return true;
  const port = server.port || (server.protocol === 'https:' ? '443' : '80');
  return exceptions
    .split(',')
    .map((each) => each.trim().toLowerCase())
    .some((each) => each !== '' && matches(each, host, port));
}

function matches(exception: string, host: string, port: string): boolean {
  if (exception === '*') return true;
  if (exception.includes('/')) return isInNetwork(exception, host);
  const [, name = '', wantedPort] = /^(.*?)(?::(\d+))?$/.exec(net.isIPv6(exception) ? '' : exception) ?? [];
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const wanted = (net.isIPv6(exception) ? exception : name).replace(/^\[|\]$/g, '').replace(/^\*(?=\.)/, '');
  if (net.isIP(wanted) !== 0) return wanted === host;
  // A leading dot means that only subdomains match.
  if (wanted.startsWith('.')) return host.endsWith(wanted);
  return host === wanted || host.endsWith(`.${wanted}`);
}

function isInNetwork(exception: string, host: string): boolean {
  const [address = '', bits = ''] = exception.split('/');
  const family = net.isIP(address);
  if (family === 0 || net.isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const list = new net.BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(address, Number(bits), type);
  return list.check(host, type);
}
