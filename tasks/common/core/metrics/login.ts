import type { MetricsServer } from './metric';

/** The fields of a service connection. */
interface ConnectionFields {
  url: string | undefined;
  authorization(key: string): string | undefined;
}

/** The address of a server, and who asks it. */
export interface MetricsLogin {
  url: string;
  user: { token?: string; username?: string; password?: string };
}

/** Reads a connection of the type «Generic». Without a user name, its password is a bearer token. */
export function metricsLogin(
  connection: ConnectionFields,
  server: MetricsServer | undefined,
): MetricsLogin | { problem: string } {
  const own = (connection.url ?? '').trim();
  const url = server?.kind === 'address' ? server.url : own;
  if (!/^https?:\/\//i.test(own) || !URL.canParse(own))
    return { problem: 'its address is no http:// or https:// address' };
  if (new URL(own).origin !== new URL(url).origin) {
    const problem = `it is for ${new URL(own).origin}, and metricsServer is at ${new URL(url).origin}; its credentials are sent to its own server only`;
    return { problem };
  }
  const [username, password] = ['username', 'password'].map((key) => connection.authorization(key));
  if (password === undefined) return { url, user: {} };
  if (new URL(url).protocol !== 'https:') {
    return { problem: 'its address is no https:// address; a password is not sent without encryption' };
  }
  return { url, user: username === undefined ? { token: password } : { username, password } };
}

/** The scope of the tokens that a workspace of Azure Monitor takes; undefined if the address is none. */
export function azureMonitorScope(server: MetricsServer | undefined): string | undefined {
  if (server?.kind !== 'address' || !/^https:/i.test(server.url)) return undefined;
  const [, cloud] = /\.prometheus\.monitor\.azure\.(com|us|cn)$/i.exec(new URL(server.url).hostname) ?? [];
  return cloud === undefined ? undefined : `https://prometheus.monitor.azure.${cloud.toLowerCase()}/.default`;
}
