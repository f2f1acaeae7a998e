/** Reads a variable of the job by its name, for example `Agent.ProxyUrl`. */
type Variable = (name: string) => string | undefined;

/** '' if the agent bypasses its proxy for this server; undefined if it has no proxy. */
export function agentProxy(server: URL, variable: Variable): string | undefined {
  const proxy = proxyAddress(variable);
  if (proxy === undefined) return undefined;
  return bypasses(variable).some((rule) => rule.test(server.href)) ? '' : proxy;
}

function proxyAddress(variable: Variable): string | undefined {
  const address = variable('Agent.ProxyUrl');
  if (!address) return undefined;
  const complete = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`;
  if (!URL.canParse(complete)) return undefined;
  const proxy = new URL(complete);
  proxy.username = encodeURIComponent(variable('Agent.ProxyUsername') ?? '') || proxy.username;
  proxy.password = encodeURIComponent(variable('Agent.ProxyPassword') ?? '') || proxy.password;
  return proxy.href;
}

/**
 * The variables by which Helm and other programs find the proxy of the agent; none if the environment names a proxy or
 * exempts every host.
 */
export function proxyVariables(variable: Variable, environment: NodeJS.ProcessEnv): Record<string, string> {
  const proxy = proxyAddress(variable);
  const names = ['HTTPS_PROXY', 'HTTP_PROXY'];
  if (proxy === undefined || names.some((name) => environment[name] || environment[name.toLowerCase()])) return {};
  const known = environment['NO_PROXY'] || environment['no_proxy'] || '';
  const exempt = rulesOf(variable).flatMap((rule) => plainHost(rule) ?? []);
  const hosts = [...known.split(','), ...exempt].filter((host) => host !== '');
  return { HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: [...new Set(hosts)].join(',') };
}

/** NO_PROXY cannot express every rule of the agent, so the rules are asked about a server that is known. */
export function exemptServer(server: string, variable: Variable, environment: NodeJS.ProcessEnv): void {
  if (!URL.canParse(server) || agentProxy(new URL(server), variable) !== '') return;
  const hosts = [environment['NO_PROXY'] ?? '', new URL(server).hostname];
  environment['NO_PROXY'] = hosts.filter((host) => host !== '').join(',');
}

/** Undefined if the rule is more than the name of a host or the end of one. */
function plainHost(rule: string): string | undefined {
  const withoutEnds = rule.replace(/^\^?(?:https?\??:\/\/)?(?:\.\*)?|(?:\/?\.\*)?\$?$/g, '');
  const host = withoutEnds.replaceAll('\\.', '.');
  return /^\.?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(host) ? host : undefined;
}

function bypasses(variable: Variable): RegExp[] {
  return rulesOf(variable).flatMap((rule) => {
    try {
      return [new RegExp(rule, 'i')];
    } catch {
      return [];
    }
  });
}

/** A JSON list of regular expressions. As in the agent, invalid ones are ignored. */
function rulesOf(variable: Variable): string[] {
  let rules: unknown;
  try {
    rules = JSON.parse(variable('Agent.ProxyBypassList') || '[]');
  } catch {
    return [];
  }
  if (!Array.isArray(rules)) return [];
  return (rules as unknown[]).filter((rule): rule is string => typeof rule === 'string' && rule !== '');
}
