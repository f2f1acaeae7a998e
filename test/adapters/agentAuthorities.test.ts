import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generate } from 'selfsigned';
import { helmPrograms } from '../../scripts/cluster/pins';
import { providePrograms } from '../../scripts/cluster/programs';
import { createAgent } from '../../tasks/common/adapters/agent/agent';
import type { TaskEnvironment } from '../../tasks/common/adapters/agent/taskEnvironment';
import { fetchValues } from '../../tasks/common/adapters/helm/fetchValues';
import { createCluster } from '../../tasks/common/adapters/kubernetes/cluster';
import { openForwardProxy } from '../support/forwardProxy';
import { openHttpsSite, type HttpsSite } from '../support/httpsSite';

describe('the certificate authorities of the agent (Agent.CAInfo)', function () {
  this.timeout(600_000);
  let helms: string[] = [];
  let site: HttpsSite;
  let temp = '';
  let lines: string[] = [];

  before(async () => {
    const ends = [helmPrograms[0], helmPrograms.at(-1)].flatMap((program) => program ?? []);
    helms = await providePrograms(ends, console.error, new AbortController().signal);
    // An API server that forbids everything, and a site of values.
    site = await openHttpsSite(
      ({ url }, response) => {
        if (url === '/values.yaml') response.end('one: two\n');
        else response.writeHead(403, { 'Content-Type': 'application/json' }).end(JSON.stringify(forbidden));
      },
      '127.0.0.1',
      ['site.test'],
    );
  });
  after(() => {
    site.close();
  });
  beforeEach(() => {
    temp = mkdtempSync(path.join(tmpdir(), 'authorities-'));
    lines = [];
  });
  afterEach(() => {
    rmSync(temp, { recursive: true, force: true });
  });

  const forbidden = { kind: 'Status', status: 'Failure', reason: 'Forbidden', code: 403, message: 'no' };

  function environmentWith(variables: Record<string, string>): TaskEnvironment {
    const environment = { AGENT_TEMPDIRECTORY: temp, PATH: process.env['PATH'], HOME: temp, ...variables };
    return createAgent({ environment, write: (line) => lines.push(line.trimEnd()) }).environment;
  }

  function kubeconfigWithoutAuthority(server: string): string {
    const file = path.join(temp, 'kubeconfig');
    const config = {
      clusters: [{ name: 'c', cluster: { server } }],
      users: [{ name: 'u', user: { token: 't' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  /** What each connection came to: the text of its answer or of its error. */
  async function attempts(
    { childEnvironment }: TaskEnvironment,
    address = site.address,
  ): Promise<Record<string, string>> {
    const kubeconfig = kubeconfigWithoutAuthority(address);
    const signal = new AbortController().signal;
    const timing = { retryUnknownMs: 0 };
    const cluster = await createCluster(kubeconfig, { environment: childEnvironment, timing });
    const ours = cluster.get({ apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web' });
    const values = fetchValues(`${address}/values.yaml`, {
      input: 'valueFiles',
      environment: childEnvironment,
      signal,
    });
    const textOf = (work: Promise<unknown>): Promise<string> => work.then(String, String);
    const ofHelms = helms.map((helm) => outputOf(helm, ['list', '--kubeconfig', kubeconfig], childEnvironment));
    const all = await Promise.all([ours, values, ...ofHelms].map(textOf));
    cluster.close();
    const [ownRequest = '', ownDownload = '', oldest = '', newest = ''] = all;
    return { ownRequest, ownDownload, oldest, newest };
  }

  const answered = /kubernetes cluster unreachable: unknown/i;
  const trusted = {
    ownRequest: /answered 403/,
    ownDownload: /one: two/,
    oldest: answered,
    newest: answered,
  };
  const untrusted = {
    ownRequest: /is not trusted/,
    ownDownload: /certificate is not trusted/,
    oldest: /x509: certificate signed by unknown authority/,
    newest: /x509: certificate signed by unknown authority/,
  };

  function assertAll(got: Record<string, string>, expected: Record<string, RegExp>): void {
    for (const [name, pattern] of Object.entries(expected)) assert.match(got[name] ?? '', pattern);
  }

  it('are trusted by downloads, by Helm, and for a cluster whose kubeconfig names no authority', async () => {
    assertAll(await attempts(environmentWith({ AGENT_CAINFO: site.authority })), trusted);
  });

  it('are still trusted when the connection to the cluster was closed', async () => {
    const environment = {
      AGENT_TEMPDIRECTORY: temp,
      PATH: process.env['PATH'],
      HOME: temp,
      AGENT_CAINFO: site.authority,
    };
    const agent = createAgent({ environment, write: () => undefined });
    agent.privateFolder.write('kubeconfig', '');
    agent.privateFolder.remove();
    assertAll(await attempts(agent.environment), trusted);
  });

  it('are trusted beside those that SSL_CERT_FILE names', async () => {
    const other = path.join(temp, 'other.pem');
    writeFileSync(other, '');
    const both = { SSL_CERT_FILE: site.authority, AGENT_CAINFO: other };
    assertAll(await attempts(environmentWith(both)), trusted);
  });

  it('are trusted for a proxy that is reached by https', async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'proxy.test' }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    });
    const proxy = await openForwardProxy('me', 'p@ss', { 'site.test:443': `127.0.0.1:${site.port}` }, { cert, key });
    try {
      const authorities = path.join(temp, 'both.pem');
      writeFileSync(authorities, `${cert}\n${readFileSync(site.authority, 'utf8')}`);
      const network = { AGENT_PROXYURL: proxy.address, AGENT_PROXYUSERNAME: 'me', AGENT_PROXYPASSWORD: 'p@ss' };
      const environment = environmentWith({ AGENT_CAINFO: authorities, ...network });
      assertAll(await attempts(environment, 'https://site.test'), trusted);
      assert.ok(proxy.tunnels.length >= 4, String(proxy.tunnels.length));
      const stranger = environmentWith({ AGENT_CAINFO: site.authority, ...network });
      assertAll(await attempts(stranger, 'https://site.test'), untrusted);
    } finally {
      await proxy.close();
    }
  });

  it('are not trusted by anybody where the agent has none', async () => {
    assertAll(await attempts(environmentWith({})), untrusted);
  });

  it('a file that cannot be read, as in a container, is named in the log, and the step goes on', () => {
    const environment = environmentWith({ AGENT_CAINFO: '/nowhere/ca.pem' });
    assert.match(lines.join('\n'), /\(Agent\.CAInfo\) are not used: ENOENT: .*\/nowhere\/ca\.pem/);
    assert.equal(environment.childEnvironment['SSL_CERT_FILE'], undefined);
  });
});

/** Rejects with what the program wrote to stderr. */
function outputOf(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { env }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr));
    });
  });
}
